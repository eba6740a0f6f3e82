//! What a run is given from outside: its id, its right to write, a way to stop and a way to tell.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::model::{RunCounts, RunId};
use crate::store::Fence;

/// Which part of a run is going on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Not begun.
    #[default]
    Waiting,
    /// Open intents are settled.
    Settling,
    /// The sides are read.
    Observing,
    /// The plan is made.
    Planning,
    /// The plan is carried out.
    Executing,
    /// Over.
    Finished,
}

/// How far a run has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Which part is going on.
    pub phase: Phase,
    /// Items done.
    pub done: u64,
    /// Items in scope, as far as known.
    pub total: u64,
    /// How many seconds the writes that are left will take, where the tool limits them.
    pub foreseen_seconds: Option<u64>,
    /// Counts so far.
    pub counts: RunCounts,
}

/// Whether the lease still stands by the holder's own monotonic clock: asked before each remote write.
///
/// The orchestrator's heartbeat prolongs it; a process that was stopped and continued finds it expired, whatever the
/// store says by then.
#[derive(Debug, Clone)]
pub struct LeaseWatch {
    deadline: watch::Receiver<Option<Instant>>,
    lost: Arc<AtomicBool>,
}

impl LeaseWatch {
    /// Stands until the deadline last sent; `None` stands for ever (no lease needed: tests, plans).
    #[must_use]
    pub fn new(deadline: watch::Receiver<Option<Instant>>) -> Self {
        Self {
            deadline,
            lost: Arc::new(AtomicBool::new(false)),
        }
    }

    /// Stands for ever.
    #[must_use]
    pub fn unlimited() -> Self {
        let (_, deadline) = watch::channel(None);
        Self::new(deadline)
    }

    /// Whether the holder may still write. Once lost, it stays lost.
    #[must_use]
    pub fn stands(&self) -> bool {
        if self
            .deadline
            .borrow()
            .is_some_and(|deadline| Instant::now() >= deadline)
        {
            self.lost.store(true, Ordering::Relaxed);
        }
        !self.lost.load(Ordering::Relaxed)
    }
}

/// What a run is given from outside.
#[derive(Debug, Clone)]
pub struct RunContext {
    /// The run's id.
    pub run_id: RunId,
    /// In whose right it commits.
    pub fence: Fence,
    /// Whether it may still write to the tool.
    pub lease: LeaseWatch,
    /// Asks it to stop between operations.
    pub cancellation: CancellationToken,
    /// Where it tells how far it has come.
    pub progress: watch::Sender<Progress>,
}

impl RunContext {
    /// A context without lease, for plans and for engines driven by hand.
    #[must_use]
    pub fn detached() -> Self {
        Self {
            run_id: RunId::generate(),
            fence: Fence::Hub,
            lease: LeaseWatch::unlimited(),
            cancellation: CancellationToken::new(),
            progress: watch::channel(Progress::default()).0,
        }
    }

    /// Tells how far it has come.
    pub fn report(&self, change: impl FnOnce(&mut Progress)) {
        self.progress.send_modify(change);
    }
}
