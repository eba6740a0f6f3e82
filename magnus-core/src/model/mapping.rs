//! The join of an external project and a hub project.

use serde::{Deserialize, Serialize};

use super::{ConnectionId, Direction, ExternalId, MappingId, ProjectId, RowVersion, Timestamp};

/// How far a mapping's changes have been read: the tool's own greatest stamp, opaque to the core. Never our clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cursor(pub String);

/// Whether a mapping is synced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum MappingState {
    /// It is synced.
    Active,
    /// Its project is gone or invisible. Nothing is deleted; it is tried again in each run.
    Suspended {
        /// Why, and what to do.
        reason: String,
    },
}

/// An external project ↔ a hub project, on one connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mapping {
    /// Its id.
    pub id: MappingId,
    /// The connection.
    pub connection_id: ConnectionId,
    /// The external project.
    pub external_id: ExternalId,
    /// The external project's name when last seen.
    pub external_name: String,
    /// The hub project.
    pub project_id: ProjectId,
    /// Which way it is synced; `None`: as the connection.
    pub direction: Option<Direction>,
    /// Whether it takes part in runs at all.
    pub enabled: bool,
    /// Whether it is synced now.
    pub state: MappingState,
    /// How far changes have been read; `None` before the first complete listing.
    pub cursor: Option<Cursor>,
    /// Whether a first listing was complete and matched; before that nothing is created in the tool.
    pub first_contact_done: bool,
    /// When it was last read completely.
    pub last_sync_at: Option<Timestamp>,
    /// As whom it was last read completely, with nothing missing: the tool's id of the key's user. What another user does not
    /// see need not be gone.
    pub seen_as: Option<ExternalId>,
    /// The version of the row; the store raises it.
    pub version: RowVersion,
}

impl Mapping {
    /// A new active mapping that follows its connection's direction.
    #[must_use]
    pub fn new(
        connection_id: ConnectionId,
        external_id: ExternalId,
        external_name: impl Into<String>,
        project_id: ProjectId,
    ) -> Self {
        Self {
            id: MappingId::generate(),
            connection_id,
            external_id,
            external_name: external_name.into(),
            project_id,
            direction: None,
            enabled: true,
            state: MappingState::Active,
            cursor: None,
            first_contact_done: false,
            seen_as: None,
            last_sync_at: None,
            version: RowVersion::default(),
        }
    }
}
