//! How many writes fit into one request: what the instance does in about ten seconds.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a batch should take. PHP often stops after 30 s, and a lost answer makes a whole batch uncertain.
const TARGET: Duration = Duration::from_secs(10);
/// What a request takes before the first call is carried out.
pub(crate) const PER_REQUEST: Duration = Duration::from_millis(100);
/// What a write takes with its reading back, as long as nothing was measured.
const PER_ITEM: Duration = Duration::from_millis(13);
const FIRST: usize = 50;
const LEAST: usize = 5;
const MOST: usize = 500;

/// How fast an instance writes.
#[derive(Debug)]
pub(crate) struct Tempo {
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy)]
struct State {
    batch: usize,
    per_item: Duration,
}

impl Tempo {
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                batch: FIRST,
                per_item: PER_ITEM,
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes in the next batch.
    pub(crate) fn batch(&self) -> usize {
        self.state().batch
    }

    /// Writes that fit into the target.
    pub(crate) fn largest(&self) -> usize {
        fitting(self.per_item())
    }

    pub(crate) fn per_item(&self) -> Duration {
        self.state().per_item
    }

    /// A batch of so many writes was answered in this time, over so many requests.
    pub(crate) fn learn(&self, writes: usize, requests: u32, took: Duration) {
        let Ok(count) = u32::try_from(writes) else { return };
        if count == 0 {
            return;
        }
        let mut state = self.state();
        let measured = took.saturating_sub(PER_REQUEST * requests) / count;
        state.per_item = if took > TARGET {
            measured
        } else if writes >= LEAST {
            (state.per_item + measured) / 2
        } else {
            return;
        };
        let fits = fitting(state.per_item);
        if fits < state.batch {
            state.batch = fits;
        } else if writes >= state.batch {
            state.batch = fits.min(state.batch * 2);
        }
    }
}

fn fitting(per_item: Duration) -> usize {
    let fits = TARGET.as_nanos() / per_item.as_nanos().max(1);
    usize::try_from(fits).unwrap_or(MOST).clamp(LEAST, MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_grow_while_answers_are_quick_and_shrink_at_once_when_they_are_not() {
        let tempo = Tempo::new();
        let mut sizes = Vec::new();
        for _ in 0..5 {
            sizes.push(tempo.batch());
            tempo.learn(tempo.batch(), 2, Duration::from_secs(1));
        }
        assert_eq!(sizes, [50, 100, 200, 400, 500]);
        tempo.learn(500, 2, Duration::from_secs(50));
        assert_eq!(tempo.batch(), 100, "0.1 s each");
        tempo.learn(100, 2, Duration::from_secs(1_000));
        assert_eq!(tempo.batch(), 5);
    }

    #[test]
    fn a_few_writes_say_little() {
        let tempo = Tempo::new();
        tempo.learn(1, 2, Duration::from_secs(2));
        assert_eq!(tempo.batch(), 50);
    }
}
