//! Values of fields, as JSON has them.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use magnus_core::model::{Field, Person, TaskPatch, Value};
use serde_json::{Map, Value as Json, json};

use crate::problem::{FieldProblem, Problem};

/// Titles beyond this are no titles.
const LONGEST_TITLE: usize = 1_000;

/// Descriptions beyond this are files.
const LONGEST_TEXT: usize = 500_000;

/// The most hours that a task takes: more than a working life.
const MOST_HOURS: f64 = 100_000.0;

/// A value as JSON: work in hours, dates as `YYYY-MM-DD`, nothing as null.
pub(crate) fn to_json(value: &Value) -> Json {
    match value {
        Value::Empty => Json::Null,
        Value::Text(text) => json!(text),
        Value::Status(status) => json!(status),
        Value::Priority(priority) => json!(priority),
        Value::Person(person) => json!(person.to_string()),
        Value::Date(date) => json!(date),
        Value::Minutes(minutes) => json!(hours(*minutes)),
        Value::Percent(percent) => json!(percent),
        Value::Task(task) => json!(task),
        Value::Tags(tags) => json!(tags),
    }
}

pub(crate) fn hours(minutes: u32) -> f64 {
    f64::from(minutes) / 60.0
}

/// The field with this name in JSON; `parent_id` and `assignee` are the only ones that differ from the hub's.
fn field_of(name: &str) -> Option<Field> {
    match name {
        "parent_id" => Some(Field::Parent),
        // Counted by the tools.
        "actual_hours" | "parent" => None,
        name => name.parse().ok(),
    }
}

/// The name of a field in JSON.
pub(crate) fn name_of(field: Field) -> &'static str {
    match field {
        Field::Parent => "parent_id",
        field => field.as_str(),
    }
}

/// Reads a change of a task: a field that is absent stays, null clears it. `own` are members that are no fields.
pub(crate) fn patch_from_json(members: &Map<String, Json>, own: &[&str]) -> Result<TaskPatch, Problem> {
    let mut patch = TaskPatch::new();
    let mut errors = Vec::new();
    for (name, value) in members.iter().filter(|(name, _)| !own.contains(&name.as_str())) {
        let read = field_of(name)
            .ok_or_else(|| "there is no such field, or it cannot be edited".to_owned())
            .and_then(|field| Ok((field, from_json(field, value)?)));
        let set = read.and_then(|(field, value)| match patch.set(field, value) {
            Ok(_) => Ok(()),
            Err(_) => Err("the field does not take this".to_owned()),
        });
        if let Err(message) = set {
            let field = name.chars().take(100).collect();
            errors.push(FieldProblem { field, message });
        }
    }
    if errors.is_empty() {
        Ok(patch)
    } else {
        Err(Problem::invalid_fields(errors))
    }
}

/// Reads the value of a field; an error says what the field takes.
pub(crate) fn from_json(field: Field, value: &Json) -> Result<Value, String> {
    if value.is_null() {
        return match field {
            Field::Title | Field::Status | Field::Priority => Err("it cannot be empty".to_owned()),
            _ => Ok(Value::Empty),
        };
    }
    match field {
        Field::Title => {
            let title = text(value, LONGEST_TITLE)?;
            if title.trim().is_empty() {
                return Err("a task needs a title".to_owned());
            }
            if title.contains(['\n', '\r']) {
                return Err("a title is one line".to_owned());
            }
            Ok(Value::text(title.trim()))
        }
        Field::Description => Ok(Value::text(text(value, LONGEST_TEXT)?)),
        Field::Status => word(value).map(Value::Status),
        Field::Priority => word(value).map(Value::Priority),
        Field::Assignee => {
            let person = Person::parse(&text(value, LONGEST_TITLE)?);
            Ok(person.map_or(Value::Empty, Value::Person))
        }
        Field::StartDate | Field::DueDate => date(value).map(Value::Date),
        Field::EstimatedHours | Field::RemainingHours | Field::ActualHours => minutes(value).map(Value::Minutes),
        Field::PercentageDone => match value.as_u64().and_then(|percent| u8::try_from(percent).ok()) {
            Some(percent) if percent <= 100 => Ok(Value::Percent(percent)),
            _ => Err("expected a whole number from 0 to 100".to_owned()),
        },
        Field::Parent => {
            let id = value.as_str().and_then(|id| id.parse().ok());
            id.map(Value::Task)
                .ok_or_else(|| "expected the id of a task".to_owned())
        }
        Field::Tags => tags(value).map(Value::tags),
    }
}

/// Text that every store can hold.
fn text(value: &Json, longest: usize) -> Result<String, String> {
    let text = value.as_str().ok_or_else(|| "expected a text".to_owned())?;
    if text.chars().count() > longest {
        return Err(format!("it is longer than {longest} characters"));
    }
    if text.contains('\0') {
        return Err("it holds a NUL character".to_owned());
    }
    Ok(text.to_owned())
}

fn word<T>(value: &Json) -> Result<T, String>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    let word = value.as_str().ok_or_else(|| "expected a word".to_owned())?;
    word.parse().map_err(|error: T::Err| error.to_string())
}

fn date(value: &Json) -> Result<NaiveDate, String> {
    let wrong = || "expected a day such as 2026-12-24".to_owned();
    let text = value.as_str().filter(|text| text.len() == 10).ok_or_else(wrong)?;
    text.parse().map_err(|_| wrong())
}

fn minutes(value: &Json) -> Result<u32, String> {
    let hours = value.as_f64().filter(|hours| (0.0..=MOST_HOURS).contains(hours));
    let hours = hours.ok_or_else(|| format!("expected hours from 0 to {MOST_HOURS}, such as 1.5"))?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "in range, see above"
    )]
    Ok((hours * 60.0).round() as u32)
}

fn tags(value: &Json) -> Result<BTreeSet<String>, String> {
    let wrong = || "expected a list of texts".to_owned();
    let list = value.as_array().filter(|list| list.len() <= 100).ok_or_else(wrong)?;
    list.iter()
        .map(|tag| match text(tag, 255) {
            Ok(tag) if !tag.trim().is_empty() => Ok(tag.trim().to_owned()),
            Ok(_) => Err("a tag is not blank".to_owned()),
            Err(error) => Err(error),
        })
        .collect()
}

/// Checks a name that a person gives: of a project, a connection, a token.
pub(crate) fn check_name(field: &str, name: &str) -> Result<(), Problem> {
    let message = if name.trim().is_empty() {
        "it must not be blank"
    } else if name.chars().count() > 255 {
        "it is longer than 255 characters"
    } else if name.chars().any(char::is_control) {
        "it holds control characters"
    } else {
        return Ok(());
    };
    Err(Problem::invalid(field, message))
}

#[cfg(test)]
mod tests {
    use magnus_core::model::{Priority, Status, TaskId};

    use super::*;

    #[test]
    fn values_survive_the_trip() {
        let values = [
            (Field::Title, Value::text("Title")),
            (Field::Description, Value::text("# Words\n")),
            (Field::Status, Value::Status(Status::InProgress)),
            (Field::Priority, Value::Priority(Priority::Critical)),
            (
                Field::Assignee,
                Value::Person(Person::parse("Ada <ada@example.org>").unwrap()),
            ),
            (Field::DueDate, Value::Date("2026-12-24".parse().unwrap())),
            (Field::EstimatedHours, Value::Minutes(100)),
            (Field::PercentageDone, Value::Percent(100)),
            (Field::Parent, Value::Task(TaskId::generate())),
            (Field::Tags, Value::tags(["red".to_owned()].into())),
            (Field::Description, Value::Empty),
        ];
        for (field, value) in values {
            assert_eq!(from_json(field, &to_json(&value)).as_ref(), Ok(&value), "{field}");
        }
    }

    #[test]
    fn what_a_field_does_not_take_is_said_for_each_field() {
        let body = json!({
            "title": " ", "status": "doing", "due_date": "24.12.2026", "estimated_hours": -1, "percentage_done": 101,
            "parent_id": "x", "tags": [1], "nonsense": 1, "actual_hours": 3, "description": "a\u{0}b", "start_date": null,
        });
        let problem = patch_from_json(body.as_object().unwrap(), &[]).unwrap_err();
        let text = serde_json::to_value(problem.clone().out()).unwrap();
        let fields: Vec<&str> = text["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|error| error["field"].as_str().unwrap())
            .collect();
        assert_eq!(fields.len(), 10, "{fields:?}");
        assert!(problem.detail().contains("todo, in_progress"), "{problem:?}");
    }
}
