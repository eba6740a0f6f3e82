//! Spares a tool that asks for it: what one call learns, all calls to its host heed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::around::{Layer, WriteResult};
use super::pace_book::{Heard, LocalPaceBook, PaceBook, Turns};
use crate::connection::{Connection, ConnectionError, ConnectionErrorKind, RemoteWrite};

/// How many turns are taken at once where a book is shared and each look into it costs.
const TURNS_AT_ONCE: u32 = 16;

/// How calls are spaced once a tool said "too many requests". Until it does, nothing is slowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PacePolicy {
    /// The space between calls after the first such answer; each further one doubles it.
    pub first_space: Duration,
    /// The widest space between calls.
    pub widest_space: Duration,
    /// After this many good answers in a row the space is halved, and at last dropped.
    pub calm_after: u32,
    /// A call that would have to wait longer than this for its turn fails at once instead.
    pub longest_wait: Duration,
}

impl Default for PacePolicy {
    fn default() -> Self {
        Self::new()
    }
}

impl PacePolicy {
    /// Spaces that suit tools which count requests by the minute.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            first_space: Duration::from_millis(100),
            widest_space: Duration::from_secs(10),
            calm_after: 20,
            longest_wait: Duration::from_secs(60),
        }
    }

    /// A call that would have to wait longer than this for its turn fails at once instead.
    #[must_use]
    pub const fn longest_wait(mut self, wait: Duration) -> Self {
        self.longest_wait = wait;
        self
    }
}

/// Turns that were taken from the book, and what was heard since.
#[derive(Debug, Default)]
struct Taken {
    /// Good answers since the last look into the book.
    calm: u32,
    /// When the next turn is; `None` before the first look into the book.
    next: Option<Instant>,
    space: Duration,
    left: u32,
    /// From then on the book may say otherwise.
    stale_at: Option<Instant>,
}

#[derive(Debug)]
pub(super) struct Pace {
    host: String,
    policy: PacePolicy,
    book: Arc<dyn PaceBook>,
    /// What goes on if the book cannot be read: the tool is spared all the same, by this process.
    fallback: LocalPaceBook,
    taken: Mutex<Taken>,
}

impl Pace {
    pub(super) fn new(host: String, policy: PacePolicy, book: Arc<dyn PaceBook>) -> Self {
        Self {
            host,
            policy,
            book,
            fallback: LocalPaceBook::new(),
            taken: Mutex::default(),
        }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the next turn, and answers when it is; each caller gets one of its own. One that is too far off is not
    /// taken, and the answer is how far off it is.
    async fn take_turn(&self) -> Result<Instant, Duration> {
        if let Some(turn) = self.next_taken() {
            return Ok(turn);
        }
        let turns = self.look(Heard::default()).await;
        if turns.count == 0 {
            return Err(turns.wait);
        }
        let first = Instant::now() + turns.wait;
        self.keep(first + turns.space, turns.count - 1, turns);
        Ok(first)
    }

    /// Tells the book what was heard, and takes turns.
    async fn look(&self, heard: Heard) -> Turns {
        let heard = Heard {
            calm: std::mem::take(&mut self.taken().calm),
            ..heard
        };
        let most = if self.book.fresh_for().is_zero() {
            1
        } else {
            TURNS_AT_ONCE
        };
        match self.book.turns(&self.host, heard, most, self.policy).await {
            Ok(turns) => turns,
            Err(error) => {
                tracing::warn!(host = self.host, %error, "the shared pace of a tool is out of reach; keeping to our own");
                self.fallback.turns_now(&self.host, heard, most, &self.policy)
            }
        }
    }

    /// One of the turns that were taken before, if there is one that still stands.
    fn next_taken(&self) -> Option<Instant> {
        let now = Instant::now();
        let mut taken = self.taken();
        let stands = taken.stale_at.is_some_and(|stale| now < stale);
        if !stands {
            return None;
        }
        if taken.space.is_zero() {
            // Nobody has complained: calls go as they come until the book is looked into again.
            return Some(now);
        }
        taken.left = taken.left.checked_sub(1)?;
        let turn = taken.next?.max(now);
        taken.next = Some(turn + taken.space);
        Some(turn)
    }

    /// Keeps turns for the next calls.
    fn keep(&self, next: Instant, left: u32, turns: Turns) {
        let now = Instant::now();
        // Turns that lie ahead are ours, however long it takes until they come.
        let ahead = if turns.space.is_zero() {
            self.book.fresh_for()
        } else {
            turns.wait + turns.space * turns.count
        };
        let mut taken = self.taken();
        taken.next = Some(next);
        taken.left = left;
        taken.space = turns.space;
        taken.stale_at = Some(now + ahead);
    }

    /// Takes in whether a call was complained of. A complaint is told at once, so that others hear of it, and all turns
    /// that were taken before are void.
    async fn learn(&self, complaint: Option<Option<Duration>>) {
        let Some(retry_after) = complaint else {
            let mut taken = self.taken();
            taken.calm = taken.calm.saturating_add(1);
            return;
        };
        let turns = self
            .look(Heard {
                complaints: 1,
                retry_after,
                ..Heard::default()
            })
            .await;
        self.keep(Instant::now() + turns.wait, turns.count, turns);
    }
}

/// Whether a tool said "too many requests", with the longest pause that it asked for.
fn complaint<'a>(errors: impl Iterator<Item = &'a ConnectionError>) -> Option<Option<Duration>> {
    errors
        .filter(|error| error.kind() == ConnectionErrorKind::RateLimited)
        .map(ConnectionError::retry_after)
        .reduce(Option::max)
}

fn too_far_off(operation: &'static str, wait: Duration) -> ConnectionError {
    let message = format!("the tool asked for a pause that lasts another {} s", wait.as_secs());
    ConnectionError::new(ConnectionErrorKind::RateLimited, operation, message).with_retry_after(Some(wait))
}

impl Layer for Pace {
    async fn read<T, F, R>(&self, operation: &'static str, call: F) -> Result<T, ConnectionError>
    where
        T: Send,
        F: Fn() -> R + Send + Sync,
        R: Future<Output = Result<T, ConnectionError>> + Send,
    {
        let turn = self.take_turn().await.map_err(|wait| too_far_off(operation, wait))?;
        sleep_until(turn).await;
        let answer = call().await;
        self.learn(complaint(answer.as_ref().err().into_iter())).await;
        answer
    }

    async fn write(&self, inner: &dyn Connection, writes: Vec<RemoteWrite>) -> Vec<WriteResult> {
        match self.take_turn().await {
            Ok(turn) => sleep_until(turn).await,
            Err(wait) => return writes.iter().map(|_| Err(too_far_off("write", wait))).collect(),
        }
        let results = inner.write(writes).await;
        let complaint = complaint(results.iter().filter_map(|result| result.as_ref().err()));
        self.learn(complaint).await;
        results
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::around::Around;
    use super::super::scripted::{Scripted, create, error};
    use super::*;
    use crate::connection::Outcome;
    use crate::store::{StoreError, StoreErrorKind};

    fn paced(script: &Arc<Scripted>) -> Arc<dyn Connection> {
        Around::wrap(
            Arc::clone(script) as Arc<dyn Connection>,
            Pace::new(
                "tool.example".to_owned(),
                PacePolicy::default(),
                Arc::new(LocalPaceBook::new()),
            ),
        )
    }

    fn too_many(retry_after: u64) -> ConnectionError {
        error(ConnectionErrorKind::RateLimited).with_retry_after(Some(Duration::from_secs(retry_after)))
    }

    #[tokio::test(start_paused = true)]
    async fn a_tool_that_does_not_complain_is_not_slowed() {
        let connection = paced(&Scripted::new([]));
        let begun = Instant::now();
        for _ in 0..50 {
            connection.check().await.unwrap();
        }
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn what_one_call_learns_all_calls_of_the_connection_heed() {
        let connection = paced(&Scripted::new([Err(too_many(5))]));
        connection.check().await.unwrap_err();
        let begun = Instant::now();
        let results = connection.write(vec![create("a")]).await;
        assert!(results[0].is_ok());
        assert_eq!(begun.elapsed(), Duration::from_secs(5));
        connection.check().await.unwrap();
        assert_eq!(
            begun.elapsed(),
            Duration::from_millis(5_100),
            "after a complaint calls keep a distance"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_one_connection_learns_all_that_call_the_host_heed() {
        let book: Arc<dyn PaceBook> = Arc::new(LocalPaceBook::new());
        let connect = |host: &str, script: Arc<Scripted>| {
            let pace = Pace::new(host.to_owned(), PacePolicy::default(), Arc::clone(&book));
            Around::wrap(script as Arc<dyn Connection>, pace)
        };
        let one = connect("tool.example", Scripted::new([Err(too_many(5))]));
        let other = connect("tool.example", Scripted::new([]));
        let elsewhere = connect("elsewhere.example", Scripted::new([]));
        other.check().await.unwrap();
        one.check().await.unwrap_err();
        let begun = Instant::now();
        elsewhere.check().await.unwrap();
        assert_eq!(begun.elapsed(), Duration::ZERO);
        one.check().await.unwrap();
        other.check().await.unwrap();
        assert_eq!(begun.elapsed(), Duration::from_millis(5_100), "one after the other");
    }

    /// A book that others share, and that cannot be read while it is torn.
    #[derive(Debug, Default)]
    struct SharedBook {
        pages: LocalPaceBook,
        looks: std::sync::atomic::AtomicU32,
        torn: std::sync::atomic::AtomicBool,
    }

    #[async_trait::async_trait]
    impl PaceBook for SharedBook {
        async fn turns(&self, host: &str, heard: Heard, most: u32, policy: PacePolicy) -> Result<Turns, StoreError> {
            use std::sync::atomic::Ordering::SeqCst;
            if self.torn.load(SeqCst) {
                return Err(StoreError::new(StoreErrorKind::Unavailable, "take turns", "torn"));
            }
            self.looks.fetch_add(1, SeqCst);
            self.pages.turns(host, heard, most, policy).await
        }

        fn fresh_for(&self) -> Duration {
            Duration::from_secs(1)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_shared_book_is_not_looked_into_for_each_call() {
        let book = Arc::new(SharedBook::default());
        let pace = |script: Arc<Scripted>| {
            let pace = Pace::new("tool.example".to_owned(), PacePolicy::default(), Arc::clone(&book) as _);
            Around::wrap(script as Arc<dyn Connection>, pace)
        };
        let looks = || book.looks.load(std::sync::atomic::Ordering::SeqCst);
        let calm = pace(Scripted::new([]));
        for _ in 0..500 {
            calm.check().await.unwrap();
        }
        assert_eq!(looks(), 1);
        let spaced = pace(Scripted::new([Err(too_many(1))]));
        spaced.check().await.unwrap_err();
        let (begun, before) = (Instant::now(), looks());
        for _ in 0..16 {
            spaced.check().await.unwrap();
        }
        assert_eq!(begun.elapsed(), Duration::from_millis(1_000 + 15 * 100));
        assert_eq!(looks(), before, "all turns came with the complaint");
    }

    #[tokio::test(start_paused = true)]
    async fn a_tool_is_spared_also_while_the_book_cannot_be_read() {
        let book = Arc::new(SharedBook::default());
        book.torn.store(true, std::sync::atomic::Ordering::SeqCst);
        let pace = Pace::new("tool.example".to_owned(), PacePolicy::default(), book);
        let connection = Around::wrap(Scripted::new([Err(too_many(5))]) as Arc<dyn Connection>, pace);
        connection.check().await.unwrap_err();
        let begun = Instant::now();
        connection.check().await.unwrap();
        assert_eq!(begun.elapsed(), Duration::from_secs(5));
    }

    #[tokio::test(start_paused = true)]
    async fn after_good_answers_the_distance_is_dropped() {
        let connection = paced(&Scripted::new([Err(too_many(1))]));
        connection.check().await.unwrap_err();
        for _ in 0..22 {
            connection.check().await.unwrap();
        }
        let begun = Instant::now();
        connection.check().await.unwrap();
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_too_long_to_wait_for_fails_at_once_and_says_how_long_it_lasts() {
        let script = Scripted::new([Err(too_many(3_600))]);
        let connection = paced(&script);
        connection.check().await.unwrap_err();
        let failure = connection.check().await.unwrap_err();
        assert_eq!(failure.retry_after(), Some(Duration::from_secs(3_600)));
        let results = connection.write(vec![create("a")]).await;
        assert_eq!(results[0].as_ref().unwrap_err().outcome(), Outcome::NotApplied);
        assert_eq!(script.calls(), 1, "the tool was left alone");
    }
}
