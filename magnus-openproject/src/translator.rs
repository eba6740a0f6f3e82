//! Between OpenProject's values and the hub's.

use chrono::{Datelike, NaiveDate};
use magnus_core::connection::{Choice, Decoded, Encoded, Translator};
use magnus_core::model::{ExternalId, Field, RemoteValue, Value};
use serde_json::json;

use crate::choices;
use crate::people::People;
use crate::tables::{PriorityTable, StatusTable};
use crate::task::text_or_null;

/// The tables of one instance, read once per run.
#[derive(Debug, Clone)]
pub(crate) struct OpenProjectTranslator {
    pub(crate) statuses: StatusTable,
    pub(crate) priorities: PriorityTable,
    pub(crate) people: People,
}

/// The most characters that a subject may have.
const TITLE_LIMIT: usize = 255;

fn exact_or_empty(value: Option<Value>, shown: &RemoteValue) -> Decoded {
    match value {
        Some(value) => Decoded::Exact(value),
        None if shown.is_null() => Decoded::Exact(Value::Empty),
        None => Decoded::Unresolved(format!("{shown} is not understood")),
    }
}

fn number<T: TryFrom<u64>>(value: &RemoteValue) -> Option<T> {
    value.0.as_u64().and_then(|number| T::try_from(number).ok())
}

fn text(text: &str, limit: usize) -> Encoded {
    if text.contains('\0') {
        Encoded::Unholdable("OpenProject cannot store a NUL character".to_owned())
    } else if limit < usize::MAX && text.trim().is_empty() {
        Encoded::Unholdable("OpenProject's titles cannot be blank".to_owned())
    } else if text.chars().count() > limit {
        Encoded::Unholdable(format!("OpenProject's titles have at most {limit} characters"))
    } else {
        Encoded::Value(text_or_null(Some(text.to_owned())))
    }
}

fn date(day: NaiveDate) -> Encoded {
    if (1..=9999).contains(&day.year()) {
        Encoded::Value(RemoteValue::text(day.to_string()))
    } else {
        Encoded::Unholdable("OpenProject's dates have years from 1 to 9999".to_owned())
    }
}

impl Translator for OpenProjectTranslator {
    fn decode(&self, _project: &ExternalId, field: Field, value: &RemoteValue) -> Decoded {
        match field {
            Field::Title => match value.as_text().filter(|title| !title.trim().is_empty()) {
                Some(title) => Decoded::Exact(Value::text(title)),
                // The hub has no task without a title.
                None => Decoded::Approximate(Value::text("Untitled")),
            },
            Field::Description => exact_or_empty(value.as_text().map(Value::text), value),
            Field::Status => self.statuses.decode(value),
            Field::Priority => self.priorities.decode(value),
            Field::Assignee => self.people.decode(value),
            Field::StartDate | Field::DueDate => {
                let day = value.as_text().and_then(|text| text.parse::<NaiveDate>().ok());
                exact_or_empty(day.map(Value::Date), value)
            }
            // No time spent is nothing, not an amount: it must not stand against another tool's sum.
            Field::ActualHours if number(value) == Some(0) => Decoded::Exact(Value::Empty),
            Field::EstimatedHours | Field::RemainingHours | Field::ActualHours => {
                exact_or_empty(number(value).map(Value::Minutes), value)
            }
            Field::PercentageDone => exact_or_empty(
                number(value).filter(|percent| *percent <= 100).map(Value::Percent),
                value,
            ),
            Field::Parent => Decoded::Unresolved("references are translated through links".to_owned()),
            Field::Tags => Decoded::Unresolved("OpenProject has no tags".to_owned()),
        }
    }

    fn encode(&self, project: &ExternalId, field: Field, value: &Value) -> Encoded {
        match (field, value) {
            (Field::Title, Value::Text(title)) => text(title, TITLE_LIMIT),
            (Field::Description, Value::Text(description)) => text(description, usize::MAX),
            (Field::Status, Value::Status(status)) => self.statuses.encode(*status),
            (Field::Priority, Value::Priority(priority)) => self.priorities.encode(*priority),
            (Field::Assignee, Value::Person(person)) => self.people.encode(project, person),
            (Field::StartDate | Field::DueDate, Value::Date(day)) => date(*day),
            (Field::EstimatedHours | Field::RemainingHours, Value::Minutes(minutes)) => {
                Encoded::Value(RemoteValue(json!(minutes)))
            }
            (Field::PercentageDone, Value::Percent(percent)) => Encoded::Value(RemoteValue(json!(percent))),
            (Field::Title | Field::Status | Field::Priority, Value::Empty) => {
                Encoded::Unholdable(format!("OpenProject's {field} cannot be empty"))
            }
            (Field::ActualHours, _) => {
                Encoded::Unholdable("OpenProject computes the time spent from its time entries".to_owned())
            }
            (Field::Tags, _) => Encoded::Unholdable("OpenProject has no tags".to_owned()),
            (_, Value::Empty) => Encoded::Value(RemoteValue::NULL),
            (field, value) => Encoded::Unholdable(format!("{field} does not take {value}")),
        }
    }

    fn is_default(&self, _project: &ExternalId, field: Field, value: &RemoteValue) -> bool {
        match field {
            Field::Title => false,
            Field::Status => self.statuses.is_default(value),
            Field::Priority => self.priorities.is_default(value),
            // Work alone makes 0 % of it.
            Field::PercentageDone => value.is_null() || number(value) == Some(0_u8),
            _ => value.is_null(),
        }
    }

    fn choices(&self, project: &ExternalId, field: Field) -> Vec<Choice> {
        choices::choices(self, project, field)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::wire;

    fn translator() -> OpenProjectTranslator {
        let status = wire::Status {
            id: 1,
            name: "New".to_owned(),
            is_closed: false,
            is_default: true,
        };
        let priority = wire::Priority {
            id: 8,
            name: "Normal".to_owned(),
            is_default: true,
            is_active: Some(true),
        };
        OpenProjectTranslator {
            statuses: StatusTable::new(vec![status], &BTreeMap::new()),
            priorities: PriorityTable::new(vec![priority], &BTreeMap::new()),
            people: People::default(),
        }
    }

    #[test]
    fn what_is_encoded_decodes_to_the_same_value() {
        let translator = translator();
        let project = ExternalId::from(1);
        for (field, value) in [
            (Field::Title, Value::text("  Réviser 🎉 ")),
            (Field::Description, Value::text("a\r\n\r\n- [x] b  \n")),
            (Field::Description, Value::Empty),
            (Field::DueDate, Value::Date("2026-02-28".parse().expect("a date"))),
            (Field::StartDate, Value::Empty),
            (Field::EstimatedHours, Value::Minutes(0)),
            (Field::RemainingHours, Value::Minutes(91)),
            (Field::PercentageDone, Value::Percent(100)),
            (Field::PercentageDone, Value::Empty),
            (Field::Status, Value::Status(magnus_core::model::Status::Todo)),
            (Field::Priority, Value::Priority(magnus_core::model::Priority::Medium)),
        ] {
            let Encoded::Value(sent) = translator.encode(&project, field, &value) else {
                panic!("{field}: {value}")
            };
            assert_eq!(translator.decode(&project, field, &sent), Decoded::Exact(value));
        }
    }

    #[test]
    fn what_can_not_be_held_is_never_sent() {
        let translator = translator();
        let project = ExternalId::from(1);
        for (field, value) in [
            (Field::Title, Value::text("x".repeat(256))),
            (Field::Title, Value::text(" \t")),
            (Field::Description, Value::text("a\0b")),
            (Field::Title, Value::Empty),
            (Field::DueDate, Value::Date(NaiveDate::MAX)),
            (Field::ActualHours, Value::Minutes(5)),
            (Field::Tags, Value::Empty),
        ] {
            assert!(
                matches!(translator.encode(&project, field, &value), Encoded::Unholdable(_)),
                "{field}"
            );
        }
    }

    #[test]
    fn a_new_items_values_yield_at_first_contact() {
        let translator = translator();
        let project = ExternalId::from(1);
        let yields = |field, value: RemoteValue| translator.is_default(&project, field, &value);
        assert!(yields(Field::Status, RemoteValue::text("1")));
        assert!(yields(Field::Priority, RemoteValue::text("8")));
        assert!(yields(Field::PercentageDone, RemoteValue(json!(0))));
        assert!(yields(Field::DueDate, RemoteValue::NULL));
        assert!(!yields(Field::EstimatedHours, RemoteValue(json!(0))));
        assert!(!yields(Field::Title, RemoteValue::text("x")));
    }
}
