//! What one run changed in the hub concerns other connections, too.

use super::shared::Shared;
use crate::engine::RunError;
use crate::model::{ConnectionId, Run, RunRequest, RunState, SyncFrequency, Trigger};

/// Queues runs of the connections that a run made due. A failure leaves them due, which the next run sees to.
pub(super) async fn follow_up(shared: &Shared, run: &Run) {
    if shared.stopping.closed.is_cancelled() || run.request.round >= RunRequest::LAST_ROUND {
        return;
    }
    if let Err(error) = queue_due(shared, run.request.round + 1).await {
        tracing::warn!(run = %run.id, %error, "connections that became due could not be queued");
    }
}

async fn queue_due(shared: &Shared, round: u32) -> Result<(), RunError> {
    let due = shared.store.due_connections().await?;
    if due.is_empty() {
        return Ok(());
    }
    for connection in due {
        if may_follow(shared, connection).await? {
            let request = RunRequest::new(connection).trigger(Trigger::Ripple);
            shared.enqueue(request.round(round)).await?;
        }
    }
    Ok(())
}

/// A connection is run by itself only if a person let it run before, did not reserve every run, and no guard waits for
/// a person.
async fn may_follow(shared: &Shared, connection: ConnectionId) -> Result<bool, RunError> {
    let Some(settings) = shared.store.connection(connection).await? else {
        return Ok(false);
    };
    let by_itself = settings.enabled && settings.frequency != SyncFrequency::Manual;
    if !by_itself {
        return Ok(false);
    }
    let newest = shared.store.recent_runs_of(connection, 1).await?;
    let has_run = newest.first().is_some_and(|run| run.state != RunState::Halted);
    if !has_run || !shared.store.asked_by_person(connection).await? {
        return Ok(false);
    }
    let allowed = shared
        .engine
        .validate(RunRequest::new(connection).trigger(Trigger::Ripple))
        .await;
    Ok(allowed.is_ok())
}
