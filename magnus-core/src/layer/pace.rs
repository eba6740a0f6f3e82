//! Spares a tool that asks for it: what one call learns, all calls of the connection heed.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::around::{Layer, WriteResult};
use crate::connection::{Connection, ConnectionError, ConnectionErrorKind, RemoteWrite};

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
        Self {
            first_space: Duration::from_millis(100),
            widest_space: Duration::from_secs(10),
            calm_after: 20,
            longest_wait: Duration::from_secs(60),
        }
    }
}

impl PacePolicy {
    /// A call that would have to wait longer than this for its turn fails at once instead.
    #[must_use]
    pub const fn longest_wait(mut self, wait: Duration) -> Self {
        self.longest_wait = wait;
        self
    }
}

/// What was learned so far.
#[derive(Debug, Default)]
struct Learned {
    /// The space between calls; zero as long as nobody complained.
    space: Duration,
    /// No call begins before this.
    not_before: Option<Instant>,
    /// Good answers since the last complaint or halving.
    calm: u32,
}

#[derive(Debug)]
pub(super) struct Pace {
    policy: PacePolicy,
    learned: Mutex<Learned>,
}

impl Pace {
    pub(super) fn new(policy: PacePolicy) -> Self {
        Self {
            policy,
            learned: Mutex::default(),
        }
    }

    fn learned(&self) -> MutexGuard<'_, Learned> {
        self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the next turn, and answers when it is; each caller gets one of its own. One that is too far off is not
    /// taken, and the answer is how far off it is.
    fn take_turn(&self) -> Result<Instant, Duration> {
        let now = Instant::now();
        let mut learned = self.learned();
        let turn = learned.not_before.map_or(now, |instant| instant.max(now));
        let wait = turn - now;
        if wait > self.policy.longest_wait {
            return Err(wait);
        }
        learned.not_before = Some(turn + learned.space);
        Ok(turn)
    }

    fn learn_complaint(&self, retry_after: Option<Duration>) {
        let mut learned = self.learned();
        learned.calm = 0;
        learned.space = (learned.space * 2).clamp(self.policy.first_space, self.policy.widest_space);
        let pause = retry_after.unwrap_or_default().max(learned.space);
        let until = Instant::now().checked_add(pause);
        learned.not_before = learned.not_before.max(until);
    }

    fn learn_calm(&self) {
        let mut learned = self.learned();
        if learned.space.is_zero() {
            return;
        }
        learned.calm += 1;
        if learned.calm >= self.policy.calm_after {
            learned.calm = 0;
            let half = learned.space / 2;
            learned.space = if half < self.policy.first_space {
                Duration::ZERO
            } else {
                half
            };
        }
    }

    fn learn(&self, errors: &mut dyn Iterator<Item = &ConnectionError>) {
        let complaints = errors.filter(|error| error.kind() == ConnectionErrorKind::RateLimited);
        match complaints.map(ConnectionError::retry_after).reduce(Option::max) {
            Some(retry_after) => self.learn_complaint(retry_after),
            None => self.learn_calm(),
        }
    }
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
        let turn = self.take_turn().map_err(|wait| too_far_off(operation, wait))?;
        sleep_until(turn).await;
        let answer = call().await;
        self.learn(&mut answer.as_ref().err().into_iter());
        answer
    }

    async fn write(&self, inner: &dyn Connection, writes: Vec<RemoteWrite>) -> Vec<WriteResult> {
        match self.take_turn() {
            Ok(turn) => sleep_until(turn).await,
            Err(wait) => return writes.iter().map(|_| Err(too_far_off("write", wait))).collect(),
        }
        let results = inner.write(writes).await;
        self.learn(&mut results.iter().filter_map(|result| result.as_ref().err()));
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

    fn paced(script: &Arc<Scripted>) -> Arc<dyn Connection> {
        Around::wrap(
            Arc::clone(script) as Arc<dyn Connection>,
            Pace::new(PacePolicy::default()),
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
