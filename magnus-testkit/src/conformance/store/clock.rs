//! A clock that tests move.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use magnus_core::clock::Clock;
use magnus_core::model::Timestamp;

/// A clock that stands still until a test moves it.
#[derive(Debug)]
pub struct ManualClock {
    now: Mutex<Timestamp>,
}

impl ManualClock {
    /// A clock that shows some day in 2026.
    #[must_use]
    pub fn new() -> Self {
        let start = DateTime::<Utc>::UNIX_EPOCH + TimeDelta::days(20_700);
        Self { now: Mutex::new(start) }
    }

    /// Moves it forward.
    pub fn advance(&self, by: Duration) {
        let by = TimeDelta::from_std(by).expect("tests move a clock by hours, not by ages");
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) += by;
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
