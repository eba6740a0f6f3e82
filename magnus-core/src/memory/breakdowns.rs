//! Breakdowns of tasks that were asked for.

use std::time::Duration;

use async_trait::async_trait;

use super::MemoryStore;
use super::tables::Tables;
use crate::model::{BreakdownId, BreakdownJob, BreakdownState, TaskId, Timestamp};
use crate::store::{
    BreakdownClaim, BreakdownEnd, BreakdownQuery, BreakdownStore, EnqueuedBreakdown, StoreError, StoreErrorKind,
};

/// A job, and until when its claim stands.
#[derive(Clone)]
pub(super) struct BreakdownRow {
    job: BreakdownJob,
    claimed_until: Option<Timestamp>,
}

#[async_trait]
impl BreakdownStore for MemoryStore {
    async fn enqueue_breakdown(&self, task: TaskId) -> Result<EnqueuedBreakdown, StoreError> {
        let now = self.now();
        let mut tables = self.tables();
        if tables.task(task).is_none() {
            let message = format!("there is no task {task}");
            return Err(StoreError::new(StoreErrorKind::NotFound, "enqueue breakdown", message));
        }
        let known = tables.breakdowns.values().map(|row| &row.job);
        if let Some(job) = known.clone().find(|job| job.task_id == task && !job.state.is_final()) {
            return Ok(EnqueuedBreakdown {
                job: job.clone(),
                joined: true,
            });
        }
        let job = BreakdownJob::queued(task, now);
        let row = BreakdownRow {
            job: job.clone(),
            claimed_until: None,
        };
        tables.breakdowns.insert(job.id, row);
        Ok(EnqueuedBreakdown { job, joined: false })
    }

    async fn claim_breakdown(&self, holder: String, ttl: Duration) -> Result<Option<BreakdownJob>, StoreError> {
        let now = self.now();
        let mut tables = self.tables();
        let waiting = tables.breakdowns.values_mut().filter(|row| waits(row.job.state));
        let Some(row) = waiting.min_by_key(|row| (row.job.queued_at, row.job.id)) else {
            return Ok(None);
        };
        row.job.state = BreakdownState::Running;
        row.job.attempts = row.job.attempts.saturating_add(1);
        row.job.holder = Some(holder);
        row.job.started_at = Some(now);
        row.claimed_until = Some(now + ttl);
        Ok(Some(row.job.clone()))
    }

    async fn renew_breakdown(&self, claim: BreakdownClaim, ttl: Duration) -> Result<Option<BreakdownJob>, StoreError> {
        let now = self.now();
        let mut tables = self.tables();
        let row = tables.claimed(&claim).filter(|row| row.claimed_until > Some(now));
        Ok(row.map(|row| {
            row.claimed_until = Some(now + ttl);
            row.job.clone()
        }))
    }

    async fn finish_breakdown(&self, claim: BreakdownClaim, end: BreakdownEnd) -> Result<bool, StoreError> {
        if matches!(end.state, BreakdownState::Queued | BreakdownState::Running) {
            let message = format!("{} does not end a breakdown", end.state);
            return Err(StoreError::new(StoreErrorKind::Usage, "finish breakdown", message));
        }
        let now = self.now();
        let mut tables = self.tables();
        let Some(row) = tables.claimed(&claim) else {
            return Ok(false);
        };
        row.job.breakdown = end.breakdown.map(|breakdown| *breakdown);
        row.job.raw = end.raw;
        row.end(end.state, end.error_message, now);
        Ok(true)
    }

    async fn cancel_breakdown(&self, id: BreakdownId) -> Result<Option<BreakdownJob>, StoreError> {
        let now = self.now();
        let mut tables = self.tables();
        Ok(tables.breakdowns.get_mut(&id).map(|row| {
            if !row.job.state.is_final() {
                row.job.cancel_requested = true;
            }
            if waits(row.job.state) {
                row.end(BreakdownState::Cancelled, None, now);
            }
            row.job.clone()
        }))
    }

    async fn interrupt_abandoned_breakdowns(&self) -> Result<Vec<BreakdownJob>, StoreError> {
        let now = self.now();
        let mut tables = self.tables();
        let running = tables.breakdowns.values_mut();
        let abandoned = running.filter(|row| {
            row.job.state == BreakdownState::Running && row.claimed_until.is_none_or(|until| until <= now)
        });
        Ok(abandoned
            .map(|row| {
                let state = if row.job.cancel_requested {
                    BreakdownState::Cancelled
                } else {
                    BreakdownState::Interrupted
                };
                row.end(state, None, now);
                row.job.clone()
            })
            .collect())
    }

    async fn discard_breakdown(&self, id: BreakdownId) -> Result<Option<BreakdownJob>, StoreError> {
        let now = self.now();
        let mut tables = self.tables();
        Ok(tables.breakdowns.get_mut(&id).map(|row| {
            if row.job.state == BreakdownState::Completed {
                row.job.discarded_at.get_or_insert(now);
            }
            row.job.clone()
        }))
    }

    async fn breakdown(&self, id: BreakdownId) -> Result<Option<BreakdownJob>, StoreError> {
        Ok(self.tables().breakdowns.get(&id).map(|row| row.job.clone()))
    }

    async fn breakdowns(&self, query: BreakdownQuery) -> Result<Vec<BreakdownJob>, StoreError> {
        let tables = self.tables();
        let all = tables.breakdowns.values().map(|row| &row.job);
        let mut jobs: Vec<BreakdownJob> = all
            .filter(|job| query.task_id.is_none_or(|task| job.task_id == task))
            .filter(|job| !query.unfinished_only || !job.state.is_final())
            .cloned()
            .collect();
        jobs.sort_by_key(|job| std::cmp::Reverse((job.queued_at, job.id)));
        jobs.truncate(query.effective_limit());
        Ok(jobs)
    }

    async fn prune_breakdowns(&self, before: Timestamp, limit: usize) -> Result<u64, StoreError> {
        let mut tables = self.tables();
        let age = |job: &BreakdownJob| (job.queued_at, job.id);
        let is_proposal = |job: &BreakdownJob| job.state == BreakdownState::Completed;
        let is_kept = |job: &BreakdownJob| {
            let newer = || {
                let others = tables.breakdowns.values().map(|row| &row.job);
                others.filter(|other| other.task_id == job.task_id && age(other) > age(job))
            };
            newer().next().is_none() || (is_proposal(job) && !newer().any(is_proposal))
        };
        let jobs = tables.breakdowns.values().map(|row| &row.job);
        let mut old: Vec<&BreakdownJob> = jobs
            .filter(|job| job.state.is_final() && job.completed_at.is_some_and(|at| at < before) && !is_kept(job))
            .collect();
        old.sort_by_key(|job| (job.completed_at, job.id));
        let old: Vec<BreakdownId> = old.into_iter().take(limit).map(|job| job.id).collect();
        tables.breakdowns.retain(|id, _| !old.contains(id));
        Ok(u64::try_from(old.len()).unwrap_or(u64::MAX))
    }
}

const fn waits(state: BreakdownState) -> bool {
    matches!(state, BreakdownState::Queued | BreakdownState::Interrupted)
}

impl BreakdownRow {
    fn end(&mut self, state: BreakdownState, error_message: Option<String>, now: Timestamp) {
        self.job.state = state;
        self.job.holder = None;
        self.job.error_message = error_message;
        self.job.completed_at = state.is_final().then_some(now);
        self.claimed_until = None;
    }
}

impl Tables {
    /// The job of a claim that was not taken away.
    fn claimed(&mut self, claim: &BreakdownClaim) -> Option<&mut BreakdownRow> {
        self.breakdowns.get_mut(&claim.id).filter(|row| {
            row.job.state == BreakdownState::Running
                && row.job.attempts == claim.attempt
                && row.job.holder.as_deref() == Some(claim.holder.as_str())
        })
    }
}
