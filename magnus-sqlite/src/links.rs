//! Rows of `magnus_task_mappings`, and reading all that joins hub and tools.

use async_trait::async_trait;
use magnus_core::model::{
    Conflict, ConflictId, ConnectionId, ExternalId, Intent, IntentId, ItemFailure, Link, LinkId, Mapping, MappingId,
    RowVersion, RunId, TaskId,
};
use magnus_core::store::{ConflictQuery, LinkStore, LinkWrite, StoreError};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use crate::columns::{Columns, id_list, to_json};
use crate::commit::Written;
use crate::error::failed;
use crate::instant::{optional_to_text, to_text};
use crate::{SqliteStore, conflicts, failures, intents, mappings, rows};

#[async_trait]
impl LinkStore for SqliteStore {
    async fn mappings(&self, connection: ConnectionId) -> Result<Vec<Mapping>, StoreError> {
        let rows = sqlx::query(
            "SELECT * FROM magnus_project_mappings WHERE connection_id = ? ORDER BY external_project_name, id",
        )
        .bind(connection.to_string())
        .fetch_all(self.bulk_readers())
        .await
        .map_err(failed("read mappings"))?;
        rows.iter().map(mappings::from_row).collect()
    }

    async fn all_mappings(&self) -> Result<Vec<Mapping>, StoreError> {
        let rows = sqlx::query("SELECT * FROM magnus_project_mappings ORDER BY external_project_name, id")
            .fetch_all(self.bulk_readers())
            .await
            .map_err(failed("read mappings"))?;
        rows.iter().map(mappings::from_row).collect()
    }

    async fn links(&self, connection: ConnectionId) -> Result<Vec<Link>, StoreError> {
        let query = sqlx::query("SELECT * FROM magnus_task_mappings WHERE connection_id = ? ORDER BY id")
            .bind(connection.to_string());
        rows::each(query.fetch(self.bulk_readers()), "read links", from_row).await
    }

    async fn link_index(&self, connection: ConnectionId) -> Result<Vec<Link>, StoreError> {
        let query = sqlx::query(
            "SELECT id, connection_id, project_mapping_id, magnus_task_id, external_task_id, external_url, state,
                    '{}' AS bases, '{}' AS refusals, '{}' AS swings, absent_since, last_sync_at, created_at, version
             FROM magnus_task_mappings WHERE connection_id = ? ORDER BY id",
        )
        .bind(connection.to_string());
        rows::each(query.fetch(self.bulk_readers()), "read links", from_row).await
    }

    async fn links_of_mapping(&self, mapping: MappingId) -> Result<Vec<Link>, StoreError> {
        let query = sqlx::query("SELECT * FROM magnus_task_mappings WHERE project_mapping_id = ? ORDER BY id")
            .bind(mapping.to_string());
        rows::each(query.fetch(self.bulk_readers()), "read links", from_row).await
    }

    async fn links_of_tasks(&self, tasks: Vec<TaskId>) -> Result<Vec<Link>, StoreError> {
        let query = sqlx::query(
            "SELECT * FROM magnus_task_mappings
             WHERE magnus_task_id IN (SELECT value FROM json_each(?)) ORDER BY id",
        )
        .bind(id_list(tasks));
        rows::each(query.fetch(self.bulk_readers()), "read links", from_row).await
    }

    async fn link_by_external(&self, connection: ConnectionId, id: ExternalId) -> Result<Option<Link>, StoreError> {
        let row = sqlx::query("SELECT * FROM magnus_task_mappings WHERE connection_id = ? AND external_task_id = ?")
            .bind(connection.to_string())
            .bind(id.as_str())
            .fetch_optional(self.bulk_readers())
            .await
            .map_err(failed("read link"))?;
        row.as_ref().map(from_row).transpose()
    }

    async fn link(&self, id: LinkId) -> Result<Option<Link>, StoreError> {
        let row = sqlx::query("SELECT * FROM magnus_task_mappings WHERE id = ?")
            .bind(id.to_string())
            .fetch_optional(self.readers())
            .await
            .map_err(failed("read link"))?;
        row.as_ref().map(from_row).transpose()
    }

    async fn unsettled_intents(&self, connection: ConnectionId) -> Result<Vec<Intent>, StoreError> {
        let rows =
            sqlx::query("SELECT * FROM magnus_intents WHERE connection_id = ? AND settled = 0 ORDER BY created_at, id")
                .bind(connection.to_string())
                .fetch_all(self.bulk_readers())
                .await
                .map_err(failed("read intents"))?;
        rows.iter().map(intents::from_row).collect()
    }

    async fn intents_of_run(&self, run: RunId) -> Result<Vec<Intent>, StoreError> {
        let rows = sqlx::query("SELECT * FROM magnus_intents WHERE run_id = ? ORDER BY created_at, id")
            .bind(run.to_string())
            .fetch_all(self.bulk_readers())
            .await
            .map_err(failed("read intents"))?;
        rows.iter().map(intents::from_row).collect()
    }

    async fn intent(&self, id: IntentId) -> Result<Option<Intent>, StoreError> {
        let row = sqlx::query("SELECT * FROM magnus_intents WHERE id = ?")
            .bind(id.to_string())
            .fetch_optional(self.bulk_readers())
            .await
            .map_err(failed("read intent"))?;
        row.as_ref().map(intents::from_row).transpose()
    }

    async fn item_failures(&self, connection: Option<ConnectionId>) -> Result<Vec<ItemFailure>, StoreError> {
        let rows = sqlx::query(
            "SELECT * FROM magnus_item_failures WHERE ?1 IS NULL OR connection_id = ?1
             ORDER BY failed_at, magnus_task_id, connection_id",
        )
        .bind(connection.map(|id| id.to_string()))
        .fetch_all(self.readers())
        .await
        .map_err(failed("read item failures"))?;
        rows.iter().map(failures::from_row).collect()
    }

    async fn conflicts(&self, query: ConflictQuery) -> Result<Vec<Conflict>, StoreError> {
        let rows = sqlx::query(
            "SELECT * FROM magnus_sync_conflicts
             WHERE (?1 IS NULL OR connection_id = ?1) AND (?2 IS NULL OR magnus_entity_id = ?2)
               AND (NOT ?3 OR status = 'open')
             ORDER BY created_at DESC, id DESC",
        )
        .bind(query.connection_id.map(|id| id.to_string()))
        .bind(query.task_id.map(|id| id.to_string()))
        .bind(query.open_only)
        .fetch_all(self.readers())
        .await
        .map_err(failed("read conflicts"))?;
        rows.iter().map(conflicts::from_row).collect()
    }

    async fn conflict(&self, id: ConflictId) -> Result<Option<Conflict>, StoreError> {
        let row = sqlx::query("SELECT * FROM magnus_sync_conflicts WHERE id = ?")
            .bind(id.to_string())
            .fetch_optional(self.readers())
            .await
            .map_err(failed("read conflict"))?;
        row.as_ref().map(conflicts::from_row).transpose()
    }
}

fn from_row(row: &SqliteRow) -> Result<Link, StoreError> {
    let columns = Columns::new("magnus_task_mappings", row);
    Ok(Link {
        id: columns.parse("id")?,
        connection_id: columns.parse("connection_id")?,
        mapping_id: columns.parse("project_mapping_id")?,
        task_id: columns.parse("magnus_task_id")?,
        external_id: columns.convert("external_task_id")?,
        external_url: columns.get("external_url")?,
        state: columns.parse("state")?,
        bases: columns.json("bases")?,
        refusals: columns.json("refusals")?,
        swings: columns.json("swings")?,
        absent_since: columns.optional("absent_since")?,
        last_sync_at: columns.optional_time("last_sync_at")?,
        created_at: columns.time("created_at")?,
        version: RowVersion(columns.get("version")?),
    })
}

/// Writes a link: inserts it, or updates the row of the expected version.
pub(crate) async fn write(connection: &mut SqliteConnection, write: &LinkWrite) -> Result<Written, StoreError> {
    let query = match write.expected {
        None => sqlx::query(
            "INSERT INTO magnus_task_mappings
                (id, connection_id, project_mapping_id, magnus_task_id, external_task_id, external_url, state, bases,
                 refusals, absent_since, last_sync_at, created_at, version, swings)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13 + 1, ?14)
             ON CONFLICT DO NOTHING",
        ),
        Some(_) => sqlx::query(
            "UPDATE OR IGNORE magnus_task_mappings
             SET connection_id = ?2, project_mapping_id = ?3, magnus_task_id = ?4, external_task_id = ?5,
                 external_url = ?6, state = ?7, bases = ?8, refusals = ?9, absent_since = ?10, last_sync_at = ?11,
                 created_at = ?12, version = ?13 + 1, swings = ?14
             WHERE id = ?1 AND version = ?13",
        ),
    };
    let link = &write.link;
    let done = query
        .bind(link.id.to_string())
        .bind(link.connection_id.to_string())
        .bind(link.mapping_id.to_string())
        .bind(link.task_id.to_string())
        .bind(link.external_id.as_str())
        .bind(link.external_url.as_deref())
        .bind(link.state.as_str())
        .bind(to_json(&link.bases, "the bases of a link")?)
        .bind(to_json(&link.refusals, "the refusals of a link")?)
        .bind(link.absent_since.map(|run| run.to_string()))
        .bind(optional_to_text(link.last_sync_at))
        .bind(to_text(link.created_at))
        .bind(write.expected.unwrap_or_default().0)
        .bind(to_json(&link.swings, "the swings of a link")?)
        .execute(connection)
        .await;
    Written::from_result(done, "write link")
}
