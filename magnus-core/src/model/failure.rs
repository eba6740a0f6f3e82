//! An item whose remote write failed, remembered so that it is neither forgotten nor tried for ever.

use serde::{Deserialize, Serialize};

use super::{ConnectionId, RunId, TaskId, Timestamp};
use crate::connection::ConnectionErrorKind;

/// A hub task whose write to a tool failed and has not come through since. At most one per (connection, task).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemFailure {
    /// The connection.
    pub connection_id: ConnectionId,
    /// The hub task.
    pub task_id: TaskId,
    /// What kind of thing went wrong the last time.
    pub kind: ConnectionErrorKind,
    /// The last error, in words for people.
    pub message: String,
    /// How often in a row this very write failed.
    pub failures: u32,
    /// A digest of the write that failed: another write is another attempt.
    pub attempt: String,
    /// The run in which it failed last.
    pub run_id: RunId,
    /// When it failed last.
    pub failed_at: Timestamp,
    /// Before this, runs that nobody asked for leave it alone.
    pub next_try_at: Timestamp,
}

impl ItemFailure {
    /// After so many failures in a row an item is set aside until it changes or a person says so.
    pub const QUARANTINED_AFTER: u32 = 5;

    /// Whether the item is set aside.
    #[must_use]
    pub const fn is_quarantined(&self) -> bool {
        self.failures >= Self::QUARANTINED_AFTER
    }
}
