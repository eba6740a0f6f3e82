//! The queue within one process.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{Attended, Carrier, DeadLetter, RunQueue};
use crate::model::ConnectionId;
use crate::store::StoreError;

/// Word is given up after this many failures in a row.
const MOST_FAILURES: u32 = 8;

/// The pause after the first failure; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// A queue within one process: word that is told here is heard here.
#[derive(Debug)]
pub struct LocalQueue {
    at_once: usize,
    state: Mutex<State>,
    news: Notify,
}

#[derive(Debug, Default)]
struct State {
    waiting: BTreeMap<ConnectionId, Instant>,
    failures: HashMap<ConnectionId, u32>,
    going: HashSet<ConnectionId>,
    dead: BTreeMap<ConnectionId, String>,
}

impl LocalQueue {
    /// A queue of which at most this many connections are attended to at once; at least 1.
    #[must_use]
    pub fn new(at_once: usize) -> Self {
        Self {
            at_once: at_once.max(1),
            state: Mutex::default(),
            news: Notify::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the connections whose turn it is, and answers when that of the next one comes.
    fn take(&self) -> (Vec<ConnectionId>, Option<Instant>) {
        let now = Instant::now();
        let mut state = self.state();
        let State { waiting, going, .. } = &mut *state;
        let mut ready: Vec<(Instant, ConnectionId)> = waiting
            .iter()
            .filter(|(connection, at)| **at <= now && !going.contains(connection))
            .map(|(connection, at)| (*at, *connection))
            .collect();
        // Whoever waits longest comes first.
        ready.sort();
        ready.truncate(self.at_once.saturating_sub(going.len()));
        for (_, connection) in &ready {
            waiting.remove(connection);
            going.insert(*connection);
        }
        let next = waiting.values().filter(|at| **at > now).min().copied();
        (ready.into_iter().map(|(_, connection)| connection).collect(), next)
    }

    fn settle(&self, connection: ConnectionId, attended: Attended) {
        let now = Instant::now();
        let mut state = self.state();
        state.going.remove(&connection);
        if !matches!(attended, Attended::Failed(_)) {
            state.failures.remove(&connection);
        }
        match attended {
            Attended::Done => {}
            Attended::Later(pause) => {
                // Word that came meanwhile is older and goes first.
                state.waiting.entry(connection).or_insert(now + pause);
            }
            Attended::Failed(reason) => {
                let failures = state.failures.entry(connection).or_default();
                *failures += 1;
                let failures = *failures;
                if failures >= MOST_FAILURES {
                    tracing::error!(%connection, reason, failures, "given up");
                    state.failures.remove(&connection);
                    state.dead.insert(connection, reason);
                } else {
                    let pause = FIRST_PAUSE * 2_u32.pow(failures - 1);
                    state.waiting.entry(connection).or_insert(now + pause);
                }
            }
        }
    }
}

#[async_trait]
impl RunQueue for LocalQueue {
    async fn announce(&self, connection: ConnectionId) -> Result<(), StoreError> {
        {
            let now = Instant::now();
            let mut state = self.state();
            state.dead.remove(&connection);
            let at = state.waiting.entry(connection).or_insert(now);
            *at = now.min(*at);
        }
        self.news.notify_one();
        Ok(())
    }

    async fn work(&self, carrier: Arc<dyn Carrier>, stop: CancellationToken) -> Result<(), StoreError> {
        let mut going = JoinSet::new();
        while !stop.is_cancelled() {
            let (ready, next) = self.take();
            for connection in ready {
                let carrier = Arc::clone(&carrier);
                going.spawn(async move {
                    // In a task of its own, so that a panic is a failure and not the end of the queue.
                    let attended = tokio::spawn(async move { carrier.attend(connection).await }).await;
                    (
                        connection,
                        attended.unwrap_or_else(|error| Attended::Failed(error.to_string())),
                    )
                });
            }
            tokio::select! {
                Some(Ok((connection, attended))) = going.join_next() => self.settle(connection, attended),
                () = self.news.notified() => {}
                () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {}
                () = stop.cancelled() => {}
            }
        }
        while let Some(ended) = going.join_next().await {
            if let Ok((connection, attended)) = ended {
                self.settle(connection, attended);
            }
        }
        Ok(())
    }

    async fn dead_letters(&self) -> Result<Vec<DeadLetter>, StoreError> {
        let dead = self.state().dead.clone();
        let letters = dead
            .into_iter()
            .map(|(connection, reason)| DeadLetter { connection, reason });
        Ok(letters.collect())
    }
}
