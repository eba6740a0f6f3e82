//! What a model is told of a task.

use chrono::NaiveDate;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::model::{Priority, Status, Task};
use crate::store::{StoreError, TaskStore};

/// The longest description that is told, in characters. What comes after is seldom what a task is about.
const LONGEST_DESCRIPTION: usize = 20_000;

/// The longest title that is told, in characters.
const LONGEST_TITLE: usize = 500;

/// The most titles of siblings that are told.
const MOST_SIBLINGS: usize = 40;

/// The most titles of subtasks that are told and compared with.
const MOST_SUBTASKS: usize = 200;

/// What a model is told of a task: the task, the names of what is around it, and nothing about people.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct BreakdownInput {
    /// The title.
    pub title: String,
    /// The description in Markdown.
    pub description: Option<String>,
    /// Where it stands.
    pub status: Status,
    /// How pressing it is.
    pub priority: Priority,
    /// When it is due.
    pub due_date: Option<NaiveDate>,
    /// The estimate so far.
    pub estimated_hours: Option<f64>,
    /// The name of its project.
    pub project: Option<String>,
    /// The titles of tasks beside it.
    pub siblings: Vec<String>,
    /// The titles of subtasks that it has already.
    pub existing_subtasks: Vec<String>,
}

impl BreakdownInput {
    /// A task of which only the title is known.
    #[must_use]
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: cut(title.into(), LONGEST_TITLE),
            description: None,
            status: Status::Todo,
            priority: Priority::Medium,
            due_date: None,
            estimated_hours: None,
            project: None,
            siblings: Vec::new(),
            existing_subtasks: Vec::new(),
        }
    }

    /// With a description.
    #[must_use]
    pub fn description(mut self, description: Option<String>) -> Self {
        self.description = description.map(|text| cut(text, LONGEST_DESCRIPTION));
        self
    }

    /// What is to be told of a task of the hub.
    ///
    /// # Errors
    /// Whatever the store answers.
    pub async fn of_task(store: &dyn TaskStore, task: &Task) -> Result<Self, StoreError> {
        let project = store.project(task.project_id).await?;
        let around = store.tasks_of_project(task.project_id).await?;
        let alive = || {
            let others = around.iter().filter(|other| other.id != task.id);
            others.filter(|other| !other.is_deleted() && other.archived_at.is_none())
        };
        let title = |other: &Task| cut(other.title.clone(), LONGEST_TITLE);
        // The newest: what is beside it now says more than what was there first.
        let siblings = alive().rev().filter(|other| other.parent_id == task.parent_id);
        let existing = alive().filter(|other| other.parent_id == Some(task.id));
        Ok(Self {
            status: task.status,
            priority: task.priority,
            due_date: task.due_date,
            estimated_hours: task.estimated_minutes.map(|minutes| f64::from(minutes) / 60.0),
            project: project.map(|project| cut(project.name, LONGEST_TITLE)),
            siblings: siblings.take(MOST_SIBLINGS).map(title).collect(),
            existing_subtasks: existing.take(MOST_SUBTASKS).map(title).collect(),
            ..Self::new(task.title.clone()).description(task.description.clone())
        })
    }

    /// The SHA-256 of what is told of the task itself, as hexadecimal digits: another one now means that it changed since.
    #[must_use]
    pub fn content_hash(&self) -> String {
        let mut hash = Sha256::new();
        for part in [self.title.as_str(), self.description.as_deref().unwrap_or_default()] {
            // With its length, so that no two tasks run together to the same text.
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(part.as_bytes());
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The beginning of a text, with a sign if something is left out.
fn cut(text: String, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::hub::{Hub, NewTask};
    use crate::memory::MemoryStore;
    use crate::model::{Field, TaskPatch, Value};
    use crate::store::HubStore as _;

    #[tokio::test]
    async fn a_task_is_told_with_what_is_around_it() {
        let store = Arc::new(MemoryStore::new());
        let hub = Hub::new(Arc::clone(&store) as _);
        let project = hub.add_project("Garden").await.unwrap();
        let task = hub.add_task(NewTask::new(project.id, "Grow tomatoes")).await.unwrap();
        let below: TaskPatch = [(Field::Parent, Value::Task(task.id))].into_iter().collect();
        for (title, fields) in [("Dig", below.clone()), ("Mow", TaskPatch::new()), ("Gone", below)] {
            hub.add_task(NewTask::new(project.id, title).fields(fields))
                .await
                .unwrap();
        }
        let gone = store.tasks_of_project(project.id).await.unwrap().pop().unwrap();
        hub.delete_task(gone.id).await.unwrap();
        let input = BreakdownInput::of_task(store.as_ref(), &task).await.unwrap();
        assert_eq!(input.project.as_deref(), Some("Garden"));
        assert_eq!(
            (input.siblings, input.existing_subtasks),
            (vec!["Mow".to_owned()], vec!["Dig".to_owned()])
        );
    }

    #[test]
    fn the_hash_is_that_of_the_task_and_texts_are_cut() {
        let one = BreakdownInput::new("ab").description(Some("c".to_owned()));
        let other = BreakdownInput::new("a").description(Some("bc".to_owned()));
        assert_ne!(one.content_hash(), other.content_hash());
        let mut around = one.clone();
        around.siblings.push("x".to_owned());
        assert_eq!(one.content_hash(), around.content_hash());
        let long = BreakdownInput::new("🍅".repeat(600));
        assert_eq!(long.title.chars().count(), 501);
    }
}
