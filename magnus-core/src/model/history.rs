//! What was changed, by which run, under which rule.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::status::named_enum;
use super::{ConnectionId, Field, RunId, Side, TaskId, Timestamp, Value};

named_enum! {
    /// Why a change was applied.
    Rule, "rule", {
        /// Only this side moved.
        OneMoved = "one_moved",
        /// A new item was taken over.
        Created = "created",
        /// First contact: an empty or default value yielded to a set one.
        FirstContact = "first_contact",
        /// Both moved; the policy let the hub win.
        HubWins = "hub_wins",
        /// Both moved; the policy let the tool win.
        ExternalWins = "external_wins",
        /// Both moved; the newer one won.
        NewestWins = "newest_wins",
        /// A person resolved a conflict.
        Resolved = "resolved",
        /// A person edited the hub.
        Edited = "edited",
        /// A deletion was carried over.
        Deleted = "deleted",
        /// A move to another project was carried over.
        Moved = "moved",
        /// What was gone is there again.
        CameBack = "came_back",
        /// A run was undone.
        Undone = "undone",
    }
}

/// One applied change of one field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// The hub task.
    pub task_id: TaskId,
    /// The run, if a run made it.
    pub run_id: Option<RunId>,
    /// The connection, if a run made it.
    pub connection_id: Option<ConnectionId>,
    /// The field; `None` for the task as a whole (created, deleted).
    pub field: Option<Field>,
    /// The value before.
    pub before: Value,
    /// The value after.
    pub after: Value,
    /// The side that was changed.
    pub side: Side,
    /// Why.
    pub rule: Rule,
    /// When.
    pub at: Timestamp,
}
