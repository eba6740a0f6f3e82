//! Breakdowns of tasks that were asked for, kept so that none is lost with its process.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;

use super::StoreError;
use crate::model::{Breakdown, BreakdownId, BreakdownJob, BreakdownState, TaskId, Timestamp};

/// The right to carry out a breakdown: that of the process which began it last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BreakdownClaim {
    /// The job.
    pub id: BreakdownId,
    /// Which of its attempts.
    pub attempt: u32,
    /// The process.
    pub holder: String,
}

impl BreakdownClaim {
    /// The right to a job as it was claimed.
    #[must_use]
    pub fn of(job: &BreakdownJob) -> Self {
        Self {
            id: job.id,
            attempt: job.attempts,
            holder: job.holder.clone().unwrap_or_default(),
        }
    }
}

/// How a breakdown, or an attempt at it, ended.
#[derive(Debug, Clone, PartialEq)]
pub struct BreakdownEnd {
    /// `completed`, `failed`, `cancelled`, or `interrupted` if it is to be tried again.
    pub state: BreakdownState,
    /// The proposal.
    pub breakdown: Option<Box<Breakdown>>,
    /// Why there is none.
    pub error_message: Option<String>,
    /// What the model answered, if that was the trouble.
    pub raw: Option<String>,
}

impl BreakdownEnd {
    /// An end without a proposal.
    #[must_use]
    pub const fn without(state: BreakdownState, error_message: Option<String>) -> Self {
        Self {
            state,
            breakdown: None,
            error_message,
            raw: None,
        }
    }

    /// An end with a proposal.
    #[must_use]
    pub fn with(breakdown: Breakdown) -> Self {
        Self {
            breakdown: Some(Box::new(breakdown)),
            ..Self::without(BreakdownState::Completed, None)
        }
    }
}

/// A breakdown that waits or goes on.
#[derive(Debug, Clone, PartialEq)]
pub struct EnqueuedBreakdown {
    /// The job.
    pub job: BreakdownJob,
    /// Whether it was there already and the request joined it.
    pub joined: bool,
}

/// Which breakdowns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BreakdownQuery {
    /// Only of this task.
    pub task_id: Option<TaskId>,
    /// Only those whose state may change.
    pub unfinished_only: bool,
    /// At most this many; 0 means 20. Never more than 1000.
    pub limit: usize,
}

impl BreakdownQuery {
    /// Those of one task.
    #[must_use]
    pub fn of_task(task_id: TaskId) -> Self {
        Self {
            task_id: Some(task_id),
            ..Self::default()
        }
    }

    /// Those whose state may change.
    #[must_use]
    pub fn unfinished() -> Self {
        Self {
            unfinished_only: true,
            limit: 1000,
            ..Self::default()
        }
    }

    /// The limit that holds.
    #[must_use]
    pub const fn effective_limit(&self) -> usize {
        match self.limit {
            0 => 20,
            1..=1000 => self.limit,
            _ => 1000,
        }
    }
}

/// Breakdowns of tasks. At most one per task is not final: the store sees to it. Time is the store's own.
#[async_trait]
pub trait BreakdownStore: Debug + Send + Sync + 'static {
    /// Queues a breakdown of a task, or joins the one that is not final yet.
    ///
    /// # Errors
    /// `NotFound` for an unknown task.
    async fn enqueue_breakdown(&self, task: TaskId) -> Result<EnqueuedBreakdown, StoreError>;

    /// Takes the oldest one that is queued or interrupted, and marks it running for `ttl`. `None` if there is none.
    async fn claim_breakdown(&self, holder: String, ttl: Duration) -> Result<Option<BreakdownJob>, StoreError>;

    /// Prolongs a claim, and answers the job with what was asked of it meanwhile. `None`: the claim is lost.
    async fn renew_breakdown(&self, claim: BreakdownClaim, ttl: Duration) -> Result<Option<BreakdownJob>, StoreError>;

    /// Ends an attempt. `false`: the claim is lost, nothing was changed.
    ///
    /// # Errors
    /// `Usage` for a state that ends nothing.
    async fn finish_breakdown(&self, claim: BreakdownClaim, end: BreakdownEnd) -> Result<bool, StoreError>;

    /// Cancels one that waits at once, and asks one that runs to stop; a final one stays as it is. Answers the job, or
    /// `None` for an unknown id.
    async fn cancel_breakdown(&self, id: BreakdownId) -> Result<Option<BreakdownJob>, StoreError>;

    /// Marks those as `interrupted` whose claim expired, or as `cancelled` if that was asked for, and answers them.
    async fn interrupt_abandoned_breakdowns(&self) -> Result<Vec<BreakdownJob>, StoreError>;

    /// Notes that the proposal was turned down; only a completed one has something to turn down. Answers the job, or
    /// `None` for an unknown id.
    async fn discard_breakdown(&self, id: BreakdownId) -> Result<Option<BreakdownJob>, StoreError>;

    /// One breakdown.
    async fn breakdown(&self, id: BreakdownId) -> Result<Option<BreakdownJob>, StoreError>;

    /// Breakdowns, newest first.
    async fn breakdowns(&self, query: BreakdownQuery) -> Result<Vec<BreakdownJob>, StoreError>;

    /// Deletes up to `limit` that ended before an instant, oldest end first, and answers how many. Of each task the newest
    /// one stays, and the newest with a proposal: that may yet be accepted.
    async fn prune_breakdowns(&self, before: Timestamp, limit: usize) -> Result<u64, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trait_is_object_safe() {
        fn takes(_: Option<&dyn BreakdownStore>) {}
        takes(None);
    }
}
