//! Keeps the run log and the breakdowns from growing for ever.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use tokio::time::{MissedTickBehavior, interval};

use super::{Breakdowns, Orchestrator};
use crate::breakdown::BreakdownError;
use crate::clock::Clock;
use crate::model::Timestamp;
use crate::store::{ServiceStore, StoreError};

/// How often old rows are deleted.
const PRUNE_EVERY: Duration = Duration::from_secs(60 * 60);

/// How many rows are deleted at once: few enough that nobody waits for it.
const AT_ONCE: usize = 500;

impl Orchestrator {
    /// Deletes runs and breakdowns that ended longer ago than `keep`, now and every hour, until
    /// [`shutdown`](Self::shutdown) or until it is dropped; see [`ServiceStore::prune_runs`] and
    /// [`BreakdownStore::prune_breakdowns`](crate::store::BreakdownStore::prune_breakdowns) for what stays. Several
    /// processes may do so on one hub. A failure of the store is logged, and it is tried again an hour later.
    pub async fn keep_log(&self, store: Arc<dyn ServiceStore>, clock: Arc<dyn Clock>, keep: Duration) {
        let mut turns = interval(PRUNE_EVERY);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = turns.tick() => {}
                () = self.shared.stopping.closed.cancelled() => return,
            }
            // What is to be kept for longer than time goes back is kept for ever.
            let oldest = TimeDelta::from_std(keep)
                .ok()
                .and_then(|keep| clock.now().checked_sub_signed(keep));
            let Some(oldest) = oldest else { continue };
            tell("runs", prune_runs(store.as_ref(), oldest).await);
            if let Some(breakdowns) = self.breakdowns() {
                tell("breakdowns", prune_breakdowns(breakdowns, oldest).await);
            }
        }
    }
}

async fn prune_runs(store: &dyn ServiceStore, before: Timestamp) -> Result<u64, StoreError> {
    let mut pruned = 0;
    loop {
        match store.prune_runs(before, AT_ONCE).await? {
            0 => return Ok(pruned),
            more => pruned += more,
        }
    }
}

async fn prune_breakdowns(breakdowns: &Breakdowns, before: Timestamp) -> Result<u64, BreakdownError> {
    let mut pruned = 0;
    loop {
        match breakdowns.prune(before, AT_ONCE).await? {
            0 => return Ok(pruned),
            more => pruned += more,
        }
    }
}

fn tell<E: Display>(what: &str, pruned: Result<u64, E>) {
    match pruned {
        Ok(0) => {}
        Ok(pruned) => tracing::info!(what, pruned, "old rows were deleted"),
        Err(error) => tracing::warn!(what, %error, "old rows could not be deleted"),
    }
}
