//! How a hub on Postgres is opened.

use std::sync::Arc;
use std::time::Duration;

use magnus_core::clock::Clock;

/// How a hub on Postgres is opened. Start from [`new`](Self::new) and change what should be otherwise.
#[derive(Debug, Clone)]
#[must_use]
pub struct PostgresOptions {
    pub(crate) schema: String,
    pub(crate) connections: u32,
    pub(crate) statement_timeout: Duration,
    pub(crate) lock_timeout: Duration,
    pub(crate) idle_timeout: Duration,
    pub(crate) acquire_timeout: Duration,
    pub(crate) migrate: bool,
    pub(crate) clock: Option<Arc<dyn Clock>>,
}

impl PostgresOptions {
    /// The schema `public`, 10 connections, and timeouts that suit a server nearby.
    pub fn new() -> Self {
        Self {
            schema: "public".to_owned(),
            connections: 10,
            statement_timeout: Duration::from_secs(30),
            lock_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(4),
            acquire_timeout: Duration::from_secs(15),
            migrate: true,
            clock: None,
        }
    }

    /// The schema that the tables lie in. It is made if it is not there. An address that ends in `schema=name` goes
    /// before this.
    pub fn schema(mut self, name: impl Into<String>) -> Self {
        self.schema = name.into();
        self
    }

    /// The most connections of the hub's own pool; at least 1. Without effect on a host's pool.
    pub const fn connections(mut self, most: u32) -> Self {
        self.connections = most;
        self
    }

    /// How long a statement may take. Without effect on a host's pool.
    pub const fn statement_timeout(mut self, timeout: Duration) -> Self {
        self.statement_timeout = timeout;
        self
    }

    /// How long a statement waits for a lock. Without effect on a host's pool.
    pub const fn lock_timeout(mut self, timeout: Duration) -> Self {
        self.lock_timeout = timeout;
        self
    }

    /// How long a transaction may stand still between two statements before the server ends it, with its connection. A process
    /// that was stopped or cut off in the middle of one keeps its locks for that long, and whoever takes over its runs waits
    /// for them. What was ended like that is tried again. Without effect on a host's pool.
    pub const fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// How long a call waits for a connection of the pool. Without effect on a host's pool.
    pub const fn acquire_timeout(mut self, timeout: Duration) -> Self {
        self.acquire_timeout = timeout;
        self
    }

    /// Whether opening brings the tables up to date (the default). Without it, a database that is not up to date is
    /// refused: for roles that must not change tables.
    pub const fn migrate(mut self, migrate: bool) -> Self {
        self.migrate = migrate;
        self
    }

    /// Tells the time of leases and runs by this clock, for tests. By default the database's own clock counts, so that
    /// the clocks of machines need not agree.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self::new()
    }
}
