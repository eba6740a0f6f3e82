//! What is asked of a connection, and what it answers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::{Cursor, ExternalId, Field, IntentId, RemoteProject, RemoteTask, RemoteValue, RemoteVersion};

/// Who we are to the tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The tool's id of our user.
    pub id: ExternalId,
    /// Our user's name.
    pub name: String,
    /// The tool's version, where it tells.
    pub version: Option<String>,
    /// What we may do, or may not, in words for people.
    pub notes: Vec<String>,
}

impl Identity {
    /// A user of this id and name.
    #[must_use]
    pub fn new(id: ExternalId, name: impl Into<String>) -> Self {
        Self {
            id,
            name: name.into(),
            version: None,
            notes: Vec::new(),
        }
    }
}

/// Where the next page starts, opaque to the core.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PageToken(pub String);

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page starts; `None`: this was the last one.
    pub next: Option<PageToken>,
    /// How many items the whole list has, as far as the tool says.
    pub total: Option<u64>,
    /// The tool's greatest stamp so far in this walk: where the next incremental list may start. `None` without such.
    pub cursor: Option<Cursor>,
}

impl<T> Page<T> {
    /// A list that fits one page.
    #[must_use]
    pub fn whole(items: Vec<T>) -> Self {
        let total = u64::try_from(items.len()).ok();
        Self {
            items,
            next: None,
            total,
            cursor: None,
        }
    }
}

/// Asks for projects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListProjects {
    /// Which page.
    pub page: Option<PageToken>,
}

impl ListProjects {
    /// The page after this token.
    #[must_use]
    pub fn page(mut self, page: Option<PageToken>) -> Self {
        self.page = page;
        self
    }
}

/// Asks for tasks of one project.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListTasks {
    /// The project.
    pub project: ExternalId,
    /// Only those changed at or after this; `None`: all.
    pub changed_since: Option<Cursor>,
    /// Which page.
    pub page: Option<PageToken>,
}

impl ListTasks {
    /// All tasks of a project, first page.
    #[must_use]
    pub const fn new(project: ExternalId) -> Self {
        Self {
            project,
            changed_since: None,
            page: None,
        }
    }

    /// Only those changed at or after this.
    #[must_use]
    pub fn changed_since(mut self, cursor: Option<Cursor>) -> Self {
        self.changed_since = cursor;
        self
    }

    /// The page after this token.
    #[must_use]
    pub fn page(mut self, page: Option<PageToken>) -> Self {
        self.page = page;
        self
    }
}

/// Asks for the ids of the tasks of one project.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListIds {
    /// The project.
    pub project: ExternalId,
    /// Which page.
    pub page: Option<PageToken>,
}

impl ListIds {
    /// All ids of a project, first page.
    #[must_use]
    pub const fn new(project: ExternalId) -> Self {
        Self { project, page: None }
    }

    /// The page after this token.
    #[must_use]
    pub fn page(mut self, page: Option<PageToken>) -> Self {
        self.page = page;
        self
    }
}

/// Asks for one task that is believed to be in a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadTask {
    /// The task.
    pub id: ExternalId,
    /// The project it was in when last seen.
    pub project: ExternalId,
}

/// What a direct read of a task found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// There, in the project it was believed in.
    Present(Box<RemoteTask>),
    /// There, in another project.
    Moved(Box<RemoteTask>),
    /// Not there, as far as we may see.
    Absent,
    /// The tool says that it is there and that we may not see it.
    Denied,
}

impl Reading {
    /// The task, wherever it is.
    #[must_use]
    pub fn into_task(self) -> Option<RemoteTask> {
        match self {
            Self::Present(task) | Self::Moved(task) => Some(*task),
            Self::Absent | Self::Denied => None,
        }
    }
}

/// What a direct read of a project found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProjectReading {
    /// It is open and we may read its tasks.
    Open(RemoteProject),
    /// It is closed or archived.
    Closed,
    /// We may not see it.
    Denied,
    /// It is gone, or hidden in a way that cannot be told from gone.
    Absent,
}

/// A task to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateTask {
    /// The project.
    pub project: ExternalId,
    /// Its values in the tool's form.
    pub fields: BTreeMap<Field, RemoteValue>,
    /// The operation that makes it, to be kept with it where the capability `create_marker` says so; `None`: nothing is.
    pub marker: Option<IntentId>,
}

/// A task to be changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateTask {
    /// The task.
    pub id: ExternalId,
    /// The project it is in.
    pub project: ExternalId,
    /// The project to move it to.
    pub move_to: Option<ExternalId>,
    /// The version it was decided on, for tools that have versions.
    pub version: Option<RemoteVersion>,
    /// The new values in the tool's form; [`RemoteValue::NULL`] clears.
    pub fields: BTreeMap<Field, RemoteValue>,
}

/// A task to be deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteTask {
    /// The task.
    pub id: ExternalId,
    /// The project it is in.
    pub project: ExternalId,
}

/// One write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RemoteWrite {
    /// Make a task.
    Create(CreateTask),
    /// Change a task.
    Update(UpdateTask),
    /// Delete a task. One that is gone already counts as deleted.
    Delete(DeleteTask),
}

/// What a write left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// The task was made or changed.
    Task(Box<WrittenTask>),
    /// The task is gone.
    Deleted,
}

/// What a tool made of what was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenTask {
    /// The task as it reads now.
    pub task: RemoteTask,
    /// The task as it was right before the write, where the tool has no versions and it was read.
    pub before: Option<RemoteTask>,
    /// Whether the tool's version proves that nobody else wrote meanwhile: then what stands there is our value in the
    /// tool's own form, else it may be somebody's edit.
    pub sole_writer: bool,
}

impl WrittenTask {
    /// A task as it reads now, as it was before if that was read, and whether surely nobody else wrote meanwhile.
    #[must_use]
    pub const fn new(task: RemoteTask, before: Option<RemoteTask>, sole_writer: bool) -> Self {
        Self {
            task,
            before,
            sole_writer,
        }
    }
}

/// Asks for tasks that a lost create may have made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindCreated {
    /// The project it was made in. Candidates are looked for over all projects all the same.
    pub project: ExternalId,
    /// Only ids greater than this.
    pub after: Option<ExternalId>,
    /// The operations whose marker is looked for besides, where the tool has a place for one: what carries one is an
    /// answer, whoever is named as its creator.
    pub markers: Vec<IntentId>,
}
