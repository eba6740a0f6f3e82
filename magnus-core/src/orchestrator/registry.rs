//! Which runs somebody here waits for, and how they are told.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::engine::{Phase, Progress, RunErrorKind};
use crate::model::{ConnectionId, Run, RunId};

/// What those who wait for a run are told at last.
#[derive(Debug, Clone)]
pub(super) enum Ended {
    /// The run as the log holds it, in a final state.
    Run(Box<Run>),
    /// How it ended cannot be said.
    Unknown { kind: RunErrorKind, message: String },
}

/// A run that is followed.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) run_id: RunId,
    pub(super) connection: ConnectionId,
    pub(super) cancellation: CancellationToken,
    pub(super) progress: watch::Sender<Progress>,
    pub(super) ended: watch::Sender<Option<Ended>>,
    pub(super) holder: watch::Sender<Option<String>>,
    /// Whether it goes on here, right now.
    active: bool,
}

impl Entry {
    fn new(run_id: RunId, connection: ConnectionId) -> Self {
        Self {
            run_id,
            connection,
            cancellation: CancellationToken::new(),
            progress: watch::channel(Progress::default()).0,
            ended: watch::channel(None).0,
            holder: watch::channel(None).0,
            active: false,
        }
    }

    fn end(&self, ended: Ended) {
        self.holder.send_replace(None);
        self.progress.send_modify(|progress| progress.phase = Phase::Finished);
        self.ended.send_replace(Some(ended));
    }
}

/// All runs that are followed here. Each is forgotten once its end was told.
#[derive(Debug, Default)]
pub(super) struct Registry {
    entries: Mutex<HashMap<RunId, Entry>>,
    /// How far runs have come that go on in other processes and that nobody waits for here.
    elsewhere: Mutex<HashMap<RunId, watch::Sender<Progress>>>,
}

/// The most runs of other processes whose progress is kept. Those of processes that died are never told to be over.
const MOST_ELSEWHERE: usize = 1000;

impl Registry {
    fn entries(&self) -> MutexGuard<'_, HashMap<RunId, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows a run from now on.
    pub(super) fn follow(&self, run_id: RunId, connection: ConnectionId) -> Entry {
        self.entries()
            .entry(run_id)
            .or_insert_with(|| Entry::new(run_id, connection))
            .clone()
    }

    /// Follows a run that begins here now.
    pub(super) fn activate(&self, run_id: RunId, connection: ConnectionId) -> Entry {
        let mut entries = self.entries();
        let entry = entries.entry(run_id).or_insert_with(|| Entry::new(run_id, connection));
        entry.active = true;
        entry.holder.send_replace(None);
        entry.clone()
    }

    /// The runs of a connection that are followed but do not go on here.
    pub(super) fn waiting(&self, connection: ConnectionId) -> Vec<RunId> {
        let entries = self.entries();
        let waiting = entries
            .values()
            .filter(|entry| entry.connection == connection && !entry.active);
        waiting.map(|entry| entry.run_id).collect()
    }

    pub(super) fn progress(&self, run: RunId) -> Option<watch::Receiver<Progress>> {
        let here = self.entries().get(&run).map(|entry| entry.progress.subscribe());
        here.or_else(|| self.elsewhere().get(&run).map(watch::Sender::subscribe))
    }

    fn elsewhere(&self) -> MutexGuard<'_, HashMap<RunId, watch::Sender<Progress>>> {
        self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes how far a run has come that goes on in another process.
    pub(super) fn note_elsewhere(&self, run: RunId, progress: Progress) {
        if let Some(entry) = self.entries().get(&run) {
            if !entry.active {
                entry.progress.send_replace(progress);
            }
            return;
        }
        let mut elsewhere = self.elsewhere();
        if elsewhere.len() >= MOST_ELSEWHERE {
            elsewhere.clear();
        }
        elsewhere
            .entry(run)
            .or_insert_with(|| watch::channel(progress).0)
            .send_replace(progress);
    }

    /// Forgets a run of another process that is over.
    pub(super) fn forget_elsewhere(&self, run: RunId) {
        self.elsewhere().remove(&run);
    }

    pub(super) fn cancel(&self, run: RunId) {
        if let Some(entry) = self.entries().get(&run) {
            entry.cancellation.cancel();
        }
    }

    /// Says who keeps a waiting run waiting; `false` if that was said already.
    pub(super) fn set_holder(&self, run: RunId, holder: &str) -> bool {
        let entries = self.entries();
        let Some(entry) = entries.get(&run) else { return false };
        entry.holder.send_if_modified(|known| {
            let new = known.as_deref() != Some(holder);
            if new {
                *known = Some(holder.to_owned());
            }
            new
        })
    }

    /// Tells those who wait for a run, and forgets it. `false` if nobody followed it.
    pub(super) fn end(&self, run: RunId, ended: Ended) -> bool {
        let entry = self.entries().remove(&run);
        entry.inspect(|entry| entry.end(ended)).is_some()
    }

    /// Gives up the runs that match: whoever waits for them is told why.
    pub(super) fn give_up(&self, kind: RunErrorKind, message: &str, matching: impl Fn(&Given) -> bool) {
        let given_up = self
            .entries()
            .extract_if(|_, entry| {
                matching(&Given {
                    connection: entry.connection,
                    active: entry.active,
                })
            })
            .collect::<Vec<_>>();
        for (_, entry) in given_up {
            entry.end(Ended::Unknown {
                kind,
                message: message.to_owned(),
            });
        }
    }
}

/// What is known of a run when it is decided whether to give it up.
pub(super) struct Given {
    pub(super) connection: ConnectionId,
    pub(super) active: bool,
}
