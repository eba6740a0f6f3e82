//! Rows of `magnus_project_mappings`.

use magnus_core::model::{Cursor, Direction, ExternalId, Mapping, MappingState, RowVersion};
use magnus_core::store::{MappingWrite, StoreError};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use crate::columns::Columns;
use crate::commit::Written;
use crate::instant::optional_to_text;

pub(crate) fn from_row(row: &SqliteRow) -> Result<Mapping, StoreError> {
    let columns = Columns::new("magnus_project_mappings", row);
    let suspended: Option<String> = columns.get("suspended")?;
    Ok(Mapping {
        id: columns.parse("id")?,
        connection_id: columns.parse("connection_id")?,
        external_id: columns.convert("external_project_id")?,
        external_name: columns.text("external_project_name")?,
        project_id: columns.parse("magnus_project_id")?,
        direction: columns.optional("sync_direction")?,
        enabled: columns.flag("sync_enabled")?,
        state: suspended.map_or(MappingState::Active, |reason| MappingState::Suspended { reason }),
        cursor: columns.get::<Option<String>>("cursor")?.map(Cursor),
        first_contact_done: columns.flag("first_contact_done")?,
        last_sync_at: columns.optional_time("last_sync_at")?,
        seen_as: columns
            .get::<Option<String>>("seen_as")?
            .and_then(|id| ExternalId::new(id).ok()),
        version: RowVersion(columns.get("version")?),
    })
}

/// Writes a mapping: inserts it, or updates the row of the expected version.
pub(crate) async fn write(connection: &mut SqliteConnection, write: &MappingWrite) -> Result<Written, StoreError> {
    let query = match write.expected {
        None => sqlx::query(
            "INSERT INTO magnus_project_mappings
                (id, connection_id, external_project_id, external_project_name, magnus_project_id, sync_direction,
                 sync_enabled, suspended, cursor, first_contact_done, last_sync_at, version, seen_as)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12 + 1, ?13)
             ON CONFLICT DO NOTHING",
        ),
        Some(_) => sqlx::query(
            "UPDATE OR IGNORE magnus_project_mappings
             SET connection_id = ?2, external_project_id = ?3, external_project_name = ?4, magnus_project_id = ?5,
                 sync_direction = ?6, sync_enabled = ?7, suspended = ?8, cursor = ?9, first_contact_done = ?10,
                 last_sync_at = ?11, version = ?12 + 1, seen_as = ?13
             WHERE id = ?1 AND version = ?12",
        ),
    };
    let mapping = &write.mapping;
    let suspended = match &mapping.state {
        MappingState::Active => None,
        MappingState::Suspended { reason } => Some(reason.as_str()),
    };
    let done = query
        .bind(mapping.id.to_string())
        .bind(mapping.connection_id.to_string())
        .bind(mapping.external_id.as_str())
        .bind(&mapping.external_name)
        .bind(mapping.project_id.to_string())
        .bind(mapping.direction.map(Direction::as_str))
        .bind(mapping.enabled)
        .bind(suspended)
        .bind(mapping.cursor.as_ref().map(|cursor| cursor.0.as_str()))
        .bind(mapping.first_contact_done)
        .bind(optional_to_text(mapping.last_sync_at))
        .bind(write.expected.unwrap_or_default().0)
        .bind(mapping.seen_as.as_ref().map(ExternalId::as_str))
        .execute(connection)
        .await;
    Written::from_result(done, "write mapping")
}
