//! Runs syncs in the background: all connections at once, one connection never twice.
//!
//! # Expected flow
//! [`Orchestrator::builder`] starts one supervisor task. [`Orchestrator::start`] checks a request, writes it down as a
//! queued run and answers with a [`RunHandle`]; nothing is waited for but the store. For each connection with something
//! queued the supervisor keeps one *lane*: a task that waits for its turn, takes the connection's lease, claims what is
//! queued, lets the engine run, writes down how it ended, frees the lease, and looks again. [`Orchestrator::shutdown`]
//! ends it all; [`Orchestrator::recover`], called once after the start, takes up what a process before left behind.
//!
//! # Guarantees
//! - At most one run of a connection goes on anywhere, as far as the store's leases reach, and at most one waits behind
//!   it; requests beyond that join the one that waits.
//! - A run that hangs, is slow, or panics does not touch those of other connections, as long as the bounds in all leave
//!   room.
//! - A run ends in exactly one final state, and whoever waits for it is told, also when another process ran it.
//! - Stopping happens between operations. Only a run that does not stop in time is dropped, as if its process had died;
//!   the journal settles what was under way.
//!
//! # Caveats
//! A process that dies leaves its runs `started` until their leases expire; [`Orchestrator::status`] and
//! [`Orchestrator::recover`] see to it then.

mod attending;
mod breakdowns;
mod builder;
mod ending;
mod exchanging;
mod execution;
mod handle;
mod heartbeat;
mod lane;
mod limits;
mod planning;
mod recovery;
mod registry;
mod retention;
mod ripple;
mod rounds;
mod schedule;
mod shared;
mod status;
mod supervisor;
#[cfg(test)]
mod tests;
mod timetable;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{broadcast, mpsc, oneshot, watch};

use crate::breakdown::BreakdownError;
use crate::engine::{Progress, RunError, RunErrorKind};
use crate::event::Event;
use crate::model::{ConnectionId, Direction, Run, RunId, RunRequest, RunState, TaskId};

use shared::Shared;
use supervisor::Command;

pub use breakdowns::{BreakdownHandle, BreakdownOptions, Breakdowns};
pub use builder::OrchestratorBuilder;
pub use handle::RunHandle;
pub use rounds::SyncAll;
pub use schedule::{NextRun, NoSchedule, next_run};
pub use status::SyncStatus;

/// Runs syncs in the background. Cheap to clone; all clones are the same orchestrator.
///
/// When the last clone and the last [`RunHandle`] are gone without a [`shutdown`](Self::shutdown), runs that go on are
/// finished in the background and nothing new begins.
#[derive(Debug, Clone)]
pub struct Orchestrator {
    shared: Arc<Shared>,
    commands: mpsc::UnboundedSender<Command>,
}

impl Orchestrator {
    /// Asks for a connection to be synced, and answers at once.
    ///
    /// # Errors
    /// `UnknownConnection`, `Disabled`, `UnknownTool`, `DirectionTooWide`: then nothing is queued or run. `Store` if the
    /// request cannot be written down, `ShuttingDown` after [`shutdown`](Self::shutdown).
    pub async fn start(&self, request: RunRequest) -> Result<RunHandle, RunError> {
        self.shared.refuse_if_closed()?;
        self.shared.engine.validate(request.clone()).await?;
        self.enqueue(request).await
    }

    /// Asks for every enabled connection to be synced, each in this direction or, if omitted, in its own. One that is
    /// refused does not keep the others from starting.
    ///
    /// # Errors
    /// `Store` if the connections cannot be read.
    pub async fn start_all(
        &self,
        direction: Option<Direction>,
    ) -> Result<Vec<(ConnectionId, Result<RunHandle, RunError>)>, RunError> {
        let connections = self.shared.store.connections().await?;
        let mut answers = Vec::new();
        for settings in connections.into_iter().filter(|settings| settings.enabled) {
            let request = RunRequest::new(settings.id).direction(direction);
            answers.push((settings.id, self.start(request).await));
        }
        Ok(answers)
    }

    /// Asks a run to stop between two operations; one that waits is cancelled at once. Answers the run as it stands
    /// right after, or `None` for an unknown id. A run that is over stays as it is.
    ///
    /// # Errors
    /// `Store`.
    pub async fn cancel(&self, run: RunId) -> Result<Option<Run>, RunError> {
        let answer = self.shared.store.request_cancel(run).await?;
        self.shared.registry.cancel(run);
        if let Some(going) = answer.as_ref().filter(|run| run.state == RunState::Started) {
            self.shared.tell(Event::CancelRequested {
                run_id: run,
                connection_id: going.connection_id,
            });
        }
        // One that waited is over now, and its lane may itself wait for long.
        if let Some(run) = answer.clone().filter(|run| run.state.is_final()) {
            self.shared.tell_end(run);
        }
        Ok(answer)
    }

    /// How far a run has come, if this orchestrator knows it and it is not over.
    #[must_use]
    pub fn progress(&self, run: RunId) -> Option<watch::Receiver<Progress>> {
        self.shared.registry.progress(run)
    }

    /// Events from now on. A listener that falls behind misses some and is told how many.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.shared.events.subscribe()
    }

    /// Waits until nothing is queued or running here, runs that follow from others included.
    pub async fn idle(&self) {
        let (sender, receiver) = oneshot::channel();
        if self.commands.send(Command::Idle(sender)).is_ok() {
            // An orchestrator that went away is idle, too.
            receiver.await.unwrap_or_default();
        }
    }

    /// Ends it: nothing new begins, every run is asked to stop, a write that was begun is let end within `grace`. What
    /// has not stopped by then is dropped. Answers the runs that were marked `interrupted`; queued ones stay queued for
    /// the next process. A second call waits for the first and answers none.
    pub async fn shutdown(&self, grace: Duration) -> Vec<RunId> {
        let (sender, receiver) = oneshot::channel();
        let breakdowns = async {
            if let Some(breakdowns) = self.breakdowns() {
                breakdowns.shutdown().await;
            }
        };
        if self.commands.send(Command::Shutdown { grace, done: sender }).is_err() {
            breakdowns.await;
            return Vec::new();
        }
        let (interrupted, ()) = tokio::join!(receiver, breakdowns);
        interrupted.unwrap_or_default()
    }

    /// What breaks tasks down; `None` if no model is configured.
    #[must_use]
    pub fn breakdowns(&self) -> Option<&Breakdowns> {
        self.shared.breakdowns.as_ref()
    }

    /// Asks for a task to be broken down, and answers at once; see [`Breakdowns::start`].
    ///
    /// # Errors
    /// `NotConfigured` if there is no model, and those of [`Breakdowns::start`].
    pub async fn start_breakdown(&self, task: TaskId) -> Result<BreakdownHandle, BreakdownError> {
        let breakdowns = self.breakdowns().ok_or_else(BreakdownError::not_configured)?;
        breakdowns.start(task).await
    }

    async fn enqueue(&self, request: RunRequest) -> Result<RunHandle, RunError> {
        let (entry, joined) = self.shared.enqueue(request).await?;
        Ok(RunHandle::new(self.clone(), entry, joined))
    }

    fn wake(&self, connection: ConnectionId) {
        self.shared.wake(connection);
    }
}

fn shutting_down() -> RunError {
    RunError::new(
        RunErrorKind::ShuttingDown,
        "Magnus is shutting down; nothing new is started",
    )
}
