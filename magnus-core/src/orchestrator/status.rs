//! What goes on, as the run log has it.

use super::Orchestrator;
use crate::engine::RunError;
use crate::model::{Run, RunState};

/// What goes on, in all processes on this hub.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SyncStatus {
    /// Every run that goes on.
    pub in_progress: Vec<Run>,
    /// Every run that waits for its turn.
    pub queued: Vec<Run>,
    /// The newest runs, newest first, in whatever state.
    pub recent: Vec<Run>,
}

impl Orchestrator {
    /// What goes on, with the newest `recent` runs. A run whose process died is not in progress: it is marked
    /// `interrupted` and taken up first.
    ///
    /// # Errors
    /// `Store`.
    pub async fn status(&self, recent: usize) -> Result<SyncStatus, RunError> {
        let store = &self.shared.store;
        super::recovery::take_up_abandoned(&self.shared).await?;
        let unfinished = store.unfinished_runs().await?;
        let (in_progress, queued) = unfinished.into_iter().partition(|run| run.state == RunState::Started);
        Ok(SyncStatus {
            in_progress,
            queued,
            recent: store.recent_runs(recent).await?,
        })
    }
}
