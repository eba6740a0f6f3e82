//! How it stands with each connection, at a glance.

use crate::model::{ConnectionId, RunId, RunState};

/// How it stands with the runs of one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunStanding {
    /// The connection.
    pub connection_id: ConnectionId,
    /// The newest run and its state, whatever that is.
    pub newest: Option<(RunId, RunState)>,
    /// Whether a run goes on, in whichever process.
    pub in_progress: bool,
    /// Whether a run waits for its turn.
    pub queued: bool,
}

/// How many rows of the hub a connection has, of those that people are told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionCounts {
    /// The connection.
    pub connection_id: ConnectionId,
    /// Links that are live.
    pub linked: u64,
    /// Links in every other state.
    pub unlinked: u64,
    /// Conflicts that wait for a person.
    pub open_conflicts: u64,
}
