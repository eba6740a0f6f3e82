//! Rows of `magnus_pm_connections`, due marks and sealed bytes.

use async_trait::async_trait;
use magnus_core::model::{ConnectionId, ConnectionSettings, ToolName};
use magnus_core::store::{ChangedRows, SettingsStore, StoreError, StoreErrorKind};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use crate::SqliteStore;
use crate::columns::{Columns, to_json};
use crate::error::failed;
use crate::instant::to_text;
use crate::open::finish;

#[async_trait]
impl SettingsStore for SqliteStore {
    async fn connections(&self) -> Result<Vec<ConnectionSettings>, StoreError> {
        let rows = sqlx::query("SELECT * FROM magnus_pm_connections ORDER BY display_name")
            .fetch_all(self.readers())
            .await
            .map_err(failed("read connections"))?;
        rows.iter().map(from_row).collect()
    }

    async fn connection(&self, id: ConnectionId) -> Result<Option<ConnectionSettings>, StoreError> {
        let row = sqlx::query("SELECT * FROM magnus_pm_connections WHERE id = ?")
            .bind(id.to_string())
            .fetch_optional(self.readers())
            .await
            .map_err(failed("read connection"))?;
        row.as_ref().map(from_row).transpose()
    }

    async fn save_connection(&self, mut settings: ConnectionSettings) -> Result<ConnectionSettings, StoreError> {
        const OPERATION: &str = "save connection";
        let refused = |why: &str| Err(StoreError::new(StoreErrorKind::Conflict, OPERATION, why));
        let mut transaction = self.begin(OPERATION).await?;
        let stored: Option<i64> = sqlx::query_scalar("SELECT revision FROM magnus_pm_connections WHERE id = ?")
            .bind(settings.id.to_string())
            .fetch_optional(&mut *transaction)
            .await
            .map_err(failed(OPERATION))?;
        if stored.unwrap_or(0) != settings.revision {
            return refused("the connection was changed or removed meanwhile; read it again");
        }
        if is_name_taken(&mut transaction, &settings).await? {
            return refused("another connection has this name");
        }
        settings.revision += 1;
        write(&mut transaction, &settings).await?;
        finish(transaction, OPERATION).await?;
        Ok(settings)
    }

    async fn delete_connection(&self, id: ConnectionId) -> Result<bool, StoreError> {
        const OPERATION: &str = "delete connection";
        let mut transaction = self.begin(OPERATION).await?;
        let changed = rows_of(&mut transaction, id).await?;
        sqlx::query("DELETE FROM magnus_sealed WHERE connection_id = ?")
            .bind(id.to_string())
            .execute(&mut *transaction)
            .await
            .map_err(failed(OPERATION))?;
        let deleted = sqlx::query("DELETE FROM magnus_pm_connections WHERE id = ?")
            .bind(id.to_string())
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
        let rows = sqlx::query("SELECT connection_id AS id FROM magnus_due ORDER BY connection_id")
            .fetch_all(self.readers())
            .await
            .map_err(failed("read due connections"))?;
        rows.iter()
            .map(|row| Columns::new("magnus_due", row).parse("id"))
            .collect()
    }

    async fn put_sealed(
        &self,
        connection: ConnectionId,
        name: String,
        sealed: Option<Vec<u8>>,
    ) -> Result<(), StoreError> {
        const OPERATION: &str = "put sealed";
        let mut transaction = self.begin(OPERATION).await?;
        let query = if sealed.is_some() {
            sqlx::query(
                "INSERT INTO magnus_sealed (connection_id, name, sealed) VALUES (?1, ?2, ?3)
                 ON CONFLICT (connection_id, name) DO UPDATE SET sealed = ?3",
            )
        } else {
            sqlx::query("DELETE FROM magnus_sealed WHERE connection_id = ?1 AND name = ?2 AND ?3 IS NULL")
        };
        query
            .bind(connection.to_string())
            .bind(name)
            .bind(sealed)
            .execute(&mut *transaction)
            .await
            .map_err(failed(OPERATION))?;
        finish(transaction, OPERATION).await
    }

    async fn get_sealed(&self, connection: ConnectionId, name: String) -> Result<Option<Vec<u8>>, StoreError> {
        sqlx::query_scalar("SELECT sealed FROM magnus_sealed WHERE connection_id = ? AND name = ?")
            .bind(connection.to_string())
            .bind(name)
            .fetch_optional(self.readers())
            .await
            .map_err(failed("get sealed"))
    }
}

fn from_row(row: &SqliteRow) -> Result<ConnectionSettings, StoreError> {
    let columns = Columns::new("magnus_pm_connections", row);
    let tool = ToolName::new(columns.get::<&str>("tool_name")?);
    let (name, url) = (columns.text("display_name")?, columns.text("instance_url")?);
    let mut settings = ConnectionSettings::new(tool, name, url, columns.time("created_at")?);
    settings.id = columns.parse("id")?;
    settings.direction = columns.parse("sync_direction")?;
    settings.frequency = columns.parse("sync_frequency")?;
    settings.enabled = columns.flag("sync_enabled")?;
    settings.options = columns.json("config")?;
    settings.revision = columns.get("revision")?;
    settings.updated_at = columns.time("updated_at")?;
    Ok(settings)
}

async fn write(connection: &mut SqliteConnection, settings: &ConnectionSettings) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO magnus_pm_connections
            (id, tool_name, display_name, instance_url, sync_direction, sync_frequency, sync_enabled, config,
             revision, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
         ON CONFLICT (id) DO UPDATE
         SET tool_name = ?2, display_name = ?3, instance_url = ?4, sync_direction = ?5, sync_frequency = ?6,
             sync_enabled = ?7, config = ?8, revision = ?9, created_at = ?10, updated_at = ?11",
    )
    .bind(settings.id.to_string())
    .bind(settings.tool.as_str())
    .bind(&settings.name)
    .bind(&settings.url)
    .bind(settings.direction.as_str())
    .bind(settings.frequency.as_str())
    .bind(settings.enabled)
    .bind(to_json(&settings.options, "the options of a connection")?)
    .bind(settings.revision)
    .bind(to_text(settings.created_at))
    .bind(to_text(settings.updated_at))
    .execute(connection)
    .await
    .map_err(failed("save connection"))?;
    Ok(())
}

async fn is_name_taken(connection: &mut SqliteConnection, settings: &ConnectionSettings) -> Result<bool, StoreError> {
    sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM magnus_pm_connections WHERE display_name = ? AND id <> ?)")
        .bind(&settings.name)
        .bind(settings.id.to_string())
        .fetch_one(connection)
        .await
        .map_err(failed("save connection"))
}

/// The counted rows that go with a connection.
async fn rows_of(connection: &mut SqliteConnection, id: ConnectionId) -> Result<ChangedRows, StoreError> {
    let (links, conflicts): (i64, i64) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM magnus_task_mappings WHERE connection_id = ?1),
                (SELECT count(*) FROM magnus_sync_conflicts WHERE connection_id = ?1)",
    )
    .bind(id.to_string())
    .fetch_one(connection)
    .await
    .map_err(failed("delete connection"))?;
    Ok(ChangedRows {
        links: links.unsigned_abs(),
        conflicts: conflicts.unsigned_abs(),
        ..ChangedRows::default()
    })
}
