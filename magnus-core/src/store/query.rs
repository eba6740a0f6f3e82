//! What is asked of a store.

use crate::model::{ConnectionId, Priority, ProjectId, Run, Status, Task, TaskId, ToolName};

/// A filter on tasks. Empty: every task of every status that is not deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TaskQuery {
    /// Only this status.
    pub status: Option<Status>,
    /// Only this priority.
    pub priority: Option<Priority>,
    /// Only tasks that came from this tool.
    pub source: Option<ToolName>,
    /// Only this project.
    pub project_id: Option<ProjectId>,
    /// Tombstones instead of living tasks.
    pub deleted: bool,
    /// At most this many; 0 means 100. Never more than 1000.
    pub limit: usize,
    /// Only those after this one, in the order of the list.
    pub after: Option<TaskId>,
}

impl TaskQuery {
    /// The limit that holds.
    #[must_use]
    pub const fn effective_limit(&self) -> usize {
        match self.limit {
            0 => 100,
            1..=1000 => self.limit,
            _ => 1000,
        }
    }
}

/// A page of tasks, by descending id: newest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TaskPage {
    /// The tasks.
    pub tasks: Vec<Task>,
    /// How many match in all.
    pub total: u64,
    /// Where the next page starts.
    pub next: Option<TaskId>,
}

/// A filter on conflicts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConflictQuery {
    /// Only of this connection.
    pub connection_id: Option<ConnectionId>,
    /// Only of this task.
    pub task_id: Option<TaskId>,
    /// Only those that are held; otherwise every state.
    pub open_only: bool,
}

/// A run that waits for its turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enqueued {
    /// The run.
    pub run: Run,
    /// Whether it was queued before and the request joined it.
    pub joined: bool,
}

impl TaskQuery {
    /// Only this status.
    #[must_use]
    pub const fn status(mut self, status: Option<Status>) -> Self {
        self.status = status;
        self
    }

    /// Only tasks that came from this tool.
    #[must_use]
    pub fn source(mut self, source: Option<ToolName>) -> Self {
        self.source = source;
        self
    }

    /// Only this project.
    #[must_use]
    pub const fn project(mut self, project: Option<ProjectId>) -> Self {
        self.project_id = project;
        self
    }

    /// Only this priority.
    #[must_use]
    pub const fn priority(mut self, priority: Option<Priority>) -> Self {
        self.priority = priority;
        self
    }

    /// Tombstones instead of living tasks.
    #[must_use]
    pub const fn deleted(mut self, deleted: bool) -> Self {
        self.deleted = deleted;
        self
    }

    /// At most this many, after this one.
    #[must_use]
    pub const fn page(mut self, limit: usize, after: Option<TaskId>) -> Self {
        self.limit = limit;
        self.after = after;
        self
    }
}

impl ConflictQuery {
    /// Only those that are held, of one connection or of all.
    #[must_use]
    pub const fn open(connection_id: Option<ConnectionId>) -> Self {
        Self {
            connection_id,
            task_id: None,
            open_only: true,
        }
    }

    /// Every state, of one task.
    #[must_use]
    pub const fn of_task(task_id: TaskId) -> Self {
        Self {
            connection_id: None,
            task_id: Some(task_id),
            open_only: false,
        }
    }
}
