//! What a run would do, as data: counted, shown, refused, or executed.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{ConnectionId, ExternalId, Field, MappingId, ProjectId, Reason, RunCounts, Side, TaskId};

/// What would happen to one item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlannedAction {
    /// A hub task is made from a task of the tool.
    CreateInHub,
    /// A task of the tool is made from a hub task.
    CreateInTool,
    /// Items that are on both sides already are joined.
    Link,
    /// Fields are changed on either side or both.
    Update,
    /// The hub task is deleted or archived.
    DeleteInHub,
    /// The tool's task is deleted or archived.
    DeleteInTool,
    /// The link changes state; both sides stay as they are.
    Unlink,
    /// The item is left alone for a stated reason.
    Skip,
}

/// One field that would change, or would if it were not held.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FieldChange {
    /// The field.
    pub field: Field,
    /// The side that changes; `None` if the field is held.
    pub side: Option<Side>,
    /// The value before, rendered.
    pub before: String,
    /// The value after, rendered.
    pub after: String,
    /// Why it is held, or a remark (`hub_wins`, `computed_by_tool`).
    pub note: Option<String>,
}

/// What would happen to one item.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PlannedItem {
    /// What.
    pub action: PlannedAction,
    /// Its title.
    pub title: String,
    /// The hub task, if there is one.
    pub task_id: Option<TaskId>,
    /// The external task, if there is one.
    pub external_id: Option<ExternalId>,
    /// The fields that would change.
    pub changes: Vec<FieldChange>,
    /// Why it is left alone.
    pub reason: Option<Reason>,
}

/// What would happen in one mapping.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedMapping {
    /// The mapping; `None` if the run would make it.
    pub mapping_id: Option<MappingId>,
    /// The hub project.
    pub project_id: ProjectId,
    /// The external project's name.
    pub name: String,
    /// Items for which something would happen, or that are skipped. Unchanged ones are only counted.
    pub items: Vec<PlannedItem>,
    /// Items looked at and found unchanged.
    pub unchanged: u64,
    /// Why the mapping could not be read.
    pub problem: Option<String>,
}

/// What a run would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The connection.
    pub connection_id: ConnectionId,
    /// By mapping.
    pub mappings: Vec<PlannedMapping>,
    /// Counts as a run would report them.
    pub counts: RunCounts,
    /// Why a guard would halt the run; empty if it would not.
    pub halts: Vec<String>,
    /// How many remote writes would mail people, where that cannot be switched off.
    pub notifying_writes: u64,
    /// How many seconds the writes to the tool will take, where the tool limits them.
    #[serde(default)]
    pub foreseen_seconds: Option<u64>,
}

impl Plan {
    /// How long the writes to the tool will take, where the tool limits them.
    #[must_use]
    pub fn foreseen(&self) -> Option<Duration> {
        self.foreseen_seconds.map(Duration::from_secs)
    }
}
