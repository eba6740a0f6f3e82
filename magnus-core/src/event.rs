//! What happened, as it happens.

use serde::{Deserialize, Serialize};

use crate::engine::Progress;
use crate::model::{BreakdownId, ConnectionId, RunCounts, RunId, RunState, TaskId};

/// What happened to a breakdown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum BreakdownNews {
    /// It waits for its turn.
    Queued,
    /// The model is asked.
    Started,
    /// There is a proposal.
    Completed,
    /// There is none.
    Failed,
    /// Somebody stopped it.
    Cancelled,
    /// Its process died or was shut down; it is tried again.
    Interrupted,
    /// A person made subtasks of the proposal.
    Accepted,
    /// A person turned the proposal down.
    Discarded,
}

/// What happened to a run or a breakdown. Sent to whoever listens; a slow listener misses some and is told how many.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// It waits for its turn.
    RunQueued {
        /// The run.
        run_id: RunId,
        /// The connection.
        connection_id: ConnectionId,
    },
    /// It waits because another process holds the connection's lease.
    RunWaiting {
        /// The run.
        run_id: RunId,
        /// The connection.
        connection_id: ConnectionId,
        /// Who holds the lease.
        holder: String,
    },
    /// It began.
    RunStarted {
        /// The run.
        run_id: RunId,
        /// The connection.
        connection_id: ConnectionId,
    },
    /// It came further.
    RunProgress {
        /// The run.
        run_id: RunId,
        /// The connection.
        connection_id: ConnectionId,
        /// How far.
        progress: Progress,
    },
    /// Somebody asked for it to stop.
    CancelRequested {
        /// The run.
        run_id: RunId,
        /// The connection.
        connection_id: ConnectionId,
    },
    /// It ended.
    RunFinished {
        /// The run.
        run_id: RunId,
        /// The connection.
        connection_id: ConnectionId,
        /// How.
        state: RunState,
        /// What it did.
        counts: RunCounts,
        /// Why it is not `completed`.
        message: Option<String>,
    },
    /// Something happened to a breakdown.
    Breakdown {
        /// The job.
        job_id: BreakdownId,
        /// The task that is broken down.
        task_id: TaskId,
        /// What.
        news: BreakdownNews,
        /// Why there is no proposal.
        message: Option<String>,
    },
}
