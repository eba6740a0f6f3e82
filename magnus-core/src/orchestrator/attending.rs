//! Working on a queue that several processes share: whoever is free attends to a connection.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::interval;
use tokio_util::sync::CancellationToken;

use super::lane::{self, Next};
use super::limits::{Limits, Turn};
use super::shared::Shared;
use super::{Orchestrator, recovery};
use crate::engine::{RunError, RunErrorKind};
use crate::model::{ConnectionId, RunId, RunState};
use crate::queue::{Attended, Carrier, RunQueue};

/// How soon to look again at a connection that this process attends to already, or does not attend to any more.
const SOON: Duration = Duration::from_millis(250);

/// How much more seldom the run log is looked at if other processes tell what happens.
const SELDOM: u32 = 5;

/// So many connections of dead processes are attended to beside the usual number: their share of the tools is free, and what
/// they had begun waits for nobody's turn.
const TAKEN_OVER_AT_ONCE: usize = 16;

/// Between two announcements of what is queued and nobody took up.
const REMIND_EVERY: u32 = 10;

/// The connections that this process attends to.
#[derive(Debug)]
pub(super) struct Attending {
    connections: Mutex<HashSet<ConnectionId>>,
    count: watch::Sender<usize>,
}

impl Default for Attending {
    fn default() -> Self {
        Self {
            connections: Mutex::default(),
            count: watch::channel(0).0,
        }
    }
}

impl Attending {
    fn connections(&self) -> MutexGuard<'_, HashSet<ConnectionId>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to attend to a connection; `None` if that goes on already. This process holds its leases under one name, so
    /// that two of its own would fence each other off.
    fn begin(&self, connection: ConnectionId) -> Option<Attention<'_>> {
        let mut connections = self.connections();
        if !connections.insert(connection) {
            return None;
        }
        self.count.send_replace(connections.len());
        Some(Attention {
            attending: self,
            connection,
        })
    }

    /// Waits until nothing is attended to.
    pub(super) async fn is_over(&self) {
        let mut count = self.count.subscribe();
        // The sender is ours: it cannot be gone.
        let _none = count.wait_for(|count| *count == 0).await;
    }
}

/// As long as it is there, the connection is attended to here.
struct Attention<'a> {
    attending: &'a Attending,
    connection: ConnectionId,
}

impl Drop for Attention<'_> {
    fn drop(&mut self) {
        let mut connections = self.attending.connections();
        connections.remove(&self.connection);
        self.attending.count.send_replace(connections.len());
    }
}

impl Orchestrator {
    /// Works on the queue that was given to the builder, until `stop` is cancelled: carries out what is announced there, takes
    /// up what dead processes left behind, and announces again what nobody took up. When it is asked to stop, runs stop between
    /// operations within `grace`, and are handed over to whoever else works on the queue.
    ///
    /// # Errors
    /// `Store` if the queue does not work; `ShuttingDown` if there is no queue.
    pub async fn work(&self, stop: CancellationToken, grace: Duration) -> Result<(), RunError> {
        let Some(queue) = self.shared.queue.clone() else {
            let message = "this orchestrator was given no queue to work on";
            return Err(RunError::new(RunErrorKind::ShuttingDown, message));
        };
        let quiet = CancellationToken::new();
        // Also when this future is dropped.
        let _until_then = quiet.clone().drop_guard();
        let watch = tokio::spawn(look_after(self.clone(), quiet.clone()));
        let carrier: Arc<dyn Carrier> = Arc::new(self.clone());
        let work = queue.work(carrier, stop.clone());
        let leave = async {
            stop.cancelled().await;
            self.shutdown(grace).await
        };
        let (worked, interrupted) = tokio::join!(work, leave);
        quiet.cancel();
        if let Err(error) = watch.await {
            tracing::error!(%error, "what looked after forgotten runs ended badly");
        }
        let handed_over = self.hand_over(interrupted).await;
        worked?;
        handed_over
    }

    /// Announces what was cut short, for others: it was queued anew when it was marked. What cannot be told does not keep the
    /// rest: whoever works on finds it in the run log.
    async fn hand_over(&self, interrupted: Vec<RunId>) -> Result<(), RunError> {
        let mut handed_over = Ok(());
        for id in interrupted {
            match self.shared.store.run(id).await {
                Ok(Some(run)) => self.shared.announce(run.connection_id).await,
                Ok(None) => {}
                Err(error) => handed_over = Err(error.into()),
            }
        }
        handed_over
    }
}

#[async_trait]
impl Carrier for Orchestrator {
    async fn attend(&self, connection: ConnectionId) -> Attended {
        self.attend_with(connection, |limits, url| limits.turn_now(url)).await
    }
}

impl Orchestrator {
    async fn attend_with(&self, connection: ConnectionId, turn: fn(&Limits, &str) -> Option<Turn>) -> Attended {
        let shared = &self.shared;
        let Some(_attention) = shared.attending.begin(connection) else {
            return Attended::Later(SOON);
        };
        // Asked first, since it costs least: many may wait for one host, and nobody waits here for that.
        let turn = match shared.store.connection(connection).await {
            Ok(Some(settings)) => match turn(&shared.limits, &settings.url) {
                None => return Attended::Later(shared.options.lease_poll),
                turn => turn,
            },
            // It was deleted; whoever waits for its runs is told below.
            Ok(None) => None,
            Err(error) => return Attended::Failed(error.to_string()),
        };
        loop {
            if shared.stopping.closed.is_cancelled() {
                return Attended::Later(SOON);
            }
            match lane::look(shared, connection, turn.as_ref()).await {
                Ok(Next::Look) => {}
                Ok(Next::Stop) => break,
                Ok(Next::Wait(pause)) => return Attended::Later(pause),
                Err(error) => return Attended::Failed(error.to_string()),
            }
        }
        match is_running(shared, connection).await {
            // Its process may die; then somebody has to look again.
            Ok(true) => Attended::Later(shared.options.lease_poll),
            Ok(false) => Attended::Done,
            Err(error) => Attended::Failed(error.to_string()),
        }
    }
}

async fn is_running(shared: &Shared, connection: ConnectionId) -> Result<bool, RunError> {
    let unfinished = shared.store.unfinished_runs().await?;
    Ok(unfinished
        .iter()
        .any(|run| run.connection_id == connection && run.state == RunState::Started))
}

/// Sees to it that nothing is forgotten: not the runs of a process that died, and not what was queued by one that died before
/// it could tell.
async fn look_after(orchestrator: Orchestrator, quiet: CancellationToken) {
    let shared = Arc::clone(&orchestrator.shared);
    let mut taken_over = JoinSet::new();
    let mut ticks = interval(shared.options.lease_poll);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut tick = 0_u32;
    let mut queued_before: HashSet<RunId> = HashSet::new();
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = quiet.cancelled() => return,
        }
        while taken_over.try_join_next().is_some() {}
        let looked = async {
            let mut dead = recovery::take_up_abandoned(&shared).await?;
            // Somebody else may have found them, as by asking for the status, and carries out nothing.
            dead.extend(recovery::to_be_resumed(&shared).await?);
            for connection in dead {
                if taken_over.len() < TAKEN_OVER_AT_ONCE {
                    let carrier = orchestrator.clone();
                    // What cannot be done now is announced besides, and done by whoever is free then.
                    taken_over.spawn(async move {
                        carrier
                            .attend_with(connection, |limits, url| limits.turn_besides(url))
                            .await
                    });
                }
            }
            if tick.is_multiple_of(REMIND_EVERY) {
                remind(&shared, &mut queued_before).await?;
            }
            Ok::<(), RunError>(())
        };
        if let Err(error) = looked.await {
            tracing::warn!(%error, "what dead processes left behind could not be taken up yet");
        }
        tick = tick.wrapping_add(1);
    }
}

/// Announces again what was queued the last time already.
async fn remind(shared: &Shared, queued_before: &mut HashSet<RunId>) -> Result<(), RunError> {
    let unfinished = shared.store.unfinished_runs().await?;
    let queued: Vec<_> = unfinished
        .into_iter()
        .filter(|run| run.state == RunState::Queued)
        .collect();
    for run in queued.iter().filter(|run| queued_before.contains(&run.id)) {
        shared.announce(run.connection_id).await;
    }
    *queued_before = queued.into_iter().map(|run| run.id).collect();
    Ok(())
}

impl Shared {
    /// Tells the shared queue, if there is one, that something is queued. What cannot be told now is told later by whoever
    /// works on the queue.
    pub(super) async fn announce(&self, connection: ConnectionId) {
        let Some(queue) = &self.queue else { return };
        if let Err(error) = queue.announce(connection).await {
            tracing::warn!(%connection, %error, "a queued run could not be announced yet");
        }
    }
}

/// Follows runs of a connection that others carry out, for those who wait for them here.
pub(super) async fn follow(shared: &Shared, connection: ConnectionId) -> Result<Next, RunError> {
    lane::tell_those_who_wait(shared, connection).await?;
    if shared.registry.waiting(connection).is_empty() {
        return Ok(Next::Stop);
    }
    let poll = shared.options.lease_poll;
    // Whoever carries it out tells how it ended; looking is for what was lost on the way.
    let told = shared.outgoing.is_some();
    Ok(Next::Wait(if told { poll * SELDOM } else { poll }))
}

pub(super) type SharedQueue = Option<Arc<dyn RunQueue>>;
