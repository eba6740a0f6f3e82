//! The run log: what is queued, claimed, ended and taken up.

use async_trait::async_trait;
use magnus_core::model::{ConnectionId, Run, RunId, RunReport, RunRequest, RunState, Timestamp};
use magnus_core::store::{Enqueued, Fence, RunStore, StoreError, StoreErrorKind};
use sqlx::PgConnection;
use sqlx::postgres::PgRow;

use crate::PostgresStore;
use crate::columns::text;
use crate::error::{failed, patiently};
use crate::leases::check_fence;
use crate::open::finish;
use crate::run_rows::{from_row, insert, run_by_id, run_of, update};
use crate::schema::Schema;
use crate::service::forget_old_events;

const ABANDONED: &str = "the process that ran it ended without finishing it";

/// How often a request is tried that meets others which queue or claim at the same moment.
const TRIES: u32 = 20;

#[async_trait]
impl RunStore for PostgresStore {
    async fn enqueue_run(&self, request: RunRequest) -> Result<Enqueued, StoreError> {
        const OPERATION: &str = "enqueue run";
        let mut transaction = self.begin(OPERATION).await?;
        let enqueued = enqueue(&mut transaction, self, request, OPERATION).await?;
        finish(transaction, OPERATION).await?;
        Ok(enqueued)
    }

    async fn enqueue_run_after(&self, newest: RunId, request: RunRequest) -> Result<Option<Enqueued>, StoreError> {
        const OPERATION: &str = "enqueue run";
        let mut transaction = self.begin(OPERATION).await?;
        // Who decides on the same run waits here, and then sees what the first one queued.
        if run_by_id(&mut transaction, self.schema(), newest).await?.is_none() {
            return Ok(None);
        }
        let found: Option<uuid::Uuid> = sqlx::query_scalar(self.sql(
            "SELECT id FROM {hub}.magnus_sync_log WHERE connection_id = $1 ORDER BY queued_at DESC, id DESC LIMIT 1",
        ))
        .bind(request.connection_id.as_uuid())
        .fetch_optional(&mut *transaction)
        .await
        .map_err(failed(OPERATION))?;
        if found != Some(newest.as_uuid()) {
            return Ok(None);
        }
        let enqueued = enqueue(&mut transaction, self, request, OPERATION).await?;
        finish(transaction, OPERATION).await?;
        Ok(Some(enqueued))
    }

    async fn claim_run(&self, fence: Fence) -> Result<Option<Run>, StoreError> {
        const OPERATION: &str = "claim run";
        let Some(connection) = fence.connection() else {
            return Err(StoreError::new(
                StoreErrorKind::Usage,
                OPERATION,
                "only the holder of a lease can claim",
            ));
        };
        let mut transaction = self.begin(OPERATION).await?;
        check_fence(&mut transaction, self, &fence, OPERATION).await?;
        let now = self.now(&mut transaction, OPERATION).await?;
        forget_old_changesets(&mut transaction, self.schema(), now).await?;
        forget_old_events(&mut transaction, self.schema(), now).await?;
        if let Some(mut dead) = run_of(&mut transaction, self.schema(), connection, RunState::Started).await? {
            interrupt(&mut transaction, self, &mut dead, now, OPERATION).await?;
        }
        let mut claimed = run_of(&mut transaction, self.schema(), connection, RunState::Queued).await?;
        if let Some(run) = &mut claimed {
            run.state = RunState::Started;
            // One that goes on with a dead run was queued only now.
            run.started_at = Some(now.max(run.queued_at));
            update(&mut transaction, self.schema(), run, OPERATION).await?;
            sqlx::query(self.sql("DELETE FROM {hub}.magnus_due WHERE connection_id = $1"))
                .bind(connection.as_uuid())
                .execute(&mut *transaction)
                .await
                .map_err(failed(OPERATION))?;
        }
        finish(transaction, OPERATION).await?;
        Ok(claimed)
    }

    async fn finish_run(
        &self,
        id: RunId,
        state: RunState,
        report: RunReport,
        error_message: Option<String>,
    ) -> Result<(), StoreError> {
        const OPERATION: &str = "finish run";
        if !state.is_final() {
            return Err(StoreError::new(
                StoreErrorKind::Usage,
                OPERATION,
                format!("{state} does not end a run"),
            ));
        }
        // Whoever calls tries again: ending twice changes nothing.
        let mut transaction = self.begin(OPERATION).await?;
        let Some(mut run) = run_by_id(&mut transaction, self.schema(), id).await? else {
            return Err(StoreError::new(
                StoreErrorKind::NotFound,
                OPERATION,
                format!("there is no run {id}"),
            ));
        };
        if run.state.is_final() {
            return Ok(());
        }
        let now = self.now(&mut transaction, OPERATION).await?;
        run.report = report;
        end(&mut run, state, error_message, now);
        update(&mut transaction, self.schema(), &run, OPERATION).await?;
        note_on_connection(&mut transaction, self.schema(), &run).await?;
        resume(&mut transaction, self, &run, OPERATION).await?;
        finish(transaction, OPERATION).await
    }

    async fn request_cancel(&self, id: RunId) -> Result<Option<Run>, StoreError> {
        const OPERATION: &str = "cancel run";
        let mut transaction = self.begin(OPERATION).await?;
        let Some(mut run) = run_by_id(&mut transaction, self.schema(), id).await? else {
            return Ok(None);
        };
        if run.state.is_final() && run.state != RunState::Halted {
            return Ok(Some(run));
        }
        run.cancel_requested = true;
        if matches!(run.state, RunState::Queued | RunState::Halted) {
            let now = self.now(&mut transaction, OPERATION).await?;
            end(&mut run, RunState::Cancelled, None, now);
        }
        update(&mut transaction, self.schema(), &run, OPERATION).await?;
        finish(transaction, OPERATION).await?;
        Ok(Some(run))
    }

    async fn interrupt_abandoned(&self) -> Result<Vec<Run>, StoreError> {
        const OPERATION: &str = "interrupt runs";
        let mut transaction = self.begin(OPERATION).await?;
        let now = self.now(&mut transaction, OPERATION).await?;
        let rows = sqlx::query(self.sql(
            "SELECT run.* FROM {hub}.magnus_sync_log AS run
             LEFT JOIN {hub}.magnus_leases AS lease
               ON lease.connection_id = run.connection_id AND lease.expires_at > $1
             WHERE run.status = 'started' AND run.connection_id IS NOT NULL AND lease.connection_id IS NULL
             ORDER BY run.queued_at, run.id
             FOR UPDATE OF run",
        ))
        .bind(now)
        .fetch_all(&mut *transaction)
        .await
        .map_err(failed(OPERATION))?;
        let mut runs = readable(&rows);
        for run in &mut runs {
            interrupt(&mut transaction, self, run, now, OPERATION).await?;
        }
        finish(transaction, OPERATION).await?;
        Ok(runs)
    }

    async fn run(&self, id: RunId) -> Result<Option<Run>, StoreError> {
        let row = patiently!(
            "read run",
            sqlx::query(self.sql("SELECT * FROM {hub}.magnus_sync_log WHERE id = $1 AND connection_id IS NOT NULL"))
                .bind(id.as_uuid())
                .fetch_optional(self.pool())
        )?;
        row.as_ref().map(from_row).transpose()
    }

    async fn recent_runs(&self, limit: usize) -> Result<Vec<Run>, StoreError> {
        let rows = patiently!(
            "read runs",
            sqlx::query(self.sql(
                "SELECT * FROM {hub}.magnus_sync_log WHERE connection_id IS NOT NULL
             ORDER BY queued_at DESC, id DESC LIMIT $1",
            ))
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(self.pool())
        )?;
        rows.iter().map(from_row).collect()
    }

    async fn unfinished_runs(&self) -> Result<Vec<Run>, StoreError> {
        let rows = patiently!(
            "read runs",
            sqlx::query(self.sql(
                "SELECT * FROM {hub}.magnus_sync_log
             WHERE status IN ('queued', 'started') AND connection_id IS NOT NULL ORDER BY queued_at, id",
            ))
            .fetch_all(self.pool())
        )?;
        Ok(readable(&rows))
    }

    async fn recent_runs_of(&self, connection: ConnectionId, limit: usize) -> Result<Vec<Run>, StoreError> {
        let rows = patiently!(
            "read runs",
            sqlx::query(self.sql(
                "SELECT * FROM {hub}.magnus_sync_log WHERE connection_id = $1 ORDER BY queued_at DESC, id DESC LIMIT $2",
            ))
            .bind(connection.as_uuid())
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(self.pool())
        )?;
        rows.iter().map(from_row).collect()
    }

    async fn asked_by_person(&self, connection: ConnectionId) -> Result<bool, StoreError> {
        patiently!(
            "read runs",
            sqlx::query_scalar(self.sql(ASKED_BY_PERSON))
                .bind(connection.as_uuid())
                .fetch_one(self.pool())
        )
    }
}

/// Whether a person ever asked for a run of a connection.
pub(crate) const ASKED_BY_PERSON: &str = "
    SELECT EXISTS (SELECT 1 FROM {hub}.magnus_sync_log
                   WHERE connection_id = $1 AND request ->> 'trigger' = 'manual')";

/// Those of the runs that can be read. Another one is told of and left out: it must not keep other connections from running.
fn readable(rows: &[PgRow]) -> Vec<Run> {
    let told = |error: &StoreError| tracing::error!(%error, "a run in the log cannot be read and is left out");
    rows.iter()
        .filter_map(|row| from_row(row).inspect_err(told).ok())
        .collect()
}

/// Queues a run, or lets the request join the one that is queued.
async fn enqueue(
    connection: &mut PgConnection,
    store: &PostgresStore,
    request: RunRequest,
    operation: &'static str,
) -> Result<Enqueued, StoreError> {
    let schema = store.schema();
    for _ in 0..TRIES {
        let queued = run_of(&mut *connection, schema, request.connection_id, RunState::Queued).await?;
        if let Some(mut run) = queued {
            run.request = run.request.merged(&request);
            update(&mut *connection, schema, &run, operation).await?;
            return Ok(Enqueued { run, joined: true });
        }
        let run = Run {
            id: RunId::generate(),
            connection_id: request.connection_id,
            request: request.clone(),
            state: RunState::Queued,
            cancel_requested: false,
            report: RunReport::default(),
            error_message: None,
            queued_at: store.now(&mut *connection, operation).await?,
            started_at: None,
            completed_at: None,
        };
        // If another request was queued at the same moment, this one joins it.
        if insert(&mut *connection, schema, &run, operation).await? {
            return Ok(Enqueued { run, joined: false });
        }
    }
    let message = "runs of this connection are queued and claimed faster than a request can join; try again";
    Err(StoreError::new(StoreErrorKind::Unavailable, operation, message))
}

/// Marks a run whose process died.
async fn interrupt(
    connection: &mut PgConnection,
    store: &PostgresStore,
    run: &mut Run,
    now: Timestamp,
    operation: &'static str,
) -> Result<(), StoreError> {
    end(run, RunState::Interrupted, Some(ABANDONED.to_owned()), now);
    update(&mut *connection, store.schema(), run, operation).await?;
    resume(connection, store, run, operation).await
}

/// Queues anew what was interrupted.
async fn resume(
    connection: &mut PgConnection,
    store: &PostgresStore,
    run: &Run,
    operation: &'static str,
) -> Result<(), StoreError> {
    match run.resumption() {
        Some(request) => enqueue(connection, store, request, operation).await.map(|_| ()),
        None => Ok(()),
    }
}

/// Notes on the connection how its newest run ended, for reports.
async fn note_on_connection(connection: &mut PgConnection, schema: &Schema, run: &Run) -> Result<(), StoreError> {
    sqlx::query(schema.sql(
        "UPDATE {hub}.magnus_pm_connections SET last_sync_at = $2, last_sync_status = $3, last_sync_error = $4
         WHERE id = $1",
    ))
    .bind(run.connection_id.as_uuid())
    .bind(run.completed_at)
    .bind(run.state.as_str())
    .bind(run.error_message.as_deref().map(text))
    .execute(connection)
    .await
    .map_err(failed("finish run"))?;
    Ok(())
}

fn end(run: &mut Run, state: RunState, error_message: Option<String>, now: Timestamp) {
    run.state = state;
    run.error_message = error_message;
    run.completed_at = Some(now);
}

/// A lost answer is asked for again within seconds; a day is plenty.
async fn forget_old_changesets(
    connection: &mut PgConnection,
    schema: &Schema,
    now: Timestamp,
) -> Result<(), StoreError> {
    // Rows that another claim forgets right now are left to it.
    sqlx::query(schema.sql(
        "DELETE FROM {hub}.magnus_changesets
         WHERE id IN (SELECT id FROM {hub}.magnus_changesets WHERE committed_at < $1 LIMIT 10000
                      FOR UPDATE SKIP LOCKED)",
    ))
    .bind(now - chrono::TimeDelta::days(1))
    .execute(connection)
    .await
    .map_err(failed("claim run"))?;
    Ok(())
}
