//! Breaks tasks down in the background: beside the syncs, and never in their way.
//!
//! # Expected flow
//! [`Breakdowns::start`] writes a job down and answers with a [`BreakdownHandle`]; a second request for the same task joins
//! it. One task, the desk, claims jobs in the order in which they were asked for and carries out a few at once; each asks
//! the model, checks the answer, puts the proposal on the task, and is written down as over.
//!
//! # Guarantees
//! - A job is carried out by one process at a time, as far as claims in the store reach. One whose process died is
//!   `interrupted` once its claim has run out, and whoever keeps a desk on the hub tries it again.
//! - Nothing is written to the task before there is an answer that passed every check, and it is written once.
//! - Never more models are asked at once than [`BreakdownOptions::concurrency`] says. Syncs have bounds of their own.

mod carry_out;
mod desk;
mod events;
mod followed;
mod handle;
mod options;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use crate::breakdown::{BreakdownError, BreakdownErrorKind, BreakdownInput, ModelInfo, TaskBreakdown, propose};
use crate::event::BreakdownNews;
use crate::hub::{Accepted, Hub};
use crate::model::{Breakdown, BreakdownId, BreakdownJob, TaskId, Timestamp};
use crate::store::{BreakdownQuery, BreakdownStore, TaskStore};

pub(super) use events::Teller;
use followed::Followed;
pub use handle::BreakdownHandle;
pub use options::BreakdownOptions;

/// How long jobs that go on may take to be written down when it all ends.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// Breaks tasks down in the background. Cheap to clone; when the last clone is gone without a
/// [`shutdown`](Self::shutdown), what goes on is left for the next process.
#[derive(Debug, Clone)]
pub struct Breakdowns {
    shared: Arc<Shared>,
    over: watch::Receiver<bool>,
    _alive: Arc<DropGuard>,
}

/// What the desk and those who ask have in common.
#[derive(Debug)]
struct Shared {
    hub: Hub,
    jobs: Arc<dyn BreakdownStore>,
    model: Arc<dyn TaskBreakdown>,
    options: BreakdownOptions,
    /// The name under which this process claims jobs.
    holder: String,
    /// One for each model that may be asked at the same time.
    turns: Arc<Semaphore>,
    wake: Notify,
    followed: Followed,
    /// The jobs that go on here.
    running: Mutex<HashMap<BreakdownId, CancellationToken>>,
    stop: CancellationToken,
    teller: Teller,
}

impl Shared {
    fn running(&self) -> std::sync::MutexGuard<'_, HashMap<BreakdownId, CancellationToken>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells those who wait, and all who listen, that a job is over.
    fn tell_end(&self, job: BreakdownJob) {
        self.teller.tell_state(&job);
        self.followed.end(job);
    }
}

impl Breakdowns {
    /// Breaks down tasks of this store with this model, told to nobody. See also
    /// [`OrchestratorBuilder::breakdowns`](super::OrchestratorBuilder::breakdowns).
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn new(
        store: Arc<dyn TaskStore>,
        jobs: Arc<dyn BreakdownStore>,
        model: Arc<dyn TaskBreakdown>,
        options: BreakdownOptions,
    ) -> Self {
        Self::telling(store, jobs, model, options, Teller::default())
    }

    pub(super) fn telling(
        store: Arc<dyn TaskStore>,
        jobs: Arc<dyn BreakdownStore>,
        model: Arc<dyn TaskBreakdown>,
        options: BreakdownOptions,
        teller: Teller,
    ) -> Self {
        let stop = CancellationToken::new();
        let shared = Arc::new(Shared {
            hub: Hub::new(store).with_clock(Arc::clone(&options.clock)),
            jobs,
            model,
            holder: format!("process {} ({})", std::process::id(), Uuid::new_v4().simple()),
            turns: Arc::new(Semaphore::new(options.concurrency.max(1))),
            options,
            wake: Notify::new(),
            followed: Followed::default(),
            running: Mutex::default(),
            stop: stop.clone(),
            teller,
        });
        let (ended, over) = watch::channel(false);
        tokio::spawn(desk::keep(Arc::clone(&shared), ended));
        Self {
            shared,
            over,
            _alive: Arc::new(stop.drop_guard()),
        }
    }

    /// Asks for a task to be broken down, and answers at once.
    ///
    /// # Errors
    /// `NotFound` for an unknown or deleted task, `ShuttingDown`, `Store`.
    pub async fn start(&self, task: TaskId) -> Result<BreakdownHandle, BreakdownError> {
        let shared = &self.shared;
        if shared.stop.is_cancelled() {
            return Err(BreakdownError::shutting_down());
        }
        let found = shared.hub.store().tasks(vec![task]).await?.pop();
        if found.is_none_or(|found| found.is_deleted()) {
            return Err(BreakdownError::not_found("task", task));
        }
        let queued = shared.jobs.enqueue_breakdown(task).await?;
        let ended = shared.followed.follow(queued.job.id);
        if !queued.joined {
            shared.teller.tell_state(&queued.job);
        }
        // Only now: whoever carries it out knows of those who wait.
        shared.wake.notify_one();
        Ok(BreakdownHandle::new(&queued.job, queued.joined, ended))
    }

    /// Breaks down something that is no task of the hub, and answers the proposal. Nothing is kept.
    ///
    /// # Errors
    /// Whatever kept the model from answering, `Timeout` among it; `ShuttingDown`.
    pub async fn ask(&self, input: BreakdownInput) -> Result<Breakdown, BreakdownError> {
        let shared = &self.shared;
        let budget = shared.options.budget;
        let asked = async {
            // The semaphore is never closed, so the turn is there.
            let _turn = Arc::clone(&shared.turns).acquire_owned().await;
            let clock = shared.options.clock.as_ref();
            let asking = propose(shared.model.as_ref(), input, clock, budget);
            timeout(budget.time, asking)
                .await
                .unwrap_or_else(|_| Err(carry_out::too_late(budget.time)))
        };
        let answer = tokio::select! {
            answer = asked => answer,
            () = shared.stop.cancelled() => Err(BreakdownError::shutting_down()),
        };
        // The turn is free again, and jobs may wait for one.
        shared.wake.notify_one();
        answer
    }

    /// A job as it stands.
    ///
    /// # Errors
    /// `NotFound` for an unknown id, `Store`.
    pub async fn job(&self, id: BreakdownId) -> Result<BreakdownJob, BreakdownError> {
        let job = self.shared.jobs.breakdown(id).await?;
        job.ok_or_else(|| BreakdownError::not_found("breakdown", id))
    }

    /// The newest jobs.
    ///
    /// # Errors
    /// `Store`.
    pub async fn jobs(&self, query: BreakdownQuery) -> Result<Vec<BreakdownJob>, BreakdownError> {
        Ok(self.shared.jobs.breakdowns(query).await?)
    }

    /// Asks for a job to stop; one that waits is cancelled at once, and one that is over stays as it is.
    ///
    /// # Errors
    /// `NotFound` for an unknown id, `Store`.
    pub async fn cancel(&self, id: BreakdownId) -> Result<BreakdownJob, BreakdownError> {
        let before = self.job(id).await?;
        let job = self.shared.jobs.cancel_breakdown(id).await?;
        let job = job.ok_or_else(|| BreakdownError::not_found("breakdown", id))?;
        if let Some(going) = self.shared.running().get(&id) {
            going.cancel();
        }
        if job.state.is_final() && !before.state.is_final() {
            self.shared.tell_end(job.clone());
        }
        Ok(job)
    }

    /// Makes subtasks of a proposal: those at these places, or all. Accepting again makes nothing twice.
    ///
    /// # Errors
    /// `NotFound`, `Conflict` if there is no proposal or it was discarded, `Invalid` for a place that is not in it, `Store`.
    pub async fn accept(&self, id: BreakdownId, chosen: Option<Vec<usize>>) -> Result<Accepted, BreakdownError> {
        let job = self.job(id).await?;
        let flat = &self.shared.options.flat_tools;
        let accepted = self.shared.hub.accept_breakdown(&job, chosen, flat).await?;
        if accepted.created > 0 {
            self.shared.teller.tell(&job, BreakdownNews::Accepted);
        }
        Ok(accepted)
    }

    /// Turns a proposal down, and takes it off the task. Subtasks that were made of it stay.
    ///
    /// # Errors
    /// `NotFound`, `Conflict` if there is no proposal, `Store`.
    pub async fn discard(&self, id: BreakdownId) -> Result<BreakdownJob, BreakdownError> {
        let before = self.job(id).await?;
        if before.breakdown.is_none() {
            let message = format!("the breakdown is {}; there is no proposal to discard", before.state);
            return Err(BreakdownError::new(BreakdownErrorKind::Conflict, "discard", message));
        }
        let job = self.shared.jobs.discard_breakdown(id).await?;
        let job = job.ok_or_else(|| BreakdownError::not_found("breakdown", id))?;
        match self.shared.hub.discard_proposal(&job).await {
            Ok(_) => {}
            // With the task its proposal is gone as well.
            Err(error) if error.kind() == crate::hub::HubErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
        if before.discarded_at.is_none() {
            self.shared.teller.tell(&job, BreakdownNews::Discarded);
        }
        Ok(job)
    }

    /// The subtasks that were made of a proposal so far, by their places in it.
    ///
    /// # Errors
    /// `Store`.
    pub async fn accepted(
        &self,
        job: &BreakdownJob,
    ) -> Result<std::collections::BTreeMap<usize, TaskId>, BreakdownError> {
        Ok(self.shared.hub.accepted_subtasks(job).await?)
    }

    /// Deletes jobs that ended before an instant, at most `limit` at once, and answers how many; see
    /// [`BreakdownStore::prune_breakdowns`] for what stays.
    ///
    /// # Errors
    /// `Store`.
    pub async fn prune(&self, before: Timestamp, limit: usize) -> Result<u64, BreakdownError> {
        Ok(self.shared.jobs.prune_breakdowns(before, limit).await?)
    }

    /// Who answers.
    #[must_use]
    pub fn model(&self) -> ModelInfo {
        self.shared.model.model()
    }

    /// Ends it: nothing new begins, and what goes on is marked `interrupted`, for the next process to try again.
    pub async fn shutdown(&self) {
        self.shared.stop.cancel();
        let mut over = self.over.clone();
        let ended = timeout(LAST_WORDS, over.wait_for(|over| *over)).await;
        if ended.is_err() {
            tracing::error!("the store does not answer; breakdowns are left to be found when their claims expire");
        }
    }
}
