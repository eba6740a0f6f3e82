//! A clock that a test sets.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use magnus_core::clock::Clock;
use magnus_core::model::Timestamp;

/// Stands still until it is advanced, so that leases, waits and retries pass when a test says so.
///
/// ```
/// use magnus_core::clock::Clock;
/// use magnus_testkit::clock::SetClock;
///
/// let clock = SetClock::at("2026-03-02T08:00:00Z".parse()?);
/// clock.advance(90);
/// assert_eq!(clock.now(), "2026-03-02T08:01:30Z".parse::<magnus_core::model::Timestamp>()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct SetClock(AtomicI64);

impl SetClock {
    /// A clock that shows this instant, to the second.
    #[must_use]
    pub fn at(start: Timestamp) -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(start.timestamp())))
    }

    /// Moves it on by whole seconds.
    pub fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::Relaxed);
    }
}

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_timestamp(self.0.load(Ordering::Relaxed), 0).unwrap_or_default()
    }
}
