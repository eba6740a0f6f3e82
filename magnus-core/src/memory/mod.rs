//! The hub in memory: for tests, for a demo, and for syncing without a disk. It is gone when the process ends.

mod breakdowns;
mod commit;
mod hub;
mod leases;
mod links;
mod runs;
mod service;
mod settings;
mod tables;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::clock::{Clock, SystemClock};
use crate::model::Timestamp;
use tables::Tables;

/// A [`TaskStore`](crate::store::TaskStore) that keeps everything in memory. Clones share one hub.
///
/// ```
/// use magnus_core::memory::MemoryStore;
/// use magnus_core::model::{ConnectionSettings, ToolName};
/// use magnus_core::store::SettingsStore;
///
/// # tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(async {
/// let store = MemoryStore::new();
/// let board = ConnectionSettings::new(ToolName::new("leantime"), "Board", "https://example.org", chrono::Utc::now());
/// let board = store.save_connection(board).await?;
/// assert_eq!(store.connection(board.id).await?, Some(board));
/// # Ok::<(), magnus_core::store::StoreError>(()) }).expect("a store");
/// ```
#[derive(Clone)]
pub struct MemoryStore {
    shared: Arc<Shared>,
}

struct Shared {
    tables: Mutex<Tables>,
    clock: Arc<dyn Clock>,
}

impl MemoryStore {
    /// An empty hub on the machine's clock.
    #[must_use]
    pub fn new() -> Self {
        Self::with_clock(Arc::new(SystemClock))
    }

    /// An empty hub that takes the time of its leases and runs from `clock`.
    #[must_use]
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        Self {
            shared: Arc::new(Shared {
                tables: Mutex::new(Tables::default()),
                clock,
            }),
        }
    }

    /// A hub of its own that holds the same by now, on another clock: to try one thing in many ways.
    #[must_use]
    pub fn fork(&self, clock: Arc<dyn Clock>) -> Self {
        Self {
            shared: Arc::new(Shared {
                tables: Mutex::new(self.tables().clone()),
                clock,
            }),
        }
    }

    // Every change is made under one guard without an await in it: dropping a future can leave nothing half done.
    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.shared.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}
