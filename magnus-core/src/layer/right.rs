//! Lets nothing out once the lease of its run is gone: it may have waited for its turn, or the whole process stood still.

use super::around::{Layer, WriteResult};
use crate::connection::{Connection, ConnectionError, RemoteWrite, lease_lost, may_write};

#[derive(Debug)]
pub(super) struct Right;

impl Layer for Right {
    async fn read<T, F, R>(&self, operation: &'static str, call: F) -> Result<T, ConnectionError>
    where
        T: Send,
        F: Fn() -> R + Send + Sync,
        R: Future<Output = Result<T, ConnectionError>> + Send,
    {
        if !may_write() {
            return Err(lease_lost(operation));
        }
        call().await
    }

    async fn write(&self, inner: &dyn Connection, writes: Vec<RemoteWrite>) -> Vec<WriteResult> {
        if may_write() {
            return inner.write(writes).await;
        }
        writes.iter().map(|_| Err(lease_lost("write"))).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::sync::watch;
    use tokio::time::Instant;

    use super::super::Layers;
    use super::super::scripted::{Scripted, create, error};
    use super::*;
    use crate::connection::{ConnectionErrorKind, Outcome, in_right_of, wait_until};
    use crate::engine::LeaseWatch;

    #[tokio::test(start_paused = true)]
    async fn a_write_that_waits_to_be_repeated_is_not_sent_once_the_lease_is_gone() {
        let script = Scripted::new([
            Err(error(ConnectionErrorKind::Unavailable).with_outcome(Outcome::NotApplied)),
            Err(error(ConnectionErrorKind::Unavailable).with_outcome(Outcome::NotApplied)),
        ]);
        let connection = Layers::new().wrap("test", Arc::clone(&script) as Arc<dyn Connection>);
        // Shorter than the wait before the second try.
        let deadline = Instant::now() + Duration::from_millis(1);
        let (_beats, deadline) = watch::channel(Some(deadline));
        let results = in_right_of(LeaseWatch::new(deadline), connection.write(vec![create("a")])).await;
        let refused = results[0].as_ref().unwrap_err();
        assert_eq!(
            (refused.kind(), refused.outcome()),
            (ConnectionErrorKind::LeaseLost, Outcome::NotApplied)
        );
        assert_eq!(script.batches().len(), 1, "it was sent once, while the lease stood");
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_that_comes_after_the_lease_never_comes() {
        let (_beats, deadline) = watch::channel(Some(Instant::now() + Duration::from_secs(30)));
        let lease = LeaseWatch::new(deadline);
        let turn = |after: u64| {
            let turn = wait_until(Instant::now() + Duration::from_secs(after));
            tokio::time::timeout(Duration::from_secs(3600), in_right_of(lease.clone(), turn))
        };
        turn(20).await.expect("the lease stands");
        turn(20).await.expect_err("the lease is gone");
    }
}
