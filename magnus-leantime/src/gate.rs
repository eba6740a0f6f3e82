//! Keeps a key that is refused from being asked again and again: after twenty failures a minute the tool locks the
//! whole address out, other keys included.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Refusals in a row after which nothing is sent for a while.
const IN_A_ROW: u32 = 3;
/// A test of the key, which somebody asks for to see whether it works again, is let through longer: to half of what the
/// tool bears.
const TESTS_IN_A_ROW: u32 = 10;
const CLOSED_FOR: Duration = Duration::from_secs(60);

/// Refusals of whatever keys in a minute after which nothing is sent to the instance: half of what it bears, since other
/// programs of this machine may be refused, too.
const REFUSALS_A_MINUTE: usize = 10;

/// What all connections to one instance share: the tool counts refusals by the address that they come from.
#[derive(Debug, Default)]
pub(crate) struct Address {
    refusals: Mutex<VecDeque<Instant>>,
}

impl Address {
    fn closed_for(&self) -> Option<Duration> {
        let now = Instant::now();
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        while refusals.front().is_some_and(|at| *at + CLOSED_FOR <= now) {
            refusals.pop_front();
        }
        let opens = *refusals.front()? + CLOSED_FOR;
        (refusals.len() >= REFUSALS_A_MINUTE).then(|| opens - now)
    }

    fn note_refusal(&self) {
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        refusals.push_back(Instant::now());
    }
}

/// The addresses of all instances that a connector knows, by origin.
#[derive(Debug, Clone, Default)]
pub(crate) struct Addresses(Arc<Mutex<HashMap<String, Arc<Address>>>>);

impl Addresses {
    pub(crate) fn of(&self, origin: String) -> Arc<Address> {
        let mut addresses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(addresses.entry(origin).or_default())
    }
}

/// Open as long as the key is accepted.
#[derive(Debug)]
pub(crate) struct Gate {
    refused: Mutex<(u32, Option<Instant>)>,
    address: Arc<Address>,
}

impl Gate {
    pub(crate) fn new(address: Arc<Address>) -> Self {
        Self {
            refused: Mutex::default(),
            address,
        }
    }

    fn refused(&self) -> MutexGuard<'_, (u32, Option<Instant>)> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a request may be sent; if not, for how long.
    pub(crate) fn closed_for(&self, is_test: bool) -> Option<Duration> {
        self.address.closed_for().max(self.key_closed_for(is_test))
    }

    fn key_closed_for(&self, is_test: bool) -> Option<Duration> {
        let (count, last) = *self.refused();
        let most = if is_test { TESTS_IN_A_ROW } else { IN_A_ROW };
        let opens = last? + CLOSED_FOR;
        (count >= most && Instant::now() < opens).then(|| opens - Instant::now())
    }

    /// The key was refused, or accepted.
    pub(crate) fn note(&self, accepted: bool) {
        if !accepted {
            self.address.note_refusal();
        }
        let mut refused = self.refused();
        *refused = if accepted {
            (0, None)
        } else {
            (refused.0.saturating_add(1), Some(Instant::now()))
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn connections_to_one_instance_never_come_near_to_being_locked_out_together() {
        let addresses = Addresses::default();
        let gate = || Gate::new(addresses.of("https://board.example".to_owned()));
        let mut sent = 0;
        // Each has a wrong key, and is opened anew again and again, as when its settings are changed.
        for _ in 0..50 {
            let gate = gate();
            while gate.closed_for(false).is_none() {
                gate.note(false);
                sent += 1;
            }
        }
        assert_eq!(sent, REFUSALS_A_MINUTE);
        let elsewhere = Gate::new(addresses.of("https://other.example".to_owned()));
        assert_eq!(elsewhere.closed_for(false), None);
        tokio::time::advance(CLOSED_FOR).await;
        assert_eq!(gate().closed_for(false), None, "a minute later it is tried again");
    }
}
