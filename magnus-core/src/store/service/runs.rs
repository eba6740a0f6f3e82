//! The run log, page by page, in short, and as events.

use crate::model::{ConnectionId, Run, RunId, RunState, Timestamp};

/// A filter on the run log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunQuery {
    /// Only of this connection.
    pub connection_id: Option<ConnectionId>,
    /// Only in this state.
    pub state: Option<RunState>,
    /// At most this many; 0 means 20. Never more than 100.
    pub limit: usize,
    /// Only those that come after this one in the list; an unknown one: none.
    pub after: Option<RunId>,
}

impl RunQuery {
    /// The limit that holds.
    #[must_use]
    pub const fn effective_limit(&self) -> usize {
        match self.limit {
            0 => 20,
            1..=100 => self.limit,
            _ => 100,
        }
    }

    /// Only of this connection.
    #[must_use]
    pub const fn connection(mut self, connection: Option<ConnectionId>) -> Self {
        self.connection_id = connection;
        self
    }

    /// Only in this state.
    #[must_use]
    pub const fn state(mut self, state: Option<RunState>) -> Self {
        self.state = state;
        self
    }

    /// At most this many, after this one.
    #[must_use]
    pub const fn page(mut self, limit: usize, after: Option<RunId>) -> Self {
        self.limit = limit;
        self.after = after;
        self
    }
}

/// A page of runs, newest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunPage {
    /// The runs.
    pub runs: Vec<Run>,
    /// Where the next page starts.
    pub next: Option<RunId>,
}

/// A connection's runs in short.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunDigest {
    /// The newest run, in whatever state.
    pub newest: Option<Run>,
    /// When a run last ended `completed` or `partial`.
    pub last_success_at: Option<Timestamp>,
    /// Whether a person ever asked for a run.
    pub asked_by_person: bool,
    /// How many of the newest finished runs in a row are `failed`, counted up to [`RunDigest::MOST_FAILURES`].
    pub failures_in_a_row: u32,
}

impl RunDigest {
    /// Failures beyond this are not counted.
    pub const MOST_FAILURES: u32 = 16;
}

/// A change of a run's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunEvent {
    /// Rises with every event of the hub: an event that becomes visible later has a greater one.
    pub sequence: i64,
    /// The run.
    pub run_id: RunId,
    /// The connection.
    pub connection_id: ConnectionId,
    /// The state it came to.
    pub state: RunState,
    /// When.
    pub at: Timestamp,
}
