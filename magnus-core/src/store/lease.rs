//! The right to run a connection.

use serde::{Deserialize, Serialize};

use crate::model::{ConnectionId, Timestamp};

/// A lease that is held. Its epoch is the fencing token.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Lease {
    /// The connection.
    pub connection_id: ConnectionId,
    /// Who holds it: a process, named so that people can find it.
    pub holder: String,
    /// Raised by every taking.
    pub epoch: i64,
}

/// What came of asking for a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeaseAnswer {
    /// It is ours.
    Granted(Lease),
    /// Somebody else has it.
    Held {
        /// Who.
        holder: String,
        /// When it expires if it is not renewed, by the store's clock.
        expires_at: Timestamp,
    },
}

/// In whose right a commit is made.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Fence {
    /// By the holder of a lease: checked against its epoch and expiry.
    Lease(Lease),
    /// By a person who edits the hub: row versions alone protect it.
    Hub,
}

impl Fence {
    /// The connection whose lease is held.
    #[must_use]
    pub const fn connection(&self) -> Option<ConnectionId> {
        match self {
            Self::Lease(lease) => Some(lease.connection_id),
            Self::Hub => None,
        }
    }
}
