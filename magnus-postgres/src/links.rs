//! Rows of `magnus_task_mappings`, and reading all that joins hub and tools.

use std::collections::BTreeMap;

use async_trait::async_trait;
use magnus_core::model::{
    Base, Conflict, ConflictId, ConnectionId, ExternalId, Field, Intent, IntentId, ItemFailure, Link, LinkId,
    LocalBase, Mapping, MappingId, RowVersion, RunId, TaskId, Value,
};
use magnus_core::store::{ConflictQuery, LinkStore, LinkWrite, StoreError};
use sqlx::PgConnection;
use sqlx::postgres::PgRow;

use crate::batch::Written;
use crate::columns::{Columns, each, text, to_json, try_each};
use crate::error::{failed, patiently};
use crate::schema::Schema;
use crate::{PostgresStore, conflicts, failures, intents, mappings};

#[async_trait]
impl LinkStore for PostgresStore {
    async fn mappings(&self, connection: ConnectionId) -> Result<Vec<Mapping>, StoreError> {
        let rows = patiently!(
            "read mappings",
            sqlx::query(self.sql(
                "SELECT * FROM {hub}.magnus_project_mappings WHERE connection_id = $1 AND set_aside IS NULL
             ORDER BY external_project_name COLLATE \"C\", id",
            ))
            .bind(connection.as_uuid())
            .fetch_all(self.pool())
        )?;
        rows.iter().map(mappings::from_row).collect()
    }

    async fn all_mappings(&self) -> Result<Vec<Mapping>, StoreError> {
        let rows = patiently!(
            "read mappings",
            sqlx::query(self.sql(
                "SELECT * FROM {hub}.magnus_project_mappings WHERE set_aside IS NULL
             ORDER BY external_project_name COLLATE \"C\", id",
            ))
            .fetch_all(self.pool())
        )?;
        rows.iter().map(mappings::from_row).collect()
    }

    async fn links(&self, connection: ConnectionId) -> Result<Vec<Link>, StoreError> {
        let rows =
            patiently!("read links", sqlx::query(self.sql(
            "SELECT * FROM {hub}.magnus_task_mappings WHERE connection_id = $1 AND set_aside IS NULL ORDER BY id",
        ))
        .bind(connection.as_uuid())
        .fetch_all(self.pool()))?;
        rows.iter().map(from_row).collect()
    }

    async fn link_index(&self, connection: ConnectionId) -> Result<Vec<Link>, StoreError> {
        let rows =
            patiently!("read links", sqlx::query(self.sql(
            "SELECT id, connection_id, project_mapping_id, magnus_task_id, external_task_id, external_url, state,
                    '{}'::json AS bases, '{}'::json AS refusals, '{}'::json AS swings, absent_since, last_sync_at, created_at, version
             FROM {hub}.magnus_task_mappings WHERE connection_id = $1 AND set_aside IS NULL ORDER BY id",
        ))
        .bind(connection.as_uuid())
        .fetch_all(self.pool()))?;
        rows.iter().map(from_row).collect()
    }

    async fn links_of_mapping(&self, mapping: MappingId) -> Result<Vec<Link>, StoreError> {
        let rows = patiently!("read links", sqlx::query(self.sql(
            "SELECT * FROM {hub}.magnus_task_mappings WHERE project_mapping_id = $1 AND set_aside IS NULL ORDER BY id",
        ))
        .bind(mapping.as_uuid())
        .fetch_all(self.pool()))?;
        rows.iter().map(from_row).collect()
    }

    async fn links_of_tasks(&self, tasks: Vec<TaskId>) -> Result<Vec<Link>, StoreError> {
        let rows = patiently!("read links", sqlx::query(self.sql(
            "SELECT * FROM {hub}.magnus_task_mappings WHERE magnus_task_id = ANY($1) AND set_aside IS NULL ORDER BY id",
        ))
        .bind(each(&tasks, |task| task.as_uuid()))
        .fetch_all(self.pool()))?;
        rows.iter().map(from_row).collect()
    }

    async fn link_by_external(&self, connection: ConnectionId, id: ExternalId) -> Result<Option<Link>, StoreError> {
        let row = patiently!(
            "read link",
            sqlx::query(self.sql(
                "SELECT * FROM {hub}.magnus_task_mappings
             WHERE connection_id = $1 AND external_task_id = $2 AND set_aside IS NULL",
            ))
            .bind(connection.as_uuid())
            .bind(text(id.as_str()))
            .fetch_optional(self.pool())
        )?;
        row.as_ref().map(from_row).transpose()
    }

    async fn link(&self, id: LinkId) -> Result<Option<Link>, StoreError> {
        let row = patiently!(
            "read link",
            sqlx::query(self.sql("SELECT * FROM {hub}.magnus_task_mappings WHERE id = $1 AND set_aside IS NULL"))
                .bind(id.as_uuid())
                .fetch_optional(self.pool())
        )?;
        row.as_ref().map(from_row).transpose()
    }

    async fn unsettled_intents(&self, connection: ConnectionId) -> Result<Vec<Intent>, StoreError> {
        let rows =
            patiently!("read intents", sqlx::query(self.sql(
            "SELECT * FROM {hub}.magnus_intents WHERE connection_id = $1 AND NOT settled ORDER BY created_at, id",
        ))
        .bind(connection.as_uuid())
        .fetch_all(self.pool()))?;
        rows.iter().map(intents::from_row).collect()
    }

    async fn intents_of_run(&self, run: RunId) -> Result<Vec<Intent>, StoreError> {
        let rows =
            sqlx::query(self.sql("SELECT * FROM {hub}.magnus_intents WHERE run_id = $1 ORDER BY created_at, id"))
                .bind(run.as_uuid())
                .fetch_all(self.pool())
                .await
                .map_err(failed("read intents"))?;
        rows.iter().map(intents::from_row).collect()
    }

    async fn intent(&self, id: IntentId) -> Result<Option<Intent>, StoreError> {
        let row = sqlx::query(self.sql("SELECT * FROM {hub}.magnus_intents WHERE id = $1"))
            .bind(id.as_uuid())
            .fetch_optional(self.pool())
            .await
            .map_err(failed("read intent"))?;
        row.as_ref().map(intents::from_row).transpose()
    }

    async fn item_failures(&self, connection: Option<ConnectionId>) -> Result<Vec<ItemFailure>, StoreError> {
        let rows = sqlx::query(self.sql(
            "SELECT * FROM {hub}.magnus_item_failures WHERE $1 IS NULL OR connection_id = $1
             ORDER BY failed_at, magnus_task_id, connection_id",
        ))
        .bind(connection.map(ConnectionId::as_uuid))
        .fetch_all(self.pool())
        .await
        .map_err(failed("read item failures"))?;
        rows.iter().map(failures::from_row).collect()
    }

    async fn conflicts(&self, query: ConflictQuery) -> Result<Vec<Conflict>, StoreError> {
        let rows = patiently!(
            "read conflicts",
            sqlx::query(self.sql(
                "SELECT * FROM {hub}.magnus_sync_conflicts
             WHERE link_id IS NOT NULL AND field IS NOT NULL
               AND ($1::uuid IS NULL OR connection_id = $1) AND ($2::uuid IS NULL OR magnus_entity_id = $2)
               AND (NOT $3 OR status = 'pending')
             ORDER BY created_at DESC, id DESC",
            ))
            .bind(query.connection_id.map(ConnectionId::as_uuid))
            .bind(query.task_id.map(TaskId::as_uuid))
            .bind(query.open_only)
            .fetch_all(self.pool())
        )?;
        rows.iter().map(conflicts::from_row).collect()
    }

    async fn conflict(&self, id: ConflictId) -> Result<Option<Conflict>, StoreError> {
        let row =
            patiently!("read conflict", sqlx::query(self.sql(
            "SELECT * FROM {hub}.magnus_sync_conflicts WHERE id = $1 AND link_id IS NOT NULL AND field IS NOT NULL",
        ))
        .bind(id.as_uuid())
        .fetch_optional(self.pool()))?;
        row.as_ref().map(conflicts::from_row).transpose()
    }
}

fn from_row(row: &PgRow) -> Result<Link, StoreError> {
    let columns = Columns::new("magnus_task_mappings", row);
    Ok(Link {
        id: columns.id("id", LinkId::from_uuid)?,
        connection_id: columns.id("connection_id", ConnectionId::from_uuid)?,
        mapping_id: columns.id("project_mapping_id", MappingId::from_uuid)?,
        task_id: columns.id("magnus_task_id", TaskId::from_uuid)?,
        external_id: columns.convert("external_task_id")?,
        external_url: columns.get("external_url")?,
        state: columns.parse("state")?,
        bases: columns.json("bases")?,
        refusals: columns.json("refusals")?,
        swings: columns.json("swings")?,
        absent_since: columns.optional_id("absent_since", RunId::from_uuid)?,
        last_sync_at: columns.optional_time("last_sync_at")?,
        created_at: columns.time("created_at")?,
        version: RowVersion(columns.get("version")?),
    })
}

const ROWS: &str = "
    FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[],
                $9::text[], $10::uuid[], $11::timestamptz[], $12::timestamptz[], $13::bigint[],
                $14::text[])
      AS row (id, connection_id, project_mapping_id, magnus_task_id, external_task_id, external_url, state, bases,
              refusals, absent_since, last_sync_at, created_at, version, swings)";

const INSERT: &str = "
    INSERT INTO {hub}.magnus_task_mappings
        (id, connection_id, project_mapping_id, magnus_task_id, external_task_id, external_url, state, bases,
         refusals, absent_since, last_sync_at, created_at, version, swings)
    SELECT id, connection_id, project_mapping_id, magnus_task_id, external_task_id, external_url, state, bases::json,
           refusals::json, absent_since, last_sync_at, created_at, version + 1, swings::json";

const UPDATE: &str = "
    UPDATE {hub}.magnus_task_mappings AS link
    SET connection_id = row.connection_id, project_mapping_id = row.project_mapping_id,
        magnus_task_id = row.magnus_task_id, external_task_id = row.external_task_id,
        external_url = row.external_url, state = row.state, bases = row.bases::json, refusals = row.refusals::json,
        absent_since = row.absent_since, last_sync_at = row.last_sync_at, created_at = row.created_at,
        version = row.version + 1, swings = row.swings::json";

/// Inserts links, or updates the rows of the expected versions, all in one statement.
pub(crate) async fn write(
    connection: &mut PgConnection,
    schema: &Schema,
    writes: &[&LinkWrite],
    insert: bool,
) -> Result<Written, StoreError> {
    if writes.is_empty() {
        return Ok(Written::Done);
    }
    let statement = if insert {
        format!("{INSERT} {ROWS} ON CONFLICT DO NOTHING")
    } else {
        format!("{UPDATE} {ROWS} WHERE link.id = row.id AND link.version = row.version")
    };
    let done = sqlx::query(schema.sql(&statement))
        .bind(each(writes, |write| write.link.id.as_uuid()))
        .bind(each(writes, |write| write.link.connection_id.as_uuid()))
        .bind(each(writes, |write| write.link.mapping_id.as_uuid()))
        .bind(each(writes, |write| write.link.task_id.as_uuid()))
        .bind(each(writes, |write| text(write.link.external_id.as_str())))
        .bind(each(writes, |write| write.link.external_url.as_deref().map(text)))
        .bind(each(writes, |write| write.link.state.as_str()))
        .bind(try_each(writes, |write| bases(&write.link.bases))?)
        .bind(try_each(writes, |write| {
            to_json(&write.link.refusals, "the refusals of a link")
        })?)
        .bind(each(writes, |write| write.link.absent_since.map(RunId::as_uuid)))
        .bind(each(writes, |write| write.link.last_sync_at))
        .bind(each(writes, |write| write.link.created_at))
        .bind(each(writes, |write| write.expected.unwrap_or_default().0))
        .bind(try_each(writes, |write| {
            to_json(&write.link.swings, "the swings of a link")
        })?)
        .execute(connection)
        .await;
    Written::from_result(done, writes.len(), "write links")
}

/// Bases as JSON. The tool's side is kept to the letter. The hub's side is kept as the task's own columns keep it, which
/// know no NUL characters: else the next run would see an edit of the hub that nobody made.
fn bases(bases: &BTreeMap<Field, Base>) -> Result<String, StoreError> {
    const WHAT: &str = "the bases of a link";
    let json = to_json(bases, WHAT)?;
    if !json.contains("\\u0000") {
        return Ok(json);
    }
    let mut bases = bases.clone();
    for base in bases.values_mut() {
        if let LocalBase::Agreed(Value::Text(value)) = &mut base.local {
            *value = text(value).into_owned();
        }
    }
    to_json(&bases, WHAT)
}
