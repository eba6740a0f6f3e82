//! Rows of `magnus_sync_log`.

use async_trait::async_trait;
use chrono::TimeDelta;
use magnus_core::model::{ConnectionId, Run, RunId, RunReport, RunRequest, RunState, Timestamp};
use magnus_core::store::{Enqueued, Fence, RunStore, StoreError, StoreErrorKind};
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, SqliteConnection, SqliteExecutor};

use crate::SqliteStore;
use crate::columns::{Columns, to_json};
use crate::error::failed;
use crate::instant::{optional_to_text, to_text};
use crate::leases::{check_fence, unknown_connection};
use crate::open::finish;
use crate::service::forget_old_events;

const ABANDONED: &str = "the process that ran it ended without finishing it";

/// The columns of a run whose report is read in brief, where it is kept so.
pub(crate) const BRIEF: &str = "id, connection_id, request, status, cancel_requested, coalesce(brief, details) AS details, \
                                error_message, queued_at, started_at, completed_at";

#[async_trait]
impl RunStore for SqliteStore {
    async fn enqueue_run(&self, request: RunRequest) -> Result<Enqueued, StoreError> {
        const OPERATION: &str = "enqueue run";
        let now = self.now();
        let mut transaction = self.begin(OPERATION).await?;
        let enqueued = enqueue(&mut transaction, request, now, OPERATION).await?;
        finish(transaction, OPERATION).await?;
        Ok(enqueued)
    }

    async fn enqueue_run_after(&self, newest: RunId, request: RunRequest) -> Result<Option<Enqueued>, StoreError> {
        const OPERATION: &str = "enqueue run";
        let now = self.now();
        let mut transaction = self.begin(OPERATION).await?;
        let found: Option<String> = sqlx::query_scalar(
            "SELECT id FROM magnus_sync_log WHERE connection_id = ? ORDER BY queued_at DESC, id DESC LIMIT 1",
        )
        .bind(request.connection_id.to_string())
        .fetch_optional(&mut *transaction)
        .await
        .map_err(failed(OPERATION))?;
        if found != Some(newest.to_string()) {
            return Ok(None);
        }
        let enqueued = enqueue(&mut transaction, request, now, OPERATION).await?;
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
        self.aside(OPERATION, move |store| async move {
            let mut transaction = store.begin(OPERATION).await?;
            let now = store.now();
            check_fence(&mut transaction, &fence, now, OPERATION).await?;
            forget_old_changesets(&mut transaction, now).await?;
            forget_old_events(&mut transaction, now).await?;
            if let Some(mut dead) = run_of(&mut transaction, connection, RunState::Started).await? {
                interrupt(&mut transaction, &mut dead, now, OPERATION).await?;
            }
            let mut claimed = run_of(&mut transaction, connection, RunState::Queued).await?;
            if let Some(run) = &mut claimed {
                run.state = RunState::Started;
                run.started_at = Some(now);
                save(&mut transaction, run, OPERATION).await?;
                sqlx::query("DELETE FROM magnus_due WHERE connection_id = ?")
                    .bind(connection.to_string())
                    .execute(&mut *transaction)
                    .await
                    .map_err(failed(OPERATION))?;
            }
            finish(transaction, OPERATION).await?;
            Ok(claimed)
        })
        .await
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
        self.aside(OPERATION, move |store| async move {
            let now = store.now();
            let mut transaction = store.begin(OPERATION).await?;
            let Some(mut run) = run_by_id(&mut transaction, id).await? else {
                return Err(StoreError::new(
                    StoreErrorKind::NotFound,
                    OPERATION,
                    format!("there is no run {id}"),
                ));
            };
            if run.state.is_final() {
                return Ok(());
            }
            run.report = report;
            end(&mut run, state, error_message, now);
            save(&mut transaction, &run, OPERATION).await?;
            resume(&mut transaction, &run, now, OPERATION).await?;
            finish(transaction, OPERATION).await
        })
        .await
    }

    async fn request_cancel(&self, id: RunId) -> Result<Option<Run>, StoreError> {
        const OPERATION: &str = "cancel run";
        let now = self.now();
        let mut transaction = self.begin(OPERATION).await?;
        let Some(mut run) = run_by_id(&mut transaction, id).await? else {
            return Ok(None);
        };
        if run.state.is_final() && run.state != RunState::Halted {
            return Ok(Some(run));
        }
        run.cancel_requested = true;
        if matches!(run.state, RunState::Queued | RunState::Halted) {
            end(&mut run, RunState::Cancelled, None, now);
        }
        save(&mut transaction, &run, OPERATION).await?;
        finish(transaction, OPERATION).await?;
        Ok(Some(run))
    }

    async fn interrupt_abandoned(&self) -> Result<Vec<Run>, StoreError> {
        const OPERATION: &str = "interrupt runs";
        let now = self.now();
        // Asked with every status: the write lock is taken only if there is something to write.
        if abandoned(self.readers(), now).await?.is_empty() {
            return Ok(Vec::new());
        }
        let mut transaction = self.begin(OPERATION).await?;
        let mut runs = abandoned(&mut *transaction, now).await?;
        for run in &mut runs {
            interrupt(&mut transaction, run, now, OPERATION).await?;
        }
        finish(transaction, OPERATION).await?;
        Ok(runs)
    }

    async fn run(&self, id: RunId) -> Result<Option<Run>, StoreError> {
        let row = sqlx::query("SELECT * FROM magnus_sync_log WHERE id = ?")
            .bind(id.to_string())
            .fetch_optional(self.readers())
            .await
            .map_err(failed("read run"))?;
        row.as_ref().map(from_row).transpose()
    }

    async fn recent_runs(&self, limit: usize) -> Result<Vec<Run>, StoreError> {
        let rows = sqlx::query("SELECT * FROM magnus_sync_log ORDER BY queued_at DESC, id DESC LIMIT ?")
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(self.readers())
            .await
            .map_err(failed("read runs"))?;
        rows.iter().map(from_row).collect()
    }

    async fn unfinished_runs(&self) -> Result<Vec<Run>, StoreError> {
        let rows =
            sqlx::query("SELECT * FROM magnus_sync_log WHERE status IN ('queued', 'started') ORDER BY queued_at, id")
                .fetch_all(self.readers())
                .await
                .map_err(failed("read runs"))?;
        Ok(readable(&rows))
    }

    async fn recent_runs_of(&self, connection: ConnectionId, limit: usize) -> Result<Vec<Run>, StoreError> {
        let rows = sqlx::query(
            "SELECT * FROM magnus_sync_log WHERE connection_id = ? ORDER BY queued_at DESC, id DESC LIMIT ?",
        )
        .bind(connection.to_string())
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(self.readers())
        .await
        .map_err(failed("read runs"))?;
        rows.iter().map(from_row).collect()
    }

    async fn asked_by_person(&self, connection: ConnectionId) -> Result<bool, StoreError> {
        sqlx::query_scalar(ASKED_BY_PERSON)
            .bind(connection.to_string())
            .fetch_one(self.readers())
            .await
            .map_err(failed("read runs"))
    }
}

/// Whether a person ever asked for a run of a connection.
pub(crate) const ASKED_BY_PERSON: &str = "
    SELECT EXISTS (SELECT 1 FROM magnus_sync_log
                   WHERE connection_id = ? AND json_extract(request, '$.trigger') = 'manual')";

/// Those of the runs that can be read. Another one is told of and left out: it must not keep other connections from running.
fn readable(rows: &[SqliteRow]) -> Vec<Run> {
    let told = |error: &StoreError| tracing::error!(%error, "a run in the log cannot be read and is left out");
    rows.iter()
        .filter_map(|row| from_row(row).inspect_err(told).ok())
        .collect()
}

pub(crate) fn from_row(row: &SqliteRow) -> Result<Run, StoreError> {
    let columns = Columns::new("magnus_sync_log", row);
    Ok(Run {
        id: columns.parse("id")?,
        connection_id: columns.parse("connection_id")?,
        request: columns.json("request")?,
        state: columns.parse("status")?,
        cancel_requested: columns.flag("cancel_requested")?,
        report: columns.json("details")?,
        error_message: columns.get("error_message")?,
        queued_at: columns.time("queued_at")?,
        started_at: columns.optional_time("started_at")?,
        completed_at: columns.optional_time("completed_at")?,
    })
}

/// The runs that are started although nobody holds their connection's lease.
async fn abandoned(executor: impl SqliteExecutor<'_>, now: Timestamp) -> Result<Vec<Run>, StoreError> {
    let rows = sqlx::query(
        "SELECT run.* FROM magnus_sync_log AS run
         LEFT JOIN magnus_leases AS lease ON lease.connection_id = run.connection_id AND lease.expires_at > ?
         WHERE run.status = 'started' AND lease.connection_id IS NULL
         ORDER BY run.queued_at, run.id",
    )
    .bind(to_text(now))
    .fetch_all(executor)
    .await
    .map_err(failed("interrupt runs"))?;
    Ok(readable(&rows))
}

async fn run_by_id(connection: &mut SqliteConnection, id: RunId) -> Result<Option<Run>, StoreError> {
    let row = sqlx::query("SELECT * FROM magnus_sync_log WHERE id = ?")
        .bind(id.to_string())
        .fetch_optional(connection)
        .await
        .map_err(failed("read run"))?;
    row.as_ref().map(from_row).transpose()
}

async fn run_of(
    connection: &mut SqliteConnection,
    of: ConnectionId,
    state: RunState,
) -> Result<Option<Run>, StoreError> {
    // The state stands in the statement: only so the index of the few runs in it is used, however long the log is.
    let statement = format!("SELECT * FROM magnus_sync_log WHERE connection_id = ? AND status = '{state}'");
    let row = sqlx::query(AssertSqlSafe(statement))
        .bind(of.to_string())
        .fetch_optional(connection)
        .await
        .map_err(failed("read run"))?;
    row.as_ref().map(from_row).transpose()
}

async fn save(connection: &mut SqliteConnection, run: &Run, operation: &'static str) -> Result<(), StoreError> {
    let tasks = &run.report.counts.tasks;
    let count = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    sqlx::query(
        "INSERT INTO magnus_sync_log
            (id, connection_id, request, status, cancel_requested, details, items_synced, items_failed,
             conflicts_detected, error_message, queued_at, started_at, completed_at, brief)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
         ON CONFLICT (id) DO UPDATE
         SET request = ?3, status = ?4, cancel_requested = ?5, details = ?6, items_synced = ?7, items_failed = ?8,
             conflicts_detected = ?9, error_message = ?10, started_at = ?12, completed_at = ?13, brief = ?14",
    )
    .bind(run.id.to_string())
    .bind(run.connection_id.to_string())
    .bind(to_json(&run.request, "the request of a run")?)
    .bind(run.state.as_str())
    .bind(run.cancel_requested)
    .bind(to_json(&run.report, "the report of a run")?)
    .bind(count(tasks.changed()))
    .bind(count(tasks.failed))
    .bind(count(tasks.conflicted))
    .bind(run.error_message.as_deref())
    .bind(to_text(run.queued_at))
    .bind(optional_to_text(run.started_at))
    .bind(optional_to_text(run.completed_at))
    .bind(to_json(&run.report.brief(), "the report of a run")?)
    .execute(connection)
    .await
    .map_err(|error| unknown_connection(error, run.connection_id, operation))?;
    Ok(())
}

/// Queues a run, or lets the request join the one that is queued.
async fn enqueue(
    connection: &mut SqliteConnection,
    request: RunRequest,
    now: Timestamp,
    operation: &'static str,
) -> Result<Enqueued, StoreError> {
    let queued = run_of(&mut *connection, request.connection_id, RunState::Queued).await?;
    let joined = queued.is_some();
    let run = match queued {
        Some(mut run) => {
            run.request = run.request.merged(&request);
            run
        }
        None => Run {
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
        },
    };
    save(connection, &run, operation).await?;
    Ok(Enqueued { run, joined })
}

/// Marks a run whose process died.
async fn interrupt(
    connection: &mut SqliteConnection,
    run: &mut Run,
    now: Timestamp,
    operation: &'static str,
) -> Result<(), StoreError> {
    end(run, RunState::Interrupted, Some(ABANDONED.to_owned()), now);
    save(&mut *connection, run, operation).await?;
    resume(connection, run, now, operation).await
}

/// Queues anew what was interrupted.
async fn resume(
    connection: &mut SqliteConnection,
    run: &Run,
    now: Timestamp,
    operation: &'static str,
) -> Result<(), StoreError> {
    match run.resumption() {
        Some(request) => enqueue(connection, request, now, operation).await.map(|_| ()),
        None => Ok(()),
    }
}

fn end(run: &mut Run, state: RunState, error_message: Option<String>, now: Timestamp) {
    run.state = state;
    run.error_message = error_message;
    run.completed_at = Some(now);
}

/// A lost answer is asked for again within seconds; a day is plenty.
async fn forget_old_changesets(connection: &mut SqliteConnection, now: Timestamp) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM magnus_changesets WHERE committed_at < ?")
        .bind(to_text(now - TimeDelta::days(1)))
        .execute(connection)
        .await
        .map_err(failed("claim run"))?;
    Ok(())
}
