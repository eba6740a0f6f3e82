//! Tells what is asked of a tool and how it answered: counts, times and kinds, never content or secrets.

use tokio::time::Instant;
use tracing::Instrument as _;

use super::around::{Layer, WriteResult};
use crate::connection::{Connection, ConnectionError, RemoteWrite};

#[derive(Debug)]
pub(super) struct Trace {
    connection: String,
}

impl Trace {
    pub(super) const fn new(connection: String) -> Self {
        Self { connection }
    }

    fn span(&self, operation: &'static str) -> tracing::Span {
        tracing::debug_span!("connection", name = %self.connection, operation)
    }
}

/// An error's message may quote what the tool said of an item, so it is left out here.
fn tell_failure(error: &ConnectionError, elapsed: std::time::Duration) {
    tracing::warn!(kind = ?error.kind(), outcome = ?error.outcome(), ?elapsed, "the call failed");
}

impl Layer for Trace {
    async fn read<T, F, R>(&self, operation: &'static str, call: F) -> Result<T, ConnectionError>
    where
        T: Send,
        F: Fn() -> R + Send + Sync,
        R: Future<Output = Result<T, ConnectionError>> + Send,
    {
        let begun = Instant::now();
        async {
            let answer = call().await;
            match &answer {
                Ok(_) => tracing::trace!(elapsed = ?begun.elapsed(), "answered"),
                Err(error) => tell_failure(error, begun.elapsed()),
            }
            answer
        }
        .instrument(self.span(operation))
        .await
    }

    async fn write(&self, inner: &dyn Connection, writes: Vec<RemoteWrite>) -> Vec<WriteResult> {
        let begun = Instant::now();
        let items = writes.len();
        async {
            let results = inner.write(writes).await;
            for error in results.iter().filter_map(|result| result.as_ref().err()) {
                tell_failure(error, begun.elapsed());
            }
            tracing::debug!(items, elapsed = ?begun.elapsed(), "written");
            results
        }
        .instrument(self.span("write"))
        .await
    }
}
