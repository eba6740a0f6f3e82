//! What people do to the hub itself: edit it, map projects, resolve conflicts, add and remove connections.
//!
//! Nothing here talks to a tool. A change is committed under the version of the row it was decided on; if somebody was
//! faster it is decided anew on what stands there now, and never overwrites unseen.

mod breakdown;
mod connections;
mod error;
mod failures;
mod mapping;
mod matching;
mod projects;
mod resolve;
mod tasks;
mod uncertain;

use std::sync::Arc;

use crate::clock::{Clock, SystemClock};
use crate::model::Timestamp;
use crate::store::{Changeset, Fence, StoreErrorKind, TaskStore};

pub use breakdown::Accepted;
pub use connections::Removed;
pub use error::{HubError, HubErrorKind};
pub use mapping::{MapAnswer, Mapped};
pub use matching::MatchChoice;
pub use resolve::resolved_base;
pub use tasks::NewTask;
pub use uncertain::Finding;

/// How often a change is decided anew because somebody was faster.
const TRIES: usize = 8;

/// The hub, as people work on it.
///
/// ```
/// use std::sync::Arc;
/// use magnus_core::hub::{Hub, NewTask};
/// use magnus_core::memory::MemoryStore;
/// use magnus_core::model::{Field, Status, TaskPatch, Value};
///
/// # tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(async {
/// let hub = Hub::new(Arc::new(MemoryStore::new()));
/// let garden = hub.add_project("Garden").await?;
/// let task = hub.add_task(NewTask::new(garden.id, "Water the tomatoes")).await?;
/// let done: TaskPatch = [(Field::Status, Value::Status(Status::Done))].into_iter().collect();
/// assert_eq!(hub.edit_task(task.id, done).await?.status, Status::Done);
/// # Ok::<(), magnus_core::hub::HubError>(()) }).expect("a hub");
/// ```
#[derive(Debug, Clone)]
pub struct Hub {
    store: Arc<dyn TaskStore>,
    clock: Arc<dyn Clock>,
}

impl Hub {
    /// The hub in this store.
    #[must_use]
    pub fn new(store: Arc<dyn TaskStore>) -> Self {
        Self {
            store,
            clock: Arc::new(SystemClock),
        }
    }

    /// Tells the time by another clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The store it lies in.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn TaskStore> {
        &self.store
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Commits; `false` if a row moved meanwhile. A lost answer is asked for again, which changes nothing twice.
    async fn commit(&self, changeset: Changeset) -> Result<bool, HubError> {
        let outcome = match self.store.commit(Fence::Hub, changeset.clone()).await {
            Err(error) if error.kind() == StoreErrorKind::Unavailable => {
                self.store.commit(Fence::Hub, changeset).await?
            }
            answer => answer?,
        };
        Ok(outcome.stale.is_empty() && outcome.stale_rows == 0)
    }
}

/// The error when all tries were in vain.
fn busy(what: &str) -> HubError {
    HubError::new(
        HubErrorKind::Conflict,
        format!("{what} is being changed by others all the time; try again"),
    )
}
