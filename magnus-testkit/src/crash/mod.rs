//! A process that dies, or loses an answer, at a chosen effect of a run.
//!
//! A [`CrashPoint`] wraps the connection and the store that a run works with and counts its effects: every call to the
//! tool and every commit, in order. At the chosen one it breaks, in one of the [`Mode`]s. Trying every step of a run in
//! every mode, and resuming each time, shows that no moment is a bad one to be pulled out of the wall.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(async {
//! use std::sync::Arc;
//! use magnus_core::memory::MemoryStore;
//! use magnus_core::store::{Changeset, Fence, TaskStore};
//! use magnus_testkit::crash::{CrashPoint, Mode};
//!
//! let crash = CrashPoint::at(2, Mode::StopBefore);
//! let hub = crash.store(Arc::new(MemoryStore::new()));
//! let ended = crash
//!     .until_death(async {
//!         hub.commit(Fence::Hub, Changeset::new()).await.expect("the first commit");
//!         hub.commit(Fence::Hub, Changeset::new()).await.expect("never answered");
//!     })
//!     .await;
//! assert!(ended.is_none());
//! # });
//! ```

mod connection;
mod store;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use magnus_core::connection::Connection;
use magnus_core::store::TaskStore;
use tokio::sync::Notify;

use crate::watched::WatchedStore;

/// How a run breaks at its step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// The process dies before the effect.
    StopBefore,
    /// The process dies after the effect and before it learns of it.
    StopAfter,
    /// The effect takes place, its answer is an error, and the run goes on with that.
    AnswerLost,
    /// The effect does not take place, nobody can tell, and the run goes on with that.
    NeverArrived,
}

impl Mode {
    /// Every mode.
    pub const ALL: [Self; 4] = [Self::StopBefore, Self::StopAfter, Self::AnswerLost, Self::NeverArrived];

    /// Whether the process dies.
    #[must_use]
    pub const fn is_death(self) -> bool {
        matches!(self, Self::StopBefore | Self::StopAfter)
    }
}

/// Counts the effects of a run, and breaks it at one of them. Clones share one count.
#[derive(Debug, Clone)]
pub struct CrashPoint(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    chosen: Option<(usize, Mode)>,
    only: Option<&'static str>,
    state: Mutex<State>,
    death: Notify,
}

#[derive(Debug, Default)]
struct State {
    effects: Vec<&'static str>,
    matching: usize,
    fired: bool,
    dead: bool,
}

impl CrashPoint {
    /// Counts and never breaks.
    #[must_use]
    pub fn counting() -> Self {
        Self::new(None, None)
    }

    /// Breaks at this effect; the first is 1.
    #[must_use]
    pub fn at(step: usize, mode: Mode) -> Self {
        Self::new(Some((step, mode)), None)
    }

    /// Breaks at this effect of those of one name (`create`, `update`, `delete`, `commit`, `list_tasks`, ...).
    #[must_use]
    pub fn at_named(name: &'static str, step: usize, mode: Mode) -> Self {
        Self::new(Some((step, mode)), Some(name))
    }

    fn new(chosen: Option<(usize, Mode)>, only: Option<&'static str>) -> Self {
        Self(Arc::new(Shared {
            chosen,
            only,
            state: Mutex::default(),
            death: Notify::new(),
        }))
    }

    /// A connection whose calls count.
    #[must_use]
    pub fn connection(&self, inner: Arc<dyn Connection>) -> Arc<dyn Connection> {
        Arc::new(connection::Breaking::new(inner, self.clone()))
    }

    /// A store whose commits count. Its reads and leases do not: they change nothing that outlives the process.
    #[must_use]
    pub fn store(&self, inner: Arc<dyn TaskStore>) -> Arc<dyn TaskStore> {
        Arc::new(WatchedStore::new(inner, store::Commits(self.clone())))
    }

    /// The effects so far, by name.
    #[must_use]
    pub fn effects(&self) -> Vec<&'static str> {
        self.state().effects.clone()
    }

    /// Whether the chosen effect was reached.
    #[must_use]
    pub fn fired(&self) -> bool {
        self.state().fired
    }

    /// Whether the process is dead.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.state().dead
    }

    /// Lets something go on until it ends or the process dies; `None` if it died. Whatever it was about to do next never
    /// happens.
    pub async fn until_death<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.dead() => None,
            answer = work => Some(answer),
        }
    }

    async fn dead(&self) {
        loop {
            let told = self.0.death.notified();
            tokio::pin!(told);
            told.as_mut().enable();
            if self.is_dead() {
                return;
            }
            told.await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an effect; answers how it breaks, if it does. Nothing passes any more once the process is dead.
    async fn step(&self, name: &'static str) -> Option<Mode> {
        let (dead, mode) = {
            let mut state = self.state();
            if !state.dead {
                state.effects.push(name);
            }
            if self.0.only.is_none_or(|only| only == name) {
                state.matching += 1;
            }
            let mode = match self.0.chosen {
                Some((step, mode)) if !state.fired && state.matching == step => {
                    state.fired = true;
                    Some(mode)
                }
                _ => None,
            };
            (state.dead, mode)
        };
        if dead {
            return std::future::pending().await;
        }
        if mode == Some(Mode::StopBefore) {
            return self.die().await;
        }
        mode
    }

    async fn die<T>(&self) -> T {
        self.state().dead = true;
        self.0.death.notify_waiters();
        std::future::pending().await
    }
}
