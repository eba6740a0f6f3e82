//! Tasks, searched, ordered and counted.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use crate::model::{Priority, ProjectId, Status, Task, TaskId, ToolName, named_enum, text};

/// Where a task came from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum TaskSource {
    /// It was made in the hub.
    Hub,
    /// It came from this tool.
    Tool(ToolName),
}

named_enum! {
    /// In which order tasks are listed. Equal ones follow each other by id.
    TaskOrder, "order", {
        /// By time of creation, newest first.
        Newest = "newest",
        /// By time of the last change, newest first.
        Updated = "updated",
        /// By due date, the earliest first, those without one last.
        Due = "due",
        /// By priority, the most pressing first.
        Priority = "priority",
        /// By title in canonical form.
        Title = "title",
    }
}

impl TaskOrder {
    /// Whether greater keys come first.
    #[must_use]
    pub const fn is_descending(self) -> bool {
        matches!(self, Self::Newest | Self::Updated)
    }

    /// The key by which a task is ordered, before its id.
    #[must_use]
    pub fn key(self, task: &Task) -> String {
        match self {
            Self::Newest => String::new(),
            Self::Updated => task.updated_at.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string(),
            Self::Due => task
                .due_date
                .map_or_else(|| Self::NO_DATE.to_owned(), |date| date.to_string()),
            Self::Priority => (task.priority as usize).to_string(),
            Self::Title => task.title_key(),
        }
    }

    /// The key of a task without a due date.
    pub const NO_DATE: &'static str = "9999-12-31";
}

/// A place in an ordered list: right after this task, as it was when it was listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskCursor {
    /// Its key in the order of the list.
    pub key: String,
    /// Its id.
    pub id: TaskId,
}

/// A filter on tasks. Empty: every task of every status that is not deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TaskSearch {
    /// Only this status.
    pub status: Option<Status>,
    /// Only this priority.
    pub priority: Option<Priority>,
    /// Only tasks that came from here.
    pub source: Option<TaskSource>,
    /// Only this project.
    pub project_id: Option<ProjectId>,
    /// Only tasks whose title or description contains this, upper and lower case of ASCII letters being the same.
    pub text: Option<String>,
    /// Only tasks that are due before this day.
    pub due_before: Option<NaiveDate>,
    /// Only tasks that are neither done nor cancelled nor archived.
    pub open_only: bool,
    /// Tombstones instead of living tasks.
    pub deleted: bool,
    /// In which order.
    pub order: TaskOrder,
    /// At most this many; 0 means 100. Never more than 1000.
    pub limit: usize,
    /// Only those after this place.
    pub after: Option<TaskCursor>,
}

impl Default for TaskSearch {
    fn default() -> Self {
        Self {
            status: None,
            priority: None,
            source: None,
            project_id: None,
            text: None,
            due_before: None,
            open_only: false,
            deleted: false,
            order: TaskOrder::Newest,
            limit: 0,
            after: None,
        }
    }
}

impl TaskSearch {
    /// The limit that holds.
    #[must_use]
    pub const fn effective_limit(&self) -> usize {
        match self.limit {
            0 => 100,
            1..=1000 => self.limit,
            _ => 1000,
        }
    }

    /// Whether a task matches; order, limit and cursor aside.
    #[must_use]
    pub fn matches(&self, task: &Task) -> bool {
        let is_open = !matches!(task.status, Status::Done | Status::Cancelled) && task.archived_at.is_none();
        self.deleted == task.is_deleted()
            && self.status.is_none_or(|status| task.status == status)
            && self.priority.is_none_or(|priority| task.priority == priority)
            && self.project_id.is_none_or(|project| task.project_id == project)
            && (!self.open_only || is_open)
            && self
                .due_before
                .is_none_or(|day| task.due_date.is_some_and(|due| due < day))
            && self.source.as_ref().is_none_or(|source| match source {
                TaskSource::Hub => task.source_tool.is_none(),
                TaskSource::Tool(tool) => task.source_tool.as_ref() == Some(tool),
            })
            && self.text.as_deref().is_none_or(|wanted| contains(task, wanted))
    }

    /// Whether a task comes after the cursor.
    #[must_use]
    pub fn is_after_cursor(&self, task: &Task) -> bool {
        self.after.as_ref().is_none_or(|after| {
            let (here, there) = ((self.order.key(task), task.id), (after.key.clone(), after.id));
            if self.order.is_descending() {
                here < there
            } else {
                here > there
            }
        })
    }

    /// The text to look for in titles: canonical, ASCII letters in lower case. `None`: no text was asked for.
    #[must_use]
    pub fn title_text(&self) -> Option<String> {
        let text = self.text.as_deref()?;
        Some(text::canonical_title(text).to_ascii_lowercase())
    }
}

fn contains(task: &Task, wanted: &str) -> bool {
    let title = text::canonical_title(wanted).to_ascii_lowercase();
    let in_description = || {
        let description = task.description.as_deref().unwrap_or_default();
        description.to_ascii_lowercase().contains(&wanted.to_ascii_lowercase())
    };
    task.title_key().to_ascii_lowercase().contains(&title) || in_description()
}

/// A page of tasks, in the order asked for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TaskSearchPage {
    /// The tasks.
    pub tasks: Vec<Task>,
    /// Where the next page starts.
    pub next: Option<TaskCursor>,
}

/// How tasks divide.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskCounts {
    /// All of them.
    pub total: u64,
    /// By where they came from.
    pub by_source: BTreeMap<TaskSource, u64>,
    /// By status.
    pub by_status: BTreeMap<Status, u64>,
    /// By priority.
    pub by_priority: BTreeMap<Priority, u64>,
}

impl TaskCounts {
    /// Counts this many more tasks of one kind.
    pub fn add(&mut self, source: TaskSource, status: Status, priority: Priority, tasks: u64) {
        self.total += tasks;
        *self.by_source.entry(source).or_default() += tasks;
        *self.by_status.entry(status).or_default() += tasks;
        *self.by_priority.entry(priority).or_default() += tasks;
    }
}
