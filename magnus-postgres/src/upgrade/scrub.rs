//! Wiping texts that must not stand in the database any more.

use std::collections::BTreeSet;
use std::time::Duration;

use magnus_core::store::StoreError;
use sqlx::PgConnection;

use super::{OPERATION, TABLES, Upgrade, alone};
use crate::error::failed;
use crate::schema::Schema;

/// What stands in their place.
const WIPED: &str = "[key removed]";

/// Shorter texts may be anything; wiping them would do harm.
const SHORTEST: usize = 8;

/// How often, and how far apart, it is looked whether somebody still sees the rows of before.
const LOOKS: u32 = 600;
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// Wipes these texts from every text and JSON column of the hub's tables: tools echo keys in their error messages. Answers in
/// how many rows.
pub(super) async fn wipe(
    connection: &mut PgConnection,
    schema: &Schema,
    secrets: &BTreeSet<String>,
) -> Result<u64, StoreError> {
    let secrets: Vec<&String> = secrets.iter().filter(|secret| secret.len() >= SHORTEST).collect();
    if secrets.is_empty() {
        return Ok(0);
    }
    let columns: Vec<(String, String, String)> = sqlx::query_as(
        "SELECT table_name::text, quote_ident(column_name), data_type::text FROM information_schema.columns
         WHERE table_schema = $1 AND table_name = ANY($2) AND data_type IN ('text', 'character varying', 'jsonb')
           AND is_generated = 'NEVER'",
    )
    .bind(schema.name())
    .bind(TABLES.map(str::to_owned).to_vec())
    .fetch_all(&mut *connection)
    .await
    .map_err(failed(OPERATION))?;
    let mut rows = 0;
    for (table, column, kind) in &columns {
        for secret in &secrets {
            // Within JSON a text stands escaped.
            let (sought, cast) = if kind == "jsonb" {
                let escaped = serde_json::Value::String((*secret).clone()).to_string();
                (escaped[1..escaped.len() - 1].to_owned(), "::jsonb")
            } else {
                ((*secret).clone(), "")
            };
            let statement = format!(
                "UPDATE {{hub}}.{table} SET {column} = replace({column}::text, $1, $2){cast}
                 WHERE position($1 IN {column}::text) > 0"
            );
            let done = sqlx::query(schema.sql(&statement))
                .bind(sought)
                .bind(WIPED)
                .execute(&mut *connection)
                .await
                .map_err(failed(OPERATION))?;
            rows += done.rows_affected();
            if done.rows_affected() > 0 {
                to_rewrite(connection, schema, table).await?;
            }
        }
    }
    Ok(rows)
}

/// Notes in the database that a table holds dead rows with keys: an upgrade that is cut short and begun again finds no keys
/// any more.
pub(super) async fn to_rewrite(connection: &mut PgConnection, schema: &Schema, table: &str) -> Result<(), StoreError> {
    sqlx::query(schema.sql("INSERT INTO {hub}.magnus_to_rewrite (table_name) VALUES ($1) ON CONFLICT DO NOTHING"))
        .bind(table)
        .execute(connection)
        .await
        .map_err(failed(OPERATION))?;
    Ok(())
}

/// The transaction that goes on, by which it can be told later who still sees what was before it.
pub(super) async fn current(connection: &mut PgConnection) -> Result<String, StoreError> {
    sqlx::query_scalar("SELECT pg_current_xact_id()::xid::text")
        .fetch_one(connection)
        .await
        .map_err(failed(OPERATION))
}

/// Writes the tables that held keys anew, one by one, so that no dead row holds one. Whoever uses such a table waits for as
/// long as that takes. As long as somebody still
/// sees what was before `since`, dead rows are kept for him: that is waited for, and said if it takes too long.
pub(super) async fn rewrite(
    connection: &mut PgConnection,
    schema: &Schema,
    since: &str,
    report: &mut Upgrade,
) -> Result<(), StoreError> {
    let tables: Vec<String> = sqlx::query_scalar(
        schema.sql("SELECT format('%I.%I', $1::text, table_name) FROM {hub}.magnus_to_rewrite ORDER BY table_name"),
    )
    .bind(schema.name())
    .fetch_all(&mut *connection)
    .await
    .map_err(failed(OPERATION))?;
    if tables.is_empty() {
        return Ok(());
    }
    for _ in 0..LOOKS {
        if !is_seen(connection, since).await? {
            break;
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
    if is_seen(connection, since).await? {
        report.notes.push(format!(
            "a transaction that began before the upgrade is still open, so that files may still hold wiped keys; when it \
             is over, run VACUUM FULL {}",
            tables.join(", ")
        ));
    }
    for table in tables {
        alone(connection, &format!("VACUUM FULL {table}")).await?;
    }
    Ok(())
}

async fn is_seen(connection: &mut PgConnection, since: &str) -> Result<bool, StoreError> {
    sqlx::query_scalar(
        // Whoever has only written, in whatever database of the server, holds dead rows back as well.
        "SELECT EXISTS (SELECT 1 FROM pg_stat_activity
                        WHERE pid <> pg_backend_pid()
                          AND greatest(age(backend_xmin), age(backend_xid)) >= age($1::xid))",
    )
    .bind(since)
    .fetch_one(connection)
    .await
    .map_err(failed(OPERATION))
}
