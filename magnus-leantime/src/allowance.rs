//! Stays below the instance's limit of requests per minute, which has to be learned: answers do not tell it until it
//! is exceeded.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use magnus_core::connection::wait_until;
use tokio::time::Instant;

/// The tool counts in windows of a minute; it counts in whole seconds, hence one more.
const WINDOW: Duration = Duration::from_secs(61);
/// What every version allows unless it is set otherwise.
const CAUTIOUS: u32 = 10;
/// What is allowed from 3.9.7 on.
const GENEROUS: u32 = 120;
/// The version since when.
const GENEROUS_SINCE: [u64; 3] = [3, 9, 7];

/// The requests that a connection may send.
#[derive(Debug)]
pub(crate) struct Allowance {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    limit: u32,
    /// Whether the limit was set by a person or told by the instance; a version then says nothing more.
    known: bool,
    /// When the requests of the last minute were answered.
    answered: VecDeque<Instant>,
    in_flight: u32,
    not_before: Option<Instant>,
}

impl Allowance {
    /// With the limit that a person has set; else with that of old versions.
    pub(crate) fn new(configured: Option<u32>) -> Self {
        Self {
            state: Mutex::new(State {
                limit: configured.unwrap_or(CAUTIOUS),
                known: configured.is_some(),
                answered: VecDeque::new(),
                in_flight: 0,
                not_before: None,
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a request may be sent. It counts from its answer, when the turn is dropped: where the tool's window
    /// began between sending and answer is not known.
    pub(crate) async fn turn(&self) -> Turn<'_> {
        loop {
            let Some(later) = self.state().take(Instant::now()) else {
                return Turn(self);
            };
            wait_until(later).await;
        }
    }

    /// The instance's version says what it allows unless somebody changed that.
    pub(crate) fn learn_version(&self, version: &str) {
        let mut state = self.state();
        if !state.known && is_generous(version) {
            state.limit = GENEROUS;
        }
    }

    /// The instance refused a request: what it allows, if it said so, and for how long it allows none.
    pub(crate) fn learn_refusal(&self, limit: Option<u32>, pause: Duration) {
        let mut state = self.state();
        if let Some(limit) = limit.filter(|limit| *limit > 0) {
            (state.limit, state.known) = (limit, true);
        }
        let until = Instant::now().checked_add(pause);
        state.not_before = state.not_before.max(until);
        // After the pause a new window begins.
        state.answered.clear();
    }

    /// Requests per minute that are made use of.
    pub(crate) fn per_minute(&self) -> u32 {
        self.state().usable()
    }

    /// Requests that count in the minute that is running.
    pub(crate) fn used(&self) -> u32 {
        let mut state = self.state();
        state.forget(Instant::now());
        state.used()
    }
}

impl State {
    /// A little is left to others who use the same key.
    fn usable(&self) -> u32 {
        self.limit.saturating_sub((self.limit / 20).max(1)).max(1)
    }

    fn used(&self) -> u32 {
        u32::try_from(self.answered.len())
            .unwrap_or(u32::MAX)
            .saturating_add(self.in_flight)
    }

    fn forget(&mut self, now: Instant) {
        while self.answered.front().is_some_and(|answered| now >= *answered + WINDOW) {
            self.answered.pop_front();
        }
    }

    /// Takes a turn, or says when to ask again.
    fn take(&mut self, now: Instant) -> Option<Instant> {
        if let Some(later) = self.not_before.filter(|later| *later > now) {
            return Some(later);
        }
        self.forget(now);
        if self.used() < self.usable() {
            self.in_flight += 1;
            return None;
        }
        let free = self.answered.front().map(|answered| *answered + WINDOW);
        Some(free.unwrap_or(now + Duration::from_secs(1)))
    }
}

fn is_generous(version: &str) -> bool {
    let mut numbers = version
        .trim_start_matches('v')
        .split(['.', '-', '+'])
        .map(str::parse::<u64>);
    let parts = GENEROUS_SINCE.map(|_| numbers.next().and_then(Result::ok).unwrap_or(0));
    parts >= GENEROUS_SINCE
}

/// The right to send one request.
#[derive(Debug)]
pub(crate) struct Turn<'a>(&'a Allowance);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.in_flight = state.in_flight.saturating_sub(1);
        state.answered.push_back(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn send(allowance: &Allowance, times: u32) -> Duration {
        let begun = Instant::now();
        for _ in 0..times {
            drop(allowance.turn().await);
        }
        begun.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn no_minute_holds_more_requests_than_are_allowed() {
        let allowance = Allowance::new(None);
        assert_eq!(send(&allowance, 9).await, Duration::ZERO);
        assert_eq!(allowance.used(), 9);
        assert_eq!(send(&allowance, 1).await, WINDOW);
        assert_eq!(send(&allowance, 8).await, Duration::ZERO);
        assert_eq!(send(&allowance, 1).await, WINDOW);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_tells_the_limit_and_the_pause() {
        let allowance = Allowance::new(None);
        send(&allowance, 5).await;
        allowance.learn_refusal(Some(3), Duration::from_secs(40));
        assert_eq!(send(&allowance, 2).await, Duration::from_secs(40));
        assert_eq!(allowance.per_minute(), 2);
        allowance.learn_version("3.9.8");
        assert_eq!(allowance.per_minute(), 2, "told is told");
    }

    #[test]
    fn versions_from_3_9_7_allow_more() {
        for (version, allowed) in [
            ("3.9.7", 114),
            ("3.10.0", 114),
            ("v4.0", 114),
            ("3.9.6", 9),
            ("3.9", 9),
            ("?", 9),
        ] {
            let allowance = Allowance::new(None);
            allowance.learn_version(version);
            assert_eq!(allowance.per_minute(), allowed, "{version}");
        }
        let set = Allowance::new(Some(600));
        set.learn_version("3.9.8");
        assert_eq!(set.per_minute(), 570, "what a person says counts");
    }
}
