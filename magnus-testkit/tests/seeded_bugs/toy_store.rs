//! A store in memory, correct unless a bug is asked for.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chrono::SubsecRound;
use magnus_core::memory::MemoryStore;
use magnus_core::model::{
    ChangesetId, Conflict, ConflictId, ConnectionId, ConnectionSettings, ExternalId, HistoryEntry, Intent, IntentId,
    ItemFailure, Link, LinkId, Mapping, MappingId, Project, ProjectId, Run, RunId, RunReport, RunRequest, RunState,
    Task, TaskId,
};
use magnus_core::store::{
    ChangedRows, Changeset, CommitOutcome, ConflictQuery, Enqueued, Fence, HubStore, Lease, LeaseAnswer, LeaseStore,
    LinkStore, RunStore, SettingsStore, StoreError, TaskPage, TaskQuery, TaskStore, TaskWrite, Unit,
};
use magnus_testkit::conformance::store::ManualClock;

/// What is wrong with the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bug {
    RoundsTimes,
    ForgetsTags,
    CommitsTwice,
    IgnoresFences,
    OverwritesWhatMoved,
    IgnoresGuards,
    SplitsUnits,
    TwoLeaseHolders,
    RenewsLostLeases,
    ReleasesForeignLeases,
    NobodyIsDue,
    PagesOldestFirst,
    ListsTombstones,
    HistoryBackwards,
    KeepsSealedBytes,
    ForgetsToCancel,
    HidesLinksByTask,
    ListsDecidedConflicts,
    CountsNothing,
    MixesUpFailures,
}

impl Bug {
    /// Each, with a rule that must catch it.
    pub(crate) const ALL: [(Self, &'static str); 20] = [
        (Self::RoundsTimes, "every_field_of_a_task_survives"),
        (Self::ForgetsTags, "every_field_of_a_task_survives"),
        (
            Self::CommitsTwice,
            "the_same_changeset_twice_changes_nothing_and_answers_as_before",
        ),
        (Self::IgnoresFences, "a_commit_after_takeover_is_refused"),
        (
            Self::OverwritesWhatMoved,
            "concurrent_updates_of_one_row_have_one_winner",
        ),
        (Self::IgnoresGuards, "a_task_that_appeared_stops_the_insert"),
        (Self::SplitsUnits, "a_stale_unit_is_left_out_whole"),
        (Self::TwoLeaseHolders, "a_lease_has_one_holder_until_it_expires"),
        (Self::RenewsLostLeases, "a_lost_lease_is_neither_renewed_nor_released"),
        (
            Self::ReleasesForeignLeases,
            "a_lost_lease_is_neither_renewed_nor_released",
        ),
        (Self::NobodyIsDue, "a_changed_task_makes_other_connections_due"),
        (Self::PagesOldestFirst, "pages_cover_all_tasks_once_newest_first"),
        (
            Self::ListsTombstones,
            "tombstones_are_read_by_id_and_listed_only_when_asked_for",
        ),
        (Self::HistoryBackwards, "history_is_kept_in_order"),
        (Self::KeepsSealedBytes, "sealed_bytes_are_kept_replaced_and_forgotten"),
        (
            Self::ForgetsToCancel,
            "a_queued_run_is_cancelled_at_once_and_a_started_one_is_asked",
        ),
        (Self::HidesLinksByTask, "every_field_of_a_link_survives"),
        (
            Self::ListsDecidedConflicts,
            "conflicts_are_found_by_connection_task_and_state",
        ),
        (Self::CountsNothing, "only_real_changes_are_counted"),
        (
            Self::MixesUpFailures,
            "what_failed_is_remembered_replaced_and_forgotten",
        ),
    ];
}

/// The store around a correct one.
#[derive(Debug)]
pub(crate) struct ToyStore {
    inner: MemoryStore,
    bug: Option<Bug>,
    leases: Mutex<Vec<Lease>>,
}

impl ToyStore {
    pub(crate) fn new(clock: Arc<ManualClock>, bug: Option<Bug>) -> Self {
        Self {
            inner: MemoryStore::with_clock(clock),
            bug,
            leases: Mutex::default(),
        }
    }

    fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    fn spoil(&self, mut task: Task) -> Task {
        if self.has(Bug::RoundsTimes) {
            task.updated_at = task.updated_at.trunc_subsecs(3);
        }
        if self.has(Bug::ForgetsTags) {
            task.tags = BTreeSet::new();
        }
        task
    }

    /// Raises the versions that updates expect to the stored ones.
    async fn expect_what_is_there(&self, changeset: &mut Changeset) -> Result<(), StoreError> {
        for write in changeset.units.iter_mut().flat_map(|unit| &mut unit.tasks) {
            if let TaskWrite::Update { task, expected } = write
                && let Some(stored) = self.inner.tasks(vec![task.id]).await?.pop()
            {
                *expected = stored.version;
            }
        }
        Ok(())
    }
}

fn split(unit: Unit) -> Vec<Unit> {
    let tasks = unit.tasks.into_iter().map(|task| Unit {
        tasks: vec![task],
        ..Unit::default()
    });
    let links = unit.links.into_iter().map(|link| Unit {
        links: vec![link],
        ..Unit::default()
    });
    let rest = Unit {
        intents: unit.intents,
        conflicts: unit.conflicts,
        history: unit.history,
        failures: unit.failures,
        ..Unit::default()
    };
    tasks.chain(links).chain([rest]).collect()
}

#[async_trait]
impl HubStore for ToyStore {
    async fn projects(&self) -> Result<Vec<Project>, StoreError> {
        self.inner.projects().await
    }

    async fn project(&self, id: ProjectId) -> Result<Option<Project>, StoreError> {
        self.inner.project(id).await
    }

    async fn tasks_of_project(&self, project: ProjectId) -> Result<Vec<Task>, StoreError> {
        self.inner.tasks_of_project(project).await
    }

    async fn tasks(&self, ids: Vec<TaskId>) -> Result<Vec<Task>, StoreError> {
        let tasks = self.inner.tasks(ids).await?;
        Ok(tasks.into_iter().map(|task| self.spoil(task)).collect())
    }

    async fn query_tasks(&self, query: TaskQuery) -> Result<TaskPage, StoreError> {
        let mut page = self.inner.query_tasks(query.clone()).await?;
        if self.has(Bug::PagesOldestFirst) {
            page.tasks.reverse();
        }
        if self.has(Bug::ListsTombstones) && !query.deleted {
            let buried = self.inner.query_tasks(query.deleted(true)).await?;
            page.total += buried.total;
            page.tasks.extend(buried.tasks);
        }
        Ok(page)
    }

    async fn history(&self, task: TaskId) -> Result<Vec<HistoryEntry>, StoreError> {
        let mut history = self.inner.history(task).await?;
        if self.has(Bug::HistoryBackwards) {
            history.reverse();
        }
        Ok(history)
    }

    async fn history_of_run(&self, run: RunId) -> Result<Vec<HistoryEntry>, StoreError> {
        self.inner.history_of_run(run).await
    }
}

#[async_trait]
impl LinkStore for ToyStore {
    async fn mappings(&self, connection: ConnectionId) -> Result<Vec<Mapping>, StoreError> {
        self.inner.mappings(connection).await
    }

    async fn all_mappings(&self) -> Result<Vec<Mapping>, StoreError> {
        self.inner.all_mappings().await
    }

    async fn links(&self, connection: ConnectionId) -> Result<Vec<Link>, StoreError> {
        self.inner.links(connection).await
    }

    async fn links_of_mapping(&self, mapping: MappingId) -> Result<Vec<Link>, StoreError> {
        self.inner.links_of_mapping(mapping).await
    }

    async fn links_of_tasks(&self, tasks: Vec<TaskId>) -> Result<Vec<Link>, StoreError> {
        let mut links = self.inner.links_of_tasks(tasks).await?;
        if self.has(Bug::HidesLinksByTask) {
            links.clear();
        }
        Ok(links)
    }

    async fn link_by_external(&self, connection: ConnectionId, id: ExternalId) -> Result<Option<Link>, StoreError> {
        self.inner.link_by_external(connection, id).await
    }

    async fn link(&self, id: LinkId) -> Result<Option<Link>, StoreError> {
        self.inner.link(id).await
    }

    async fn unsettled_intents(&self, connection: ConnectionId) -> Result<Vec<Intent>, StoreError> {
        self.inner.unsettled_intents(connection).await
    }

    async fn intents_of_run(&self, run: RunId) -> Result<Vec<Intent>, StoreError> {
        self.inner.intents_of_run(run).await
    }

    async fn intent(&self, id: IntentId) -> Result<Option<Intent>, StoreError> {
        self.inner.intent(id).await
    }

    async fn item_failures(&self, connection: Option<ConnectionId>) -> Result<Vec<ItemFailure>, StoreError> {
        let connection = connection.filter(|_| !self.has(Bug::MixesUpFailures));
        self.inner.item_failures(connection).await
    }

    async fn conflicts(&self, mut query: ConflictQuery) -> Result<Vec<Conflict>, StoreError> {
        if self.has(Bug::ListsDecidedConflicts) {
            query.open_only = false;
        }
        self.inner.conflicts(query).await
    }

    async fn conflict(&self, id: ConflictId) -> Result<Option<Conflict>, StoreError> {
        self.inner.conflict(id).await
    }
}

#[async_trait]
impl RunStore for ToyStore {
    async fn enqueue_run(&self, request: RunRequest) -> Result<Enqueued, StoreError> {
        self.inner.enqueue_run(request).await
    }

    async fn claim_run(&self, fence: Fence) -> Result<Option<Run>, StoreError> {
        self.inner.claim_run(fence).await
    }

    async fn finish_run(
        &self,
        id: RunId,
        state: RunState,
        report: RunReport,
        error_message: Option<String>,
    ) -> Result<(), StoreError> {
        self.inner.finish_run(id, state, report, error_message).await
    }

    async fn request_cancel(&self, id: RunId) -> Result<Option<Run>, StoreError> {
        if self.has(Bug::ForgetsToCancel) {
            return self.inner.run(id).await;
        }
        self.inner.request_cancel(id).await
    }

    async fn interrupt_abandoned(&self) -> Result<Vec<Run>, StoreError> {
        self.inner.interrupt_abandoned().await
    }

    async fn run(&self, id: RunId) -> Result<Option<Run>, StoreError> {
        self.inner.run(id).await
    }

    async fn recent_runs(&self, limit: usize) -> Result<Vec<Run>, StoreError> {
        self.inner.recent_runs(limit).await
    }

    async fn unfinished_runs(&self) -> Result<Vec<Run>, StoreError> {
        self.inner.unfinished_runs().await
    }
}

#[async_trait]
impl LeaseStore for ToyStore {
    async fn acquire_lease(
        &self,
        connection: ConnectionId,
        holder: String,
        ttl: Duration,
    ) -> Result<LeaseAnswer, StoreError> {
        let answer = self.inner.acquire_lease(connection, holder.clone(), ttl).await?;
        match answer {
            LeaseAnswer::Held { .. } if self.has(Bug::TwoLeaseHolders) => Ok(LeaseAnswer::Granted(Lease {
                connection_id: connection,
                holder,
                epoch: i64::MAX,
            })),
            LeaseAnswer::Granted(lease) => {
                self.leases
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(lease.clone());
                Ok(LeaseAnswer::Granted(lease))
            }
            held @ LeaseAnswer::Held { .. } => Ok(held),
        }
    }

    async fn renew_lease(&self, lease: Lease, ttl: Duration) -> Result<bool, StoreError> {
        Ok(self.inner.renew_lease(lease, ttl).await? || self.has(Bug::RenewsLostLeases))
    }

    async fn release_lease(&self, lease: Lease) -> Result<(), StoreError> {
        if self.has(Bug::ReleasesForeignLeases) {
            let all = self.leases.lock().unwrap_or_else(PoisonError::into_inner).clone();
            for known in all
                .into_iter()
                .filter(|known| known.connection_id == lease.connection_id)
            {
                self.inner.release_lease(known).await?;
            }
        }
        self.inner.release_lease(lease).await
    }
}

#[async_trait]
impl SettingsStore for ToyStore {
    async fn connections(&self) -> Result<Vec<ConnectionSettings>, StoreError> {
        self.inner.connections().await
    }

    async fn connection(&self, id: ConnectionId) -> Result<Option<ConnectionSettings>, StoreError> {
        self.inner.connection(id).await
    }

    async fn save_connection(&self, settings: ConnectionSettings) -> Result<ConnectionSettings, StoreError> {
        self.inner.save_connection(settings).await
    }

    async fn delete_connection(&self, id: ConnectionId) -> Result<bool, StoreError> {
        self.inner.delete_connection(id).await
    }

    async fn due_connections(&self) -> Result<Vec<ConnectionId>, StoreError> {
        if self.has(Bug::NobodyIsDue) {
            return Ok(Vec::new());
        }
        self.inner.due_connections().await
    }

    async fn put_sealed(
        &self,
        connection: ConnectionId,
        name: String,
        sealed: Option<Vec<u8>>,
    ) -> Result<(), StoreError> {
        if sealed.is_none() && self.has(Bug::KeepsSealedBytes) {
            return Ok(());
        }
        self.inner.put_sealed(connection, name, sealed).await
    }

    async fn get_sealed(&self, connection: ConnectionId, name: String) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.get_sealed(connection, name).await
    }
}

#[async_trait]
impl TaskStore for ToyStore {
    async fn commit(&self, fence: Fence, mut changeset: Changeset) -> Result<CommitOutcome, StoreError> {
        let fence = if self.has(Bug::IgnoresFences) {
            Fence::Hub
        } else {
            fence
        };
        if self.has(Bug::CommitsTwice) {
            changeset.id = ChangesetId::generate();
        }
        if self.has(Bug::OverwritesWhatMoved) {
            self.expect_what_is_there(&mut changeset).await?;
        }
        if self.has(Bug::SplitsUnits) {
            changeset.units = changeset.units.into_iter().flat_map(split).collect();
        }
        if self.has(Bug::IgnoresGuards) {
            for write in changeset.units.iter_mut().flat_map(|unit| &mut unit.tasks) {
                if let TaskWrite::Insert { guard, .. } = write {
                    *guard = None;
                }
            }
        }
        self.inner.commit(fence, changeset).await
    }

    fn changed_rows(&self) -> ChangedRows {
        if self.has(Bug::CountsNothing) {
            return ChangedRows::default();
        }
        self.inner.changed_rows()
    }
}
