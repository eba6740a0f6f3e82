//! What a caller holds of a breakdown.

use tokio::sync::watch;

use crate::breakdown::BreakdownError;
use crate::model::{BreakdownId, BreakdownJob, TaskId};

/// A breakdown that was asked for. Dropping it changes nothing; the job goes on.
#[derive(Debug, Clone)]
pub struct BreakdownHandle {
    id: BreakdownId,
    task: TaskId,
    joined: bool,
    ended: watch::Receiver<Option<Box<BreakdownJob>>>,
}

impl BreakdownHandle {
    pub(super) const fn new(
        job: &BreakdownJob,
        joined: bool,
        ended: watch::Receiver<Option<Box<BreakdownJob>>>,
    ) -> Self {
        Self {
            id: job.id,
            task: job.task_id,
            joined,
            ended,
        }
    }

    /// The job's id.
    #[must_use]
    pub const fn id(&self) -> BreakdownId {
        self.id
    }

    /// The task that is broken down.
    #[must_use]
    pub const fn task(&self) -> TaskId {
        self.task
    }

    /// Whether the request joined one that was there already.
    #[must_use]
    pub const fn joined(&self) -> bool {
        self.joined
    }

    /// Waits for the end of the job, also if another process carries it out. One that failed is an answer as well: its state
    /// and message say so.
    ///
    /// # Errors
    /// `ShuttingDown` if it is not over by then: it goes on at the next start.
    pub async fn wait(&self) -> Result<BreakdownJob, BreakdownError> {
        let mut ended = self.ended.clone();
        let job = ended.wait_for(Option::is_some).await.ok().and_then(|job| job.clone());
        job.map(|job| *job).ok_or_else(BreakdownError::shutting_down)
    }
}
