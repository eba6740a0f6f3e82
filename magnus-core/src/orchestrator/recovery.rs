//! Takes up what a process left behind: the store queued it anew when it found it, here somebody comes to carry it out.

use std::collections::HashSet;

use super::shared::Shared;
use super::{Orchestrator, RunHandle};
use crate::engine::RunError;
use crate::event::Event;
use crate::model::{ConnectionId, Run, RunState, Trigger};

impl Orchestrator {
    /// Takes up what a process before left behind, and answers what goes on because of it: runs whose lease expired are
    /// marked `interrupted` and queued anew, triggered by `resume`; whatever is queued goes on waiting, here. Call it once
    /// after the start.
    ///
    /// # Errors
    /// `Store`.
    pub async fn recover(&self) -> Result<Vec<RunHandle>, RunError> {
        self.shared.refuse_if_closed()?;
        take_up_abandoned(&self.shared).await?;
        let mut handles = Vec::new();
        for run in queued(&self.shared).await? {
            let entry = self.shared.registry.follow(run.id, run.connection_id);
            self.shared.announce(run.connection_id).await;
            self.wake(run.connection_id);
            handles.push(RunHandle::new(self.clone(), entry, true));
        }
        Ok(handles)
    }
}

/// Marks runs whose process died, and sees to it that what was queued in their place is carried out. Answers the connections.
pub(super) async fn take_up_abandoned(shared: &Shared) -> Result<HashSet<ConnectionId>, RunError> {
    let dead = shared.store.interrupt_abandoned().await?;
    if dead.is_empty() {
        return Ok(HashSet::new());
    }
    for run in &dead {
        tracing::warn!(run = %run.id, connection = %run.connection_id, "the process that ran it died");
    }
    let connections: HashSet<ConnectionId> = dead.iter().map(|run| run.connection_id).collect();
    for run in queued(shared).await? {
        if !connections.contains(&run.connection_id) {
            continue;
        }
        if run.request.trigger == Trigger::Resume {
            shared.tell(Event::RunQueued {
                run_id: run.id,
                connection_id: run.connection_id,
            });
        }
        shared.registry.follow(run.id, run.connection_id);
        shared.announce(run.connection_id).await;
        shared.wake(run.connection_id);
    }
    Ok(connections)
}

/// The connections with a run queued that goes on with an interrupted one.
pub(super) async fn to_be_resumed(shared: &Shared) -> Result<Vec<ConnectionId>, RunError> {
    let queued = queued(shared).await?.into_iter();
    let resumed = queued.filter(|run| run.request.trigger == Trigger::Resume);
    Ok(resumed.map(|run| run.connection_id).collect())
}

/// Looks after what is queued and has no lane: its process is gone, or the lane gave up when the hub did not answer. Runs on a
/// shared queue are announced again by those who work on it.
pub(super) async fn wake_what_is_queued(shared: &Shared) -> Result<(), RunError> {
    if shared.queue.is_some() {
        return Ok(());
    }
    for run in queued(shared).await? {
        shared.wake(run.connection_id);
    }
    Ok(())
}

async fn queued(shared: &Shared) -> Result<Vec<Run>, RunError> {
    let mut runs = shared.store.unfinished_runs().await?;
    runs.retain(|run| run.state == RunState::Queued);
    Ok(runs)
}
