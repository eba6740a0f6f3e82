//! Rows of `magnus_history`.

use magnus_core::model::{ConnectionId, Field, HistoryEntry, RunId, TaskId};
use magnus_core::store::StoreError;
use sqlx::PgConnection;
use sqlx::postgres::PgRow;

use crate::batch::Written;
use crate::columns::{Columns, each, to_json, try_each};
use crate::schema::Schema;

pub(crate) fn from_row(row: &PgRow) -> Result<HistoryEntry, StoreError> {
    let columns = Columns::new("magnus_history", row);
    Ok(HistoryEntry {
        task_id: columns.id("magnus_task_id", TaskId::from_uuid)?,
        run_id: columns.optional_id("run_id", RunId::from_uuid)?,
        connection_id: columns.optional_id("connection_id", ConnectionId::from_uuid)?,
        field: columns.optional("field")?,
        before: columns.json("before")?,
        after: columns.json("after")?,
        side: columns.parse("side")?,
        rule: columns.parse("rule")?,
        at: columns.time("at")?,
    })
}

/// Writes entries, all in one statement and in their order.
pub(crate) async fn write(
    connection: &mut PgConnection,
    schema: &Schema,
    entries: &[&HistoryEntry],
) -> Result<Written, StoreError> {
    if entries.is_empty() {
        return Ok(Written::Done);
    }
    let done = sqlx::query(schema.sql(
        "INSERT INTO {hub}.magnus_history
            (magnus_task_id, run_id, connection_id, field, before, after, side, rule, at)
         SELECT magnus_task_id, run_id, connection_id, field, before::json, after::json, side, rule, at
         FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
                     $9::timestamptz[]) WITH ORDINALITY
           AS row (magnus_task_id, run_id, connection_id, field, before, after, side, rule, at, place)
         ORDER BY place",
    ))
    .bind(each(entries, |entry| entry.task_id.as_uuid()))
    .bind(each(entries, |entry| entry.run_id.map(RunId::as_uuid)))
    .bind(each(entries, |entry| entry.connection_id.map(ConnectionId::as_uuid)))
    .bind(each(entries, |entry| entry.field.map(Field::as_str)))
    .bind(try_each(entries, |entry| to_json(&entry.before, "a value"))?)
    .bind(try_each(entries, |entry| to_json(&entry.after, "a value"))?)
    .bind(each(entries, |entry| entry.side.as_str()))
    .bind(each(entries, |entry| entry.rule.as_str()))
    .bind(each(entries, |entry| entry.at))
    .execute(connection)
    .await;
    Written::from_result(done, entries.len(), "write history")
}
