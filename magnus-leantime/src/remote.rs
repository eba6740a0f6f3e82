//! A ticket or project of Leantime in the core's terms.

use chrono::TimeDelta;
use magnus_core::model::{
    ExternalId, Field, RemoteField, RemoteFields, RemoteProject, RemoteTask, RemoteValue, SkipReason,
};
use serde_json::{Map, Value, json};

use crate::wire::{self, Row};
use crate::{dates, text};

/// What reading a ticket needs to know besides the row.
#[derive(Debug, Clone)]
pub(crate) struct Surroundings {
    /// The instance's address without a trailing slash.
    pub(crate) instance: String,
    /// Seconds by which the server's clock is ahead of ours.
    pub(crate) seconds_ahead: i64,
}

/// A ticket as listed or read; `None` if it has no id. A column that was not sent is an absent field.
pub(crate) fn task(row: &Row, around: &Surroundings) -> Option<RemoteTask> {
    let id = row.get("id").and_then(wire::id)?;
    let mut fields = RemoteFields::default();
    for field in Field::ALL {
        let Some(column) = column(*field) else { continue };
        let Some(raw) = row.get(column) else { continue };
        // `getTicket` has the column but never the sum.
        if *field == Field::ActualHours && raw.is_null() {
            continue;
        }
        let derived = *field == Field::ActualHours;
        fields.insert(
            *field,
            RemoteField {
                value: value(*field, raw),
                derived,
            },
        );
    }
    fields.shrink();
    let kind = row.get("type").and_then(wire::text).unwrap_or_default();
    let modified = row
        .get("modified")
        .and_then(wire::stamp)
        .and_then(|stamp| dates::instant(&stamp));
    Some(RemoteTask {
        id: external(id)?,
        project: external(row.get("projectId").and_then(wire::int).unwrap_or(0))?,
        version: None,
        updated_at: modified
            .and_then(|modified| modified.checked_sub_signed(TimeDelta::try_seconds(around.seconds_ahead)?)),
        url: Some(format!("{}/dashboard/home#/tickets/showTicket/{id}", around.instance)),
        fields,
        metadata: metadata(row, &kind),
        marker: None,
        skip: kind
            .eq_ignore_ascii_case("milestone")
            .then(|| SkipReason::Milestone.because("")),
    })
}

/// The column that holds a field.
pub(crate) fn column(field: Field) -> Option<&'static str> {
    Some(match field {
        Field::Title => "headline",
        Field::Description => "description",
        Field::Status => "status",
        Field::Priority => "priority",
        Field::Assignee => "editorId",
        Field::StartDate => "editFrom",
        Field::DueDate => "dateToFinish",
        Field::EstimatedHours => "planHours",
        Field::RemainingHours => "hourRemaining",
        Field::ActualHours => "bookedHours",
        Field::Parent => "dependingTicketId",
        Field::Tags => "tags",
        Field::PercentageDone => return None,
    })
}

/// A column in canonical form: all spellings of nothing are null, hours are minutes, tags a sorted list.
fn value(field: Field, raw: &Value) -> RemoteValue {
    let value = match field {
        Field::Title | Field::Description => wire::text(raw).map(Value::String),
        Field::Status => wire::int(raw).map(Value::from),
        Field::Priority | Field::Assignee => wire::choice(raw).map(Value::String),
        Field::StartDate | Field::DueDate => wire::stamp(raw).map(Value::String),
        Field::EstimatedHours | Field::RemainingHours | Field::ActualHours => wire::minutes(raw).map(Value::from),
        Field::Parent => wire::id(raw).map(|id| Value::String(id.to_string())),
        Field::Tags => {
            let tags = wire::tags(raw);
            (!tags.is_empty()).then(|| json!(tags))
        }
        Field::PercentageDone => None,
    };
    value.map_or(RemoteValue::NULL, RemoteValue)
}

/// A value in canonical form as it is sent.
pub(crate) fn sent(field: Field, value: &RemoteValue) -> Value {
    match (field, &value.0) {
        (Field::Parent, Value::Null) => json!(0),
        (Field::Parent, Value::String(id)) => id.parse::<i64>().map_or(Value::Null, Value::from),
        (Field::StartDate | Field::DueDate, Value::String(stored)) => {
            dates::sent(stored).map_or(Value::Null, Value::String)
        }
        (Field::EstimatedHours | Field::RemainingHours, Value::Number(minutes)) => {
            minutes.as_f64().map_or(Value::Null, |minutes| json!(minutes / 60.0))
        }
        (Field::Tags, Value::Array(tags)) => {
            Value::String(tags.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","))
        }
        (_, other) => other.clone(),
    }
}

/// Columns without a field of the hub. Only those that lists and single reads both have, lest they flicker.
fn metadata(row: &Row, kind: &str) -> Map<String, Value> {
    let mut metadata = Map::new();
    if !kind.is_empty() && kind != "task" {
        metadata.insert("type".to_owned(), json!(kind));
    }
    for (column, name) in [("milestoneid", "milestone"), ("sprint", "sprint")] {
        if let Some(id) = row.get(column).and_then(wire::id) {
            metadata.insert(name.to_owned(), json!(id));
        }
    }
    if let Some(points) = row
        .get("storypoints")
        .filter(|points| points.as_f64().is_some_and(|points| points > 0.0))
    {
        metadata.insert("storypoints".to_owned(), points.clone());
    }
    if let Some(until) = row.get("editTo").and_then(wire::stamp) {
        metadata.insert("work_until".to_owned(), json!(until));
    }
    metadata
}

/// A project as listed or read; `None` if it has no id.
pub(crate) fn project(row: &Row, instance: &str) -> Option<RemoteProject> {
    let id = row.get("id").and_then(wire::id)?;
    let details = row
        .get("details")
        .and_then(wire::text)
        .map(|details| text::html_to_markdown(&details));
    Some(RemoteProject {
        id: external(id)?,
        name: row
            .get("name")
            .and_then(wire::text)
            .unwrap_or_else(|| format!("Project {id}")),
        description: details.filter(|details| !details.is_empty()),
        open: is_open(row),
        url: Some(format!("{instance}/projects/showProject/{id}")),
    })
}

/// Whether a project is open: -1 is closed, 0 and nothing are open.
pub(crate) fn is_open(row: &Row) -> bool {
    row.get("state").and_then(wire::int) != Some(-1)
}

fn external(id: i64) -> Option<ExternalId> {
    u64::try_from(id).ok().map(ExternalId::from)
}
