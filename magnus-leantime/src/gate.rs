//! Keeps a key that is refused from being asked again and again: after twenty failures a minute the tool locks the
//! whole address out, other keys included.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Refusals in a row after which nothing is sent for a while.
const IN_A_ROW: u32 = 3;
/// A test of the key, which somebody asks for to see whether it works again, is let through longer: to half of what the
/// tool bears.
const TESTS_IN_A_ROW: u32 = 10;
const CLOSED_FOR: Duration = Duration::from_secs(60);

/// Open as long as the key is accepted.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    refused: Mutex<(u32, Option<Instant>)>,
}

impl Gate {
    fn refused(&self) -> MutexGuard<'_, (u32, Option<Instant>)> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a request may be sent; if not, for how long.
    pub(crate) fn closed_for(&self, is_test: bool) -> Option<Duration> {
        let (count, last) = *self.refused();
        let most = if is_test { TESTS_IN_A_ROW } else { IN_A_ROW };
        let opens = last? + CLOSED_FOR;
        (count >= most && Instant::now() < opens).then(|| opens - Instant::now())
    }

    /// The key was refused, or accepted.
    pub(crate) fn note(&self, accepted: bool) {
        let mut refused = self.refused();
        *refused = if accepted {
            (0, None)
        } else {
            (refused.0.saturating_add(1), Some(Instant::now()))
        };
    }
}
