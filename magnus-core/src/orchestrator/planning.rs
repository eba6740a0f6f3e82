//! What a run would do, without running.

use super::Orchestrator;
use crate::engine::{RunContext, RunError};
use crate::model::RunRequest;
use crate::reconcile::Plan;

impl Orchestrator {
    /// What a run would do. Writes nothing anywhere and waits for the tool.
    ///
    /// # Errors
    /// As [`start`](Self::start), and whatever keeps the plan from being made.
    pub async fn plan(&self, request: RunRequest) -> Result<Plan, RunError> {
        self.shared.refuse_if_closed()?;
        self.shared.engine.plan(request, RunContext::detached()).await
    }
}
