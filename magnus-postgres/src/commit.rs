//! The one atomic commit.
//!
//! Units are written many at a time, a statement per table and kind. If something in a batch is stale, the batch is taken
//! back and written again in two halves, down to the stale units themselves: a changeset in which nothing is stale takes
//! a fixed number of statements, and each stale unit adds a few more.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use magnus_core::model::{ConflictState, ConnectionId, ProjectId, TaskId};
use magnus_core::store::{
    ChangedRows, Changeset, CommitOutcome, ConflictWrite, Fence, LinkWrite, MatchGuard, StaleReason, StaleUnit,
    StoreError, TaskStore, TaskWrite, Unit,
};
use sqlx::PgConnection;

use crate::batch::{Written, goes_together};
use crate::columns::{Columns, to_jsonb};
use crate::error::{failed, may_be_tried_again, pause};
use crate::open::finish;
use crate::schema::Schema;
use crate::tasks::TaskRow;
use crate::{PostgresStore, conflicts, failures, history, intents, leases, links, mappings, projects, tasks};

const OPERATION: &str = "commit";

/// How often a commit that lost against another transaction is tried again.
const MOST_TRIES: u32 = 6;

#[async_trait]
impl TaskStore for PostgresStore {
    async fn commit(&self, fence: Fence, changeset: Changeset) -> Result<CommitOutcome, StoreError> {
        // Also after a COMMIT whose answer was lost: a changeset that stands is not committed twice.
        let mut tries = 1;
        loop {
            match self.commit_once(&fence, &changeset).await {
                Err(error) if tries < MOST_TRIES && may_be_tried_again(&error) => {
                    tracing::debug!(%error, tries, "a commit is tried again");
                    pause(tries).await;
                    tries += 1;
                }
                answer => return answer,
            }
        }
    }

    fn changed_rows(&self) -> ChangedRows {
        self.changes()
    }
}

impl PostgresStore {
    async fn commit_once(&self, fence: &Fence, changeset: &Changeset) -> Result<CommitOutcome, StoreError> {
        let mut transaction = self.begin(OPERATION).await?;
        // Before the fence: what was committed stays committed, whoever has the lease by now. Another commit of the same
        // changeset is waited for here.
        if let Some(outcome) = self.committed_before(&mut transaction, changeset).await? {
            return Ok(outcome);
        }
        leases::check_fence(&mut transaction, self, fence, OPERATION).await?;

        let mut commit = Commit {
            connection: &mut transaction,
            schema: self.schema(),
            here: fence.connection(),
            touched: BTreeSet::new(),
            changed: ChangedRows::default(),
        };
        let outcome = commit.apply(changeset).await?;
        let changed = commit.changed;
        if outcome != CommitOutcome::default() {
            sqlx::query(self.sql("UPDATE {hub}.magnus_changesets SET outcome = $2::jsonb WHERE id = $1"))
                .bind(changeset.id.as_uuid())
                .bind(to_jsonb(&outcome, "the outcome of a commit")?)
                .execute(&mut *transaction)
                .await
                .map_err(failed(OPERATION))?;
        }
        finish(transaction, OPERATION).await?;
        self.count_changes(changed);
        Ok(outcome)
    }

    /// Writes down that the changeset is committed; if it was before, answers what came of it.
    async fn committed_before(
        &self,
        connection: &mut PgConnection,
        changeset: &Changeset,
    ) -> Result<Option<CommitOutcome>, StoreError> {
        let done = sqlx::query(self.sql(
            "INSERT INTO {hub}.magnus_changesets (id, committed_at) VALUES ($1, coalesce($2, clock_timestamp()))
             ON CONFLICT DO NOTHING",
        ))
        .bind(changeset.id.as_uuid())
        .bind(self.set_time())
        .execute(&mut *connection)
        .await
        .map_err(failed(OPERATION))?;
        if done.rows_affected() == 1 {
            return Ok(None);
        }
        let row = sqlx::query(self.sql("SELECT id, outcome FROM {hub}.magnus_changesets WHERE id = $1"))
            .bind(changeset.id.as_uuid())
            .fetch_one(connection)
            .await
            .map_err(failed(OPERATION))?;
        let outcome = Columns::new("magnus_changesets", &row).optional_json("outcome")?;
        Ok(Some(outcome.unwrap_or_default()))
    }
}

/// A commit under way.
struct Commit<'a> {
    connection: &'a mut PgConnection,
    schema: &'a Schema,
    /// The connection whose lease is held.
    here: Option<ConnectionId>,
    touched: BTreeSet<ProjectId>,
    changed: ChangedRows,
}

impl Commit<'_> {
    async fn apply(&mut self, changeset: &Changeset) -> Result<CommitOutcome, StoreError> {
        let mut outcome = CommitOutcome::default();
        self.lock_projects(changeset).await?;
        for write in &changeset.projects {
            let done = projects::write(self.connection, self.schema, write).await?;
            self.changed.projects += u64::from(done);
            outcome.stale_rows += u64::from(!done);
        }
        for write in &changeset.mappings {
            self.execute("SAVEPOINT row").await?;
            let done = mappings::write(self.connection, self.schema, write).await;
            let written = match done {
                Ok(1) => Written::Done,
                Ok(_) => Written::Stale(StaleReason::RowMoved),
                Err(error) => Written::from_result(Err(error), 1, "write mapping")?,
            };
            if written != Written::Done {
                self.execute("ROLLBACK TO row").await?;
                outcome.stale_rows += 1;
            }
            self.execute("RELEASE row").await?;
        }
        let left = self.lock_rows(changeset).await?;
        self.apply_units(&changeset.units, &left, &mut outcome).await?;
        self.mark_due().await?;
        Ok(outcome)
    }

    /// Rows are locked in one order by everybody, so that two commits never wait for each other. The lock on a project
    /// lets others write its tasks, but not match or insert guarded ones.
    async fn lock_projects(&mut self, changeset: &Changeset) -> Result<(), StoreError> {
        let changed = changeset.projects.iter().filter(|write| write.expected.is_some());
        let mut ids: BTreeSet<ProjectId> = changed.map(|write| write.project.id).collect();
        ids.extend(guards(&changeset.units).map(|(guard, _)| guard.project_id));
        self.lock("magnus_projects", ids.into_iter().map(ProjectId::as_uuid).collect())
            .await
    }

    async fn lock_rows(&mut self, changeset: &Changeset) -> Result<BTreeMap<TaskId, ProjectId>, StoreError> {
        let updated: BTreeSet<TaskId> = changeset
            .units
            .iter()
            .flat_map(|unit| &unit.tasks)
            .filter_map(|write| match write {
                TaskWrite::Update { task, .. } => Some(task.id),
                TaskWrite::Insert { .. } => None,
            })
            .collect();
        let left = tasks::lock(self.connection, self.schema, &updated).await?;
        let links = changeset.units.iter().flat_map(|unit| &unit.links);
        let links = links.filter(|write| write.expected.is_some());
        let links = links.map(|write| write.link.id.as_uuid()).collect();
        self.lock("magnus_task_mappings", links).await?;
        let conflicts = changeset.units.iter().flat_map(|unit| &unit.conflicts);
        let conflicts = conflicts.filter(|write| write.expected.is_some());
        let conflicts = conflicts.map(|write| write.conflict.id.as_uuid()).collect();
        self.lock("magnus_sync_conflicts", conflicts).await?;
        Ok(left)
    }

    async fn lock(&mut self, table: &'static str, ids: Vec<uuid::Uuid>) -> Result<(), StoreError> {
        if ids.is_empty() {
            return Ok(());
        }
        let statement = format!("SELECT 1 FROM {{hub}}.{table} WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE");
        sqlx::query(self.schema.sql(&statement))
            .bind(ids)
            .execute(&mut *self.connection)
            .await
            .map_err(failed(OPERATION))?;
        Ok(())
    }

    async fn apply_units(
        &mut self,
        units: &[Unit],
        left: &BTreeMap<TaskId, ProjectId>,
        outcome: &mut CommitOutcome,
    ) -> Result<(), StoreError> {
        // Batches that are still to be written, the next one last.
        let mut batches = vec![(0, units)];
        while let Some((first, batch)) = batches.pop() {
            if batch.is_empty() {
                continue;
            }
            let written = if goes_together(batch, self.here) {
                self.write_whole(batch).await?
            } else {
                Written::Stale(StaleReason::RowMoved)
            };
            match (written, batch) {
                (Written::Done, batch) => self.touch(batch, left),
                (Written::Stale(reason), [_]) => outcome.stale.push(StaleUnit { index: first, reason }),
                (Written::Stale(_), batch) => {
                    let (earlier, later) = batch.split_at(batch.len() / 2);
                    batches.push((first + earlier.len(), later));
                    batches.push((first, earlier));
                }
            }
        }
        Ok(())
    }

    fn touch(&mut self, units: &[Unit], left: &BTreeMap<TaskId, ProjectId>) {
        for write in units.iter().flat_map(|unit| &unit.tasks) {
            let (TaskWrite::Insert { task, .. } | TaskWrite::Update { task, .. }) = write;
            self.touched.insert(task.project_id);
            // A connection mapped to the project that a task left must see that it went.
            self.touched.extend(left.get(&task.id));
        }
    }

    /// Writes units whole or not at all.
    async fn write_whole(&mut self, units: &[Unit]) -> Result<Written, StoreError> {
        if units.iter().all(Unit::is_empty) {
            return Ok(Written::Done);
        }
        self.execute("SAVEPOINT units").await?;
        let before = self.changed;
        let written = self.write(units).await?;
        if let Written::Stale(_) = written {
            self.changed = before;
            self.execute("ROLLBACK TO units").await?;
        }
        self.execute("RELEASE units").await?;
        Ok(written)
    }

    async fn write(&mut self, units: &[Unit]) -> Result<Written, StoreError> {
        let (connection, schema) = (&mut *self.connection, self.schema);
        let guards: Vec<(&MatchGuard, TaskId)> = guards(units).collect();
        if tasks::match_appeared(connection, schema, &guards, self.here).await? {
            return Ok(Written::Stale(StaleReason::MatchAppeared));
        }
        let (new, changed) = task_rows(units);
        let (new_links, changed_links) = split(units.iter().flat_map(|unit| &unit.links), |link: &&LinkWrite| {
            link.expected.is_none()
        });
        let all_intents: Vec<_> = units.iter().flat_map(|unit| &unit.intents).collect();
        let (new_conflicts, changed_conflicts) = split(
            units.iter().flat_map(|unit| &unit.conflicts),
            |write: &&ConflictWrite| write.expected.is_none(),
        );
        let (losers, mut new_conflicts) = split(new_conflicts.into_iter(), |write: &&ConflictWrite| {
            write.conflict.state == ConflictState::Decided
        });
        let entries: Vec<_> = units.iter().flat_map(|unit| &unit.history).collect();

        // What is new comes before what is changed: a row that another unit moves out of the way later is in the way.
        for (rows, insert) in [(&new, true), (&changed, false)] {
            if let stale @ Written::Stale(_) = tasks::write(connection, schema, rows, insert).await? {
                return Ok(stale);
            }
        }
        for (rows, insert) in [(&new_links, true), (&changed_links, false)] {
            if let stale @ Written::Stale(_) = links::write(connection, schema, rows, insert).await? {
                return Ok(stale);
            }
        }
        if let stale @ Written::Stale(_) = intents::write(connection, schema, &all_intents).await? {
            return Ok(stale);
        }
        // A losing value is recorded once.
        new_conflicts.extend(conflicts::not_recorded(connection, schema, losers).await?);
        for (rows, insert) in [(&new_conflicts, true), (&changed_conflicts, false)] {
            if let stale @ Written::Stale(_) = conflicts::write(connection, schema, rows, insert).await? {
                return Ok(stale);
            }
        }
        if let stale @ Written::Stale(_) = history::write(connection, schema, &entries).await? {
            return Ok(stale);
        }
        let failing: Vec<_> = units.iter().flat_map(|unit| &unit.failures).collect();
        if let stale @ Written::Stale(_) = failures::write(connection, schema, &failing).await? {
            return Ok(stale);
        }
        let count = |a: usize, b: usize| u64::try_from(a + b).unwrap_or(u64::MAX);
        self.changed.tasks += count(new.len(), changed.len());
        self.changed.links += count(new_links.len(), changed_links.len());
        self.changed.conflicts += count(new_conflicts.len(), changed_conflicts.len());
        Ok(Written::Done)
    }

    async fn mark_due(&mut self) -> Result<(), StoreError> {
        if self.touched.is_empty() {
            return Ok(());
        }
        let touched: Vec<_> = self.touched.iter().map(|project| project.as_uuid()).collect();
        // A mark that stands is written again, and so locked: a claim that takes it away meanwhile would read the hub as it
        // was before this commit, and leave no mark behind.
        sqlx::query(self.schema.sql(
            "INSERT INTO {hub}.magnus_due (connection_id)
             SELECT DISTINCT connection_id FROM {hub}.magnus_project_mappings
             WHERE sync_enabled AND set_aside IS NULL AND connection_id IS DISTINCT FROM $1
               AND magnus_project_id = ANY($2)
             ORDER BY connection_id
             ON CONFLICT (connection_id) DO UPDATE SET connection_id = EXCLUDED.connection_id",
        ))
        .bind(self.here.map(ConnectionId::as_uuid))
        .bind(touched)
        .execute(&mut *self.connection)
        .await
        .map_err(failed(OPERATION))?;
        Ok(())
    }

    async fn execute(&mut self, statement: &'static str) -> Result<(), StoreError> {
        sqlx::query(statement)
            .execute(&mut *self.connection)
            .await
            .map_err(failed(OPERATION))?;
        Ok(())
    }
}

/// The guards of new tasks, each with the task it lets in.
fn guards(units: &[Unit]) -> impl Iterator<Item = (&MatchGuard, TaskId)> {
    units
        .iter()
        .flat_map(|unit| &unit.tasks)
        .filter_map(|write| match write {
            TaskWrite::Insert {
                task,
                guard: Some(guard),
            } => Some((guard, task.id)),
            _ => None,
        })
}

/// New tasks, and changed ones.
fn task_rows(units: &[Unit]) -> (Vec<TaskRow<'_>>, Vec<TaskRow<'_>>) {
    let (mut new, mut changed) = (Vec::new(), Vec::new());
    for write in units.iter().flat_map(|unit| &unit.tasks) {
        match write {
            TaskWrite::Insert { task, .. } => new.push((task.as_ref(), None)),
            TaskWrite::Update { task, expected } => changed.push((task.as_ref(), Some(*expected))),
        }
    }
    (new, changed)
}

fn split<T>(rows: impl Iterator<Item = T>, is_first: impl FnMut(&T) -> bool) -> (Vec<T>, Vec<T>) {
    rows.partition(is_first)
}
