//! The hub's store: small traits by what they keep, and one atomic [`commit`](TaskStore::commit).

mod breakdown;
mod changeset;
mod error;
mod lease;
mod query;
mod service;

use std::fmt::Debug;

use async_trait::async_trait;

use crate::model::{
    Conflict, ConflictId, ConnectionId, ConnectionSettings, ExternalId, HistoryEntry, Intent, IntentId, ItemFailure,
    Link, LinkId, Mapping, MappingId, Project, ProjectId, Run, RunId, RunReport, RunRequest, RunState, Task, TaskEntry,
    TaskId, Trigger,
};

pub use breakdown::{BreakdownClaim, BreakdownEnd, BreakdownQuery, BreakdownStore, EnqueuedBreakdown};
pub use changeset::{
    ChangedRows, Changeset, CommitOutcome, ConflictWrite, FailureWrite, LinkWrite, MappingWrite, MatchGuard,
    ProjectWrite, StaleReason, StaleUnit, TaskWrite, Unit,
};
pub use error::{StoreError, StoreErrorKind};
pub use lease::{Fence, Lease, LeaseAnswer};
pub use query::{ConflictQuery, Enqueued, TaskPage, TaskQuery};
pub use service::{
    ConflictPage, ConnectionCounts, OnceAnswer, OnceEntry, OnceRequest, RunDigest, RunEvent, RunPage, RunQuery,
    RunStanding, ServiceStore, TaskCounts, TaskCursor, TaskOrder, TaskSearch, TaskSearchPage, TaskSource,
};

/// Projects and tasks of the hub.
#[async_trait]
pub trait HubStore: Debug + Send + Sync + 'static {
    /// All projects, archived ones too, by name.
    async fn projects(&self) -> Result<Vec<Project>, StoreError>;

    /// One project.
    async fn project(&self, id: ProjectId) -> Result<Option<Project>, StoreError>;

    /// All tasks of a project, tombstones and archived ones too, by id.
    async fn tasks_of_project(&self, project: ProjectId) -> Result<Vec<Task>, StoreError>;

    /// All tasks of a project, tombstones and archived ones too, by id, as far as must be known of all of them. A tenth of
    /// [`tasks_of_project`](Self::tasks_of_project) in size.
    async fn task_index(&self, project: ProjectId) -> Result<Vec<TaskEntry>, StoreError> {
        let tasks = self.tasks_of_project(project).await?;
        Ok(tasks.iter().map(TaskEntry::from).collect())
    }

    /// Tasks by id, tombstones too; unknown ids are left out.
    async fn tasks(&self, ids: Vec<TaskId>) -> Result<Vec<Task>, StoreError>;

    /// A filtered page of tasks, newest first.
    async fn query_tasks(&self, query: TaskQuery) -> Result<TaskPage, StoreError>;

    /// What was changed on a task, oldest first.
    async fn history(&self, task: TaskId) -> Result<Vec<HistoryEntry>, StoreError>;

    /// What a run changed, oldest first.
    async fn history_of_run(&self, run: RunId) -> Result<Vec<HistoryEntry>, StoreError>;
}

/// Mappings, links, intents and conflicts.
#[async_trait]
pub trait LinkStore: Debug + Send + Sync + 'static {
    /// The mappings of a connection, by external name.
    async fn mappings(&self, connection: ConnectionId) -> Result<Vec<Mapping>, StoreError>;

    /// Every mapping of every connection.
    async fn all_mappings(&self) -> Result<Vec<Mapping>, StoreError>;

    /// All links of a connection, in every state.
    async fn links(&self, connection: ConnectionId) -> Result<Vec<Link>, StoreError>;

    /// All links of a connection, in every state, by id, without bases, refusals and swings: who is linked with whom. A tenth of
    /// [`links`](Self::links) in size.
    async fn link_index(&self, connection: ConnectionId) -> Result<Vec<Link>, StoreError> {
        let mut links = self.links(connection).await?;
        for link in &mut links {
            link.bases.clear();
            link.refusals.clear();
            link.swings.clear();
        }
        Ok(links)
    }

    /// All links of a mapping, in every state.
    async fn links_of_mapping(&self, mapping: MappingId) -> Result<Vec<Link>, StoreError>;

    /// All links of these tasks on every connection.
    async fn links_of_tasks(&self, tasks: Vec<TaskId>) -> Result<Vec<Link>, StoreError>;

    /// The link of an external task.
    async fn link_by_external(&self, connection: ConnectionId, id: ExternalId) -> Result<Option<Link>, StoreError>;

    /// One link.
    async fn link(&self, id: LinkId) -> Result<Option<Link>, StoreError>;

    /// The intents of a connection that are open or uncertain, oldest first.
    async fn unsettled_intents(&self, connection: ConnectionId) -> Result<Vec<Intent>, StoreError>;

    /// All intents of a run, settled ones too, oldest first.
    async fn intents_of_run(&self, run: RunId) -> Result<Vec<Intent>, StoreError>;

    /// One intent.
    async fn intent(&self, id: IntentId) -> Result<Option<Intent>, StoreError>;

    /// The items whose writes fail, of one connection or of all, oldest failure first.
    async fn item_failures(&self, connection: Option<ConnectionId>) -> Result<Vec<ItemFailure>, StoreError>;

    /// Conflicts, newest first.
    async fn conflicts(&self, query: ConflictQuery) -> Result<Vec<Conflict>, StoreError>;

    /// One conflict.
    async fn conflict(&self, id: ConflictId) -> Result<Option<Conflict>, StoreError>;
}

/// The run log. At most one run per connection is `started` and at most one is `queued`: the store sees to it.
///
/// Whatever marks a run `interrupted` queues its [resumption](Run::resumption) in the same transaction, or lets it join the
/// run that is queued: what was asked is not lost, whoever looks first and whenever he dies.
#[async_trait]
pub trait RunStore: Debug + Send + Sync + 'static {
    /// Queues a run, or joins the one that is queued already: its request becomes the merge of both
    /// ([`RunRequest::merged`]).
    async fn enqueue_run(&self, request: RunRequest) -> Result<Enqueued, StoreError>;

    /// As [`enqueue_run`](Self::enqueue_run), if this still is the connection's newest run; `None` if it is not. Of several
    /// who decide on what they have read that a run is due, one queues it. A store that processes share must see to that in
    /// one transaction.
    async fn enqueue_run_after(&self, newest: RunId, request: RunRequest) -> Result<Option<Enqueued>, StoreError> {
        let recent = self.recent_runs_of(request.connection_id, 1).await?;
        if recent.first().is_none_or(|run| run.id != newest) {
            return Ok(None);
        }
        self.enqueue_run(request).await.map(Some)
    }

    /// Takes the queued run of the fence's connection and marks it started; clears the connection's due mark in the
    /// same transaction. `None` if nothing is queued. A run of this connection still marked `started` is marked
    /// `interrupted`: whoever held the lease before is gone. The run that is claimed then goes on with it.
    ///
    /// # Errors
    /// `Fenced` if the lease was taken over.
    async fn claim_run(&self, fence: Fence) -> Result<Option<Run>, StoreError>;

    /// Ends a run. Ending one that is final already changes nothing and is no error. One that ends `interrupted` is queued
    /// anew.
    async fn finish_run(
        &self,
        id: RunId,
        state: RunState,
        report: RunReport,
        error_message: Option<String>,
    ) -> Result<(), StoreError>;

    /// Marks a queued or started run to be cancelled; a queued one is `cancelled` at once, and so is a halted one: its
    /// plan is dropped. Answers the run, or `None` for an unknown id. Any other final run stays as it is.
    async fn request_cancel(&self, id: RunId) -> Result<Option<Run>, StoreError>;

    /// Marks as `interrupted` every `started` run whose connection's lease is free or expired, queues them anew, and answers
    /// those that were marked. One that cannot be read is left out, and logged.
    async fn interrupt_abandoned(&self) -> Result<Vec<Run>, StoreError>;

    /// One run.
    async fn run(&self, id: RunId) -> Result<Option<Run>, StoreError>;

    /// The newest runs, newest first.
    async fn recent_runs(&self, limit: usize) -> Result<Vec<Run>, StoreError>;

    /// The newest runs of one connection, newest first. A store that can find them without reading those of the others does so.
    async fn recent_runs_of(&self, connection: ConnectionId, limit: usize) -> Result<Vec<Run>, StoreError> {
        let mut runs = self.recent_runs(usize::MAX).await?;
        runs.retain(|run| run.connection_id == connection);
        runs.truncate(limit);
        Ok(runs)
    }

    /// Whether a person ever asked for a run of this connection: only then is it run by itself.
    async fn asked_by_person(&self, connection: ConnectionId) -> Result<bool, StoreError> {
        let runs = self.recent_runs_of(connection, usize::MAX).await?;
        Ok(runs.iter().any(|run| run.request.trigger == Trigger::Manual))
    }

    /// All runs that are queued or started, oldest first. One that cannot be read is left out, and logged: it must not keep other
    /// connections from running.
    async fn unfinished_runs(&self) -> Result<Vec<Run>, StoreError>;
}

/// The right to run a connection: at most one holder anywhere. Time is the store's own.
#[async_trait]
pub trait LeaseStore: Debug + Send + Sync + 'static {
    /// Takes the lease for `ttl`, if it is free, expired, or held by the same holder already. Each taking raises the
    /// epoch; what the holder before still sends is then `Fenced`.
    async fn acquire_lease(
        &self,
        connection: ConnectionId,
        holder: String,
        ttl: std::time::Duration,
    ) -> Result<LeaseAnswer, StoreError>;

    /// Prolongs a lease. `false`: it is lost, stop writing at once.
    async fn renew_lease(&self, lease: Lease, ttl: std::time::Duration) -> Result<bool, StoreError>;

    /// Frees a lease; freeing a lost one changes nothing.
    async fn release_lease(&self, lease: Lease) -> Result<(), StoreError>;
}

/// Connections, and which of them are due.
#[async_trait]
pub trait SettingsStore: Debug + Send + Sync + 'static {
    /// All connections, by name.
    async fn connections(&self) -> Result<Vec<ConnectionSettings>, StoreError>;

    /// One connection.
    async fn connection(&self, id: ConnectionId) -> Result<Option<ConnectionSettings>, StoreError>;

    /// Adds a connection, or changes it if its `revision` is the stored one. Answers it with its new revision.
    ///
    /// # Errors
    /// `Conflict` if the name is taken, or the revision moved.
    async fn save_connection(&self, settings: ConnectionSettings) -> Result<ConnectionSettings, StoreError>;

    /// Removes a connection with its mappings, links, intents, conflicts, runs and sealed secret. Hub tasks stay.
    /// `false` if there is none.
    async fn delete_connection(&self, id: ConnectionId) -> Result<bool, StoreError>;

    /// The connections that became due: see [`Changeset`].
    async fn due_connections(&self) -> Result<Vec<ConnectionId>, StoreError>;

    /// Keeps sealed bytes for a connection under a name, in place of older ones; `None` forgets them.
    async fn put_sealed(
        &self,
        connection: ConnectionId,
        name: String,
        sealed: Option<Vec<u8>>,
    ) -> Result<(), StoreError>;

    /// Sealed bytes kept before.
    async fn get_sealed(&self, connection: ConnectionId, name: String) -> Result<Option<Vec<u8>>, StoreError>;
}

/// The hub: everything that Magnus keeps, with one atomic commit.
///
/// # Contract
/// - Every method may be called from many tasks and, for a store on disk, from many processes at once.
/// - Nothing that stands in the database makes it panic; a row that cannot be read is a `Corrupt` error that names it.
/// - Dropping a future leaves either all or nothing of its change.
#[async_trait]
pub trait TaskStore: HubStore + LinkStore + RunStore + LeaseStore + SettingsStore {
    /// Commits what a step decided, in one transaction.
    ///
    /// Units whose rows went stale are left out whole and answered, with the index in [`Changeset::units`]; all other
    /// units, and the mapping and project writes, are committed. The same changeset id a second time changes nothing
    /// and answers as the first time did, so that a lost answer can be asked for again.
    ///
    /// # Errors
    /// `Fenced` if the fence's lease was taken over or has expired: nothing is committed.
    async fn commit(&self, fence: Fence, changeset: Changeset) -> Result<CommitOutcome, StoreError>;

    /// How many rows of projects, tasks, links and conflicts this store changed since it was opened.
    fn changed_rows(&self) -> ChangedRows;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_traits_are_object_safe() {
        fn takes(_: Option<&dyn TaskStore>) {}
        takes(None);
    }
}
