//! A task of the hub as it stands in a list of all.

use serde::{Deserialize, Serialize};

use super::{ProjectId, RowVersion, Task, TaskId, text};

/// What must be known of every task of a project before anything is decided on one of them: a tenth of a [`Task`] in size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskEntry {
    /// Its id.
    pub id: TaskId,
    /// The hub project it belongs to.
    pub project_id: ProjectId,
    /// Its title, as written.
    pub title: String,
    /// The parent task.
    pub parent_id: Option<TaskId>,
    /// Whether it is archived.
    pub archived: bool,
    /// Whether it is a tombstone.
    pub deleted: bool,
    /// The version of the row.
    pub version: RowVersion,
}

impl TaskEntry {
    /// The title as it is compared with others: see [`Task::title_key`].
    #[must_use]
    pub fn title_key(&self) -> String {
        text::canonical_title(&self.title)
    }
}

impl From<&Task> for TaskEntry {
    fn from(task: &Task) -> Self {
        Self {
            id: task.id,
            project_id: task.project_id,
            title: task.title.clone(),
            parent_id: task.parent_id,
            archived: task.archived_at.is_some(),
            deleted: task.is_deleted(),
            version: task.version,
        }
    }
}
