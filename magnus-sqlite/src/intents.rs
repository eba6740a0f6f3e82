//! Rows of `magnus_intents`.

use magnus_core::model::{Intent, IntentState};
use magnus_core::store::StoreError;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use crate::columns::{Columns, to_json};
use crate::commit::Written;
use crate::instant::to_text;

pub(crate) fn from_row(row: &SqliteRow) -> Result<Intent, StoreError> {
    let columns = Columns::new("magnus_intents", row);
    Ok(Intent {
        id: columns.parse("id")?,
        connection_id: columns.parse("connection_id")?,
        mapping_id: columns.parse("project_mapping_id")?,
        run_id: columns.parse("run_id")?,
        task_id: columns.parse("magnus_task_id")?,
        operation: columns.json("operation")?,
        fields: columns.json("fields")?,
        state: columns.json("state")?,
        created_at: columns.time("created_at")?,
    })
}

/// Inserts the intent, or replaces the one with its id.
pub(crate) async fn write(connection: &mut SqliteConnection, intent: &Intent) -> Result<Written, StoreError> {
    let done = sqlx::query(
        "INSERT INTO magnus_intents
            (id, connection_id, project_mapping_id, run_id, magnus_task_id, operation, fields, settled, state,
             created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
         ON CONFLICT (id) DO UPDATE
         SET connection_id = ?2, project_mapping_id = ?3, run_id = ?4, magnus_task_id = ?5, operation = ?6,
             fields = ?7, settled = ?8, state = ?9, created_at = ?10",
    )
    .bind(intent.id.to_string())
    .bind(intent.connection_id.to_string())
    .bind(intent.mapping_id.to_string())
    .bind(intent.run_id.to_string())
    .bind(intent.task_id.to_string())
    .bind(to_json(&intent.operation, "the operation of an intent")?)
    .bind(to_json(&intent.fields, "the fields of an intent")?)
    .bind(matches!(intent.state, IntentState::Settled { .. }))
    .bind(to_json(&intent.state, "the state of an intent")?)
    .bind(to_text(intent.created_at))
    .execute(connection)
    .await;
    Written::from_result(done, "write intent")
}
