//! What kind of tool the toy is, and how it says things.

use std::collections::BTreeSet;

use magnus_core::connection::{Decoded, Encoded, Translator};
use magnus_core::model::{ExternalId, Field, RemoteValue, Status, Value};

/// What kind of tool it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Habits {
    /// It has versions and refuses stale writes.
    pub(crate) versions: bool,
    /// It can list what changed, and ids alone.
    pub(crate) incremental: bool,
    /// It has no `blocked` and no `cancelled`.
    pub(crate) few_statuses: bool,
    /// It wraps texts in tags and trims them.
    pub(crate) markup: bool,
    /// Writes per call.
    pub(crate) batch: usize,
    /// It has a place for a marker of the operation that made an item.
    pub(crate) marker: bool,
}

impl Habits {
    pub(crate) const fn exact() -> Self {
        Self {
            versions: true,
            incremental: true,
            few_statuses: false,
            markup: false,
            batch: 1,
            marker: false,
        }
    }

    pub(crate) const fn loose() -> Self {
        Self {
            versions: false,
            incremental: false,
            few_statuses: true,
            markup: true,
            batch: 7,
            marker: false,
        }
    }
}

pub(super) fn default_raw(field: Field) -> serde_json::Value {
    match field {
        Field::Status => "todo".into(),
        Field::Priority => "medium".into(),
        _ => serde_json::Value::Null,
    }
}

/// The toy's tables.
#[derive(Debug)]
pub(crate) struct Tables(pub(crate) Habits);

impl Translator for Tables {
    fn decode(&self, _: &ExternalId, field: Field, value: &RemoteValue) -> Decoded {
        let unresolved = || Decoded::Unresolved(format!("{value} means nothing"));
        if value.is_null() {
            return Decoded::Exact(Value::Empty);
        }
        let text = value.as_text().unwrap_or_default();
        let decoded = match field {
            Field::Title => Some(Value::text(text)),
            Field::Description => Some(Value::text(
                text.trim_start_matches("<p>").trim_end_matches("</p>").to_owned(),
            )),
            Field::Status => text.parse().ok().map(Value::Status),
            Field::Priority => text.parse().ok().map(Value::Priority),
            Field::DueDate => text.parse().ok().map(Value::Date),
            Field::EstimatedHours => value.0.as_u64().and_then(|n| u32::try_from(n).ok()).map(Value::Minutes),
            Field::Tags => Some(Value::tags(text.split(',').map(str::to_owned).collect::<BTreeSet<_>>())),
            _ => None,
        };
        decoded.map_or_else(unresolved, Decoded::Exact)
    }

    fn encode(&self, _: &ExternalId, field: Field, value: &Value) -> Encoded {
        let text = |text: String| Encoded::Value(RemoteValue::text(text));
        match value {
            Value::Empty => Encoded::Value(RemoteValue::NULL),
            Value::Text(words) if field == Field::Description && self.0.markup => {
                text(format!("<p>{}</p>", words.trim()))
            }
            Value::Text(words) => text(words.clone()),
            Value::Status(status @ (Status::Blocked | Status::Cancelled)) if self.0.few_statuses => {
                Encoded::Unholdable(format!("the toy has no status {status}"))
            }
            Value::Minutes(minutes) => Encoded::Value(RemoteValue((*minutes).into())),
            Value::Tags(tags) if tags.iter().any(|tag| tag.contains(',')) => {
                Encoded::Unholdable("the toy parts tags by commas".to_owned())
            }
            Value::Tags(tags) => text(tags.iter().cloned().collect::<Vec<_>>().join(",")),
            other => text(other.to_string()),
        }
    }

    fn is_default(&self, _: &ExternalId, field: Field, value: &RemoteValue) -> bool {
        value.0 == default_raw(field)
    }
}
