//! The queue within one process.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt as _;
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
    board: Arc<Board>,
}

/// What waits and what goes on.
#[derive(Debug, Default)]
struct Board {
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
            board: Arc::default(),
        }
    }

    /// Takes the connections whose turn it is, and answers when that of the next one comes.
    fn take(&self) -> (Vec<ConnectionId>, Option<Instant>) {
        let now = Instant::now();
        let mut state = self.board.state();
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
}

impl Board {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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

/// A connection that is attended to. However that ends, the board is told.
struct Attention {
    board: Arc<Board>,
    connection: ConnectionId,
    attended: Attended,
}

impl Attention {
    async fn pay(mut self, carrier: Arc<dyn Carrier>) {
        let attended = AssertUnwindSafe(carrier.attend(self.connection)).catch_unwind().await;
        self.attended =
            attended.unwrap_or_else(|_| Attended::Failed("attending to it panicked; a defect of Magnus".to_owned()));
    }
}

impl Drop for Attention {
    fn drop(&mut self) {
        let attended = std::mem::replace(&mut self.attended, Attended::Done);
        self.board.settle(self.connection, attended);
        self.board.news.notify_one();
    }
}

#[async_trait]
impl RunQueue for LocalQueue {
    async fn announce(&self, connection: ConnectionId) -> Result<(), StoreError> {
        {
            let now = Instant::now();
            let mut state = self.board.state();
            state.dead.remove(&connection);
            let at = state.waiting.entry(connection).or_insert(now);
            *at = now.min(*at);
        }
        self.board.news.notify_one();
        Ok(())
    }

    async fn work(&self, carrier: Arc<dyn Carrier>, stop: CancellationToken) -> Result<(), StoreError> {
        let mut going = JoinSet::new();
        while !stop.is_cancelled() {
            let (ready, next) = self.take();
            for connection in ready {
                let attention = Attention {
                    board: Arc::clone(&self.board),
                    connection,
                    // What is dropped half-way is looked at again.
                    attended: Attended::Later(Duration::ZERO),
                };
                going.spawn(attention.pay(Arc::clone(&carrier)));
            }
            tokio::select! {
                Some(_ended) = going.join_next() => {}
                () = self.board.news.notified() => {}
                () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {}
                () = stop.cancelled() => {}
            }
        }
        while going.join_next().await.is_some() {}
        Ok(())
    }

    async fn dead_letters(&self) -> Result<Vec<DeadLetter>, StoreError> {
        let dead = self.board.state().dead.clone();
        let letters = dead
            .into_iter()
            .map(|(connection, reason)| DeadLetter { connection, reason });
        Ok(letters.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Unlucky;

    #[async_trait]
    impl Carrier for Unlucky {
        async fn attend(&self, _: ConnectionId) -> Attended {
            panic!("on purpose");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn word_that_fails_for_long_is_given_up_until_it_is_told_again() {
        let queue = Arc::new(LocalQueue::new(2));
        let (connection, stop) = (ConnectionId::generate(), CancellationToken::new());
        queue.announce(connection).await.unwrap();
        let work = {
            let (queue, stop) = (Arc::clone(&queue), stop.clone());
            tokio::spawn(async move { queue.work(Arc::new(Unlucky), stop).await })
        };
        // Time is paused: it goes on only when everybody waits, and then far enough for the next try.
        while queue.dead_letters().await.unwrap().is_empty() {
            tokio::time::sleep(FIRST_PAUSE).await;
        }
        let given_up = queue.dead_letters().await.unwrap();
        assert_eq!(given_up[0].connection, connection);
        assert!(given_up[0].reason.contains("panicked"), "{given_up:?}");
        queue.announce(connection).await.unwrap();
        assert_eq!(queue.dead_letters().await.unwrap(), []);
        stop.cancel();
        work.await.unwrap().unwrap();
    }
}
