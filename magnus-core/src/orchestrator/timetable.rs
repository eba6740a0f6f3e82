//! Runs connections when their schedule says so, and soon after something happened to them.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::schedule::{NextRun, NoSchedule, next_run};
use super::{Orchestrator, RunHandle};
use crate::clock::Clock;
use crate::engine::{RunError, RunErrorKind};
use crate::model::{ConnectionId, RunId, RunRequest, SyncFrequency, Trigger};
use crate::store::{ServiceStore, StoreErrorKind};

/// How often the schedules are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);

impl Orchestrator {
    /// Runs every connection when its schedule says so, until [`shutdown`](Self::shutdown) or until it is dropped.
    /// A failure of the store is logged, and the schedules are looked at again a little later.
    pub async fn keep_schedules(&self, store: Arc<dyn ServiceStore>, clock: Arc<dyn Clock>) {
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = looks.tick() => {}
                () = self.shared.stopping.closed.cancelled() => return,
            }
            match self.start_scheduled(store.as_ref(), clock.as_ref()).await {
                Ok(_) => {}
                Err(error) if error.kind() == RunErrorKind::ShuttingDown => return,
                Err(error) => tracing::warn!(%error, "the schedules could not be looked at"),
            }
        }
    }

    /// Starts what is due by schedule right now, and answers it.
    ///
    /// # Errors
    /// `Store`, `ShuttingDown`. A connection that is refused does not keep the others from starting.
    pub async fn start_scheduled(
        &self,
        store: &dyn ServiceStore,
        clock: &dyn Clock,
    ) -> Result<Vec<RunHandle>, RunError> {
        self.shared.refuse_if_closed()?;
        // A run whose process died must not keep its connection from being scheduled.
        super::recovery::take_up_abandoned(&self.shared).await?;
        // Neither must one that is queued and that nobody looks after.
        super::recovery::wake_what_is_queued(&self.shared).await?;
        let mut started = Vec::new();
        for settings in store.connections().await? {
            let digest = match store.run_digest(settings.id).await {
                Ok(digest) => digest,
                Err(error) if error.kind() == StoreErrorKind::Corrupt => {
                    tracing::warn!(connection = %settings.id, %error, "the schedule of a connection cannot be looked at");
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let NextRun::At(due) = next_run(&settings, &digest) else {
                continue;
            };
            // What has a schedule has been run before.
            let Some(newest) = digest.newest else { continue };
            if due <= clock.now() {
                let request = RunRequest::new(settings.id).trigger(Trigger::Schedule);
                match self.start_after(newest.id, request).await {
                    Ok(handle) => started.extend(handle),
                    Err(error) if error.kind() == RunErrorKind::Store => return Err(error),
                    Err(error) => {
                        tracing::info!(connection = %settings.id, %error, "a scheduled run is refused");
                    }
                }
            }
        }
        Ok(started)
    }

    /// Starts what is due by schedule, unless another process did so since the schedule was looked at.
    async fn start_after(&self, newest: RunId, request: RunRequest) -> Result<Option<RunHandle>, RunError> {
        self.shared.refuse_if_closed()?;
        self.shared.engine.validate(request.clone()).await?;
        let enqueued = self.shared.store.enqueue_run_after(newest, request).await?;
        let Some(enqueued) = enqueued else { return Ok(None) };
        let (entry, joined) = self.shared.look_after(enqueued).await;
        Ok(Some(RunHandle::new(self.clone(), entry, joined)))
    }

    /// Starts a run of a connection because something happened to it: its webhook was called, or a person edited what
    /// is linked there. `None` if it is not kept in step in real time, or must wait for a person. If a run goes on, one
    /// more follows it.
    ///
    /// # Errors
    /// `Store`, `ShuttingDown`, and those of [`start`](Self::start).
    pub async fn nudge(
        &self,
        store: &dyn ServiceStore,
        connection: ConnectionId,
        trigger: Trigger,
    ) -> Result<Option<RunHandle>, RunError> {
        let Some(settings) = store.connection(connection).await? else {
            return Ok(None);
        };
        let digest = store.run_digest(connection).await?;
        let may_run = matches!(
            next_run(&settings, &digest),
            NextRun::At(_) | NextRun::Never(NoSchedule::Running)
        );
        if settings.frequency != SyncFrequency::Realtime || !may_run {
            return Ok(None);
        }
        self.start(RunRequest::new(connection).trigger(trigger)).await.map(Some)
    }

    /// Nudges every connection that became due because hub tasks were changed.
    ///
    /// # Errors
    /// As [`nudge`](Self::nudge).
    pub async fn nudge_due(&self, store: &dyn ServiceStore) -> Result<Vec<RunHandle>, RunError> {
        let mut started = Vec::new();
        for connection in store.due_connections().await? {
            started.extend(self.nudge(store, connection, Trigger::Ripple).await?);
        }
        Ok(started)
    }
}
