//! Writes of runs, on a thread of their own.

use std::future::Future;

use magnus_core::connection::Outcome;
use magnus_core::store::{StoreError, StoreErrorKind};
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;

use crate::SqliteStore;

impl SqliteStore {
    /// Carries out a write of a run, which takes several statements, on a thread of its own. From the first of them to the
    /// last it holds the lock that all others wait for: on a thread of the runtime it would, between any two of them, stand
    /// in line behind whatever computes there. What was begun goes on to its end, also if nobody waits for it any more.
    pub(crate) async fn aside<T, F>(
        &self,
        operation: &'static str,
        work: impl FnOnce(Self) -> F + Send + 'static,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>>,
    {
        let (store, runtime) = (self.clone(), Handle::current());
        let written = spawn_blocking(move || runtime.block_on(work(store))).await;
        written.unwrap_or_else(|error| {
            let message = "the write was dropped with its runtime";
            Err(StoreError::new(StoreErrorKind::Unavailable, operation, message)
                .with_source(error)
                .with_outcome(Outcome::Unknown))
        })
    }
}
