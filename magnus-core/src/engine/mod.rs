//! One run: observe → reconcile → plan → guard → execute → settle.

mod changed;
mod children;
mod context;
mod error;
mod execute;
mod failed;
mod failures;
mod job;
mod lost_creates;
mod observe;
mod opener;
mod outlook;
mod planning;
mod projects;
mod push;
mod recover;
mod session;
mod settle;
mod settle_deleted;
mod shown;
mod sync;
mod tally;
mod undo;

use std::fmt::Debug;

use async_trait::async_trait;

use crate::model::{RunReport, RunRequest, RunState, Scope};
use crate::reconcile::Plan;

pub use context::{LeaseWatch, Phase, Progress, RunContext};
pub use error::{RunError, RunErrorKind};
pub use opener::ConnectionOpener;
pub use sync::Engine;

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub struct RunEnd {
    /// `Completed`, `Partial`, `Failed`, `Cancelled` or `Halted`.
    pub state: RunState,
    /// What it did.
    pub report: RunReport,
    /// Why it is not `Completed`, in words for people.
    pub message: Option<String>,
}

/// Syncs one connection with the hub. The orchestrator knows nothing else of how that is done.
///
/// The caller holds the connection's lease for as long as a run goes on, and no two runs of one connection overlap.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait SyncEngine: Debug + Send + Sync + 'static {
    /// Checks a request before anything runs or is queued.
    ///
    /// # Errors
    /// `UnknownConnection`, `Disabled`, `UnknownTool`, `DirectionTooWide`.
    async fn validate(&self, request: RunRequest) -> Result<(), RunError>;

    /// What a run would do. Writes nothing anywhere.
    ///
    /// # Errors
    /// Whatever keeps the plan from being made.
    async fn plan(&self, request: RunRequest, context: RunContext) -> Result<Plan, RunError>;

    /// Runs. What went wrong with single items or mappings is in the answer; an error ended the run.
    ///
    /// # Errors
    /// Whatever ended the run; its [`RunError::report`] says what was done before.
    ///
    /// # Cancellation
    /// Through the context's token: stops between operations. A started remote write is awaited.
    async fn run(&self, request: RunRequest, context: RunContext) -> Result<RunEnd, RunError>;
}

/// Conveniences over any [`SyncEngine`].
#[async_trait]
pub trait SyncEngineExt: SyncEngine {
    /// Runs for the list of projects only.
    ///
    /// # Errors
    /// As [`SyncEngine::run`].
    async fn sync_projects(&self, request: RunRequest, context: RunContext) -> Result<RunEnd, RunError> {
        self.run(request.scope(Scope::Projects), context).await
    }

    /// Runs for the tasks of the projects mapped already.
    ///
    /// # Errors
    /// As [`SyncEngine::run`].
    async fn sync_tasks(&self, request: RunRequest, context: RunContext) -> Result<RunEnd, RunError> {
        self.run(request.scope(Scope::Tasks), context).await
    }
}

impl<E: SyncEngine + ?Sized> SyncEngineExt for E {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trait_is_object_safe() {
        fn takes(_: Option<&dyn SyncEngine>) {}
        takes(None);
    }
}
