//! Waiting for a turn inside a connection, without that being taken for the tool's silence.
//!
//! Only an adapter knows how many requests one of its calls makes, so only it can keep below a tool's limit of requests.
//! It waits with [`wait_until`]; the layers around it do not count that time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::right::may_write;

tokio::task_local! {
    static METER: Meter;
}

/// Waits until an instant because the tool is to be spared. The layers' time limits and retries leave this time out. A turn
/// that comes when the lease of the run is gone never comes: the run is being dropped, and must not write any more.
///
/// # Cancellation
/// Safe: nothing is lost but the waiting.
pub async fn wait_until(instant: Instant) {
    let wait = instant.saturating_duration_since(Instant::now());
    if wait.is_zero() {
        return;
    }
    // Counted beforehand, so that a limit which strikes during the wait knows of it.
    let _ = METER.try_with(|meter| meter.add(wait));
    sleep_until(instant).await;
    if !may_write() {
        std::future::pending::<()>().await;
    }
}

/// Adds up what the calls measured with it waited for their turns.
#[derive(Debug, Clone)]
pub(crate) struct Meter(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    nanos: AtomicU64,
    around: Option<Meter>,
}

impl Meter {
    /// A meter; what it counts is counted by the one around it too.
    pub(crate) fn new() -> Self {
        Self(Arc::new(Inner {
            nanos: AtomicU64::new(0),
            around: METER.try_with(Clone::clone).ok(),
        }))
    }

    pub(crate) async fn measure<F: Future>(&self, call: F) -> F::Output {
        METER.scope(self.clone(), call).await
    }

    pub(crate) fn waited(&self) -> Duration {
        Duration::from_nanos(self.0.nanos.load(Ordering::Relaxed))
    }

    fn add(&self, wait: Duration) {
        let nanos = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
        self.0.nanos.fetch_add(nanos, Ordering::Relaxed);
        if let Some(around) = &self.0.around {
            around.add(wait);
        }
    }
}
