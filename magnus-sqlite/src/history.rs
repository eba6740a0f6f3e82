//! Rows of `magnus_history`.

use magnus_core::model::{Field, HistoryEntry};
use magnus_core::store::StoreError;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use crate::columns::{Columns, to_json};
use crate::commit::Written;
use crate::instant::to_text;

pub(crate) fn from_row(row: &SqliteRow) -> Result<HistoryEntry, StoreError> {
    let columns = Columns::new("magnus_history", row);
    Ok(HistoryEntry {
        task_id: columns.parse("magnus_task_id")?,
        run_id: columns.optional("run_id")?,
        connection_id: columns.optional("connection_id")?,
        field: columns.optional("field")?,
        before: columns.json("before")?,
        after: columns.json("after")?,
        side: columns.parse("side")?,
        rule: columns.parse("rule")?,
        at: columns.time("at")?,
    })
}

pub(crate) async fn write(connection: &mut SqliteConnection, entry: &HistoryEntry) -> Result<Written, StoreError> {
    let done = sqlx::query(
        "INSERT INTO magnus_history (magnus_task_id, run_id, connection_id, field, before, after, side, rule, at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(entry.task_id.to_string())
    .bind(entry.run_id.map(|run| run.to_string()))
    .bind(entry.connection_id.map(|connection| connection.to_string()))
    .bind(entry.field.map(Field::as_str))
    .bind(to_json(&entry.before, "a value")?)
    .bind(to_json(&entry.after, "a value")?)
    .bind(entry.side.as_str())
    .bind(entry.rule.as_str())
    .bind(to_text(entry.at))
    .execute(connection)
    .await;
    Written::from_result(done, "write history")
}
