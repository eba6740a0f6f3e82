//! Repeats calls that failed for a moment, and only those that may be repeated.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::around::{Layer, WriteResult};
use crate::connection::{Connection, ConnectionError, Meter, Outcome, RemoteWrite};

/// How often and for how long a call is repeated. Waits double from try to try and have jitter, so that many callers
/// do not come back at the same moment; what the tool asks for with `Retry-After` is their floor.
///
/// A read is repeated when its error is transient. A write is repeated only when it surely was not applied as well: one
/// whose answer was lost may have been. Errors of authentication are never repeated, since some tools lock an address
/// out for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// The most tries, the first one included.
    pub tries: usize,
    /// The longest time from the start of the first try to the start of the last.
    pub total: Duration,
    /// The wait before the second try.
    pub first_wait: Duration,
    /// The longest wait that is not the tool's own wish, before jitter.
    pub longest_wait: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            tries: 4,
            total: Duration::from_secs(20),
            first_wait: Duration::from_millis(250),
            longest_wait: Duration::from_secs(5),
        }
    }
}

impl RetryPolicy {
    /// The most tries, the first one included; 1 switches retries off.
    #[must_use]
    pub const fn tries(mut self, tries: usize) -> Self {
        self.tries = tries;
        self
    }

    /// The longest time from the start of the first try to the start of the last.
    #[must_use]
    pub const fn total(mut self, total: Duration) -> Self {
        self.total = total;
        self
    }

    fn waits(&self) -> Waits {
        // The seed is random: processes that fail at the same moment must not come back at the same moment.
        let seed = Uuid::new_v4().as_u64_pair().0;
        let backoff = ExponentialBuilder::new()
            .with_factor(2.0)
            .with_min_delay(self.first_wait)
            .with_max_delay(self.longest_wait)
            .with_max_times(self.tries.saturating_sub(1))
            .with_jitter_seed(seed)
            .with_jitter()
            .build();
        Waits {
            backoff,
            give_up_at: Instant::now() + self.total,
            turns: Meter::new(),
        }
    }
}

/// The waits of one call.
struct Waits {
    backoff: ExponentialBackoff,
    give_up_at: Instant,
    /// What the tries waited for their turns is not part of the total.
    turns: Meter,
}

impl Waits {
    /// How long to wait before the next try, if there may be one.
    fn next(&mut self, floor: Option<Duration>) -> Option<Duration> {
        let wait = self.backoff.next()?.max(floor.unwrap_or_default());
        let starts_at = Instant::now().checked_add(wait)?;
        let give_up_at = self.give_up_at.checked_add(self.turns.waited())?;
        (starts_at <= give_up_at).then_some(wait)
    }
}

#[derive(Debug)]
pub(super) struct Retry {
    policy: RetryPolicy,
}

impl Retry {
    pub(super) const fn new(policy: RetryPolicy) -> Self {
        Self { policy }
    }
}

impl Layer for Retry {
    async fn read<T, F, R>(&self, operation: &'static str, call: F) -> Result<T, ConnectionError>
    where
        T: Send,
        F: Fn() -> R + Send + Sync,
        R: Future<Output = Result<T, ConnectionError>> + Send,
    {
        let mut waits = self.policy.waits();
        loop {
            let error = match waits.turns.measure(call()).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if !error.kind().is_transient() {
                return Err(error);
            }
            let Some(wait) = waits.next(error.retry_after()) else {
                return Err(error);
            };
            tracing::debug!(operation, kind = ?error.kind(), ?wait, "the tool did not answer well; trying again");
            sleep(wait).await;
        }
    }

    async fn write(&self, inner: &dyn Connection, writes: Vec<RemoteWrite>) -> Vec<WriteResult> {
        let mut waits = self.policy.waits();
        let mut results = waits.turns.measure(inner.write(writes.clone())).await;
        loop {
            let again: Vec<usize> = positions_to_repeat(&results);
            let floor = again
                .iter()
                .filter_map(|&at| results[at].as_ref().err()?.retry_after())
                .max();
            if again.is_empty() || results.len() != writes.len() {
                return results;
            }
            let Some(wait) = waits.next(floor) else { return results };
            tracing::debug!(
                operation = "write",
                items = again.len(),
                ?wait,
                "not applied; trying again"
            );
            sleep(wait).await;
            let repeated = again.iter().map(|&at| writes[at].clone()).collect();
            let answers = waits.turns.measure(inner.write(repeated)).await;
            for (at, answer) in again.into_iter().zip(answers) {
                results[at] = answer;
            }
        }
    }
}

fn positions_to_repeat(results: &[WriteResult]) -> Vec<usize> {
    let failed = results
        .iter()
        .enumerate()
        .filter_map(|(at, result)| Some((at, result.as_ref().err()?)));
    failed
        .filter(|(_, error)| error.kind().is_transient() && error.outcome() == Outcome::NotApplied)
        .map(|(at, _)| at)
        .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::around::Around;
    use super::super::scripted::{Scripted, create, error};
    use super::*;
    use crate::connection::ConnectionErrorKind::{RateLimited, Timeout, Unauthorized, Unavailable};
    use crate::connection::ListProjects;

    fn retrying(script: &Arc<Scripted>) -> Arc<dyn Connection> {
        Around::wrap(
            Arc::clone(script) as Arc<dyn Connection>,
            Retry::new(RetryPolicy::default()),
        )
    }

    #[tokio::test(start_paused = true)]
    async fn a_read_that_fails_for_a_moment_is_repeated() {
        let script = Scripted::new([Err(error(Unavailable)), Err(error(Timeout)), Ok(())]);
        retrying(&script).list_projects(ListProjects::default()).await.unwrap();
        assert_eq!(script.calls(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_read_is_tried_at_most_four_times_and_the_last_error_is_told() {
        let script = Scripted::new((0..9).map(|_| Err(error(Unavailable))));
        let failure = retrying(&script).check().await.unwrap_err();
        assert_eq!((failure.kind(), script.calls()), (Unavailable, 4));
    }

    #[tokio::test(start_paused = true)]
    async fn errors_of_authentication_are_never_repeated() {
        let script = Scripted::new([Err(error(Unauthorized)), Ok(())]);
        assert_eq!(retrying(&script).check().await.unwrap_err().kind(), Unauthorized);
        assert_eq!(script.calls(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn the_tools_own_wish_is_the_floor_of_the_wait() {
        let asked = Duration::from_secs(7);
        let script = Scripted::new([Err(error(RateLimited).with_retry_after(Some(asked))), Ok(())]);
        let begun = Instant::now();
        retrying(&script).check().await.unwrap();
        assert!(begun.elapsed() >= asked, "{:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_beyond_the_total_time_is_not_begun() {
        let asked = Duration::from_secs(60);
        let script = Scripted::new([Err(error(RateLimited).with_retry_after(Some(asked))), Ok(())]);
        let begun = Instant::now();
        let failure = retrying(&script).check().await.unwrap_err();
        assert_eq!((failure.retry_after(), script.calls()), (Some(asked), 1));
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn slow_failures_count_against_the_total_time() {
        let script = Scripted::new((0..9).map(|_| Err(error(Unavailable)))).each_taking(Duration::from_secs(15));
        retrying(&script).check().await.unwrap_err();
        assert_eq!(script.calls(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_that_was_not_applied_is_repeated_alone() {
        let script = Scripted::new([
            Ok(()),
            Err(error(Unavailable)),
            Err(error(Timeout).with_outcome(Outcome::Unknown)),
            Ok(()),
        ]);
        let results = retrying(&script)
            .write(vec![create("a"), create("b"), create("c")])
            .await;
        assert!(results[0].is_ok() && results[1].is_ok());
        assert_eq!(results[2].as_ref().unwrap_err().outcome(), Outcome::Unknown);
        assert_eq!(
            script.batches(),
            vec![vec![create("a"), create("b"), create("c")], vec![create("b")]]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_whose_answer_was_lost_is_never_sent_again() {
        let script = Scripted::new([Err(error(Timeout).with_outcome(Outcome::Unknown)), Ok(())]);
        let results = retrying(&script).write(vec![create("a")]).await;
        assert!(results[0].is_err());
        assert_eq!(script.batches().len(), 1);
    }
}
