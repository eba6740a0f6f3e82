//! The one atomic commit.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use magnus_core::model::{ConflictState, ConnectionId, ProjectId, TaskId};
use magnus_core::store::{
    ChangedRows, Changeset, CommitOutcome, ConflictWrite, Fence, StaleReason, StaleUnit, StoreError, TaskStore,
    TaskWrite, Unit,
};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteQueryResult;

use crate::columns::{Columns, id_list, to_json};
use crate::error::{failed, is_missing_reference};
use crate::instant::to_text;
use crate::open::finish;
use crate::{SqliteStore, conflicts, failures, history, intents, leases, links, mappings, projects, tasks};

const OPERATION: &str = "commit";

/// What came of one row.
#[derive(Clone, Copy)]
pub(crate) enum Written {
    Done,
    Stale(StaleReason),
}

impl Written {
    /// No row written means that a version moved or a key is taken; a refused reference is no failure either.
    pub(crate) fn from_result(
        result: Result<SqliteQueryResult, sqlx::Error>,
        operation: &'static str,
    ) -> Result<Self, StoreError> {
        match result {
            Ok(done) if done.rows_affected() == 0 => Ok(Self::Stale(StaleReason::RowMoved)),
            Ok(_) => Ok(Self::Done),
            Err(error) if is_missing_reference(&error) => Ok(Self::Stale(StaleReason::MissingReference)),
            Err(error) => Err(failed(operation)(error)),
        }
    }
}

#[async_trait]
impl TaskStore for SqliteStore {
    async fn commit(&self, fence: Fence, changeset: Changeset) -> Result<CommitOutcome, StoreError> {
        let _turn = self.commit_turn().await;
        self.aside(
            OPERATION,
            |store| async move { store.commit_now(fence, changeset).await },
        )
        .await
    }

    fn changed_rows(&self) -> ChangedRows {
        self.changes()
    }
}

impl SqliteStore {
    async fn commit_now(&self, fence: Fence, changeset: Changeset) -> Result<CommitOutcome, StoreError> {
        let mut transaction = self.begin(OPERATION).await?;
        // Read once it is our turn: a lease that ran out while we waited for it is not good any more.
        let now = self.now();
        // Before the fence: what was committed stays committed, whoever has the lease by now.
        if let Some(outcome) = committed_before(&mut transaction, &changeset).await? {
            return Ok(outcome);
        }
        leases::check_fence(&mut transaction, &fence, now, OPERATION).await?;

        let mut commit = Commit::new(&mut transaction, fence.connection());
        let outcome = commit.apply(&changeset).await?;
        let changed = commit.changed;
        sqlx::query("INSERT INTO magnus_changesets (id, outcome, committed_at) VALUES (?, ?, ?)")
            .bind(changeset.id.to_string())
            .bind(to_json(&outcome, "the outcome of a commit")?)
            .bind(to_text(now))
            .execute(&mut *transaction)
            .await
            .map_err(failed(OPERATION))?;
        finish(transaction, OPERATION).await?;
        self.count_changes(changed);
        Ok(outcome)
    }
}

async fn committed_before(
    connection: &mut SqliteConnection,
    changeset: &Changeset,
) -> Result<Option<CommitOutcome>, StoreError> {
    let row = sqlx::query("SELECT id, outcome FROM magnus_changesets WHERE id = ?")
        .bind(changeset.id.to_string())
        .fetch_optional(connection)
        .await
        .map_err(failed(OPERATION))?;
    row.map(|row| Columns::new("magnus_changesets", &row).json("outcome"))
        .transpose()
}

/// A commit under way.
struct Commit<'a> {
    connection: &'a mut SqliteConnection,
    /// The connection whose lease is held.
    here: Option<ConnectionId>,
    touched: BTreeSet<ProjectId>,
    changed: ChangedRows,
}

impl<'a> Commit<'a> {
    fn new(connection: &'a mut SqliteConnection, here: Option<ConnectionId>) -> Self {
        Self {
            connection,
            here,
            touched: BTreeSet::new(),
            changed: ChangedRows::default(),
        }
    }

    async fn apply(&mut self, changeset: &Changeset) -> Result<CommitOutcome, StoreError> {
        let mut outcome = CommitOutcome::default();
        for write in &changeset.projects {
            let done = projects::write(self.connection, write).await?;
            self.changed.projects += u64::from(done);
            outcome.stale_rows += u64::from(!done);
        }
        for write in &changeset.mappings {
            if let Written::Stale(_) = mappings::write(self.connection, write).await? {
                outcome.stale_rows += 1;
            }
        }
        let left = self.projects_before(changeset).await?;
        for (index, unit) in changeset.units.iter().enumerate() {
            let before = self.changed;
            if let Written::Stale(reason) = self.write_whole_unit(unit).await? {
                self.changed = before;
                outcome.stale.push(StaleUnit { index, reason });
                continue;
            }
            for write in &unit.tasks {
                let (TaskWrite::Insert { task, .. } | TaskWrite::Update { task, .. }) = write;
                self.touched.insert(task.project_id);
                // A connection mapped to the project that a task left must see that it went.
                self.touched.extend(left.get(&task.id));
            }
        }
        self.mark_due().await?;
        Ok(outcome)
    }

    /// The unit is applied whole or not at all. A single row is that by itself.
    async fn write_whole_unit(&mut self, unit: &Unit) -> Result<Written, StoreError> {
        let rows = unit.tasks.len()
            + unit.links.len()
            + unit.intents.len()
            + unit.conflicts.len()
            + unit.history.len()
            + unit.failures.len();
        if rows < 2 {
            return self.write_unit(unit).await;
        }
        self.execute("SAVEPOINT unit").await?;
        let written = self.write_unit(unit).await?;
        if let Written::Stale(_) = written {
            self.execute("ROLLBACK TO unit").await?;
        }
        self.execute("RELEASE unit").await?;
        Ok(written)
    }

    async fn write_unit(&mut self, unit: &Unit) -> Result<Written, StoreError> {
        for write in &unit.tasks {
            if let stale @ Written::Stale(_) = self.write_task(write).await? {
                return Ok(stale);
            }
        }
        for write in &unit.links {
            if let stale @ Written::Stale(_) = links::write(self.connection, write).await? {
                return Ok(stale);
            }
            self.changed.links += 1;
        }
        for intent in &unit.intents {
            if let stale @ Written::Stale(_) = intents::write(self.connection, intent).await? {
                return Ok(stale);
            }
        }
        for write in &unit.conflicts {
            if let stale @ Written::Stale(_) = self.write_conflict(write).await? {
                return Ok(stale);
            }
        }
        for entry in &unit.history {
            if let stale @ Written::Stale(_) = history::write(self.connection, entry).await? {
                return Ok(stale);
            }
        }
        for write in &unit.failures {
            if let stale @ Written::Stale(_) = failures::write(self.connection, write).await? {
                return Ok(stale);
            }
        }
        Ok(Written::Done)
    }

    async fn write_task(&mut self, write: &TaskWrite) -> Result<Written, StoreError> {
        let (task, expected) = match write {
            TaskWrite::Insert { task, guard } => {
                if let Some(guard) = guard
                    && tasks::match_appeared(self.connection, guard, task.id, self.here).await?
                {
                    return Ok(Written::Stale(StaleReason::MatchAppeared));
                }
                (task, None)
            }
            TaskWrite::Update { task, expected } => (task, Some(*expected)),
        };
        let written = tasks::write(self.connection, task, expected).await?;
        self.changed.tasks += u64::from(matches!(written, Written::Done));
        Ok(written)
    }

    async fn write_conflict(&mut self, write: &ConflictWrite) -> Result<Written, StoreError> {
        let is_new_loser = write.expected.is_none() && write.conflict.state == ConflictState::Decided;
        if is_new_loser && conflicts::is_recorded(self.connection, &write.conflict).await? {
            return Ok(Written::Done);
        }
        let written = conflicts::write(self.connection, write).await?;
        self.changed.conflicts += u64::from(matches!(written, Written::Done));
        Ok(written)
    }

    /// In which projects the tasks to be updated are now.
    async fn projects_before(&mut self, changeset: &Changeset) -> Result<BTreeMap<TaskId, ProjectId>, StoreError> {
        let updated = changeset
            .units
            .iter()
            .flat_map(|unit| &unit.tasks)
            .filter_map(|write| match write {
                TaskWrite::Update { task, .. } => Some(task.id),
                TaskWrite::Insert { .. } => None,
            });
        let updated = id_list(updated);
        if updated == "[]" {
            return Ok(BTreeMap::new());
        }
        let rows = sqlx::query("SELECT id, project_id FROM magnus_tasks WHERE id IN (SELECT value FROM json_each(?))")
            .bind(updated)
            .fetch_all(&mut *self.connection)
            .await
            .map_err(failed(OPERATION))?;
        let read = |row| {
            let columns = Columns::new("magnus_tasks", row);
            Ok((columns.parse("id")?, columns.parse("project_id")?))
        };
        rows.iter().map(read).collect()
    }

    async fn mark_due(&mut self) -> Result<(), StoreError> {
        if self.touched.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "INSERT INTO magnus_due (connection_id)
             SELECT DISTINCT connection_id FROM magnus_project_mappings
             WHERE sync_enabled <> 0 AND connection_id IS NOT ?1
               AND magnus_project_id IN (SELECT value FROM json_each(?2))
             ON CONFLICT DO NOTHING",
        )
        .bind(self.here.map(|here| here.to_string()))
        .bind(id_list(&self.touched))
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

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use futures::FutureExt;
    use magnus_core::clock::Clock;
    use magnus_core::model::{ConnectionSettings, Timestamp, ToolName};
    use magnus_core::store::{LeaseAnswer, LeaseStore, SettingsStore, StoreErrorKind};

    use super::*;

    #[derive(Debug)]
    struct HandSet(Mutex<Timestamp>);

    impl Clock for HandSet {
        fn now(&self) -> Timestamp {
            *self.0.lock().unwrap()
        }
    }

    #[tokio::test]
    async fn a_lease_that_runs_out_while_a_commit_waits_for_its_turn_is_fenced() {
        const TTL: Duration = Duration::from_secs(30);
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("hub.db");
        let clock = Arc::new(HandSet(Mutex::new(chrono::Utc::now())));
        let store = SqliteStore::open_with_clock(path.to_str().unwrap(), Arc::<HandSet>::clone(&clock))
            .await
            .unwrap();
        let settings = ConnectionSettings::new(ToolName::new("toy"), "Toy", "https://example.org", clock.now());
        let connection = store.save_connection(settings).await.unwrap().id;
        let answer = store.acquire_lease(connection, "somebody".to_owned(), TTL).await;
        let LeaseAnswer::Granted(lease) = answer.unwrap() else {
            panic!("nobody else has it")
        };
        let another = store.begin("another commit").await.unwrap();
        let mut waiting = Box::pin(store.commit_now(Fence::Lease(lease), Changeset::new()));
        assert!(waiting.as_mut().now_or_never().is_none(), "it waits for the other one");
        *clock.0.lock().unwrap() += 2 * TTL;
        another.rollback().await.unwrap();
        assert_eq!(waiting.await.unwrap_err().kind(), StoreErrorKind::Fenced);
    }
}
