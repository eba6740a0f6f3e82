//! A field's value in the hub's own form.

use std::collections::BTreeSet;
use std::fmt;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::{Field, Person, Priority, Status, TaskId, text};

/// The value of one field as the hub holds it. `Empty` is a value: a cleared field.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "type", content = "value", rename_all = "snake_case")]
pub enum Value {
    /// Nothing set.
    Empty,
    /// A title or a description.
    Text(String),
    /// A status.
    Status(Status),
    /// A priority.
    Priority(Priority),
    /// A person.
    Person(Person),
    /// A calendar day, without time or zone.
    Date(NaiveDate),
    /// An amount of work in minutes.
    Minutes(u32),
    /// 0 to 100.
    Percent(u8),
    /// Another task of the hub.
    Task(TaskId),
    /// A set of tags.
    Tags(BTreeSet<String>),
}

/// A value of a kind that the field does not take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} does not take {value}")]
pub struct WrongValueType {
    /// The field.
    pub field: Field,
    /// The value that was offered, rendered.
    pub value: String,
}

impl Value {
    /// Text, or `Empty` for blank text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        let text = text.into();
        if text.is_empty() { Self::Empty } else { Self::Text(text) }
    }

    /// A set of tags, or `Empty` for none.
    #[must_use]
    pub fn tags(tags: BTreeSet<String>) -> Self {
        if tags.is_empty() { Self::Empty } else { Self::Tags(tags) }
    }

    /// Whether nothing is set.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        matches!(self, Self::Empty)
    }

    /// Whether the field may hold this value at all (its kind and range, not what a tool can do).
    #[must_use]
    pub fn fits(&self, field: Field) -> bool {
        match (field, self) {
            (Field::Title, Self::Text(title)) => !title.trim().is_empty(),
            (Field::Description, Self::Text(_) | Self::Empty)
            | (Field::Status, Self::Status(_))
            | (Field::Priority, Self::Priority(_))
            | (Field::Assignee, Self::Person(_) | Self::Empty)
            | (Field::StartDate | Field::DueDate, Self::Date(_) | Self::Empty)
            | (Field::EstimatedHours | Field::RemainingHours | Field::ActualHours, Self::Minutes(_) | Self::Empty)
            | (Field::Parent, Self::Task(_) | Self::Empty)
            | (Field::Tags, Self::Tags(_) | Self::Empty) => true,
            (Field::PercentageDone, Self::Percent(percent)) => *percent <= 100,
            (Field::PercentageDone, Self::Empty) => true,
            _ => false,
        }
    }

    /// Whether both mean the same for this field, in canonical form: line ends and outer white space of texts,
    /// Unicode composition of titles, and spelling of a person do not count.
    #[must_use]
    pub fn is_same(&self, other: &Self, field: Field) -> bool {
        match (self, other) {
            (Self::Text(a), Self::Text(b)) if field == Field::Title => {
                text::canonical_title(a) == text::canonical_title(b)
            }
            (Self::Text(a), Self::Text(b)) => text::canonical_text(a) == text::canonical_text(b),
            (Self::Text(a), Self::Empty) | (Self::Empty, Self::Text(a)) => text::canonical_text(a).is_empty(),
            (Self::Person(a), Self::Person(b)) => a.is_same(b),
            _ => self == other,
        }
    }

    /// Whether this is what a task has that nobody has set: it yields to a set value at first contact.
    #[must_use]
    pub fn is_hub_default(&self) -> bool {
        matches!(
            self,
            Self::Empty | Self::Status(Status::Todo) | Self::Priority(Priority::Medium)
        )
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("(none)"),
            Self::Text(text) => f.write_str(text),
            Self::Status(status) => status.fmt(f),
            Self::Priority(priority) => priority.fmt(f),
            Self::Person(person) => person.fmt(f),
            Self::Date(date) => date.fmt(f),
            Self::Minutes(minutes) => write!(f, "{}h{:02}", minutes / 60, minutes % 60),
            Self::Percent(percent) => write!(f, "{percent}%"),
            Self::Task(task) => task.fmt(f),
            Self::Tags(tags) => f.write_str(&tags.iter().map(String::as_str).collect::<Vec<_>>().join(", ")),
        }
    }
}
