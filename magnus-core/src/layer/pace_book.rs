//! What is known of how much a tool bears: one page for each host, kept in this process or shared by many.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::pace::PacePolicy;
use crate::store::StoreError;

/// How much of the future one process may take at once, where others wait for their turns, too.
const TAKEN_AT_ONCE: Duration = Duration::from_secs(2);

/// The longest pause that is kept: a year. What a server asks for beyond it is beyond many a clock, too.
const LONGEST_PAUSE: Duration = Duration::from_hours(366 * 24);

/// What has been learned of one host, as it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HostPace {
    /// The space between calls; zero as long as nobody complained.
    pub space: Duration,
    /// How long it is until the next turn that nobody has taken.
    pub wait: Duration,
    /// Good answers since the last complaint or halving.
    pub calm: u32,
}

/// What a caller heard from a host since it last took turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Heard {
    /// How many answers were no complaint.
    pub calm: u32,
    /// How many said "too many requests".
    pub complaints: u32,
    /// The longest pause that one of those asked for.
    pub retry_after: Option<Duration>,
}

/// Turns that were taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turns {
    /// How long it is until the first.
    pub wait: Duration,
    /// The space between them; zero: nobody complained, and calls may go as they come.
    pub space: Duration,
    /// How many there are. None if the first one would be further off than the policy allows; `wait` says how far.
    pub count: u32,
}

impl HostPace {
    /// Takes in what a caller heard.
    pub fn hear(&mut self, heard: Heard, policy: &PacePolicy) {
        if heard.complaints > 0 {
            self.calm = 0;
            self.space = (self.space * 2).clamp(policy.first_space, policy.widest_space);
            let pause = heard.retry_after.unwrap_or_default().clamp(self.space, LONGEST_PAUSE);
            self.wait = self.wait.max(pause);
            return;
        }
        self.calm = if self.space.is_zero() {
            0
        } else {
            self.calm.saturating_add(heard.calm)
        };
        while self.calm >= policy.calm_after.max(1) && !self.space.is_zero() {
            self.calm -= policy.calm_after.max(1);
            let half = self.space / 2;
            self.space = if half < policy.first_space {
                Duration::ZERO
            } else {
                half
            };
        }
    }

    /// Takes turns, at most so many, and not more than others can be asked to wait for.
    pub fn take(&mut self, most: u32, policy: &PacePolicy) -> Turns {
        let (wait, space) = (self.wait, self.space);
        if wait > policy.longest_wait {
            return Turns { wait, space, count: 0 };
        }
        let bearable = TAKEN_AT_ONCE.as_nanos().checked_div(space.as_nanos());
        let count = bearable
            .map_or(most, |bearable| u32::try_from(bearable).unwrap_or(u32::MAX))
            .clamp(1, most.max(1));
        self.wait = wait.saturating_add(space.saturating_mul(count));
        Turns { wait, space, count }
    }
}

/// Where it is kept how much each host bears. All that call the same hosts should share one book.
///
/// Futures may be dropped at any time; what was to be written then is written or not.
#[async_trait]
pub trait PaceBook: Debug + Send + Sync {
    /// Notes what a caller heard from a host and takes its next turns, at most so many ([`HostPace::hear`], then
    /// [`HostPace::take`]), as one step.
    ///
    /// # Errors
    /// Those of the place where the book is kept; then nothing was taken.
    async fn turns(&self, host: &str, heard: Heard, most: u32, policy: PacePolicy) -> Result<Turns, StoreError>;

    /// For how long turns may be used without looking into the book again: others write into it.
    fn fresh_for(&self) -> Duration;
}

/// A book for one process.
#[derive(Debug, Default)]
pub struct LocalPaceBook {
    hosts: Mutex<HashMap<String, Page>>,
}

/// One host, with the instant up to which its turns are taken.
#[derive(Debug, Default)]
struct Page {
    pace: HostPace,
    free_at: Option<Instant>,
}

impl LocalPaceBook {
    /// An empty book.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    pub(super) fn turns_now(&self, host: &str, heard: Heard, most: u32, policy: &PacePolicy) -> Turns {
        let now = Instant::now();
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let page = hosts.entry(host.to_owned()).or_default();
        page.pace.wait = page
            .free_at
            .map_or(Duration::ZERO, |at| at.saturating_duration_since(now));
        page.pace.hear(heard, policy);
        let turns = page.pace.take(most, policy);
        page.free_at = now.checked_add(page.pace.wait);
        turns
    }
}

#[async_trait]
impl PaceBook for LocalPaceBook {
    async fn turns(&self, host: &str, heard: Heard, most: u32, policy: PacePolicy) -> Result<Turns, StoreError> {
        Ok(self.turns_now(host, heard, most, &policy))
    }

    fn fresh_for(&self) -> Duration {
        Duration::ZERO
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: PacePolicy = PacePolicy::new();

    fn complaint(retry_after: u64) -> Heard {
        Heard {
            complaints: 1,
            retry_after: Some(Duration::from_secs(retry_after)),
            ..Heard::default()
        }
    }

    #[test]
    fn a_host_that_nobody_complained_of_gives_all_turns_at_once() {
        let mut pace = HostPace::default();
        let turns = pace.take(8, &POLICY);
        assert_eq!(
            (turns.wait, turns.space, turns.count),
            (Duration::ZERO, Duration::ZERO, 8)
        );
        assert_eq!(pace, HostPace::default());
    }

    #[test]
    fn turns_follow_the_pause_and_each_other() {
        let mut pace = HostPace::default();
        pace.hear(complaint(5), &POLICY);
        let first = pace.take(8, &POLICY);
        assert_eq!((first.wait, first.space), (Duration::from_secs(5), POLICY.first_space));
        let second = pace.take(8, &POLICY);
        assert_eq!(second.wait, first.wait + first.space * first.count);
    }

    #[test]
    fn nobody_takes_more_than_others_can_wait_for() {
        let mut pace = HostPace::default();
        for _ in 0..20 {
            pace.hear(complaint(0), &POLICY);
        }
        assert_eq!(pace.space, POLICY.widest_space);
        assert_eq!(pace.take(8, &POLICY).count, 1);
    }

    #[test]
    fn a_pause_too_long_gives_no_turn_and_takes_none() {
        let mut pace = HostPace::default();
        pace.hear(complaint(3_600), &POLICY);
        let before = pace;
        let turns = pace.take(8, &POLICY);
        assert_eq!((turns.count, turns.wait), (0, Duration::from_secs(3_600)));
        assert_eq!(pace, before);
    }

    #[test]
    fn good_answers_drop_the_space_in_the_end_however_many_are_told_at_once() {
        let mut pace = HostPace::default();
        pace.hear(complaint(0), &POLICY);
        pace.hear(complaint(0), &POLICY);
        let calm = Heard {
            calm: 2 * POLICY.calm_after,
            ..Heard::default()
        };
        pace.hear(calm, &POLICY);
        assert_eq!((pace.space, pace.calm), (Duration::ZERO, 0));
    }
}
