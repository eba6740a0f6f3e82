//! Bounds how long one try of a call may take.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::around::{Layer, WriteResult};
use crate::connection::{Connection, ConnectionError, ConnectionErrorKind, Meter, Outcome, RemoteWrite};

#[derive(Debug)]
pub(super) struct TimeLimit {
    limit: Duration,
}

impl TimeLimit {
    pub(super) const fn new(limit: Duration) -> Self {
        Self { limit }
    }

    /// What so many calls answer within the limit of each. What the adapter waits for its turn is not silence of the tool.
    async fn within<F: Future>(&self, calls: usize, call: F) -> Option<F::Output> {
        let limit = self
            .limit
            .saturating_mul(u32::try_from(calls).unwrap_or(u32::MAX).max(1));
        let meter = Meter::new();
        let begun = Instant::now();
        let mut call = std::pin::pin!(meter.measure(call));
        loop {
            let deadline = begun.checked_add(limit.saturating_add(meter.waited()));
            let Some(deadline) = deadline else {
                return Some(call.await);
            };
            match timeout_at(deadline, &mut call).await {
                Ok(answer) => return Some(answer),
                Err(_) if begun + limit + meter.waited() > deadline => {}
                Err(_) => return None,
            }
        }
    }

    fn error(&self, operation: &'static str) -> ConnectionError {
        let message = format!("no answer within {:?}; is the server overloaded?", self.limit);
        ConnectionError::new(ConnectionErrorKind::Timeout, operation, message)
    }
}

impl Layer for TimeLimit {
    async fn read<T, F, R>(&self, operation: &'static str, call: F) -> Result<T, ConnectionError>
    where
        T: Send,
        F: Fn() -> R + Send + Sync,
        R: Future<Output = Result<T, ConnectionError>> + Send,
    {
        self.within(1, call())
            .await
            .unwrap_or_else(|| Err(self.error(operation)))
    }

    async fn write(&self, inner: &dyn Connection, writes: Vec<RemoteWrite>) -> Vec<WriteResult> {
        let count = writes.len();
        match self.within(count, inner.write(writes)).await {
            Some(results) => results,
            // Each may have arrived; only looking at the tool again can tell.
            None => (0..count)
                .map(|_| Err(self.error("write").with_outcome(Outcome::Unknown)))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::around::Around;
    use super::super::scripted::{Scripted, create};
    use super::*;
    use crate::connection::ListProjects;

    const SECOND: Duration = Duration::from_secs(1);

    fn limited(limit: Duration) -> Arc<dyn Connection> {
        let script = Scripted::new([]).each_taking(10 * SECOND);
        Around::wrap(script, TimeLimit::new(limit))
    }

    #[tokio::test(start_paused = true)]
    async fn a_read_without_answer_ends_and_has_changed_nothing() {
        let failure = limited(9 * SECOND)
            .list_projects(ListProjects::default())
            .await
            .unwrap_err();
        assert_eq!(
            (failure.kind(), failure.outcome()),
            (ConnectionErrorKind::Timeout, Outcome::NotApplied)
        );
        assert!(
            limited(11 * SECOND)
                .list_projects(ListProjects::default())
                .await
                .is_ok()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn every_write_of_a_batch_without_answer_is_of_unknown_outcome() {
        // Each may take its time: ten seconds for both are in time with six for each.
        let results = limited(6 * SECOND).write(vec![create("a"), create("b")]).await;
        assert!(results.iter().all(Result::is_ok));
        let results = limited(4 * SECOND).write(vec![create("a"), create("b")]).await;
        let outcomes: Vec<Outcome> = results
            .iter()
            .map(|result| result.as_ref().unwrap_err().outcome())
            .collect();
        assert_eq!(outcomes, [Outcome::Unknown, Outcome::Unknown]);
    }
}
