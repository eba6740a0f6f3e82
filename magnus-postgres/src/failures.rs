//! Rows of `magnus_item_failures`.

use magnus_core::model::{ConnectionId, ItemFailure, RunId, TaskId};
use magnus_core::store::{FailureWrite, StoreError};
use sqlx::PgConnection;
use sqlx::postgres::PgRow;

use crate::batch::Written;
use crate::columns::{Columns, each, text, to_jsonb, try_each};
use crate::error::failed;
use crate::schema::Schema;

const OPERATION: &str = "write item failures";

pub(crate) fn from_row(row: &PgRow) -> Result<ItemFailure, StoreError> {
    let columns = Columns::new("magnus_item_failures", row);
    Ok(ItemFailure {
        connection_id: columns.id("connection_id", ConnectionId::from_uuid)?,
        task_id: columns.id("magnus_task_id", TaskId::from_uuid)?,
        kind: columns.json("kind")?,
        message: columns.text("message")?,
        failures: columns.number::<i64, u32>("failures")?.unwrap_or_default(),
        attempt: columns.text("attempt")?,
        run_id: columns.id("run_id", RunId::from_uuid)?,
        failed_at: columns.time("failed_at")?,
        next_try_at: columns.time("next_try_at")?,
    })
}

/// Inserts or replaces the records of items, and removes those of others: no item may be in `writes` twice.
pub(crate) async fn write(
    connection: &mut PgConnection,
    schema: &Schema,
    writes: &[&FailureWrite],
) -> Result<Written, StoreError> {
    let cleared: Vec<_> = writes
        .iter()
        .filter(|write| matches!(write, FailureWrite::Clear { .. }))
        .map(|write| write.key())
        .collect();
    if !cleared.is_empty() {
        // There may be none: that is as good.
        sqlx::query(schema.sql(
            "DELETE FROM {hub}.magnus_item_failures
             WHERE (connection_id, magnus_task_id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))",
        ))
        .bind(each(&cleared, |key| key.0.as_uuid()))
        .bind(each(&cleared, |key| key.1.as_uuid()))
        .execute(&mut *connection)
        .await
        .map_err(failed(OPERATION))?;
    }
    let failures: Vec<&ItemFailure> = writes
        .iter()
        .filter_map(|write| match write {
            FailureWrite::Record(failure) => Some(failure.as_ref()),
            FailureWrite::Clear { .. } => None,
        })
        .collect();
    if failures.is_empty() {
        return Ok(Written::Done);
    }
    let done = sqlx::query(schema.sql(
        "INSERT INTO {hub}.magnus_item_failures
            (connection_id, magnus_task_id, kind, message, failures, attempt, run_id, failed_at, next_try_at)
         SELECT connection_id, magnus_task_id, kind::jsonb, message, failures, attempt, run_id, failed_at, next_try_at
         FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::uuid[],
                     $8::timestamptz[], $9::timestamptz[])
           AS row (connection_id, magnus_task_id, kind, message, failures, attempt, run_id, failed_at, next_try_at)
         ON CONFLICT (connection_id, magnus_task_id) DO UPDATE
         SET kind = excluded.kind, message = excluded.message, failures = excluded.failures,
             attempt = excluded.attempt, run_id = excluded.run_id, failed_at = excluded.failed_at,
             next_try_at = excluded.next_try_at",
    ))
    .bind(each(&failures, |failure| failure.connection_id.as_uuid()))
    .bind(each(&failures, |failure| failure.task_id.as_uuid()))
    .bind(try_each(&failures, |failure| {
        to_jsonb(&failure.kind, "the kind of an item's failure")
    })?)
    .bind(each(&failures, |failure| text(&failure.message).into_owned()))
    .bind(each(&failures, |failure| i64::from(failure.failures)))
    .bind(each(&failures, |failure| failure.attempt.clone()))
    .bind(each(&failures, |failure| failure.run_id.as_uuid()))
    .bind(each(&failures, |failure| failure.failed_at))
    .bind(each(&failures, |failure| failure.next_try_at))
    .execute(connection)
    .await;
    Written::from_result(done, failures.len(), OPERATION)
}
