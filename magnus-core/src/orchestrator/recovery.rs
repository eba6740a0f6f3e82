//! Takes up what a process left behind.

use std::collections::HashSet;

use super::shared::Shared;
use super::{Orchestrator, RunHandle};
use crate::engine::RunError;
use crate::model::{Run, RunRequest, RunState, Trigger};

/// How far back the log is searched for runs to take up.
const LOOK_BACK: usize = 200;

impl Orchestrator {
    /// Takes up what a process before left behind, and answers what goes on because of it: runs whose lease expired are
    /// marked `interrupted`; a connection whose newest run is `interrupted` gets a new one, triggered by `resume`;
    /// what was queued goes on waiting, here. Call it once after the start.
    ///
    /// # Errors
    /// `Store`.
    pub async fn recover(&self) -> Result<Vec<RunHandle>, RunError> {
        self.shared.refuse_if_closed()?;
        self.shared.store.interrupt_abandoned().await?;
        let mut handles = Vec::new();
        for run in newest_of_each(self.shared.store.recent_runs(LOOK_BACK).await?) {
            match run.state {
                RunState::Interrupted => {
                    if let Some(request) = resumable(&self.shared, &run).await {
                        handles.push(self.enqueue(request).await?);
                    }
                }
                RunState::Queued => {
                    let entry = self.shared.registry.follow(run.id, run.connection_id);
                    self.wake(run.connection_id);
                    handles.push(RunHandle::new(self.clone(), entry, true));
                }
                _ => {}
            }
        }
        Ok(handles)
    }
}

/// Marks runs whose process died, and queues new ones in their place.
pub(super) async fn take_up_abandoned(shared: &Shared) -> Result<(), RunError> {
    for run in shared.store.interrupt_abandoned().await? {
        tracing::warn!(run = %run.id, connection = %run.connection_id, "the process that ran it died");
        if let Some(request) = resumable(shared, &run).await {
            shared.enqueue(request).await?;
        }
    }
    Ok(())
}

/// Queues a new run for each connection whose newest one is `interrupted`: whoever marked it may have died before he could.
pub(super) async fn take_up_interrupted(shared: &Shared) -> Result<(), RunError> {
    for run in newest_of_each(shared.store.recent_runs(LOOK_BACK).await?) {
        if run.state != RunState::Interrupted {
            continue;
        }
        if let Some(request) = resumable(shared, &run).await {
            shared.enqueue(request).await?;
        }
    }
    Ok(())
}

/// The request that takes up a run; none if the connection does not allow it any more.
async fn resumable(shared: &Shared, run: &Run) -> Option<RunRequest> {
    let request = run.request.clone().trigger(Trigger::Resume);
    match shared.engine.validate(request.clone()).await {
        Ok(()) => Some(request),
        Err(error) => {
            tracing::info!(run = %run.id, %error, "an interrupted run is not taken up");
            None
        }
    }
}

/// Of runs that are ordered newest first, the first of each connection.
fn newest_of_each(runs: Vec<Run>) -> Vec<Run> {
    let mut seen = HashSet::new();
    runs.into_iter().filter(|run| seen.insert(run.connection_id)).collect()
}
