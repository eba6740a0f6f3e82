//! What a caller holds of a run.

use tokio::sync::watch;

use super::registry::{Ended, Entry};
use super::{Orchestrator, shutting_down};
use crate::engine::{Progress, RunError};
use crate::model::{ConnectionId, Run, RunId};

/// A run that was asked for. Dropping it changes nothing; the run goes on.
#[derive(Debug, Clone)]
pub struct RunHandle {
    orchestrator: Orchestrator,
    id: RunId,
    connection: ConnectionId,
    joined: bool,
    progress: watch::Receiver<Progress>,
    ended: watch::Receiver<Option<Ended>>,
    holder: watch::Receiver<Option<String>>,
}

impl RunHandle {
    pub(super) fn new(orchestrator: Orchestrator, entry: Entry, joined: bool) -> Self {
        Self {
            orchestrator,
            id: entry.run_id,
            connection: entry.connection,
            joined,
            progress: entry.progress.subscribe(),
            ended: entry.ended.subscribe(),
            holder: entry.holder.subscribe(),
        }
    }

    /// The run's id.
    #[must_use]
    pub const fn id(&self) -> RunId {
        self.id
    }

    /// The connection that is synced.
    #[must_use]
    pub const fn connection(&self) -> ConnectionId {
        self.connection
    }

    /// Whether the request joined a run that was queued already.
    #[must_use]
    pub const fn joined(&self) -> bool {
        self.joined
    }

    /// How far the run has come, now and from now on. A run that another process carries out does not tell.
    #[must_use]
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.clone()
    }

    /// Who else holds the connection's lease, as long as the run waits for that.
    #[must_use]
    pub fn waits_for(&self) -> Option<String> {
        self.holder.borrow().clone()
    }

    /// Waits for the end of the run, and answers the run as the log holds it. One that failed is an answer as well: its
    /// state and message say so.
    ///
    /// # Errors
    /// How the run ended cannot be said: `ShuttingDown` if it had not begun by then, `Store`, or `UnknownConnection` if
    /// the connection was deleted.
    pub async fn wait(&self) -> Result<Run, RunError> {
        let mut ended = self.ended.clone();
        let Ok(answer) = ended.wait_for(Option::is_some).await.map(|answer| answer.clone()) else {
            return Err(shutting_down());
        };
        match answer {
            Some(Ended::Run(run)) => Ok(*run),
            Some(Ended::Unknown { kind, message }) => {
                Err(RunError::new(kind, message).with_connection(self.connection))
            }
            None => Err(shutting_down()),
        }
    }

    /// Asks the run to stop; see [`Orchestrator::cancel`].
    ///
    /// # Errors
    /// `Store`.
    pub async fn cancel(&self) -> Result<(), RunError> {
        self.orchestrator.cancel(self.id).await.map(|_| ())
    }
}
