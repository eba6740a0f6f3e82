//! Time, injected so that tests decide what it is.

use std::fmt::Debug;

use crate::model::Timestamp;

/// Tells the time of day. Durations are measured with [`tokio::time::Instant`] and never with this.
pub trait Clock: Debug + Send + Sync + 'static {
    /// The present instant in UTC.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        // Stores keep microseconds; a finer value would not survive the trip and compare unequal.
        let now = chrono::Utc::now();
        chrono::SubsecRound::trunc_subsecs(now, 6)
    }
}
