//! The run log.

use async_trait::async_trait;

use super::MemoryStore;
use super::tables::Tables;
use crate::model::{ConnectionId, Run, RunId, RunReport, RunRequest, RunState, Timestamp};
use crate::store::{Enqueued, Fence, RunEvent, RunStore, StoreError, StoreErrorKind};

const ABANDONED: &str = "the process that ran it ended without finishing it";

#[async_trait]
impl RunStore for MemoryStore {
    async fn enqueue_run(&self, request: RunRequest) -> Result<Enqueued, StoreError> {
        let now = self.now();
        let mut tables = self.tables();
        tables.require_connection(request.connection_id, "enqueue run")?;
        Ok(tables.enqueue(request, now))
    }

    async fn enqueue_run_after(&self, newest: RunId, request: RunRequest) -> Result<Option<Enqueued>, StoreError> {
        let now = self.now();
        let mut tables = self.tables();
        let of_connection = tables
            .runs
            .values()
            .filter(|run| run.connection_id == request.connection_id);
        let still = of_connection
            .max_by_key(|run| (run.queued_at, run.id))
            .is_some_and(|run| run.id == newest);
        Ok(still.then(|| tables.enqueue(request, now)))
    }

    async fn claim_run(&self, fence: Fence) -> Result<Option<Run>, StoreError> {
        let Some(connection) = fence.connection() else {
            return Err(StoreError::new(
                StoreErrorKind::Usage,
                "claim run",
                "only the holder of a lease can claim",
            ));
        };
        let now = self.now();
        let mut tables = self.tables();
        tables.check_fence(&fence, now, "claim run")?;
        if let Some(dead) = tables.run_of(connection, RunState::Started).map(|dead| dead.id) {
            tables.end(dead, RunState::Interrupted, Some(ABANDONED.to_owned()), now);
        }
        let Some(run) = tables.run_of(connection, RunState::Queued) else {
            return Ok(None);
        };
        run.state = RunState::Started;
        run.started_at = Some(now);
        let run = run.clone();
        tables.note_state(&run);
        tables.due.remove(&connection);
        Ok(Some(run))
    }

    async fn finish_run(
        &self,
        id: RunId,
        state: RunState,
        report: RunReport,
        error_message: Option<String>,
    ) -> Result<(), StoreError> {
        if !state.is_final() {
            return Err(StoreError::new(
                StoreErrorKind::Usage,
                "finish run",
                format!("{state} does not end a run"),
            ));
        }
        let now = self.now();
        let mut tables = self.tables();
        let run = tables
            .runs
            .get_mut(&id)
            .ok_or_else(|| StoreError::new(StoreErrorKind::NotFound, "finish run", format!("there is no run {id}")))?;
        if !run.state.is_final() {
            run.report = report;
            tables.end(id, state, error_message, now);
        }
        Ok(())
    }

    async fn request_cancel(&self, id: RunId) -> Result<Option<Run>, StoreError> {
        let now = self.now();
        let mut tables = self.tables();
        let Some(run) = tables.runs.get_mut(&id) else {
            return Ok(None);
        };
        if !run.state.is_final() {
            run.cancel_requested = true;
        }
        if matches!(run.state, RunState::Queued | RunState::Halted) {
            return Ok(tables.end(id, RunState::Cancelled, None, now));
        }
        Ok(Some(run.clone()))
    }

    async fn interrupt_abandoned(&self) -> Result<Vec<Run>, StoreError> {
        let now = self.now();
        let mut tables = self.tables();
        let started = tables.runs.values().filter(|run| run.state == RunState::Started);
        let abandoned: Vec<RunId> = started
            .filter(|run| !tables.is_leased(run.connection_id, now))
            .map(|run| run.id)
            .collect();
        let interrupted = abandoned
            .into_iter()
            .filter_map(|id| tables.end(id, RunState::Interrupted, Some(ABANDONED.to_owned()), now));
        Ok(interrupted.collect())
    }

    async fn run(&self, id: RunId) -> Result<Option<Run>, StoreError> {
        Ok(self.tables().runs.get(&id).cloned())
    }

    async fn recent_runs(&self, limit: usize) -> Result<Vec<Run>, StoreError> {
        let mut runs: Vec<Run> = self.tables().runs.values().cloned().collect();
        runs.sort_by_key(|run| std::cmp::Reverse((run.queued_at, run.id)));
        runs.truncate(limit);
        Ok(runs)
    }

    async fn unfinished_runs(&self) -> Result<Vec<Run>, StoreError> {
        let tables = self.tables();
        let mut runs: Vec<Run> = tables
            .runs
            .values()
            .filter(|run| !run.state.is_final())
            .cloned()
            .collect();
        runs.sort_by_key(|run| (run.queued_at, run.id));
        Ok(runs)
    }
}

impl Tables {
    fn run_of(&mut self, connection: ConnectionId, state: RunState) -> Option<&mut Run> {
        self.runs
            .values_mut()
            .find(|run| run.connection_id == connection && run.state == state)
    }

    /// Queues a run, or lets the request join the one that is queued.
    fn enqueue(&mut self, request: RunRequest, now: Timestamp) -> Enqueued {
        if let Some(run) = self.run_of(request.connection_id, RunState::Queued) {
            run.request = run.request.merged(&request);
            return Enqueued {
                run: run.clone(),
                joined: true,
            };
        }
        let run = Run {
            id: RunId::generate(),
            connection_id: request.connection_id,
            request,
            state: RunState::Queued,
            cancel_requested: false,
            report: RunReport::default(),
            error_message: None,
            queued_at: now,
            started_at: None,
            completed_at: None,
        };
        self.runs.insert(run.id, run.clone());
        self.note_state(&run);
        Enqueued { run, joined: false }
    }

    /// Ends a run; what was interrupted is queued anew.
    fn end(&mut self, id: RunId, state: RunState, error_message: Option<String>, now: Timestamp) -> Option<Run> {
        let run = self.runs.get_mut(&id)?;
        run.state = state;
        run.error_message = error_message;
        run.completed_at = Some(now);
        let run = run.clone();
        self.note_state(&run);
        if let Some(request) = run.resumption() {
            self.enqueue(request, now);
        }
        Some(run)
    }

    /// Adds the event that goes with a run's new state.
    fn note_state(&mut self, run: &Run) {
        let event = RunEvent {
            sequence: i64::try_from(self.run_events.len())
                .unwrap_or(i64::MAX)
                .saturating_add(1),
            run_id: run.id,
            connection_id: run.connection_id,
            state: run.state,
            at: run.completed_at.or(run.started_at).unwrap_or(run.queued_at),
        };
        self.run_events.push(event);
    }
}
