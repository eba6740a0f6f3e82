//! The one task that owns all lanes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::timeout;

use super::shared::Shared;
use super::{lane, shutting_down};
use crate::engine::RunErrorKind;
use crate::model::{ConnectionId, RunId};

/// How long lanes may take to write down what they had to leave.
const LAST_WORDS: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) enum Command {
    /// Look at a connection: something may be queued or over.
    Wake(ConnectionId),
    /// Tell when nothing is queued or running.
    Idle(oneshot::Sender<()>),
    /// Go away.
    Shutdown {
        grace: Duration,
        done: oneshot::Sender<Vec<RunId>>,
    },
}

/// What is known of a lane.
#[derive(Debug, Default)]
struct LaneState {
    /// Something happened since it last began to look, so it has to look again.
    again: bool,
}

#[derive(Debug)]
pub(super) struct Supervisor {
    shared: Arc<Shared>,
    commands: mpsc::UnboundedReceiver<Command>,
    tasks: JoinSet<()>,
    connections: HashMap<Id, ConnectionId>,
    lanes: HashMap<ConnectionId, LaneState>,
    idle: Vec<oneshot::Sender<()>>,
}

impl Supervisor {
    pub(super) fn new(shared: Arc<Shared>, commands: mpsc::UnboundedReceiver<Command>) -> Self {
        Self {
            shared,
            commands,
            tasks: JoinSet::new(),
            connections: HashMap::new(),
            lanes: HashMap::new(),
            idle: Vec::new(),
        }
    }

    pub(super) async fn run(mut self) {
        let mut done = None;
        loop {
            self.answer_idle();
            tokio::select! {
                biased;
                command = self.commands.recv() => match command {
                    Some(Command::Wake(connection)) => self.wake(connection),
                    Some(Command::Idle(sender)) => self.idle.push(sender),
                    Some(Command::Shutdown { grace, done: sender }) => {
                        self.shut_down(grace).await;
                        done = Some(sender);
                        break;
                    }
                    None => {
                        self.shared.stopping.closed.cancel();
                        self.drain().await;
                        break;
                    }
                },
                Some(ended) = self.tasks.join_next_with_id() => self.lane_ended(ended),
            }
        }
        self.close(done);
    }

    fn wake(&mut self, connection: ConnectionId) {
        match self.lanes.get_mut(&connection) {
            Some(lane) => lane.again = true,
            None => self.open_lane(connection),
        }
    }

    fn open_lane(&mut self, connection: ConnectionId) {
        self.lanes.insert(connection, LaneState::default());
        let task = self.tasks.spawn(lane::drive(Arc::clone(&self.shared), connection));
        self.connections.insert(task.id(), connection);
    }

    fn lane_ended(&mut self, ended: Result<(Id, ()), JoinError>) {
        let id = match &ended {
            Ok((id, ())) => *id,
            Err(error) => error.id(),
        };
        let Some(connection) = self.connections.remove(&id) else {
            return;
        };
        let again = self.lanes.remove(&connection).is_some_and(|lane| lane.again);
        if let Err(error) = ended {
            // Runs that panic are caught in the lane; this is a defect of the store or of the lane itself.
            tracing::error!(%connection, %error, "a lane ended badly");
            let message = format!("the run was lost by a defect: {error}");
            self.shared
                .registry
                .give_up(RunErrorKind::Panicked, &message, |run| run.connection == connection);
        } else if again {
            self.open_lane(connection);
        }
    }

    fn answer_idle(&mut self) {
        if self.lanes.is_empty() && self.commands.is_empty() {
            for sender in self.idle.drain(..) {
                // Whoever asked may have gone.
                sender.send(()).unwrap_or_default();
            }
        }
    }

    async fn shut_down(&mut self, grace: Duration) {
        let shared = Arc::clone(&self.shared);
        let stopping = &shared.stopping;
        stopping.closed.cancel();
        stopping.stop.cancel();
        let attending = &shared.attending;
        let over = async { tokio::join!(self.drain(), attending.is_over()) };
        if timeout(grace, over).await.is_ok() {
            return;
        }
        stopping.leave.cancel();
        let over = async { tokio::join!(self.drain(), attending.is_over()) };
        if timeout(LAST_WORDS, over).await.is_err() {
            tracing::error!("the store does not answer; runs are left to be found when their leases expire");
            self.tasks.shutdown().await;
        }
    }

    async fn drain(&mut self) {
        while let Some(ended) = self.tasks.join_next_with_id().await {
            // Whatever happened since a lane last looked is for the next process.
            self.lanes.values_mut().for_each(|lane| lane.again = false);
            self.lane_ended(ended);
        }
    }

    /// Answers all who still wait. From here on, commands are refused and senders see to it themselves.
    fn close(mut self, done: Option<oneshot::Sender<Vec<RunId>>>) {
        self.commands.close();
        let message = shutting_down().to_string();
        self.shared
            .registry
            .give_up(RunErrorKind::ShuttingDown, &message, |_| true);
        if let Some(done) = done {
            done.send(self.shared.stopping.take_interrupted()).unwrap_or_default();
        }
        // Dropping what is left in the channel wakes those who wait for an answer to it.
    }
}
