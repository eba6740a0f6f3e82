//! Rows of `magnus_intents`.

use magnus_core::model::{ConnectionId, Intent, IntentId, IntentState, MappingId, RunId, TaskId};
use magnus_core::store::StoreError;
use sqlx::PgConnection;
use sqlx::postgres::PgRow;

use crate::batch::Written;
use crate::columns::{Columns, each, to_json, try_each};
use crate::schema::Schema;

pub(crate) fn from_row(row: &PgRow) -> Result<Intent, StoreError> {
    let columns = Columns::new("magnus_intents", row);
    Ok(Intent {
        id: columns.id("id", IntentId::from_uuid)?,
        connection_id: columns.id("connection_id", ConnectionId::from_uuid)?,
        mapping_id: columns.id("project_mapping_id", MappingId::from_uuid)?,
        run_id: columns.id("run_id", RunId::from_uuid)?,
        task_id: columns.id("magnus_task_id", TaskId::from_uuid)?,
        operation: columns.json("operation")?,
        fields: columns.json("fields")?,
        state: columns.json("state")?,
        created_at: columns.time("created_at")?,
    })
}

/// Inserts intents, or replaces those with their ids, all in one statement.
pub(crate) async fn write(
    connection: &mut PgConnection,
    schema: &Schema,
    intents: &[&Intent],
) -> Result<Written, StoreError> {
    if intents.is_empty() {
        return Ok(Written::Done);
    }
    let done = sqlx::query(schema.sql(
        "INSERT INTO {hub}.magnus_intents
            (id, connection_id, project_mapping_id, run_id, magnus_task_id, operation, fields, settled, state,
             created_at)
         SELECT id, connection_id, project_mapping_id, run_id, magnus_task_id, operation::json, fields::json, settled,
                state::json, created_at
         FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::text[], $7::text[],
                     $8::boolean[], $9::text[], $10::timestamptz[])
           AS row (id, connection_id, project_mapping_id, run_id, magnus_task_id, operation, fields, settled, state,
                   created_at)
         ON CONFLICT (id) DO UPDATE
         SET connection_id = excluded.connection_id, project_mapping_id = excluded.project_mapping_id,
             run_id = excluded.run_id, magnus_task_id = excluded.magnus_task_id, operation = excluded.operation,
             fields = excluded.fields, settled = excluded.settled, state = excluded.state,
             created_at = excluded.created_at",
    ))
    .bind(each(intents, |intent| intent.id.as_uuid()))
    .bind(each(intents, |intent| intent.connection_id.as_uuid()))
    .bind(each(intents, |intent| intent.mapping_id.as_uuid()))
    .bind(each(intents, |intent| intent.run_id.as_uuid()))
    .bind(each(intents, |intent| intent.task_id.as_uuid()))
    .bind(try_each(intents, |intent| {
        to_json(&intent.operation, "the operation of an intent")
    })?)
    .bind(try_each(intents, |intent| {
        to_json(&intent.fields, "the fields of an intent")
    })?)
    .bind(each(intents, |intent| {
        matches!(intent.state, IntentState::Settled { .. })
    }))
    .bind(try_each(intents, |intent| {
        to_json(&intent.state, "the state of an intent")
    })?)
    .bind(each(intents, |intent| intent.created_at))
    .execute(connection)
    .await;
    Written::from_result(done, intents.len(), "write intents")
}
