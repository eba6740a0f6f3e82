//! What a tool shows: projects and tasks in the tool's own values.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{ExternalId, Field, Timestamp};

/// A field's value in the tool's own form, opaque to the core: a status id, an HTML text, a user id, ...
///
/// The adapter chooses a canonical form, such that two values are equal exactly if the tool holds the same: ids and not
/// names, no rendering that changes by itself, whole numbers and text instead of floats. JSON `null` is a cleared field.
/// For [`Field::Parent`] it is the external id of the parent as text, or `null`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RemoteValue(pub serde_json::Value);

impl RemoteValue {
    /// A cleared field.
    pub const NULL: Self = Self(serde_json::Value::Null);

    /// A text value.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self(serde_json::Value::String(text.into()))
    }

    /// The text, if it is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        self.0.as_str()
    }

    /// Whether the field is cleared.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.0.is_null()
    }

    /// A reference to another external item, for [`Field::Parent`]; `None` if cleared or not an id.
    #[must_use]
    pub fn as_external_id(&self) -> Option<ExternalId> {
        self.as_text().and_then(|text| ExternalId::new(text).ok())
    }
}

impl From<&ExternalId> for RemoteValue {
    fn from(id: &ExternalId) -> Self {
        Self::text(id.as_str())
    }
}

impl fmt::Display for RemoteValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            serde_json::Value::Null => f.write_str("(none)"),
            serde_json::Value::String(text) => f.write_str(text),
            other => other.fmt(f),
        }
    }
}

/// The version of an item as the tool counts it (OpenProject's `lockVersion`), opaque to the core.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RemoteVersion(pub String);

/// One field of a task as the tool shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteField {
    /// The value in the tool's form.
    pub value: RemoteValue,
    /// Whether the tool computed it (dates of an automatic parent, roll-ups): never pushed, and when null never clears.
    pub derived: bool,
}

impl From<RemoteValue> for RemoteField {
    fn from(value: RemoteValue) -> Self {
        Self { value, derived: false }
    }
}

/// A task as the tool shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteTask {
    /// The tool's id of the task.
    pub id: ExternalId,
    /// The tool's id of the project it is in.
    pub project: ExternalId,
    /// Its version, where the tool has versions.
    pub version: Option<RemoteVersion>,
    /// When the tool says it was last touched, corrected by the difference between the server's clock and ours.
    /// `None` where the tool does not tell reliably.
    pub updated_at: Option<Timestamp>,
    /// Where a person finds it.
    pub url: Option<String>,
    /// Its fields; one that the tool lacks, or did not send, is absent.
    pub fields: super::RemoteFields,
    /// Further data of the tool (custom fields), kept in the hub task's metadata under the tool's name. Not pushed.
    pub metadata: serde_json::Map<String, serde_json::Value>,
    /// What stands in the place for a marker of the operation that made it, if the tool has such a place and it is not
    /// empty. Never part of the metadata.
    pub marker: Option<String>,
    /// A reason why this item is not synced (a Leantime milestone); `None` for an ordinary task.
    pub skip: Option<super::Reason>,
}

impl RemoteTask {
    /// A task of which nothing more is known.
    #[must_use]
    pub fn new(id: ExternalId, project: ExternalId) -> Self {
        Self {
            id,
            project,
            version: None,
            updated_at: None,
            url: None,
            fields: super::RemoteFields::default(),
            metadata: serde_json::Map::new(),
            marker: None,
            skip: None,
        }
    }

    /// The value of a field, if the tool sent it.
    #[must_use]
    pub fn value(&self, field: Field) -> Option<&RemoteValue> {
        self.fields.get(&field).map(|field| &field.value)
    }

    /// Whether it carries the marker of this operation.
    #[must_use]
    pub fn is_marked(&self, operation: super::IntentId) -> bool {
        self.marker
            .as_ref()
            .and_then(|marker| marker.parse::<super::IntentId>().ok())
            .is_some_and(|marker| marker == operation)
    }

    /// The title in the tool's form, or an empty text.
    #[must_use]
    pub fn title(&self) -> &str {
        self.value(Field::Title)
            .and_then(RemoteValue::as_text)
            .unwrap_or_default()
    }
}

/// A project as the tool shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteProject {
    /// The tool's id of the project.
    pub id: ExternalId,
    /// Its name.
    pub name: String,
    /// Its description in Markdown.
    pub description: Option<String>,
    /// Whether it is open; a closed or archived one is not synced.
    pub open: bool,
    /// Where a person finds it.
    pub url: Option<String>,
}

impl RemoteProject {
    /// An open project of which nothing more is known.
    #[must_use]
    pub fn new(id: ExternalId, name: impl Into<String>) -> Self {
        Self {
            id,
            name: name.into(),
            description: None,
            open: true,
            url: None,
        }
    }
}
