//! Keeps the run log from growing for ever.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use tokio::time::{MissedTickBehavior, interval};

use super::Orchestrator;
use crate::clock::Clock;
use crate::store::{ServiceStore, StoreError};

/// How often the log is pruned.
const PRUNE_EVERY: Duration = Duration::from_secs(60 * 60);

/// How many runs are deleted at once: few enough that nobody waits for it.
const AT_ONCE: usize = 500;

impl Orchestrator {
    /// Deletes runs that ended longer ago than `keep`, now and every hour, until [`shutdown`](Self::shutdown) or until it is
    /// dropped; see [`ServiceStore::prune_runs`] for what stays. Several processes may do so on one hub. A failure of the
    /// store is logged, and it is tried again an hour later.
    pub async fn keep_log(&self, store: Arc<dyn ServiceStore>, clock: Arc<dyn Clock>, keep: Duration) {
        let mut turns = interval(PRUNE_EVERY);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = turns.tick() => {}
                () = self.shared.stopping.closed.cancelled() => return,
            }
            match prune(store.as_ref(), clock.as_ref(), keep).await {
                Ok(0) => {}
                Ok(pruned) => tracing::info!(pruned, "old runs were deleted from the run log"),
                Err(error) => tracing::warn!(%error, "the run log could not be pruned"),
            }
        }
    }
}

async fn prune(store: &dyn ServiceStore, clock: &dyn Clock, keep: Duration) -> Result<u64, StoreError> {
    // What is to be kept for longer than time goes back is kept for ever.
    let before = TimeDelta::from_std(keep)
        .ok()
        .and_then(|keep| clock.now().checked_sub_signed(keep));
    let Some(before) = before else { return Ok(0) };
    let mut pruned = 0;
    loop {
        let more = store.prune_runs(before, AT_ONCE).await?;
        pruned += more;
        if more == 0 {
            return Ok(pruned);
        }
    }
}
