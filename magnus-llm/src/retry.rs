//! Asks again where that may help.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use magnus_core::breakdown::BreakdownError;
use uuid::Uuid;

/// How often a model is asked again when its server is overloaded or fails, and how long it is waited in between. What the
/// server asks for with `retry-after` is the floor of a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retries {
    /// The most tries, the first one included.
    pub tries: usize,
    /// The wait before the second try; it doubles from try to try, with jitter.
    pub first_wait: Duration,
    /// The longest wait. A server that asks for more is not waited for.
    pub longest_wait: Duration,
}

impl Default for Retries {
    fn default() -> Self {
        Self {
            tries: 4,
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_secs(60),
        }
    }
}

impl Retries {
    /// The most tries; 1 switches retries off.
    #[must_use]
    pub const fn tries(mut self, tries: usize) -> Self {
        self.tries = tries;
        self
    }
}

/// Asks until there is an answer, an error that asking again does not help, or enough was tried.
pub(crate) async fn patiently<T, F, W>(
    retries: Retries,
    mut ask: impl FnMut() -> F,
    mut wait: impl FnMut(Duration) -> W,
) -> Result<T, BreakdownError>
where
    F: Future<Output = Result<T, BreakdownError>>,
    W: Future<Output = ()>,
{
    // The seed is random: processes that were refused at the same moment must not come back at the same moment.
    let mut waits = ExponentialBuilder::new()
        .with_factor(2.0)
        .with_min_delay(retries.first_wait)
        .with_max_delay(retries.longest_wait)
        .with_max_times(retries.tries.saturating_sub(1))
        .with_jitter_seed(Uuid::new_v4().as_u64_pair().0)
        .with_jitter()
        .build();
    loop {
        let error = match ask().await {
            Ok(answer) => return Ok(answer),
            Err(error) if !error.is_transient() => return Err(error),
            Err(error) => error,
        };
        let asked_for = error.retry_after().unwrap_or_default();
        let Some(next) = waits.next().filter(|_| asked_for <= retries.longest_wait) else {
            return Err(error);
        };
        let next = next.max(asked_for);
        tracing::debug!(%error, wait = ?next, "the model did not answer; it is asked again");
        wait(next).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use magnus_core::breakdown::BreakdownErrorKind::{self, Overloaded, Rejected, Unauthorized, Unavailable};

    use super::*;

    /// How often it was asked, and how long it was waited, for errors of these kinds in a row.
    async fn asked(kinds: &[(BreakdownErrorKind, Option<u64>)]) -> (usize, Vec<u64>, bool) {
        let times = Mutex::new(0);
        let waited = Mutex::new(Vec::new());
        let answer = patiently(
            Retries::default(),
            || {
                let mut times = times.lock().unwrap();
                *times += 1;
                let error = kinds.get(*times - 1).map(|(kind, seconds)| {
                    BreakdownError::new(*kind, "ask", "no").with_retry_after(seconds.map(Duration::from_secs))
                });
                std::future::ready(error.map_or(Ok(()), Err))
            },
            |wait| {
                waited.lock().unwrap().push(wait.as_secs());
                std::future::ready(())
            },
        )
        .await;
        let waited = waited.into_inner().unwrap();
        (times.into_inner().unwrap(), waited, answer.is_ok())
    }

    #[tokio::test]
    async fn what_may_pass_is_tried_again_and_nothing_else_is() {
        assert_eq!(asked(&[(Overloaded, Some(7))]).await, (2, vec![7], true));
        let (times, waited, is_answered) = asked(&[(Unavailable, None); 5]).await;
        assert_eq!((times, waited.len(), is_answered), (4, 3, false));
        assert!(waited[0] <= 2 && waited[2] >= 4 && waited[2] <= 8, "{waited:?}");
        for kind in [Rejected, Unauthorized] {
            assert_eq!(asked(&[(kind, None)]).await, (1, vec![], false));
        }
        assert_eq!(
            asked(&[(Overloaded, Some(3600))]).await,
            (1, vec![], false),
            "nobody waits for an hour"
        );
    }
}
