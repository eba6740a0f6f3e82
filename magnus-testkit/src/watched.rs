//! A store that somebody watches: what is asked of it, and when.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use magnus_core::model::{
    Conflict, ConflictId, ConnectionId, ConnectionSettings, ExternalId, HistoryEntry, Intent, IntentId, ItemFailure,
    Link, LinkId, Mapping, MappingId, Project, ProjectId, Run, RunId, RunReport, RunRequest, RunState, Task, TaskEntry,
    TaskId,
};
use magnus_core::store::{
    ChangedRows, Changeset, CommitOutcome, ConflictQuery, Enqueued, Fence, HubStore, Lease, LeaseAnswer, LeaseStore,
    LinkStore, RunStore, SettingsStore, StoreError, TaskPage, TaskQuery, TaskStore,
};

/// Who watches a store.
#[async_trait]
pub trait Watch: Debug + Send + Sync + 'static {
    /// Called before every method but `commit`, with its name.
    async fn before(&self, method: &'static str) {
        let _ = method;
    }

    /// Takes the place of a commit. As provided, the store simply commits.
    ///
    /// # Errors
    /// Those of the store, or whatever a test wants them to be.
    async fn commit(
        &self,
        store: &dyn TaskStore,
        fence: Fence,
        changeset: Changeset,
    ) -> Result<CommitOutcome, StoreError> {
        store.commit(fence, changeset).await
    }
}

/// A store, watched.
#[derive(Debug)]
pub struct WatchedStore<W> {
    inner: Arc<dyn TaskStore>,
    watch: W,
}

impl<W: Watch> WatchedStore<W> {
    /// Watches a store.
    #[must_use]
    pub fn new(inner: Arc<dyn TaskStore>, watch: W) -> Self {
        Self { inner, watch }
    }
}

macro_rules! forward {
    ($($trait:ident { $($name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)+ })+) => {$(
        #[async_trait]
        impl<W: Watch> $trait for WatchedStore<W> {
            $(async fn $name(&self, $($argument: $type),*) -> Result<$answer, StoreError> {
                self.watch.before(stringify!($name)).await;
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
        task_index(project: ProjectId) -> Vec<TaskEntry>;
        tasks(ids: Vec<TaskId>) -> Vec<Task>;
        query_tasks(query: TaskQuery) -> TaskPage;
        history(task: TaskId) -> Vec<HistoryEntry>;
        history_of_run(run: RunId) -> Vec<HistoryEntry>;
    }
    LinkStore {
        mappings(connection: ConnectionId) -> Vec<Mapping>;
        all_mappings() -> Vec<Mapping>;
        links(connection: ConnectionId) -> Vec<Link>;
        link_index(connection: ConnectionId) -> Vec<Link>;
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
impl<W: Watch> TaskStore for WatchedStore<W> {
    async fn commit(&self, fence: Fence, changeset: Changeset) -> Result<CommitOutcome, StoreError> {
        self.watch.commit(self.inner.as_ref(), fence, changeset).await
    }

    fn changed_rows(&self) -> ChangedRows {
        self.inner.changed_rows()
    }
}
