//! Rows of `magnus_pm_connections`, due marks and sealed bytes.

use async_trait::async_trait;
use magnus_core::model::{ConnectionId, ConnectionSettings, ToolName};
use magnus_core::store::{ChangedRows, SettingsStore, StoreError, StoreErrorKind};
use sqlx::PgConnection;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::PostgresStore;
use crate::columns::{Columns, text, to_jsonb};
use crate::error::{failed, is_taken, patiently};
use crate::open::finish;
use crate::schema::Schema;

#[async_trait]
impl SettingsStore for PostgresStore {
    async fn connections(&self) -> Result<Vec<ConnectionSettings>, StoreError> {
        let rows = patiently!(
            "read connections",
            sqlx::query(self.sql("SELECT * FROM {hub}.magnus_pm_connections ORDER BY display_name COLLATE \"C\""))
                .fetch_all(self.pool())
        )?;
        rows.iter().map(from_row).collect()
    }

    async fn connection(&self, id: ConnectionId) -> Result<Option<ConnectionSettings>, StoreError> {
        let row = patiently!(
            "read connection",
            sqlx::query(self.sql("SELECT * FROM {hub}.magnus_pm_connections WHERE id = $1"))
                .bind(id.as_uuid())
                .fetch_optional(self.pool())
        )?;
        row.as_ref().map(from_row).transpose()
    }

    async fn save_connection(&self, mut settings: ConnectionSettings) -> Result<ConnectionSettings, StoreError> {
        const OPERATION: &str = "save connection";
        let refused = |why: &str| StoreError::new(StoreErrorKind::Conflict, OPERATION, why);
        let mut transaction = self.begin(OPERATION).await?;
        let stored: Option<i64> =
            sqlx::query_scalar(self.sql("SELECT revision FROM {hub}.magnus_pm_connections WHERE id = $1 FOR UPDATE"))
                .bind(settings.id.as_uuid())
                .fetch_optional(&mut *transaction)
                .await
                .map_err(failed(OPERATION))?;
        if stored.unwrap_or(0) != settings.revision {
            return Err(refused(
                "the connection was changed or removed meanwhile; read it again",
            ));
        }
        settings.revision += 1;
        write(&mut transaction, self.schema(), &settings).await?;
        finish(transaction, OPERATION).await?;
        Ok(settings)
    }

    async fn delete_connection(&self, id: ConnectionId) -> Result<bool, StoreError> {
        const OPERATION: &str = "delete connection";
        let mut transaction = self.begin(OPERATION).await?;
        let changed = rows_of(&mut transaction, self.schema(), id).await?;
        sqlx::query(self.sql("DELETE FROM {hub}.magnus_sealed WHERE connection_id = $1"))
            .bind(id.as_uuid())
            .execute(&mut *transaction)
            .await
            .map_err(failed(OPERATION))?;
        let deleted = sqlx::query(self.sql("DELETE FROM {hub}.magnus_pm_connections WHERE id = $1"))
            .bind(id.as_uuid())
            .execute(&mut *transaction)
            .await
            .map_err(failed(OPERATION))?;
        if deleted.rows_affected() == 0 {
            return Ok(false);
        }
        finish(transaction, OPERATION).await?;
        self.count_changes(changed);
        Ok(true)
    }

    async fn due_connections(&self) -> Result<Vec<ConnectionId>, StoreError> {
        let ids: Vec<Uuid> = patiently!(
            "read due connections",
            sqlx::query_scalar(self.sql("SELECT connection_id FROM {hub}.magnus_due ORDER BY connection_id"))
                .fetch_all(self.pool())
        )?;
        Ok(ids.into_iter().map(ConnectionId::from_uuid).collect())
    }

    async fn put_sealed(
        &self,
        connection: ConnectionId,
        name: String,
        sealed: Option<Vec<u8>>,
    ) -> Result<(), StoreError> {
        let statement = if sealed.is_some() {
            "INSERT INTO {hub}.magnus_sealed (connection_id, name, sealed) VALUES ($1, $2, $3)
             ON CONFLICT (connection_id, name) DO UPDATE SET sealed = $3"
        } else {
            "DELETE FROM {hub}.magnus_sealed WHERE connection_id = $1 AND name = $2 AND $3::bytea IS NULL"
        };
        patiently!(
            "put sealed",
            sqlx::query(self.sql(statement))
                .bind(connection.as_uuid())
                .bind(&name)
                .bind(&sealed)
                .execute(self.pool())
        )?;
        Ok(())
    }

    async fn get_sealed(&self, connection: ConnectionId, name: String) -> Result<Option<Vec<u8>>, StoreError> {
        patiently!(
            "get sealed",
            sqlx::query_scalar(
                self.sql("SELECT sealed FROM {hub}.magnus_sealed WHERE connection_id = $1 AND name = $2")
            )
            .bind(connection.as_uuid())
            .bind(&name)
            .fetch_optional(self.pool())
        )
    }
}

fn from_row(row: &PgRow) -> Result<ConnectionSettings, StoreError> {
    let columns = Columns::new("magnus_pm_connections", row);
    let mut settings = ConnectionSettings::new(
        ToolName::new(columns.get::<&str>("tool_name")?),
        columns.text("display_name")?,
        columns.text("instance_url")?,
        columns.time("created_at")?,
    );
    settings.id = columns.id("id", ConnectionId::from_uuid)?;
    settings.direction = columns.parse("sync_direction")?;
    settings.frequency = columns.parse("sync_frequency")?;
    settings.enabled = columns.get("sync_enabled")?;
    settings.options = columns.json("config")?;
    settings.revision = columns.get("revision")?;
    settings.updated_at = columns.time("updated_at")?;
    Ok(settings)
}

async fn write(
    connection: &mut PgConnection,
    schema: &Schema,
    settings: &ConnectionSettings,
) -> Result<(), StoreError> {
    const OPERATION: &str = "save connection";
    let done = sqlx::query(schema.sql(
        "INSERT INTO {hub}.magnus_pm_connections
            (id, tool_name, display_name, instance_url, sync_direction, sync_frequency, sync_enabled, config,
             revision, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8::jsonb, $9, $10, $11)
         ON CONFLICT (id) DO UPDATE
         SET tool_name = $2, display_name = $3, instance_url = $4, sync_direction = $5, sync_frequency = $6,
             sync_enabled = $7, config = $8::jsonb, revision = $9, created_at = $10, updated_at = $11",
    ))
    .bind(settings.id.as_uuid())
    .bind(settings.tool.as_str())
    .bind(text(&settings.name))
    .bind(text(&settings.url))
    .bind(settings.direction.as_str())
    .bind(settings.frequency.as_str())
    .bind(settings.enabled)
    .bind(to_jsonb(&settings.options, "the options of a connection")?)
    .bind(settings.revision)
    .bind(settings.created_at)
    .bind(settings.updated_at)
    .execute(connection)
    .await;
    match done {
        Ok(_) => Ok(()),
        Err(error) if is_taken(&error) => Err(StoreError::new(
            StoreErrorKind::Conflict,
            OPERATION,
            "another connection has this name",
        )),
        Err(error) => Err(failed(OPERATION)(error)),
    }
}

/// The counted rows that go with a connection.
async fn rows_of(connection: &mut PgConnection, schema: &Schema, id: ConnectionId) -> Result<ChangedRows, StoreError> {
    let (links, conflicts): (i64, i64) = sqlx::query_as(schema.sql(
        "SELECT (SELECT count(*) FROM {hub}.magnus_task_mappings WHERE connection_id = $1 AND set_aside IS NULL),
                (SELECT count(*) FROM {hub}.magnus_sync_conflicts WHERE connection_id = $1 AND link_id IS NOT NULL)",
    ))
    .bind(id.as_uuid())
    .fetch_one(connection)
    .await
    .map_err(failed("delete connection"))?;
    Ok(ChangedRows {
        links: links.unsigned_abs(),
        conflicts: conflicts.unsigned_abs(),
        ..ChangedRows::default()
    })
}
