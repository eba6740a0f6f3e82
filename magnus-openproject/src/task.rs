//! A work package as the core sees a task: every value in one canonical form.

use chrono::{DateTime, NaiveDate, TimeDelta};
use magnus_core::connection::ConnectionError;
use magnus_core::model::{ExternalId, Field, RemoteField, RemoteFields, RemoteTask, RemoteValue, RemoteVersion};
use magnus_transport::InstanceUrl;
use serde_json::{Map, Value, json};

use crate::duration;
use crate::marker::MarkerField;
use crate::refusal::Attempt;
use crate::wire::{Link, Shown, WorkPackage};

/// Ids in links that are present but name nothing we may know.
const UNDISCLOSED: &str = "urn:openproject-org:api:v3:undisclosed";

/// Reads a work package; `skew` is how far our clock is ahead of the server's.
///
/// A value that was not sent, or that is not disclosed, is absent: it is no cleared field.
pub(crate) fn read(
    attempt: Attempt,
    base: &InstanceUrl,
    item: &WorkPackage,
    skew: TimeDelta,
    marker: Option<&MarkerField>,
) -> Result<RemoteTask, ConnectionError> {
    let wrong = |what: &str| {
        attempt
            .protocol(format!("the {what} is not understood"))
            .with_context("task", item.id)
    };
    let project = item.links.project.id().ok_or_else(|| wrong("project"))?;
    let updated_at =
        DateTime::parse_from_rfc3339(&item.updated_at).map_err(|error| wrong("updatedAt").with_source(error))?;
    let mut fields = Fields::default();
    fields.set(Field::Title, Some(RemoteValue::text(item.subject.clone())));
    fields.set(
        Field::Description,
        item.description
            .as_ref()
            .map(|shown| text_or_null(shown.as_ref().and_then(|text| text.raw.clone()))),
    );
    fields.set(Field::Status, id(item.links.status.as_ref()));
    fields.set(Field::Priority, id(item.links.priority.as_ref()));
    fields.set(Field::Assignee, id(item.links.assignee.as_ref()));
    fields.set(Field::Parent, id(item.links.parent.as_ref()));
    read_dates(item, &mut fields).ok_or_else(|| wrong("date"))?;
    read_progress(item, &mut fields).ok_or_else(|| wrong("duration or percentage"))?;
    Ok(RemoteTask {
        id: ExternalId::from(item.id),
        project: ExternalId::from(project),
        version: item.lock_version.map(|version| RemoteVersion(version.to_string())),
        updated_at: Some(updated_at.to_utc() + skew),
        url: Some(format!("{}/work_packages/{}", base.as_str(), item.id)),
        fields: fields.0,
        metadata: metadata(item, marker),
        marker: marker.and_then(|field| field.of(item)),
        skip: None,
    })
}

#[derive(Debug, Default)]
struct Fields(RemoteFields);

impl Fields {
    fn set(&mut self, field: Field, value: Option<RemoteValue>) {
        self.insert(field, value, false);
    }

    fn insert(&mut self, field: Field, value: Option<RemoteValue>, derived: bool) {
        if let Some(value) = value {
            self.0.insert(field, RemoteField { value, derived });
        }
    }
}

/// Empty text is how the tool shows a cleared one.
pub(crate) fn text_or_null(text: Option<String>) -> RemoteValue {
    text.filter(|text| !text.is_empty())
        .map_or(RemoteValue::NULL, RemoteValue::text)
}

fn id(link: Option<&Link>) -> Option<RemoteValue> {
    let link = link?;
    match &link.href {
        None => Some(RemoteValue::NULL),
        Some(href) if href == UNDISCLOSED => None,
        Some(_) => link.id().map(|id| RemoteValue::text(id.to_string())),
    }
}

/// The dates of an automatic parent are its children's. A milestone has one date: its start only repeats it.
fn read_dates(item: &WorkPackage, fields: &mut Fields) -> Option<()> {
    let automatic = item.schedule_manually == Some(false);
    let milestone = item.date.is_some();
    let (start, due) = if milestone {
        (&item.date, &item.date)
    } else {
        (&item.start_date, &item.due_date)
    };
    fields.insert(Field::StartDate, date(start)?, automatic || milestone);
    fields.insert(Field::DueDate, date(due)?, automatic);
    Some(())
}

/// The outer `None`: not a date.
fn date(shown: &Shown<String>) -> Option<Option<RemoteValue>> {
    match shown {
        None => Some(None),
        Some(None) => Some(Some(RemoteValue::NULL)),
        Some(Some(text)) => text
            .parse::<NaiveDate>()
            .ok()
            .map(|day| Some(RemoteValue::text(day.to_string()))),
    }
}

fn read_progress(item: &WorkPackage, fields: &mut Fields) -> Option<()> {
    fields.set(Field::EstimatedHours, minutes(&item.estimated_time)?);
    // Left out when null, by every version that has it.
    let remaining = minutes(&item.remaining_time)?.unwrap_or(RemoteValue::NULL);
    fields.set(Field::RemainingHours, Some(remaining));
    fields.insert(Field::ActualHours, minutes(&item.spent_time)?, true);
    let percentage = match item.percentage_done {
        None => None,
        Some(None) => Some(RemoteValue::NULL),
        Some(Some(percentage)) if percentage <= 100 => Some(RemoteValue(json!(percentage))),
        Some(Some(_)) => return None,
    };
    fields.set(Field::PercentageDone, percentage);
    Some(())
}

fn minutes(shown: &Shown<String>) -> Option<Option<RemoteValue>> {
    match shown {
        None => Some(None),
        Some(None) => Some(Some(RemoteValue::NULL)),
        Some(Some(text)) => duration::parse(text).map(|minutes| Some(RemoteValue(json!(minutes)))),
    }
}

/// The type, and custom fields but the one for markers: their source where they are texts, their title where they are
/// references.
fn metadata(item: &WorkPackage, marker: Option<&MarkerField>) -> Map<String, Value> {
    let mut found = Map::new();
    if let Some(title) = item.links.kind.as_ref().and_then(|kind| kind.title.clone()) {
        found.insert("type".to_owned(), Value::String(title));
    }
    for (name, value) in item
        .rest
        .iter()
        .chain(&item.links.rest)
        .filter(|(name, _)| name.starts_with("customField"))
        .filter(|(name, _)| marker.is_none_or(|field| field.name() != name.as_str()))
    {
        let value = match value {
            Value::Object(object) => object
                .get("raw")
                .or_else(|| object.get("title"))
                .cloned()
                .unwrap_or(Value::Null),
            Value::Array(links) => links.iter().filter_map(|link| link.get("title").cloned()).collect(),
            plain => plain.clone(),
        };
        if !value.is_null() {
            found.insert(name.clone(), value);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(change: impl FnOnce(&mut Value)) -> Result<RemoteTask, ConnectionError> {
        let mut body = json!({
            "id": 7, "lockVersion": 3, "subject": " Title ", "description": { "raw": "a\r\nb", "html": "x" },
            "startDate": "2026-05-01", "dueDate": null, "estimatedTime": "P1DT12H", "percentageDone": 40, "spentTime": "PT30M",
            "updatedAt": "2026-05-01T10:00:00.123Z", "customField1": "blue",
            "_links": {
                "project": { "href": "/op/api/v3/projects/2" }, "status": { "href": "/api/v3/statuses/1" }, "priority": { "href": "/api/v3/priorities/8" },
                "assignee": { "href": null }, "parent": { "href": UNDISCLOSED }, "type": { "href": "/api/v3/types/1", "title": "Task" },
                "customField2": { "href": "/api/v3/custom_options/4", "title": "Large" },
            },
        });
        change(&mut body);
        let item: WorkPackage = serde_json::from_value(body).expect("a work package");
        let base = InstanceUrl::parse("https://op.example/op").expect("a URL");
        read(Attempt::read("list_tasks"), &base, &item, TimeDelta::zero(), None)
    }

    #[test]
    fn every_field_has_one_canonical_form() {
        let task = parse(|_| ()).expect("understood");
        let value = |field| task.value(field).map(|value| value.0.clone());
        assert_eq!(value(Field::Title), Some(json!(" Title ")));
        assert_eq!(value(Field::Description), Some(json!("a\r\nb")), "byte for byte");
        assert_eq!(value(Field::Status), Some(json!("1")));
        assert_eq!(value(Field::Assignee), Some(Value::Null));
        assert_eq!(value(Field::DueDate), Some(Value::Null));
        assert_eq!(value(Field::EstimatedHours), Some(json!(2160)));
        assert_eq!(value(Field::RemainingHours), Some(Value::Null), "left out means null");
        assert_eq!(value(Field::PercentageDone), Some(json!(40)));
        assert!(task.fields.get(&Field::ActualHours).expect("the field").derived);
        assert_eq!(task.url.as_deref(), Some("https://op.example/op/work_packages/7"));
        assert_eq!(
            Value::Object(task.metadata),
            json!({ "type": "Task", "customField1": "blue", "customField2": "Large" })
        );
    }

    #[test]
    fn what_is_not_disclosed_or_not_sent_is_absent_and_never_cleared() {
        let task = parse(|body| {
            body.as_object_mut().expect("an object").remove("dueDate");
        });
        let task = task.expect("understood");
        assert_eq!(task.value(Field::Parent), None);
        assert_eq!(task.value(Field::DueDate), None);
    }

    #[test]
    fn dates_of_an_automatic_parent_are_derived() {
        let task = parse(|body| body["scheduleManually"] = json!(false)).expect("understood");
        assert!(
            task.fields.get(&Field::StartDate).expect("the field").derived
                && task.fields.get(&Field::DueDate).expect("the field").derived
        );
        let manual = parse(|body| body["scheduleManually"] = json!(true)).expect("understood");
        assert!(!manual.fields.get(&Field::StartDate).expect("the field").derived);
    }

    #[test]
    fn a_milestone_has_one_date() {
        let task = parse(|body| body["date"] = json!("2026-06-01")).expect("understood");
        assert_eq!(task.value(Field::DueDate), Some(&RemoteValue::text("2026-06-01")));
        assert!(
            task.fields.get(&Field::StartDate).expect("the field").derived
                && !task.fields.get(&Field::DueDate).expect("the field").derived
        );
    }

    #[test]
    fn nonsense_is_an_error_and_not_a_cleared_field() {
        for (name, value) in [
            ("dueDate", json!("soon")),
            ("estimatedTime", json!("8h")),
            ("percentageDone", json!(140)),
            ("updatedAt", json!("now")),
        ] {
            let error = parse(|body| body[name] = value).expect_err(name);
            assert_eq!(error.kind(), magnus_core::connection::ConnectionErrorKind::Protocol);
        }
    }
}
