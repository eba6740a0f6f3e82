//! What others see while a database is upgraded.

use std::time::{Duration, Instant};

use magnus_postgres::{PostgresOptions, upgrade};
use magnus_seal::Sealer;
use magnus_testkit::postgres::{Database, Server};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::{NEW, assert_no_canary_in_files, filled, master_key};

/// A reader waits for five seconds at most.
const PATIENCE: &str = "SET statement_timeout TO '5s'";

/// Whether somebody waits for such a lock.
async fn waits(looker: &mut PgConnection, such: &str) -> bool {
    let statement = format!(
        "SELECT EXISTS (SELECT 1 FROM pg_locks JOIN pg_stat_activity USING (pid)
                        WHERE NOT granted AND datname = current_database() AND {such})"
    );
    let found = sqlx::query_scalar(AssertSqlSafe(statement));
    found.fetch_one(looker).await.unwrap()
}

/// Reads every table of the predecessor but one.
async fn read_all(reader: &mut PgConnection, but: &str) {
    for table in [
        "magnus_pm_connections",
        "magnus_projects",
        "magnus_tasks",
        "magnus_project_mappings",
        "magnus_task_mappings",
        "magnus_sync_log",
        "magnus_sync_conflicts",
    ] {
        if table != but {
            // Not prepared: what a table looks like changes meanwhile.
            let read = sqlx::raw_sql(AssertSqlSafe(format!("SELECT * FROM {table}")));
            let rows = read.fetch_all(&mut *reader).await;
            let rows = rows.unwrap_or_else(|error| panic!("{table} cannot be read: {error}"));
            assert!(!rows.is_empty(), "{table}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_of_every_table_go_on_and_somebody_who_keeps_one_holds_up_none_of_the_others() {
    const KEPT: &str = "magnus_sync_conflicts";
    // A server of its own: what a transaction that is kept waiting may still see is kept in all databases.
    let server = Server::start().unwrap();
    let database = filled(Database::on(&server.url(), None).await, NEW).await;
    let (mut reader, mut keeper, mut looker) = (
        database.connect().await,
        database.connect().await,
        database.connect().await,
    );
    // The upgrade stops in the middle of filling the rows.
    looker
        .execute(
            "CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS
                 $$ BEGIN PERFORM pg_advisory_xact_lock_shared(4711); RETURN NULL; END $$;
             CREATE TRIGGER hold AFTER UPDATE ON magnus_tasks FOR EACH STATEMENT EXECUTE FUNCTION hold();
             ALTER TABLE magnus_tasks ENABLE ALWAYS TRIGGER hold;
             SELECT pg_advisory_lock(4711)",
        )
        .await
        .unwrap();
    reader.execute(PATIENCE).await.unwrap();
    let url = database.url();
    let upgrading =
        tokio::spawn(async move { upgrade(&url, &PostgresOptions::new(), &Sealer::new(&master_key())).await });
    while !waits(&mut looker, "locktype = 'advisory'").await {
        assert!(!upgrading.is_finished(), "it filled no rows");
        read_all(&mut reader, "").await;
    }
    let mut kept = keeper.begin().await.unwrap();
    kept.execute(AssertSqlSafe(format!("LOCK TABLE {KEPT} IN ACCESS SHARE MODE")))
        .await
        .unwrap();
    looker.execute("SELECT pg_advisory_unlock(4711)").await.unwrap();
    // It comes to where it wants that table for itself, for longer than any reader waits.
    let of_kept = format!("relation = '{KEPT}'::regclass");
    let mut since: Option<Instant> = None;
    while since.is_none_or(|since| since.elapsed() < Duration::from_secs(6)) {
        assert!(!upgrading.is_finished(), "it did not wait for the table");
        if since.is_none() && waits(&mut looker, &of_kept).await {
            since = Some(Instant::now());
        }
        read_all(&mut reader, KEPT).await;
    }
    kept.rollback().await.unwrap();
    while !upgrading.is_finished() {
        read_all(&mut reader, "").await;
    }
    assert!(upgrading.await.unwrap().unwrap().predecessor);
    assert_no_canary_in_files(&database).await;
    database.remove().await;
}
