//! A hub that fails when told to.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use crate::memory::MemoryStore;
use crate::model::{
    Conflict, ConflictId, ConnectionId, ConnectionSettings, ExternalId, HistoryEntry, Intent, IntentId, ItemFailure,
    Link, LinkId, Mapping, MappingId, Project, ProjectId, Run, RunId, RunReport, RunRequest, RunState, Task, TaskId,
};
use crate::store::{
    ChangedRows, Changeset, CommitOutcome, ConflictQuery, Enqueued, Fence, HubStore, Lease, LeaseAnswer, LeaseStore,
    LinkStore, RunStore, SettingsStore, StoreError, StoreErrorKind, TaskPage, TaskQuery, TaskStore,
};

/// The in-memory hub, whose methods fail as often as the test says.
#[derive(Debug)]
pub(super) struct FaultyStore {
    inner: MemoryStore,
    faults: Mutex<HashMap<&'static str, usize>>,
}

impl FaultyStore {
    pub(super) fn new(inner: MemoryStore) -> Self {
        Self {
            inner,
            faults: Mutex::default(),
        }
    }

    /// The next `times` calls of a method fail.
    pub(super) fn fail(&self, method: &'static str, times: usize) {
        self.faults
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(method, times);
    }

    fn check(&self, method: &'static str) -> Result<(), StoreError> {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        match faults.get_mut(method) {
            Some(left) if *left > 0 => {
                *left -= 1;
                Err(StoreError::new(StoreErrorKind::Unavailable, method, "the disk is full"))
            }
            _ => Ok(()),
        }
    }
}

macro_rules! forward {
    ($($trait:ident { $($name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)+ })+) => {$(
        #[async_trait]
        impl $trait for FaultyStore {
            $(async fn $name(&self, $($argument: $type),*) -> Result<$answer, StoreError> {
                self.check(stringify!($name))?;
                self.inner.$name($($argument),*).await
            })+
        }
    )+};
}

forward! {
    HubStore {
        projects() -> Vec<Project>;
        project(id: ProjectId) -> Option<Project>;
        tasks_of_project(project: ProjectId) -> Vec<Task>;
        tasks(ids: Vec<TaskId>) -> Vec<Task>;
        query_tasks(query: TaskQuery) -> TaskPage;
        history(task: TaskId) -> Vec<HistoryEntry>;
        history_of_run(run: RunId) -> Vec<HistoryEntry>;
    }
    LinkStore {
        mappings(connection: ConnectionId) -> Vec<Mapping>;
        all_mappings() -> Vec<Mapping>;
        links(connection: ConnectionId) -> Vec<Link>;
        links_of_mapping(mapping: MappingId) -> Vec<Link>;
        links_of_tasks(tasks: Vec<TaskId>) -> Vec<Link>;
        link_by_external(connection: ConnectionId, id: ExternalId) -> Option<Link>;
        link(id: LinkId) -> Option<Link>;
        unsettled_intents(connection: ConnectionId) -> Vec<Intent>;
        intents_of_run(run: RunId) -> Vec<Intent>;
        intent(id: IntentId) -> Option<Intent>;
        item_failures(connection: Option<ConnectionId>) -> Vec<ItemFailure>;
        conflicts(query: ConflictQuery) -> Vec<Conflict>;
        conflict(id: ConflictId) -> Option<Conflict>;
    }
    RunStore {
        enqueue_run(request: RunRequest) -> Enqueued;
        enqueue_run_after(newest: RunId, request: RunRequest) -> Option<Enqueued>;
        claim_run(fence: Fence) -> Option<Run>;
        finish_run(id: RunId, state: RunState, report: RunReport, error_message: Option<String>) -> ();
        request_cancel(id: RunId) -> Option<Run>;
        interrupt_abandoned() -> Vec<Run>;
        run(id: RunId) -> Option<Run>;
        recent_runs(limit: usize) -> Vec<Run>;
        recent_runs_of(connection: ConnectionId, limit: usize) -> Vec<Run>;
        asked_by_person(connection: ConnectionId) -> bool;
        unfinished_runs() -> Vec<Run>;
    }
    LeaseStore {
        acquire_lease(connection: ConnectionId, holder: String, ttl: Duration) -> LeaseAnswer;
        renew_lease(lease: Lease, ttl: Duration) -> bool;
        release_lease(lease: Lease) -> ();
    }
    SettingsStore {
        connections() -> Vec<ConnectionSettings>;
        connection(id: ConnectionId) -> Option<ConnectionSettings>;
        save_connection(settings: ConnectionSettings) -> ConnectionSettings;
        delete_connection(id: ConnectionId) -> bool;
        due_connections() -> Vec<ConnectionId>;
        put_sealed(connection: ConnectionId, name: String, sealed: Option<Vec<u8>>) -> ();
        get_sealed(connection: ConnectionId, name: String) -> Option<Vec<u8>>;
    }
}

#[async_trait]
impl TaskStore for FaultyStore {
    async fn commit(&self, fence: Fence, changeset: Changeset) -> Result<CommitOutcome, StoreError> {
        self.check("commit")?;
        self.inner.commit(fence, changeset).await
    }

    fn changed_rows(&self) -> ChangedRows {
        self.inner.changed_rows()
    }
}
