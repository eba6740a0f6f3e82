//! Rows of `magnus_sync_conflicts`.

use magnus_core::model::{Conflict, ConflictState, RemoteValue, RowVersion, Side, Value};
use magnus_core::store::{ConflictWrite, StoreError};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use crate::columns::{Columns, to_json};
use crate::commit::Written;
use crate::error::failed;
use crate::instant::{optional_to_text, to_text};

const TABLE: &str = "magnus_sync_conflicts";

pub(crate) fn from_row(row: &SqliteRow) -> Result<Conflict, StoreError> {
    let columns = Columns::new(TABLE, row);
    Ok(Conflict {
        id: columns.parse("id")?,
        connection_id: columns.parse("connection_id")?,
        link_id: columns.parse("link_id")?,
        task_id: columns.parse("magnus_entity_id")?,
        external_id: columns.convert("external_entity_id")?,
        field: columns.parse("field")?,
        base: columns.optional_json("base")?,
        local: columns.json("magnus_data")?,
        remote: columns.json("external_data")?,
        remote_value: columns.json("external_value")?,
        local_change: columns.optional_json("magnus_changed")?.unwrap_or_default(),
        remote_change: columns.optional_json("external_changed")?.unwrap_or_default(),
        state: columns.parse("status")?,
        policy: columns.parse("policy")?,
        loser: columns.optional("loser")?,
        reason: columns.text("reason")?,
        run_id: columns.optional("run_id")?,
        created_at: columns.time("created_at")?,
        updated_at: columns.time("updated_at")?,
        resolved_at: columns.optional_time("resolved_at")?,
        resolved_by: columns.get("resolved_by")?,
        version: RowVersion(columns.get("version")?),
    })
}

/// Whether this losing value is recorded already.
pub(crate) async fn is_recorded(connection: &mut SqliteConnection, new: &Conflict) -> Result<bool, StoreError> {
    let rows = sqlx::query(
        "SELECT id, magnus_data, external_data FROM magnus_sync_conflicts
         WHERE link_id = ? AND field = ? AND status = ? AND id <> ?",
    )
    .bind(new.link_id.to_string())
    .bind(new.field.as_str())
    .bind(ConflictState::Decided.as_str())
    .bind(new.id.to_string())
    .fetch_all(connection)
    .await
    .map_err(failed("read conflicts"))?;
    for row in &rows {
        // Compared as values: the order of keys in JSON text says nothing.
        let columns = Columns::new(TABLE, row);
        let (local, remote): (Value, RemoteValue) = (columns.json("magnus_data")?, columns.json("external_data")?);
        if local == new.local && remote == new.remote {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Writes a conflict: inserts it, or updates the row of the expected version.
pub(crate) async fn write(connection: &mut SqliteConnection, write: &ConflictWrite) -> Result<Written, StoreError> {
    let query = match write.expected {
        None => sqlx::query(
            "INSERT INTO magnus_sync_conflicts
                (id, connection_id, link_id, magnus_entity_id, external_entity_id, field, base, magnus_data,
                 external_data, external_value, status, policy, loser, reason, run_id, created_at, updated_at,
                 resolved_at, resolved_by, version, magnus_changed, external_changed)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20 + 1,
                     ?21, ?22)
             ON CONFLICT DO NOTHING",
        ),
        Some(_) => sqlx::query(
            "UPDATE OR IGNORE magnus_sync_conflicts
             SET connection_id = ?2, link_id = ?3, magnus_entity_id = ?4, external_entity_id = ?5, field = ?6,
                 base = ?7, magnus_data = ?8, external_data = ?9, external_value = ?10, status = ?11, policy = ?12,
                 loser = ?13, reason = ?14, run_id = ?15, created_at = ?16, updated_at = ?17, resolved_at = ?18,
                 resolved_by = ?19, version = ?20 + 1, magnus_changed = ?21, external_changed = ?22
             WHERE id = ?1 AND version = ?20",
        ),
    };
    let conflict = &write.conflict;
    let base = conflict
        .base
        .as_ref()
        .map(|base| to_json(base, "the base of a conflict"))
        .transpose()?;
    let done = query
        .bind(conflict.id.to_string())
        .bind(conflict.connection_id.to_string())
        .bind(conflict.link_id.to_string())
        .bind(conflict.task_id.to_string())
        .bind(conflict.external_id.as_str())
        .bind(conflict.field.as_str())
        .bind(base)
        .bind(to_json(&conflict.local, "a value")?)
        .bind(to_json(&conflict.remote, "a value")?)
        .bind(to_json(&conflict.remote_value, "a value")?)
        .bind(conflict.state.as_str())
        .bind(conflict.policy.as_str())
        .bind(conflict.loser.map(Side::as_str))
        .bind(&conflict.reason)
        .bind(conflict.run_id.map(|run| run.to_string()))
        .bind(to_text(conflict.created_at))
        .bind(to_text(conflict.updated_at))
        .bind(optional_to_text(conflict.resolved_at))
        .bind(conflict.resolved_by.as_deref())
        .bind(write.expected.unwrap_or_default().0)
        .bind(to_json(&conflict.local_change, "a change")?)
        .bind(to_json(&conflict.remote_change, "a change")?)
        .execute(connection)
        .await;
    Written::from_result(done, "write conflict")
}
