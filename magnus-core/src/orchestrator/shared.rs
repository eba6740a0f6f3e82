//! What the orchestrator, its supervisor and its lanes have in common.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{broadcast, mpsc};
use tokio_util::sync::CancellationToken;

use super::attending::{Attending, SharedQueue};
use super::breakdowns::Breakdowns;
use super::limits::Limits;
use super::registry::{Ended, Entry, Registry};
use super::shutting_down;
use super::supervisor::Command;
use crate::engine::{RunError, RunErrorKind, SyncEngine};
use crate::event::Event;
use crate::model::{ConnectionId, Run, RunId, RunRequest};
use crate::store::{Enqueued, TaskStore};

#[derive(Debug)]
pub(super) struct Options {
    pub(super) holder: String,
    pub(super) lease_ttl: Duration,
    pub(super) lease_poll: Duration,
    pub(super) patience: Duration,
}

/// The three steps of going away, each including those before.
#[derive(Debug, Default)]
pub(super) struct Stopping {
    /// Nothing new begins.
    pub(super) closed: CancellationToken,
    /// What goes on stops between two operations.
    pub(super) stop: CancellationToken,
    /// What still goes on is dropped.
    pub(super) leave: CancellationToken,
    /// The runs that were cut short by it.
    pub(super) interrupted: Mutex<Vec<RunId>>,
}

impl Stopping {
    pub(super) fn take_interrupted(&self) -> Vec<RunId> {
        std::mem::take(&mut *self.interrupted.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn note_interrupted(&self, run: RunId) {
        self.interrupted
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(run);
    }
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) store: Arc<dyn TaskStore>,
    pub(super) engine: Arc<dyn SyncEngine>,
    pub(super) options: Options,
    pub(super) limits: Limits,
    pub(super) registry: Registry,
    pub(super) events: broadcast::Sender<Event>,
    pub(super) stopping: Stopping,
    /// Where runs are announced that any process may carry out; none: this one carries out its own.
    pub(super) queue: SharedQueue,
    pub(super) attending: Attending,
    /// What happened here, for other processes; none: nobody passes it on.
    pub(super) outgoing: Option<mpsc::UnboundedSender<Event>>,
    /// What breaks tasks down; none: no model is configured.
    pub(super) breakdowns: Option<Breakdowns>,
    /// Weak, so that lanes do not keep alive an orchestrator that everybody else let go.
    pub(super) commands: mpsc::WeakUnboundedSender<Command>,
}

impl Shared {
    pub(super) fn refuse_if_closed(&self) -> Result<(), RunError> {
        if self.stopping.closed.is_cancelled() {
            Err(shutting_down())
        } else {
            Ok(())
        }
    }

    /// Writes a request down as a queued run, or lets it join the one that is queued; answers the run and whether it
    /// joined.
    pub(super) async fn enqueue(&self, request: RunRequest) -> Result<(Entry, bool), RunError> {
        let enqueued = self.store.enqueue_run(request).await?;
        Ok(self.look_after(enqueued).await)
    }

    /// Tells of a run that was written down, and sees to it that it is carried out.
    pub(super) async fn look_after(&self, enqueued: Enqueued) -> (Entry, bool) {
        let Enqueued { run, joined } = enqueued;
        let entry = self.registry.follow(run.id, run.connection_id);
        if !joined {
            self.tell(Event::RunQueued {
                run_id: run.id,
                connection_id: run.connection_id,
            });
        }
        self.announce(run.connection_id).await;
        // Only now: the lane that looks after this knows of whoever waits for the run.
        self.wake(run.connection_id);
        (entry, joined)
    }

    /// Makes sure that a lane looks at a connection after this moment.
    pub(super) fn wake(&self, connection: ConnectionId) {
        let sent = self
            .commands
            .upgrade()
            .is_some_and(|commands| commands.send(Command::Wake(connection)).is_ok());
        if !sent {
            self.give_up_waiting(connection, RunErrorKind::ShuttingDown, &shutting_down().to_string());
        }
    }

    /// Tells those who wait for runs of a connection that do not go on here that nobody will tell them more.
    pub(super) fn give_up_waiting(&self, connection: ConnectionId, kind: RunErrorKind, message: &str) {
        self.registry
            .give_up(kind, message, |run| run.connection == connection && !run.active);
    }

    /// Tells everybody how a run ended.
    pub(super) fn tell_end(&self, run: Run) {
        let event = finished(&run);
        if self.registry.end(run.id, Ended::Run(Box::new(run))) {
            self.tell(event);
        }
    }

    /// Tells everybody in this process how a run of another one ended.
    pub(super) fn tell_end_here(&self, run: Run) {
        let event = finished(&run);
        if self.registry.end(run.id, Ended::Run(Box::new(run))) {
            self.tell_here(event);
        }
    }

    /// Tells everybody, in other processes too, what happened here.
    pub(super) fn tell(&self, event: Event) {
        if let Some(outgoing) = &self.outgoing {
            // It is closed only when nobody is left to pass it on.
            outgoing.send(event.clone()).unwrap_or_default();
        }
        self.tell_here(event);
    }

    /// Tells everybody in this process.
    pub(super) fn tell_here(&self, event: Event) {
        // Nobody listens: nobody misses it.
        let _listeners = self.events.send(event).unwrap_or_default();
    }
}

fn finished(run: &Run) -> Event {
    Event::RunFinished {
        run_id: run.id,
        connection_id: run.connection_id,
        state: run.state,
        counts: run.report.counts,
        message: run.error_message.clone(),
    }
}
