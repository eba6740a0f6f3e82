//! What one run changed in the hub concerns other connections, too.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::shared::Shared;
use crate::engine::RunError;
use crate::model::{ConnectionId, Run, RunRequest, RunState, SyncFrequency, Trigger};

/// A run that follows from a run that follows from ... ends here. Two tools that never agree would else go on for ever.
pub(super) const MOST_ROUNDS: u32 = 5;

/// How far back the log is searched for a connection's newest run.
const LOOK_BACK: usize = 200;

/// Which runs follow from which.
#[derive(Debug, Default)]
pub(super) struct Ripples {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// How many runs in a row led to the one that is queued.
    depths: HashMap<ConnectionId, u32>,
    /// How many callers look after the due connections themselves.
    in_other_hands: usize,
}

impl Ripples {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves the due connections to the caller until the answer is dropped.
    pub(super) fn take_in_hand(&self) -> InHand<'_> {
        self.state().in_other_hands += 1;
        InHand(self)
    }

    /// How many runs in a row a run that follows from this one would have before it; `None` if it must not follow.
    fn depth_after(&self, run: &Run) -> Option<u32> {
        let state = self.state();
        let depth = match run.request.trigger {
            Trigger::Ripple => state.depths.get(&run.connection_id).copied().unwrap_or(1),
            _ => 0,
        };
        (state.in_other_hands == 0 && depth < MOST_ROUNDS).then_some(depth + 1)
    }

    fn set_depth(&self, connection: ConnectionId, depth: u32) {
        self.state().depths.insert(connection, depth);
    }
}

/// As long as it is there, nothing follows by itself.
#[derive(Debug)]
pub(super) struct InHand<'a>(&'a Ripples);

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        self.0.state().in_other_hands -= 1;
    }
}

/// Queues runs of the connections that a run made due. A failure leaves them due, which the next run sees to.
pub(super) async fn follow_up(shared: &Shared, run: &Run) {
    if shared.stopping.closed.is_cancelled() {
        return;
    }
    let Some(depth) = shared.ripples.depth_after(run) else {
        return;
    };
    if let Err(error) = queue_due(shared, depth).await {
        tracing::warn!(run = %run.id, %error, "connections that became due could not be queued");
    }
}

async fn queue_due(shared: &Shared, depth: u32) -> Result<(), RunError> {
    let due = shared.store.due_connections().await?;
    if due.is_empty() {
        return Ok(());
    }
    let recent = shared.store.recent_runs(LOOK_BACK).await?;
    for connection in due {
        let newest = recent.iter().find(|run| run.connection_id == connection);
        if may_follow(shared, connection, newest).await? {
            shared.ripples.set_depth(connection, depth);
            shared
                .enqueue(RunRequest::new(connection).trigger(Trigger::Ripple))
                .await?;
        }
    }
    Ok(())
}

/// A connection is run by itself only if a person let it run before, did not reserve every run, and no guard waits for
/// a person.
async fn may_follow(shared: &Shared, connection: ConnectionId, newest: Option<&Run>) -> Result<bool, RunError> {
    let Some(settings) = shared.store.connection(connection).await? else {
        return Ok(false);
    };
    let by_itself = settings.enabled && settings.frequency != SyncFrequency::Manual;
    let has_run = newest.is_some_and(|run| run.state != RunState::Halted);
    if !by_itself || !has_run {
        return Ok(false);
    }
    let allowed = shared
        .engine
        .validate(RunRequest::new(connection).trigger(Trigger::Ripple))
        .await;
    Ok(allowed.is_ok())
}
