//! Canonical titles, by which tasks are matched: only Magnus itself can compute them.

use magnus_core::model::text::canonical_title;
use magnus_core::store::StoreError;
use sqlx::PgConnection;
use uuid::Uuid;

use super::OPERATION;
use crate::error::failed;
use crate::migrate::has_table;
use crate::schema::Schema;

/// How many rows are read and written at a time.
const BATCH: i64 = 5_000;

pub(super) async fn fill(connection: &mut PgConnection, schema: &Schema) -> Result<(), StoreError> {
    if !has_table(connection, schema, "magnus_tasks").await? {
        return Ok(());
    }
    loop {
        let rows: Vec<(Uuid, String)> =
            sqlx::query_as(schema.sql("SELECT id, title FROM {hub}.magnus_tasks WHERE title_key IS NULL LIMIT $1"))
                .bind(BATCH)
                .fetch_all(&mut *connection)
                .await
                .map_err(failed(OPERATION))?;
        if rows.is_empty() {
            return Ok(());
        }
        let (ids, keys): (Vec<Uuid>, Vec<String>) = rows
            .into_iter()
            .map(|(id, title)| (id, canonical_title(&title)))
            .unzip();
        sqlx::query(schema.sql(
            "UPDATE {hub}.magnus_tasks AS task SET title_key = row.title_key
             FROM unnest($1::uuid[], $2::text[]) AS row (id, title_key) WHERE task.id = row.id",
        ))
        .bind(ids)
        .bind(keys)
        .execute(&mut *connection)
        .await
        .map_err(failed(OPERATION))?;
    }
}
