//! A field that both sides changed to different values.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::status::named_enum;
use super::{
    Base, ConflictId, ConflictPolicy, ConnectionId, ExternalId, Field, LinkId, RemoteValue, RowVersion, RunId, TaskId,
    Timestamp, Value,
};

named_enum! {
    /// One of the two sides of a link.
    Side, "side", {
        /// The hub.
        Hub = "hub",
        /// The tool.
        External = "external",
    }
}

named_enum! {
    /// Where a conflict stands.
    ConflictState, "conflict state", {
        /// Held: waits for a person.
        Open = "open",
        /// A policy decided at once; the record keeps the losing value.
        Decided = "decided",
        /// A person chose the hub's value.
        ResolvedHub = "resolved_hub",
        /// A person chose the tool's value.
        ResolvedExternal = "resolved_external",
        /// A person gave a value of their own.
        Merged = "merged",
        /// The sides came to agree by themselves.
        Closed = "closed",
    }
}

/// How a person resolves a conflict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resolution {
    /// The hub's value is right.
    Hub,
    /// The tool's value is right.
    External,
    /// This value is right.
    Merged(Value),
}

/// Who last changed one side, and when, as far as that is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastChange {
    /// When. Of a tool that has one time for the whole item, that.
    pub at: Option<Timestamp>,
    /// Who: a user of the tool; for the hub's side, the connection that brought the value.
    pub by: Option<String>,
}

impl LastChange {
    /// A change at this time, by somebody who is not known.
    #[must_use]
    pub const fn at(at: Option<Timestamp>) -> Self {
        Self { at, by: None }
    }

    /// Whether nothing is known of it.
    #[must_use]
    pub const fn is_unknown(&self) -> bool {
        self.at.is_none() && self.by.is_none()
    }
}

/// One field of one link that both sides changed. At most one is open per (link, field).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conflict {
    /// Its id.
    pub id: ConflictId,
    /// The connection.
    pub connection_id: ConnectionId,
    /// The link.
    pub link_id: LinkId,
    /// The hub task.
    pub task_id: TaskId,
    /// The external task.
    pub external_id: ExternalId,
    /// The field.
    pub field: Field,
    /// What the sides last agreed on; `None` at first contact.
    pub base: Option<Base>,
    /// The hub's value.
    pub local: Value,
    /// The tool's value in its own form.
    pub remote: RemoteValue,
    /// The tool's value in the hub's form; `Empty` if it could not be resolved.
    pub remote_value: Value,
    /// Who gave the hub its value, and when.
    pub local_change: LastChange,
    /// Who gave the tool its value, and when.
    pub remote_change: LastChange,
    /// Where it stands.
    pub state: ConflictState,
    /// The policy under which it was found.
    pub policy: ConflictPolicy,
    /// The side whose value was lost, once decided.
    pub loser: Option<Side>,
    /// Why it is held or how it was decided, for people.
    pub reason: String,
    /// The run that found it or last updated it.
    pub run_id: Option<RunId>,
    /// When it was found.
    pub created_at: Timestamp,
    /// When its values last changed.
    pub updated_at: Timestamp,
    /// When it was resolved.
    pub resolved_at: Option<Timestamp>,
    /// Who resolved it.
    pub resolved_by: Option<String>,
    /// The version of the row; the store raises it.
    pub version: RowVersion,
}

impl Conflict {
    /// This record, once there is nothing left to decide.
    #[must_use]
    pub fn closed(&self, at: Timestamp) -> Self {
        Self {
            state: ConflictState::Closed,
            resolved_at: Some(at),
            updated_at: at,
            ..self.clone()
        }
    }
}
