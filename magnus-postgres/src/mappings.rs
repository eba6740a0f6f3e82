//! Rows of `magnus_project_mappings`.

use magnus_core::model::{
    ConnectionId, Cursor, Direction, ExternalId, Mapping, MappingId, MappingState, ProjectId, RowVersion,
};
use magnus_core::store::{MappingWrite, StoreError};
use sqlx::PgConnection;
use sqlx::postgres::PgRow;

use crate::columns::{Columns, text};
use crate::schema::Schema;

pub(crate) fn from_row(row: &PgRow) -> Result<Mapping, StoreError> {
    let columns = Columns::new("magnus_project_mappings", row);
    let suspended: Option<String> = columns.get("suspended")?;
    Ok(Mapping {
        id: columns.id("id", MappingId::from_uuid)?,
        connection_id: columns.id("connection_id", ConnectionId::from_uuid)?,
        external_id: columns.convert("external_project_id")?,
        external_name: columns
            .get::<Option<String>>("external_project_name")?
            .unwrap_or_default(),
        project_id: columns.id("magnus_project_id", ProjectId::from_uuid)?,
        direction: columns.optional("sync_direction")?,
        enabled: columns.get("sync_enabled")?,
        state: suspended.map_or(MappingState::Active, |reason| MappingState::Suspended { reason }),
        cursor: columns.get::<Option<String>>("cursor")?.map(Cursor),
        first_contact_done: columns.get("first_contact_done")?,
        last_sync_at: columns.optional_time("last_sync_at")?,
        seen_as: columns
            .get::<Option<String>>("seen_as")?
            .and_then(|id| ExternalId::new(id).ok()),
        version: RowVersion(columns.get("version")?),
    })
}

/// Writes a mapping: inserts it, or updates the row of the expected version. Answers how many rows were written.
pub(crate) async fn write(
    connection: &mut PgConnection,
    schema: &Schema,
    write: &MappingWrite,
) -> Result<u64, sqlx::Error> {
    let statement = match write.expected {
        None => {
            "INSERT INTO {hub}.magnus_project_mappings
                (id, connection_id, external_project_id, external_project_name, magnus_project_id, sync_direction,
                 sync_enabled, suspended, cursor, first_contact_done, last_sync_at, version, seen_as)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12 + 1, $13)
             ON CONFLICT DO NOTHING"
        }
        Some(_) => {
            "UPDATE {hub}.magnus_project_mappings
             SET connection_id = $2, external_project_id = $3, external_project_name = $4, magnus_project_id = $5,
                 sync_direction = $6, sync_enabled = $7, suspended = $8, cursor = $9, first_contact_done = $10,
                 last_sync_at = $11, version = $12 + 1, seen_as = $13
             WHERE id = $1 AND version = $12"
        }
    };
    let mapping = &write.mapping;
    let suspended = match &mapping.state {
        MappingState::Active => None,
        MappingState::Suspended { reason } => Some(text(reason)),
    };
    let done = sqlx::query(schema.sql(statement))
        .bind(mapping.id.as_uuid())
        .bind(mapping.connection_id.as_uuid())
        .bind(text(mapping.external_id.as_str()))
        .bind(text(&mapping.external_name))
        .bind(mapping.project_id.as_uuid())
        .bind(mapping.direction.map(Direction::as_str))
        .bind(mapping.enabled)
        .bind(suspended)
        .bind(mapping.cursor.as_ref().map(|cursor| text(&cursor.0)))
        .bind(mapping.first_contact_done)
        .bind(mapping.last_sync_at)
        .bind(write.expected.unwrap_or_default().0)
        .bind(mapping.seen_as.as_ref().map(|id| text(id.as_str())))
        .execute(connection)
        .await?;
    Ok(done.rows_affected())
}
