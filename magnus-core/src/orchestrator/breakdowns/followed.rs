//! Which jobs somebody here waits for.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::model::{BreakdownId, BreakdownJob};

type Ended = Option<Box<BreakdownJob>>;

/// Those who wait for jobs. Each job is forgotten once its end was told.
#[derive(Debug, Default)]
pub(super) struct Followed(Mutex<HashMap<BreakdownId, watch::Sender<Ended>>>);

impl Followed {
    fn lock(&self) -> MutexGuard<'_, HashMap<BreakdownId, watch::Sender<Ended>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn follow(&self, id: BreakdownId) -> watch::Receiver<Ended> {
        let mut followed = self.lock();
        followed.entry(id).or_insert_with(|| watch::channel(None).0).subscribe()
    }

    pub(super) fn ids(&self) -> Vec<BreakdownId> {
        self.lock().keys().copied().collect()
    }

    /// Tells those who wait for a job how it ended.
    pub(super) fn end(&self, job: BreakdownJob) {
        let waiting = self.lock().remove(&job.id);
        if let Some(waiting) = waiting {
            waiting.send_replace(Some(Box::new(job)));
        }
    }

    /// Whoever waits for a job will not be told any more.
    pub(super) fn give_up(&self, id: BreakdownId) {
        self.lock().remove(&id);
    }

    /// Whoever waits for anything will not be told any more.
    pub(super) fn close(&self) {
        self.lock().clear();
    }
}
