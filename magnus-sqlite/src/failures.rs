//! Rows of `magnus_item_failures`.

use magnus_core::model::ItemFailure;
use magnus_core::store::{FailureWrite, StoreError};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use crate::columns::{Columns, to_json};
use crate::commit::Written;
use crate::error::failed;
use crate::instant::to_text;

const OPERATION: &str = "write item failure";

pub(crate) fn from_row(row: &SqliteRow) -> Result<ItemFailure, StoreError> {
    let columns = Columns::new("magnus_item_failures", row);
    Ok(ItemFailure {
        connection_id: columns.parse("connection_id")?,
        task_id: columns.parse("magnus_task_id")?,
        kind: columns.json("kind")?,
        message: columns.text("message")?,
        failures: columns.number("failures")?.unwrap_or_default(),
        attempt: columns.text("attempt")?,
        run_id: columns.parse("run_id")?,
        failed_at: columns.time("failed_at")?,
        next_try_at: columns.time("next_try_at")?,
    })
}

/// Inserts or replaces the record of an item, or removes it.
pub(crate) async fn write(connection: &mut SqliteConnection, write: &FailureWrite) -> Result<Written, StoreError> {
    let (connection_id, task_id) = write.key();
    let FailureWrite::Record(failure) = write else {
        sqlx::query("DELETE FROM magnus_item_failures WHERE connection_id = ? AND magnus_task_id = ?")
            .bind(connection_id.to_string())
            .bind(task_id.to_string())
            .execute(connection)
            .await
            .map_err(failed(OPERATION))?;
        // There may be none: that is as good.
        return Ok(Written::Done);
    };
    let done = sqlx::query(
        "INSERT INTO magnus_item_failures
            (connection_id, magnus_task_id, kind, message, failures, attempt, run_id, failed_at, next_try_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         ON CONFLICT (connection_id, magnus_task_id) DO UPDATE
         SET kind = ?3, message = ?4, failures = ?5, attempt = ?6, run_id = ?7, failed_at = ?8, next_try_at = ?9",
    )
    .bind(connection_id.to_string())
    .bind(task_id.to_string())
    .bind(to_json(&failure.kind, "the kind of an item's failure")?)
    .bind(&failure.message)
    .bind(failure.failures)
    .bind(&failure.attempt)
    .bind(failure.run_id.to_string())
    .bind(to_text(failure.failed_at))
    .bind(to_text(failure.next_try_at))
    .execute(connection)
    .await;
    Written::from_result(done, OPERATION)
}
