//! Upgrading a database of the predecessor, in its place.
//!
//! Three phases, each idempotent, so that one that was cut short is begun again: [`shape`] adds columns and drops rules that
//! would refuse what is written from now on; [`rows`], [`titles`] and [`keys`] bring the rows into the form that the hub reads,
//! while others go on reading them; [`shape`] then makes them binding, and the ordinary migrations make the rest. A dry run
//! does the same to a copy of the tables and takes it back.

mod keys;
mod report;
mod rows;
mod scrub;
mod secret_names;
mod shape;
mod titles;

use magnus_core::store::{StoreError, StoreErrorKind};
use magnus_seal::Sealer;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};

use crate::error::failed;
use crate::migrate;
use crate::open::{connect_options, split_schema};
use crate::options::PostgresOptions;
use crate::schema::Schema;

pub use report::{Change, Upgrade};

pub(crate) const OPERATION: &str = "upgrade";

/// The tables of the predecessor that the hub keeps on using. All others are left alone.
pub(crate) const TABLES: [&str; 7] = [
    "magnus_pm_connections",
    "magnus_projects",
    "magnus_tasks",
    "magnus_project_mappings",
    "magnus_task_mappings",
    "magnus_sync_log",
    "magnus_sync_conflicts",
];

/// How often a change of a table is tried that others keep locked.
const TRIES: u32 = 30;

/// Says what [`upgrade`] would change, and changes nothing. The tables are copied within a transaction that is taken back,
/// so that nobody waits for it.
///
/// # Errors
/// The database cannot be reached, or holds something that an upgrade would not get over: the error says what.
pub async fn check_upgrade(url: &str, options: &PostgresOptions) -> Result<Upgrade, StoreError> {
    let (connect, schema) = target(url, options)?;
    let mut connection = connect.connect().await.map_err(failed(OPERATION))?;
    let mut report = standing(&mut connection, &schema).await?;
    if report.predecessor {
        let copy = Schema::new(&format!("magnus_check_{}", uuid::Uuid::new_v4().simple()))?;
        let mut transaction = connection.begin().await.map_err(failed(OPERATION))?;
        execute(&mut transaction, "SET LOCAL statement_timeout TO 0").await?;
        execute(&mut transaction, "SET LOCAL idle_in_transaction_session_timeout TO 0").await?;
        copy_tables(&mut transaction, &schema, &copy).await?;
        shape::loosen(&mut transaction, &copy, &mut report).await?;
        fill(&mut transaction, &copy, None, &mut report).await?;
        for statement in shape::binding(&mut transaction, &copy).await? {
            execute(&mut transaction, &statement).await?;
        }
        migrate::apply(&mut transaction, &copy).await?;
        transaction.rollback().await.map_err(failed(OPERATION))?;
    }
    close(connection).await;
    Ok(report)
}

/// Brings a database up to date, whatever it holds: nothing, the tables of the predecessor in either layout, or those of an
/// older version of Magnus. Rows and tables that are not the hub's stay as they are. API keys that stood in plain text are
/// sealed with `sealer` and wiped.
///
/// What was done already is not done again, so that it may be called at every start, and again after it was cut short.
/// Others may go on reading meanwhile; the predecessor itself must not write any more.
///
/// # Errors
/// The database cannot be reached or changed, or holds something that the upgrade does not get over.
pub async fn upgrade(url: &str, options: &PostgresOptions, sealer: &Sealer) -> Result<Upgrade, StoreError> {
    let (connect, schema) = target(url, options)?;
    let mut connection = connect.connect().await.map_err(failed(OPERATION))?;
    let mut report = standing(&mut connection, &schema).await?;
    if report.predecessor {
        execute(&mut connection, "SET statement_timeout TO 0").await?;
        execute(&mut connection, "SET idle_in_transaction_session_timeout TO 0").await?;
        // One upgrade at a time. The lock goes with the connection.
        sqlx::query("SELECT pg_advisory_lock(hashtextextended($1, 0))")
            .bind(format!("magnus upgrade of {}", schema.name()))
            .execute(&mut connection)
            .await
            .map_err(failed(OPERATION))?;
        report = standing(&mut connection, &schema).await?;
    }
    if report.predecessor {
        loosen(&mut connection, &schema, &mut report).await?;
        let mut transaction = connection.begin().await.map_err(failed(OPERATION))?;
        fill(&mut transaction, &schema, Some(sealer), &mut report).await?;
        let wiped = scrub::current(&mut transaction).await?;
        transaction.commit().await.map_err(failed(OPERATION))?;
        // What was wiped still lies in the files as dead rows.
        scrub::rewrite(&mut connection, &schema, &wiped, &mut report).await?;
        for statement in shape::binding(&mut connection, &schema).await? {
            alone(&mut connection, &statement).await?;
        }
    }
    if !report.up_to_date {
        migrate::apply(&mut connection, &schema).await?;
    }
    close(connection).await;
    Ok(report)
}

fn target(url: &str, options: &PostgresOptions) -> Result<(PgConnectOptions, Schema), StoreError> {
    let (url, schema) = split_schema(url);
    let schema = Schema::new(schema.unwrap_or(&options.schema))?;
    Ok((connect_options(&url, options)?, schema))
}

async fn standing(connection: &mut PgConnection, schema: &Schema) -> Result<Upgrade, StoreError> {
    let up_to_date = migrate::is_up_to_date(connection, schema).await?;
    let predecessor = !up_to_date && migrate::is_predecessor(connection, schema).await?;
    Ok(Upgrade::new(predecessor, up_to_date))
}

/// How long a change of a table waits for those who use it. Everybody else waits behind that: rather give up soon and try
/// again.
const SOON: &str = "SET lock_timeout TO '2s'";

/// Carries out a statement that needs a table for itself, outside of a transaction.
pub(crate) async fn alone(connection: &mut PgConnection, statement: &str) -> Result<(), StoreError> {
    execute(connection, SOON).await?;
    let mut tries = 1;
    loop {
        match execute(connection, statement).await {
            Ok(_) => break,
            Err(error) if tries < TRIES && error.kind() == StoreErrorKind::Unavailable => {
                tracing::info!(%error, tries, "somebody uses the table; the upgrade tries again");
                tries += 1;
            }
            Err(error) => return Err(error),
        }
    }
    execute(connection, "RESET lock_timeout").await?;
    Ok(())
}

async fn loosen(connection: &mut PgConnection, schema: &Schema, report: &mut Upgrade) -> Result<(), StoreError> {
    let mut tries = 1;
    loop {
        let mut transaction = connection.begin().await.map_err(failed(OPERATION))?;
        execute(&mut transaction, &SOON.replace("SET", "SET LOCAL")).await?;
        let mut found = report.clone();
        match shape::loosen(&mut transaction, schema, &mut found).await {
            Ok(()) => {
                transaction.commit().await.map_err(failed(OPERATION))?;
                *report = found;
                return Ok(());
            }
            Err(error) if tries < TRIES && error.kind() == StoreErrorKind::Unavailable => {
                transaction.rollback().await.map_err(failed(OPERATION))?;
                tracing::info!(%error, tries, "somebody uses the tables; the upgrade tries again");
                tries += 1;
            }
            Err(error) => return Err(error),
        }
    }
}

async fn fill(
    connection: &mut PgConnection,
    schema: &Schema,
    sealer: Option<&Sealer>,
    report: &mut Upgrade,
) -> Result<(), StoreError> {
    let silenced = shape::silence_triggers(connection, schema).await?;
    keys::seal(connection, schema, sealer, report).await?;
    rows::fill(connection, schema, report).await?;
    titles::fill(connection, schema).await?;
    shape::unsilence_triggers(connection, schema, &silenced).await
}

async fn copy_tables(connection: &mut PgConnection, from: &Schema, to: &Schema) -> Result<(), StoreError> {
    execute(connection, &format!("CREATE SCHEMA {}", to.quoted())).await?;
    for table in TABLES {
        if migrate::has_table(connection, from, table).await? {
            let (from, to) = (from.quoted(), to.quoted());
            execute(
                connection,
                &format!("CREATE TABLE {to}.{table} (LIKE {from}.{table} INCLUDING ALL)"),
            )
            .await?;
            execute(
                connection,
                &format!("INSERT INTO {to}.{table} SELECT * FROM {from}.{table}"),
            )
            .await?;
        }
    }
    Ok(())
}

pub(crate) async fn execute(connection: &mut PgConnection, statement: &str) -> Result<u64, StoreError> {
    sqlx::query(AssertSqlSafe(statement.to_owned()))
        .execute(connection)
        .await
        .map(|done| done.rows_affected())
        .map_err(failed(OPERATION))
}

async fn close(connection: PgConnection) {
    // It has served; how it is closed does not matter.
    let _closed = connection.close().await;
}
