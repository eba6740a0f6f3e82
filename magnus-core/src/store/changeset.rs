//! What one step of a run decided, committed as a whole.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::model::{
    ChangesetId, Conflict, ConnectionId, HistoryEntry, Intent, ItemFailure, Link, Mapping, Project, ProjectId,
    RowVersion, Task, TaskId,
};

/// What one step decided.
///
/// Order of application: projects, mappings, then units in order. A later unit may refer to rows that an earlier one
/// inserted (a child to its parent); a task's `parent_id` must be there when its unit is applied, or the unit is stale.
///
/// Every applied insert or update of a task makes all *other* connections (all but the fence's) with an enabled mapping
/// of the task's project due, in the same transaction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Changeset {
    /// Committed at most once.
    pub id: ChangesetId,
    /// Projects to insert or update. One that went stale is left out and counted in [`CommitOutcome::stale_rows`].
    pub projects: Vec<ProjectWrite>,
    /// Mappings to insert or update. One that went stale is left out and counted in [`CommitOutcome::stale_rows`].
    pub mappings: Vec<MappingWrite>,
    /// Item by item: each all or nothing.
    pub units: Vec<Unit>,
}

impl Changeset {
    /// An empty changeset with a new id.
    #[must_use]
    pub fn new() -> Self {
        Self {
            id: ChangesetId::generate(),
            projects: Vec::new(),
            mappings: Vec::new(),
            units: Vec::new(),
        }
    }

    /// A changeset of these units.
    #[must_use]
    pub fn of(units: Vec<Unit>) -> Self {
        Self { units, ..Self::new() }
    }

    /// Whether there is nothing to commit.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.projects.is_empty() && self.mappings.is_empty() && self.units.is_empty()
    }
}

impl Default for Changeset {
    fn default() -> Self {
        Self::new()
    }
}

/// What belongs together for one item: applied all or not at all.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Unit {
    /// Hub tasks.
    pub tasks: Vec<TaskWrite>,
    /// Links.
    pub links: Vec<LinkWrite>,
    /// Journal entries, inserted or replaced by id.
    pub intents: Vec<Intent>,
    /// Conflict records.
    pub conflicts: Vec<ConflictWrite>,
    /// What was changed, for `why` and undo.
    pub history: Vec<HistoryEntry>,
    /// Items whose writes fail.
    pub failures: Vec<FailureWrite>,
}

impl Unit {
    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
            && self.links.is_empty()
            && self.intents.is_empty()
            && self.conflicts.is_empty()
            && self.history.is_empty()
            && self.failures.is_empty()
    }
}

/// A hub task to write. The store sets `version`: 1 on insert, the expected one plus 1 on update.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum TaskWrite {
    /// A new task; stale if the id is taken or the match guard finds a candidate.
    Insert {
        /// The task.
        task: Box<Task>,
        /// Repeats the match inside the transaction.
        guard: Option<MatchGuard>,
    },
    /// A changed task; stale if the row's version is not the expected one.
    Update {
        /// The task as it shall be.
        task: Box<Task>,
        /// The version it was decided on.
        expected: RowVersion,
    },
}

/// Repeats the match of a new hub task inside the transaction: if the project by now has another task with the same
/// canonical title ([`Task::title_key`]), neither deleted nor linked on the fence's connection (in any state) and not
/// among those the plan knew, the insert is stale with [`StaleReason::MatchAppeared`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MatchGuard {
    /// The hub project.
    pub project_id: ProjectId,
    /// The canonical title.
    pub title_key: String,
    /// Tasks with that title that the plan saw and decided not to match.
    pub known: BTreeSet<TaskId>,
}

/// A link to write. The store sets `version`: 1 on insert, the expected one plus 1 on update.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LinkWrite {
    /// The link as it shall be.
    pub link: Box<Link>,
    /// The version it was decided on; `None` inserts. An insert is stale if the (connection, external id) or the
    /// (connection, task) has a link already.
    pub expected: Option<RowVersion>,
}

/// A conflict record to write. The store sets `version`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConflictWrite {
    /// The record as it shall be.
    pub conflict: Box<Conflict>,
    /// The version it was decided on; `None` inserts. An insert of an open one is stale if (link, field) has an open one
    /// already. An insert of a decided one with the same link, field, `local` and `remote` as an existing decided one is
    /// left out silently: a losing value is recorded once.
    pub expected: Option<RowVersion>,
}

impl From<Conflict> for ConflictWrite {
    /// An update of the record as it was read.
    fn from(conflict: Conflict) -> Self {
        Self {
            expected: Some(conflict.version),
            conflict: Box::new(conflict),
        }
    }
}

/// What is remembered of an item whose writes fail: one record per connection and task, the last one counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FailureWrite {
    /// It failed.
    Record(Box<ItemFailure>),
    /// It came through, or is to be tried as if it had never failed.
    Clear {
        /// The connection.
        connection_id: ConnectionId,
        /// The hub task.
        task_id: TaskId,
    },
}

impl FailureWrite {
    /// The connection and the task it is about.
    #[must_use]
    pub fn key(&self) -> (ConnectionId, TaskId) {
        match self {
            Self::Record(failure) => (failure.connection_id, failure.task_id),
            Self::Clear { connection_id, task_id } => (*connection_id, *task_id),
        }
    }
}

/// A project to write.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProjectWrite {
    /// The project as it shall be.
    pub project: Project,
    /// The version it was decided on; `None` inserts.
    pub expected: Option<RowVersion>,
}

/// A mapping to write.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MappingWrite {
    /// The mapping as it shall be.
    pub mapping: Mapping,
    /// The version it was decided on; `None` inserts, and is stale if (connection, external id) is mapped already.
    pub expected: Option<RowVersion>,
}

/// Why a unit was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StaleReason {
    /// A row has another version than the one decided on, or an insert's key is taken.
    RowMoved,
    /// A task to match appeared meanwhile.
    MatchAppeared,
    /// A row that this one refers to is not there.
    MissingReference,
}

/// A unit that was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StaleUnit {
    /// Its index in [`Changeset::units`].
    pub index: usize,
    /// Why.
    pub reason: StaleReason,
}

/// What a commit did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitOutcome {
    /// Units left out, by index.
    pub stale: Vec<StaleUnit>,
    /// Project and mapping writes left out.
    pub stale_rows: u64,
}

/// How many rows were changed (inserted, updated or deleted). The run log, leases, cursors and journal do not count;
/// a mapping is not counted either.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedRows {
    /// Of projects.
    pub projects: u64,
    /// Of tasks.
    pub tasks: u64,
    /// Of links.
    pub links: u64,
    /// Of conflicts.
    pub conflicts: u64,
}

impl ChangedRows {
    /// All of them.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.projects + self.tasks + self.links + self.conflicts
    }
}
