//! The journal entry written before a remote write and settled after it.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use super::{
    ConnectionId, ExternalId, Field, IntentId, LinkId, MappingId, RemoteValue, RemoteVersion, RunId, TaskId, Timestamp,
    Value,
};

/// One field of a remote write: what was decided on, and what is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntentField {
    /// The hub's value that is sent.
    pub local: Value,
    /// The value in the tool's form, as it is expected to read back.
    pub sent: RemoteValue,
    /// The tool's value that was seen before, for an update.
    // Left out if there is none: a cleared field is `null` already, and must come back as seen.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub seen: Option<RemoteValue>,
    /// The value that loses if this write takes place (a policy decided against it), as a hub value.
    pub loser: Option<Value>,
}

fn present<'de, D: Deserializer<'de>>(value: D) -> Result<Option<RemoteValue>, D::Error> {
    RemoteValue::deserialize(value).map(Some)
}

/// What a remote write is about to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "operation", rename_all = "snake_case")]
pub enum IntentOperation {
    /// Make a new external task.
    Create {
        /// The external project.
        project: ExternalId,
        /// The greatest external id seen before the send; what was created has a greater one.
        greatest_seen: Option<ExternalId>,
        /// Whether the id of this intent was sent along as a marker.
        #[serde(default)]
        marked: bool,
        /// The tool's id of the user that sent it, whose new items it is looked for among.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sent_as: Option<ExternalId>,
    },
    /// Change an external task.
    Update {
        /// The link.
        link_id: LinkId,
        /// The external task.
        external_id: ExternalId,
        /// The version it was decided on.
        version: Option<RemoteVersion>,
    },
    /// Delete an external task.
    Delete {
        /// The link.
        link_id: LinkId,
        /// The external task.
        external_id: ExternalId,
        /// Whether its making is undone; else the hub's side is gone.
        #[serde(default)]
        undoes: bool,
    },
}

/// Whether an intent still stands open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum IntentState {
    /// Written; whether the remote write took place is not recorded yet.
    Open,
    /// It could not be settled; held until a person says.
    Uncertain {
        /// Why.
        reason: String,
    },
    /// Done with: applied and recorded, or surely not applied.
    Settled {
        /// Whether the write took place.
        applied: bool,
        /// Whether a person said so.
        #[serde(default)]
        by_person: bool,
    },
}

/// The journal entry written before a remote write, settled after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// Its id.
    pub id: IntentId,
    /// The connection written to.
    pub connection_id: ConnectionId,
    /// The mapping.
    pub mapping_id: MappingId,
    /// The run that wrote it.
    pub run_id: RunId,
    /// The hub task.
    pub task_id: TaskId,
    /// What it is about to do.
    pub operation: IntentOperation,
    /// What is sent, by field.
    pub fields: BTreeMap<Field, IntentField>,
    /// Whether it still stands open.
    pub state: IntentState,
    /// When it was written.
    pub created_at: Timestamp,
}
