//! A task of the hub.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::{
    Field, Person, Priority, ProjectId, RowVersion, Status, TaskId, Timestamp, ToolName, Value, WrongValueType, text,
};

/// A task of the hub: the one copy that all tools are kept in step with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// The hub project it belongs to.
    pub project_id: ProjectId,
    /// Its title, as written.
    pub title: String,
    /// Its description in Markdown, as written.
    pub description: Option<String>,
    /// Where it stands.
    pub status: Status,
    /// How pressing it is.
    pub priority: Priority,
    /// Who does it.
    pub assignee: Option<Person>,
    /// The calendar day work starts.
    pub start_date: Option<NaiveDate>,
    /// The calendar day it is due.
    pub due_date: Option<NaiveDate>,
    /// Estimated work in minutes.
    pub estimated_minutes: Option<u32>,
    /// Remaining work in minutes.
    pub remaining_minutes: Option<u32>,
    /// Time spent in minutes, as the tools computed it.
    pub actual_minutes: Option<u32>,
    /// Progress, 0 to 100.
    pub percentage_done: Option<u8>,
    /// The parent task.
    pub parent_id: Option<TaskId>,
    /// Its tags.
    pub tags: BTreeSet<String>,
    /// What else is known of it: custom fields of tools, an AI breakdown. Not pushed.
    pub metadata: serde_json::Map<String, serde_json::Value>,
    /// The tool it came from; `None` if it was made in the hub.
    pub source_tool: Option<ToolName>,
    /// When it was archived.
    pub archived_at: Option<Timestamp>,
    /// When it was deleted: a deleted task stays as a tombstone.
    pub deleted_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// When each field was last changed, for `newest_wins`. A field never changed since creation is absent.
    pub field_times: BTreeMap<Field, Timestamp>,
    /// The version of the row; the store raises it.
    pub version: RowVersion,
}

impl Task {
    /// A new task with defaults everywhere but in its title.
    #[must_use]
    pub fn new(project_id: ProjectId, title: impl Into<String>, now: Timestamp) -> Self {
        Self {
            id: TaskId::generate(),
            project_id,
            title: title.into(),
            description: None,
            status: Status::Todo,
            priority: Priority::Medium,
            assignee: None,
            start_date: None,
            due_date: None,
            estimated_minutes: None,
            remaining_minutes: None,
            actual_minutes: None,
            percentage_done: None,
            parent_id: None,
            tags: BTreeSet::new(),
            metadata: serde_json::Map::new(),
            source_tool: None,
            archived_at: None,
            deleted_at: None,
            created_at: now,
            updated_at: now,
            field_times: BTreeMap::new(),
            version: RowVersion::default(),
        }
    }

    /// The title in canonical form: the key by which tasks are matched.
    #[must_use]
    pub fn title_key(&self) -> String {
        text::canonical_title(&self.title)
    }

    /// Whether it is a tombstone.
    #[must_use]
    pub const fn is_deleted(&self) -> bool {
        self.deleted_at.is_some()
    }

    /// The value of a field.
    #[must_use]
    pub fn get(&self, field: Field) -> Value {
        fn or_empty<T>(value: Option<T>, wrap: impl FnOnce(T) -> Value) -> Value {
            value.map_or(Value::Empty, wrap)
        }
        match field {
            Field::Title => Value::text(self.title.clone()),
            Field::Description => self.description.clone().map_or(Value::Empty, Value::text),
            Field::Status => Value::Status(self.status),
            Field::Priority => Value::Priority(self.priority),
            Field::Assignee => or_empty(self.assignee.clone(), Value::Person),
            Field::StartDate => or_empty(self.start_date, Value::Date),
            Field::DueDate => or_empty(self.due_date, Value::Date),
            Field::EstimatedHours => or_empty(self.estimated_minutes, Value::Minutes),
            Field::RemainingHours => or_empty(self.remaining_minutes, Value::Minutes),
            Field::ActualHours => or_empty(self.actual_minutes, Value::Minutes),
            Field::PercentageDone => or_empty(self.percentage_done, Value::Percent),
            Field::Parent => or_empty(self.parent_id, Value::Task),
            Field::Tags => Value::tags(self.tags.clone()),
        }
    }

    /// Sets a field. Neither `updated_at` nor `field_times` move: see [`super::TaskPatch::apply`].
    ///
    /// # Errors
    /// A value of a kind that the field does not take leaves the task as it was.
    pub fn set(&mut self, field: Field, value: Value) -> Result<(), WrongValueType> {
        if !value.fits(field) {
            return Err(WrongValueType {
                field,
                value: value.to_string(),
            });
        }
        match (field, value) {
            (Field::Title, Value::Text(title)) => self.title = title,
            (Field::Description, value) => self.description = value.into_text(),
            (Field::Status, Value::Status(status)) => self.status = status,
            (Field::Priority, Value::Priority(priority)) => self.priority = priority,
            (Field::Assignee, value) => self.assignee = value.into_person(),
            (Field::StartDate, value) => self.start_date = value.into_date(),
            (Field::DueDate, value) => self.due_date = value.into_date(),
            (Field::EstimatedHours, value) => self.estimated_minutes = value.into_minutes(),
            (Field::RemainingHours, value) => self.remaining_minutes = value.into_minutes(),
            (Field::ActualHours, value) => self.actual_minutes = value.into_minutes(),
            (Field::PercentageDone, value) => self.percentage_done = value.into_percent(),
            (Field::Parent, value) => self.parent_id = value.into_task(),
            (Field::Tags, value) => self.tags = value.into_tags(),
            (field, value) => {
                return Err(WrongValueType {
                    field,
                    value: value.to_string(),
                });
            }
        }
        Ok(())
    }
}

impl Value {
    fn into_text(self) -> Option<String> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    fn into_person(self) -> Option<Person> {
        if let Self::Person(person) = self {
            Some(person)
        } else {
            None
        }
    }

    fn into_date(self) -> Option<NaiveDate> {
        if let Self::Date(date) = self { Some(date) } else { None }
    }

    fn into_minutes(self) -> Option<u32> {
        if let Self::Minutes(minutes) = self {
            Some(minutes)
        } else {
            None
        }
    }

    fn into_percent(self) -> Option<u8> {
        if let Self::Percent(percent) = self {
            Some(percent)
        } else {
            None
        }
    }

    fn into_task(self) -> Option<TaskId> {
        if let Self::Task(task) = self { Some(task) } else { None }
    }

    fn into_tags(self) -> BTreeSet<String> {
        if let Self::Tags(tags) = self {
            tags
        } else {
            BTreeSet::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_can_be_read_back_and_cleared() {
        let now = chrono::Utc::now();
        let mut task = Task::new(ProjectId::generate(), "Title", now);
        let parent = TaskId::generate();
        let samples = [
            Value::text("Other"),
            Value::text("# Words"),
            Value::Status(Status::Review),
            Value::Priority(Priority::Low),
            Value::Person(Person::parse("Ada <ada@example.org>").unwrap()),
            Value::Date(NaiveDate::from_ymd_opt(2026, 12, 24).unwrap()),
            Value::Date(NaiveDate::from_ymd_opt(2026, 12, 25).unwrap()),
            Value::Minutes(90),
            Value::Minutes(30),
            Value::Minutes(60),
            Value::Percent(40),
            Value::Task(parent),
            Value::tags(BTreeSet::from(["red".to_owned()])),
        ];
        for (field, value) in Field::ALL.iter().zip(samples) {
            task.set(*field, value.clone()).unwrap();
            assert_eq!(task.get(*field), value, "{field}");
            let clearable = !matches!(field, Field::Title | Field::Status | Field::Priority);
            assert_eq!(task.set(*field, Value::Empty).is_ok(), clearable, "{field}");
        }
        assert!(task.set(Field::Title, Value::text("  ")).is_err());
        assert!(task.set(Field::PercentageDone, Value::Percent(101)).is_err());
    }
}
