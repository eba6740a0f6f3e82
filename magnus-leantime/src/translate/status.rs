//! Statuses: numbers that mean what a project makes of them.

use std::collections::BTreeMap;

use magnus_core::connection::{Decoded, Encoded};
use magnus_core::model::{RemoteValue, Status, Value};
use serde_json::Value as Json;

use crate::wire;

/// What kind of status it is, by the tool's own word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StatusType {
    /// Not begun.
    New,
    /// Being worked on.
    InProgress,
    /// Finished.
    Done,
    /// None of these.
    None,
}

impl StatusType {
    fn of(word: &str) -> Self {
        match word {
            "NEW" => Self::New,
            "INPROGRESS" => Self::InProgress,
            "DONE" => Self::Done,
            _ => Self::None,
        }
    }
}

/// A status of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StatusLabel {
    /// Its number; -1 is the archive.
    pub id: i64,
    /// Its label, in whatever language.
    pub name: String,
    /// Its kind.
    pub status_type: StatusType,
}

impl StatusLabel {
    /// A status.
    pub fn new(id: i64, name: impl Into<String>, status_type: StatusType) -> Self {
        Self {
            id,
            name: name.into(),
            status_type,
        }
    }

    /// The statuses in the answer of `getStatusLabels`, in display order: an object by number, or a list if the
    /// numbers happen to be 0, 1, 2….
    pub(crate) fn list(result: &Json) -> Option<Vec<Self>> {
        let entries: Vec<(i64, &Json)> = match result {
            Json::Object(map) => map
                .iter()
                .filter_map(|(id, label)| Some((id.parse().ok()?, label)))
                .collect(),
            Json::Array(list) => (0..).zip(list).collect(),
            _ => return None,
        };
        let mut labels: Vec<(i64, Self)> = entries
            .into_iter()
            .map(|(id, label)| {
                let name = label.get("name").and_then(wire::text).unwrap_or_default();
                let status_type = StatusType::of(label.get("statusType").and_then(Json::as_str).unwrap_or_default());
                let order = label.get("sortKey").and_then(wire::int).unwrap_or(i64::MAX);
                (order, Self { id, name, status_type })
            })
            .collect();
        labels.sort_by_key(|(order, label)| (*order, label.id));
        Some(labels.into_iter().map(|(_, label)| label).collect())
    }
}

/// What the numbers mean in the default set, with the type they have there.
const BY_NUMBER: [(i64, StatusType, Status); 6] = [
    (3, StatusType::New, Status::Todo),
    (1, StatusType::InProgress, Status::Blocked),
    (4, StatusType::InProgress, Status::InProgress),
    (2, StatusType::InProgress, Status::Review),
    (0, StatusType::Done, Status::Done),
    (-1, StatusType::Done, Status::Cancelled),
];

/// Labels of a project's own statuses that say more than their type.
const BY_NAME: [(&str, Status); 8] = [
    ("blocked", Status::Blocked),
    ("on hold", Status::Blocked),
    ("waiting", Status::Blocked),
    ("waiting for approval", Status::Review),
    ("review", Status::Review),
    ("in review", Status::Review),
    ("cancelled", Status::Cancelled),
    ("canceled", Status::Cancelled),
];

/// The first status of type NEW; 3 if the project has it.
pub(super) fn first_new(labels: &[StatusLabel]) -> Option<i64> {
    let new = |label: &&StatusLabel| label.status_type == StatusType::New;
    labels
        .iter()
        .filter(new)
        .find(|label| label.id == 3)
        .or_else(|| labels.iter().find(new))
        .map(|label| label.id)
}

fn configured(id: i64, name: &str, map: &BTreeMap<String, Status>) -> Option<Status> {
    let number = id.to_string();
    map.iter()
        .find(|(key, _)| key.trim() == number)
        .or_else(|| {
            map.iter()
                .find(|(key, _)| !name.is_empty() && key.trim().to_lowercase() == name.to_lowercase())
        })
        .map(|(_, status)| *status)
}

/// What a project's status means; `None` for a type that says nothing.
fn meaning(label: &StatusLabel, map: &BTreeMap<String, Status>) -> Option<Status> {
    if let Some(status) = configured(label.id, &label.name, map) {
        return Some(status);
    }
    let by_number = BY_NUMBER
        .iter()
        .find(|(id, kind, _)| *id == label.id && *kind == label.status_type);
    if let Some((_, _, status)) = by_number {
        return Some(*status);
    }
    let lower = label.name.trim().to_lowercase();
    if let Some((_, status)) = BY_NAME.iter().find(|(name, _)| *name == lower) {
        return Some(*status);
    }
    match label.status_type {
        StatusType::New => Some(Status::Todo),
        StatusType::InProgress => Some(Status::InProgress),
        StatusType::Done => Some(Status::Done),
        StatusType::None => None,
    }
}

pub(super) fn decode(
    value: &RemoteValue,
    labels: Option<&Vec<StatusLabel>>,
    map: &BTreeMap<String, Status>,
) -> Decoded {
    let Some(id) = value.0.as_i64() else {
        return Decoded::Approximate(Value::Status(Status::Todo));
    };
    if let Some(label) = labels.and_then(|labels| labels.iter().find(|label| label.id == id)) {
        return match meaning(label, map) {
            Some(status) => Decoded::Exact(Value::Status(status)),
            None => Decoded::Approximate(Value::Status(Status::Todo)),
        };
    }
    if let Some(status) = configured(id, "", map) {
        return Decoded::Exact(Value::Status(status));
    }
    // Without the project's own table a number may mean anything.
    if labels.is_none() {
        return Decoded::Unresolved("the statuses of the project cannot be read".to_owned());
    }
    // A number that the project does not define: any can be written.
    match BY_NUMBER.iter().find(|(number, ..)| *number == id) {
        Some((_, _, status)) if id == -1 => Decoded::Exact(Value::Status(*status)),
        Some((_, _, status)) => Decoded::Approximate(Value::Status(*status)),
        None => Decoded::Approximate(Value::Status(Status::Todo)),
    }
}

pub(super) fn encode(status: Status, labels: Option<&Vec<StatusLabel>>, map: &BTreeMap<String, Status>) -> Encoded {
    let Some(labels) = labels else {
        return Encoded::Unholdable("the statuses of the project cannot be read".to_owned());
    };
    let means = |label: &&StatusLabel| meaning(label, map) == Some(status);
    let usual = BY_NUMBER
        .iter()
        .find(|(_, _, meaning)| *meaning == status)
        .map(|(id, ..)| *id);
    let found = labels
        .iter()
        .filter(means)
        .find(|label| Some(label.id) == usual)
        // Archiving is for what was given up, not for what merely has no better status.
        .or_else(|| {
            labels
                .iter()
                .filter(means)
                .find(|label| label.id != -1 || status == Status::Cancelled)
        })
        .or_else(|| labels.iter().find(means));
    match found {
        Some(label) => Encoded::Value(RemoteValue(label.id.into())),
        None => Encoded::Unholdable(format!(
            "no status of the project means {status}; name one in status_map"
        )),
    }
}
