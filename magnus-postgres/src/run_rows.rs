//! Runs as rows of `magnus_sync_log`, read and written.

use magnus_core::model::{ConnectionId, Direction, Run, RunId, RunReport, RunRequest, RunState, Scope, Trigger};
use magnus_core::store::StoreError;
use sqlx::PgConnection;
use sqlx::postgres::PgRow;

use crate::columns::{Columns, text, to_jsonb};
use crate::error::failed;
use crate::leases::unknown_connection;
use crate::schema::Schema;

/// The columns of a run whose report is read in brief, where it is kept so.
pub(crate) const BRIEF: &str = "id, connection_id, request, status, cancel_requested, coalesce(brief, details) AS details, \
                                items_synced, items_failed, conflicts_detected, error_message, queued_at, started_at, \
                                completed_at";

pub(crate) fn from_row(row: &PgRow) -> Result<Run, StoreError> {
    let columns = Columns::new("magnus_sync_log", row);
    let connection_id = columns.id("connection_id", ConnectionId::from_uuid)?;
    let request: Option<RunRequest> = columns.optional_json("request")?;
    let report = match request {
        Some(_) => columns.optional_json("details")?.unwrap_or_default(),
        None => predecessor_report(&columns)?,
    };
    Ok(Run {
        id: columns.id("id", RunId::from_uuid)?,
        connection_id,
        request: request.unwrap_or_else(|| RunRequest::new(connection_id)),
        state: columns.parse("status")?,
        cancel_requested: columns.get("cancel_requested")?,
        report,
        error_message: columns.get("error_message")?,
        queued_at: columns.time("queued_at")?,
        started_at: columns.optional_time("started_at")?,
        completed_at: columns.optional_time("completed_at")?,
    })
}

/// What a row of the predecessor tells: its numbers, but not what they are made of.
fn predecessor_report(columns: &Columns<'_>) -> Result<RunReport, StoreError> {
    let mut report = RunReport::default();
    report.counts.tasks.updated = columns.number::<i32, _>("items_synced")?.unwrap_or_default();
    report.counts.tasks.failed = columns.number::<i32, _>("items_failed")?.unwrap_or_default();
    report.counts.tasks.conflicted = columns.number::<i32, _>("conflicts_detected")?.unwrap_or_default();
    Ok(report)
}

/// A run by its id, its row locked.
pub(crate) async fn run_by_id(
    connection: &mut PgConnection,
    schema: &Schema,
    id: RunId,
) -> Result<Option<Run>, StoreError> {
    let row = sqlx::query(
        schema.sql("SELECT * FROM {hub}.magnus_sync_log WHERE id = $1 AND connection_id IS NOT NULL FOR UPDATE"),
    )
    .bind(id.as_uuid())
    .fetch_optional(connection)
    .await
    .map_err(failed("read run"))?;
    row.as_ref().map(from_row).transpose()
}

/// The run of a connection in this state, its row locked.
pub(crate) async fn run_of(
    connection: &mut PgConnection,
    schema: &Schema,
    of: ConnectionId,
    state: RunState,
) -> Result<Option<Run>, StoreError> {
    // The state stands in the statement: only so the index of the few runs in it is used, however long the log is.
    let row = sqlx::query(schema.sql(&format!(
        "SELECT * FROM {{hub}}.magnus_sync_log WHERE connection_id = $1 AND status = '{state}' FOR UPDATE"
    )))
    .bind(of.as_uuid())
    .fetch_optional(connection)
    .await
    .map_err(failed("read run"))?;
    row.as_ref().map(from_row).transpose()
}

const INSERT: &str = "
    INSERT INTO {hub}.magnus_sync_log
        (id, connection_id, request, status, cancel_requested, details, items_synced, items_failed,
         conflicts_detected, error_message, queued_at, started_at, completed_at, sync_type, direction, brief)
    VALUES ($1, $2, $3::jsonb, $4, $5, $6::jsonb, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16::jsonb)
    ON CONFLICT DO NOTHING";

const UPDATE: &str = "
    UPDATE {hub}.magnus_sync_log
    SET connection_id = $2, request = $3::jsonb, status = $4, cancel_requested = $5, details = $6::jsonb,
        items_synced = $7, items_failed = $8, conflicts_detected = $9, error_message = $10, queued_at = $11,
        started_at = $12, completed_at = $13, sync_type = $14, direction = $15, brief = $16::jsonb
    WHERE id = $1";

/// Inserts a run; `false` if its place is taken.
pub(crate) async fn insert(
    connection: &mut PgConnection,
    schema: &Schema,
    run: &Run,
    operation: &'static str,
) -> Result<bool, StoreError> {
    save(connection, schema, run, INSERT, operation)
        .await
        .map(|rows| rows == 1)
}

pub(crate) async fn update(
    connection: &mut PgConnection,
    schema: &Schema,
    run: &Run,
    operation: &'static str,
) -> Result<(), StoreError> {
    save(connection, schema, run, UPDATE, operation).await.map(|_| ())
}

async fn save(
    connection: &mut PgConnection,
    schema: &Schema,
    run: &Run,
    statement: &str,
    operation: &'static str,
) -> Result<u64, StoreError> {
    let tasks = &run.report.counts.tasks;
    let count = |number: u64| i32::try_from(number).unwrap_or(i32::MAX);
    let done = sqlx::query(schema.sql(statement))
        .bind(run.id.as_uuid())
        .bind(run.connection_id.as_uuid())
        .bind(to_jsonb(&run.request, "the request of a run")?)
        .bind(run.state.as_str())
        .bind(run.cancel_requested)
        .bind(to_jsonb(&run.report, "the report of a run")?)
        .bind(count(tasks.changed()))
        .bind(count(tasks.failed))
        .bind(count(tasks.conflicted))
        .bind(run.error_message.as_deref().map(text))
        .bind(run.queued_at)
        .bind(run.started_at)
        .bind(run.completed_at)
        .bind(sync_type(&run.request))
        .bind(run.request.direction.map(Direction::as_str))
        .bind(to_jsonb(&run.report.brief(), "the report of a run")?)
        .execute(connection)
        .await
        .map_err(|error| unknown_connection(error, run.connection_id, operation))?;
    Ok(done.rows_affected())
}

/// What kind of sync it is in the predecessor's words, for reports.
fn sync_type(request: &RunRequest) -> &'static str {
    match (request.trigger, request.scope) {
        (Trigger::Webhook, _) => "webhook",
        (Trigger::Manual, _) => "manual",
        (_, Scope::All) => "full",
        _ => "incremental",
    }
}
