//! Bringing the tables up to date.

use magnus_core::store::{StoreError, StoreErrorKind};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};

use crate::error::failed;
use crate::schema::Schema;

/// Our own table: the hub may live in a host application's database beside its migrations.
const MIGRATIONS_TABLE: &str = "magnus_migrations";

const OPERATION: &str = "open";

/// Makes the tables, or brings them up to date if that is allowed. On a connection of its own: one whose migration
/// failed keeps its lock until it is closed.
pub(crate) async fn bring_up_to_date(
    options: &PgConnectOptions,
    schema: &Schema,
    allowed: bool,
) -> Result<(), StoreError> {
    let mut connection = options.connect().await.map_err(failed(OPERATION))?;
    let done = migrate(&mut connection, schema, allowed).await;
    // It has served; how it is closed does not matter.
    let _closed = connection.close().await;
    done
}

async fn migrate(connection: &mut PgConnection, schema: &Schema, allowed: bool) -> Result<(), StoreError> {
    if is_up_to_date(connection, schema).await? {
        return Ok(());
    }
    if !allowed {
        let message = "the tables of the hub are not up to date; run `magnus migrate` with a role that may change them";
        return Err(StoreError::new(StoreErrorKind::Usage, OPERATION, message));
    }
    if is_predecessor(connection, schema).await? {
        let message = "this database holds the tables of Magnus' predecessor; see with `magnus migrate --check` what an \
                       upgrade would change, then run `magnus migrate`";
        return Err(StoreError::new(StoreErrorKind::Usage, OPERATION, message));
    }
    apply(connection, schema).await
}

/// Runs what is outstanding.
pub(crate) async fn apply(connection: &mut PgConnection, schema: &Schema) -> Result<(), StoreError> {
    let there: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = $1)")
        .bind(schema.name())
        .fetch_one(&mut *connection)
        .await
        .map_err(failed(OPERATION))?;
    // "IF NOT EXISTS" alone asks for a right that a role need not have on a schema made for it.
    let create = (!there).then(|| format!("CREATE SCHEMA IF NOT EXISTS {}", schema.quoted()));
    let settings = [
        // Migrations name no schema.
        format!("SET search_path TO {}", schema.quoted()),
        // Waiting for another instance that migrates must not time out.
        "SET statement_timeout TO 0".to_owned(),
        "SET lock_timeout TO 0".to_owned(),
    ];
    for setting in create.into_iter().chain(settings) {
        sqlx::query(sqlx::AssertSqlSafe(setting))
            .execute(&mut *connection)
            .await
            .map_err(failed(OPERATION))?;
    }
    migrator(schema)
        .run_direct(None, connection, false)
        .await
        .map_err(|error| match error {
            sqlx::migrate::MigrateError::VersionMissing(_) | sqlx::migrate::MigrateError::VersionMismatch(_) => {
                let message = "the tables of the hub were made by another version of Magnus, a newer one perhaps";
                StoreError::new(StoreErrorKind::Corrupt, OPERATION, message).with_source(error)
            }
            error => {
                let message = "the tables of the hub cannot be brought up to date";
                StoreError::new(StoreErrorKind::Unavailable, OPERATION, message).with_source(error)
            }
        })
}

fn migrator(schema: &Schema) -> sqlx::migrate::Migrator {
    let mut migrator = sqlx::migrate!();
    migrator.dangerous_set_table_name(format!("{}.{MIGRATIONS_TABLE}", schema.quoted()));
    migrator
}

/// The versions applied so far; none if there is not even a table of them.
async fn applied(connection: &mut PgConnection, schema: &Schema) -> Result<Vec<i64>, StoreError> {
    if !has_table(connection, schema, MIGRATIONS_TABLE).await? {
        return Ok(Vec::new());
    }
    sqlx::query_scalar(schema.sql("SELECT version FROM {hub}.magnus_migrations WHERE success ORDER BY version"))
        .fetch_all(connection)
        .await
        .map_err(failed(OPERATION))
}

/// Whether every migration was applied, and no other.
pub(crate) async fn is_up_to_date(connection: &mut PgConnection, schema: &Schema) -> Result<bool, StoreError> {
    let applied = applied(connection, schema).await?;
    let known = migrator(schema);
    Ok(applied.into_iter().eq(known.iter().map(|migration| migration.version)))
}

/// Whether tables of the predecessor lie in the schema that were not upgraded yet.
pub(crate) async fn is_predecessor(connection: &mut PgConnection, schema: &Schema) -> Result<bool, StoreError> {
    // In this order: another process may be making the tables now. Once they are seen, so is that they are its own.
    let there = has_table(connection, schema, "magnus_pm_connections").await?;
    Ok(there && applied(connection, schema).await?.is_empty())
}

pub(crate) async fn has_table(connection: &mut PgConnection, schema: &Schema, table: &str) -> Result<bool, StoreError> {
    sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM pg_tables WHERE schemaname = $1 AND tablename = $2)")
        .bind(schema.name())
        .bind(table)
        .fetch_one(connection)
        .await
        .map_err(failed(OPERATION))
}
