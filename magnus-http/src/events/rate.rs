//! How fast a run goes, and how long it will take at that.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use magnus_core::engine::{Phase, Progress};
use magnus_core::model::RunId;
use tokio::time::Instant;

use crate::shape::run::ProgressOut;

/// How far back the rate looks.
const WINDOW: Duration = Duration::from_secs(10);

/// The most samples that are kept of a run.
const MOST_SAMPLES: usize = 128;

/// What was seen of one run lately: when, and how many items were done.
#[derive(Debug, Default)]
struct Samples(VecDeque<(Instant, u64)>);

impl Samples {
    fn add(&mut self, now: Instant, done: u64) {
        if self.0.back().is_some_and(|(_, before)| *before > done) {
            // Another phase counts anew.
            self.0.clear();
        }
        self.0.push_back((now, done));
        while self.0.len() > MOST_SAMPLES
            || (self.0.len() > 2 && self.0.front().is_some_and(|(at, _)| now - *at > WINDOW))
        {
            self.0.pop_front();
        }
    }

    /// Items per second; `None` as long as nothing can be said.
    fn rate(&self) -> Option<f64> {
        let (first, last) = (self.0.front()?, self.0.back()?);
        let seconds = (last.0 - first.0).as_secs_f64();
        if seconds < 0.2 || last.1 <= first.1 {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "no run has that many items")]
        Some((last.1 - first.1) as f64 / seconds)
    }
}

/// The rates of all runs that go on.
#[derive(Debug, Default)]
pub(crate) struct Rates {
    runs: Mutex<HashMap<RunId, Samples>>,
}

impl Rates {
    /// Notes how far a run has come.
    pub(crate) fn note(&self, run: RunId, progress: Progress) {
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        runs.entry(run).or_default().add(Instant::now(), progress.done);
    }

    /// Forgets a run that is over.
    pub(crate) fn forget(&self, run: RunId) {
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        runs.remove(&run);
    }

    pub(crate) fn of(&self, run: RunId, progress: Progress) -> Option<ProgressOut> {
        let runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        let rate = runs.get(&run).and_then(Samples::rate);
        Some(render(progress, rate))
    }
}

/// The progress with what it foretells. A tool that limits writes may take longer than the rate says.
pub(crate) fn render(progress: Progress, rate: Option<f64>) -> ProgressOut {
    let left = progress.total.saturating_sub(progress.done);
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "seconds for people; a cast from float saturates"
    )]
    let by_rate = rate
        .filter(|_| progress.phase == Phase::Executing || left > 0)
        .map(|rate| (left as f64 / rate).ceil() as u64);
    ProgressOut {
        phase: progress.phase,
        done: progress.done,
        total: progress.total,
        rate: rate.map(|rate| (rate * 10.0).round() / 10.0),
        seconds_left: by_rate.max(progress.foreseen_seconds),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(done: u64, total: u64) -> Progress {
        Progress {
            phase: Phase::Executing,
            done,
            total,
            ..Progress::default()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_rate_is_that_of_the_last_seconds() {
        let rates = Rates::default();
        let run = RunId::generate();
        rates.note(run, progress(0, 1000));
        assert_eq!(rates.of(run, progress(0, 1000)).unwrap().rate, None);
        for step in 1..=40 {
            tokio::time::advance(Duration::from_millis(500)).await;
            // Slow at first, then ten times as fast.
            let done = if step <= 20 { step } else { 20 + (step - 20) * 10 };
            rates.note(run, progress(done, 1000));
        }
        let out = rates.of(run, progress(220, 1000)).unwrap();
        assert_eq!((out.rate, out.seconds_left), (Some(20.0), Some(39)));
        rates.forget(run);
        assert_eq!(rates.of(run, progress(220, 1000)).unwrap().seconds_left, None);
    }

    #[test]
    fn a_limit_of_the_tool_counts_if_it_takes_longer() {
        let mut limited = progress(10, 20);
        limited.foreseen_seconds = Some(60);
        assert_eq!(render(limited, Some(10.0)).seconds_left, Some(60));
        limited.foreseen_seconds = Some(0);
        assert_eq!(render(limited, Some(10.0)).seconds_left, Some(1));
    }
}
