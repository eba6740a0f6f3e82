//! The join of a hub task and an external task.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::status::named_enum;
use super::{
    ConnectionId, ExternalId, Field, LinkId, MappingId, RemoteValue, RowVersion, RunId, TaskId, Timestamp, Value,
};

named_enum! {
    /// The state of a link. A link is never dropped, it changes state.
    LinkState, "link state", {
        /// Both sides are there and kept in step.
        Live = "live",
        /// The tool's side is gone; blocks matching and creating.
        GoneRemote = "gone_remote",
        /// The hub's side is gone; blocks matching and creating.
        GoneLocal = "gone_local",
        /// One side moved to a project that is not mapped; data is kept.
        OutOfScope = "out_of_scope",
        /// Whether the tool's side exists could not be settled; held until a person says.
        Uncertain = "uncertain",
        /// The tool's side is gone, and a person brought the hub's back: it is made there anew, and the link turned to that.
        Restored = "restored",
    }
}

/// What the hub had when the sides last agreed on a field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LocalBase {
    /// The hub's value at the agreement, or the value that was sent.
    Agreed(Value),
    /// The hub's value was never sent, since the tool cannot hold it; sent once it can.
    Unsent,
}

/// What the tool had when the sides last agreed on a field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RemoteBase {
    /// The tool's value as it returned it.
    Agreed(RemoteValue),
    /// The tool's value could not be resolved (an unknown parent); pulled once it can.
    Unseen(RemoteValue),
}

/// The value of one field as the sides stood when they last agreed. Two, since a tool may not hold a value exactly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    /// As the hub had (or sent) it.
    pub local: LocalBase,
    /// As the tool returned it.
    pub remote: RemoteBase,
}

impl Base {
    /// Both sides agree on these values.
    #[must_use]
    pub const fn agreed(local: Value, remote: RemoteValue) -> Self {
        Self {
            local: LocalBase::Agreed(local),
            remote: RemoteBase::Agreed(remote),
        }
    }
}

named_enum! {
    /// Why a value is not sent again.
    RefusalCause, "cause of a refusal", {
        /// The tool did not take it.
        Refused = "refused",
        /// A person has undone its sending.
        Undone = "undone",
    }
}

/// A value that the tool refused, or that a person has taken back; not sent again until either side moves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The hub's value that was refused.
    pub local: Value,
    /// The tool's value it would have replaced.
    pub remote: RemoteValue,
    /// The tool's words.
    pub reason: String,
    /// Why it is not sent again.
    #[serde(default = "refused")]
    pub cause: RefusalCause,
}

const fn refused() -> RefusalCause {
    RefusalCause::Refused
}

/// A value that the tool has brought back in place of one of the hub, and how often in a row: the hub's came back too, so
/// two sides pull at the field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swing {
    /// A digest of the hub's value that was replaced and of the tool's that replaced it: texts may be long.
    pub pair: String,
    /// How often.
    pub times: u32,
}

/// A hub task ↔ an external task on one connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Its id.
    pub id: LinkId,
    /// The connection.
    pub connection_id: ConnectionId,
    /// The mapping it was made under, or moved to.
    pub mapping_id: MappingId,
    /// The hub task.
    pub task_id: TaskId,
    /// The external task.
    pub external_id: ExternalId,
    /// Where a person finds the external task.
    pub external_url: Option<String>,
    /// Its state.
    pub state: LinkState,
    /// The bases by field. A field without one has never been compared: first contact.
    pub bases: BTreeMap<Field, Base>,
    /// Values that the tool refused.
    pub refusals: BTreeMap<Field, Refusal>,
    /// Values that the tool brought last, of fields that the hub may put back. A person's edit forgets them.
    pub swings: BTreeMap<Field, Swing>,
    /// The run that first found the external task absent, if it is absent.
    pub absent_since: Option<RunId>,
    /// When the link last moved data.
    pub last_sync_at: Option<Timestamp>,
    /// When task and external task were joined.
    pub created_at: Timestamp,
    /// The version of the row; the store raises it.
    pub version: RowVersion,
}

impl Link {
    /// A new live link without bases.
    #[must_use]
    pub fn new(mapping: &super::Mapping, task_id: TaskId, external_id: ExternalId, now: Timestamp) -> Self {
        Self {
            id: LinkId::generate(),
            connection_id: mapping.connection_id,
            mapping_id: mapping.id,
            task_id,
            external_id,
            external_url: None,
            state: LinkState::Live,
            bases: BTreeMap::new(),
            refusals: BTreeMap::new(),
            swings: BTreeMap::new(),
            absent_since: None,
            last_sync_at: None,
            created_at: now,
            version: RowVersion::default(),
        }
    }

    /// This link, turned to another external task as if they had never met.
    #[must_use]
    pub fn turned_to(&self, mapping: &super::Mapping, external_id: ExternalId, now: Timestamp) -> Self {
        Self {
            id: self.id,
            version: self.version,
            ..Self::new(mapping, self.task_id, external_id, now)
        }
    }

    /// Whether somebody worked on the hub task since the sides last agreed: it holds other values, or it was given some that
    /// the tool has never got.
    #[must_use]
    pub fn edited_in_hub(&self, task: &super::Task) -> bool {
        let agreed = |field: &Field| {
            let base = self.bases.get(field);
            base.is_some_and(|base| matches!(base.local, LocalBase::Agreed(_)))
        };
        let since = self.last_sync_at.unwrap_or(self.created_at);
        let never_sent = task
            .field_times
            .iter()
            .any(|(field, edited_at)| !agreed(field) && *edited_at > since);
        never_sent || self.moved_in_hub(task)
    }

    /// Whether the hub task holds a value other than the one that the sides agreed on.
    #[must_use]
    pub fn moved_in_hub(&self, task: &super::Task) -> bool {
        self.bases.iter().any(|(field, base)| match &base.local {
            LocalBase::Agreed(value) => !value.is_same(&task.get(*field), *field),
            LocalBase::Unsent => false,
        })
    }

    /// Whether the external task holds a value other than the one that the sides agreed on. What the tool computes does
    /// not count.
    #[must_use]
    pub fn moved_in_tool(&self, task: &super::RemoteTask) -> bool {
        self.fields_moved_in_tool(task).next().is_some()
    }

    /// The fields of which the external task holds another value than the sides agreed on.
    pub fn fields_moved_in_tool(&self, task: &super::RemoteTask) -> impl Iterator<Item = Field> {
        self.bases
            .iter()
            .filter(|(field, base)| match (&base.remote, task.fields.get(field)) {
                (RemoteBase::Agreed(value) | RemoteBase::Unseen(value), Some(now)) => {
                    !now.derived && *value != now.value
                }
                (_, None) => false,
            })
            .map(|(field, _)| *field)
    }
}
