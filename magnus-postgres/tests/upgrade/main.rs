//! Databases of the predecessor, in both layouts and with rows as they are found in the field: every row stays, the hub reads
//! them, a second upgrade changes nothing, and no key is left in plain text.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod readers;
mod runs;

use std::collections::BTreeMap;
use std::sync::Arc;

use magnus_core::model::{
    ConflictPolicy, ConnectionId, ConnectionSettings, Direction, RunRequest, RunState, SyncFrequency, Task, ToolName,
};
use magnus_core::secret::SecretStore;
use magnus_core::store::{
    Changeset, ConflictQuery, Fence, HubStore, LinkStore, RunStore, SettingsStore, StoreErrorKind, TaskQuery,
    TaskStore, TaskWrite, Unit,
};
use magnus_postgres::{PostgresOptions, PostgresStore, Upgrade, check_upgrade, upgrade};
use magnus_seal::{MasterKey, SealedSecretStore, Sealer};
use magnus_testkit::postgres::Database;
use secrecy::ExposeSecret;
use serde_json::Value;
use sqlx::{AssertSqlSafe, Executor};

const OLD: &str = include_str!("../fixtures/old_layout.sql");
const NEW: &str = include_str!("../fixtures/new_layout.sql");

/// Tables by name: rows by id, as JSON.
type Snapshot = BTreeMap<String, BTreeMap<String, Value>>;

async fn predecessor(layout: &str) -> Database {
    filled(Database::new().await, layout).await
}

async fn filled(database: Database, layout: &str) -> Database {
    database
        .connect()
        .await
        .execute(AssertSqlSafe(layout.to_owned()))
        .await
        .unwrap();
    database
}

/// Every table that was there at the beginning, and of it every column that was there.
async fn snapshot(database: &Database, like: Option<&Snapshot>) -> Snapshot {
    let mut connection = database.connect().await;
    let tables: Vec<String> =
        sqlx::query_scalar("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
            .fetch_all(&mut connection)
            .await
            .unwrap();
    let mut all = Snapshot::new();
    for table in tables {
        if like.is_some_and(|like| !like.contains_key(&table)) {
            continue;
        }
        let statement = format!("SELECT id::text, to_jsonb(row) FROM public.{table} AS row");
        let rows: Vec<(String, Value)> = sqlx::query_as(AssertSqlSafe(statement))
            .fetch_all(&mut connection)
            .await
            .unwrap();
        let first = like.map(|like| &like[&table]);
        let rows = rows.into_iter().filter_map(|(id, mut row)| {
            if let Some(first) = first {
                let before = first.get(&id)?.as_object().unwrap();
                row.as_object_mut()
                    .unwrap()
                    .retain(|column, _| before.contains_key(column));
            }
            Some((id, row))
        });
        all.insert(table, rows.collect());
    }
    all
}

fn master_key() -> MasterKey {
    MasterKey::from_bytes([7; 32])
}

async fn upgraded(database: &Database) -> Upgrade {
    upgrade(&database.url(), &PostgresOptions::new(), &Sealer::new(&master_key()))
        .await
        .unwrap()
}

/// What changed between two snapshots: table and column, with how often.
fn changes(before: &Snapshot, after: &Snapshot) -> BTreeMap<String, usize> {
    let mut changed = BTreeMap::new();
    for (table, rows) in before {
        for (id, row) in rows {
            let Some(now) = after[table].get(id) else {
                panic!("the row {id} of {table} is gone");
            };
            for (column, value) in row.as_object().unwrap() {
                if now[column] != *value {
                    *changed.entry(format!("{table}.{column}")).or_default() += 1;
                }
            }
        }
    }
    changed
}

/// Whatever the database says of itself, in every table of every schema.
async fn assert_no_canary(database: &Database) {
    let mut connection = database.connect().await;
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
         WHERE schemaname NOT IN ('pg_catalog', 'information_schema')",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    assert!(tables.len() > 10);
    for table in tables {
        let statement = format!("SELECT row::text FROM {table} AS row WHERE row::text ILIKE '%canary%'");
        let found: Vec<String> = sqlx::query_scalar(AssertSqlSafe(statement))
            .fetch_all(&mut connection)
            .await
            .unwrap();
        assert!(found.is_empty(), "{table}: {found:?}");
    }
}

/// The files of the tables hold no dead row with a key either, nor do those of what they keep elsewhere since it is long.
async fn assert_no_canary_in_files(database: &Database) {
    let mut connection = database.connect().await;
    // What stands in memory only is written to the files.
    connection.execute("CHECKPOINT").await.unwrap();
    let files: Vec<(String, String)> = sqlx::query_as(
        "SELECT coalesce(main.relname, file.relname)::text, pg_relation_filepath(file.oid)
         FROM pg_class AS file LEFT JOIN pg_class AS main ON main.reltoastrelid = file.oid
         WHERE file.relkind IN ('r', 't') AND coalesce(main.relname, file.relname) LIKE 'magnus\\_%'",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    assert!(files.len() > 10);
    for (table, file) in files {
        let found: Option<i32> =
            sqlx::query_scalar("SELECT nullif(position('canary'::bytea IN pg_read_binary_file($1)), 0)")
                .bind(file)
                .fetch_one(&mut connection)
                .await
                .unwrap();
        assert_eq!(found, None, "{table}");
    }
}

fn rows(report: &Upgrade, words: &str) -> u64 {
    let found: Vec<u64> = report
        .changes
        .iter()
        .filter(|change| change.what.contains(words))
        .map(|change| change.rows)
        .collect();
    assert!(!found.is_empty(), "{words:?} is not in {report:#?}");
    found.iter().sum()
}

/// Checks, upgrades, and upgrades again; answers the report, what changed, and the store.
async fn twice(database: &Database) -> (Upgrade, BTreeMap<String, usize>, PostgresStore) {
    let before = snapshot(database, None).await;
    let error = PostgresStore::open(database.url()).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Usage);
    assert!(error.to_string().contains("magnus migrate --check"), "{error}");

    let foretold = check_upgrade(&database.url(), &PostgresOptions::new()).await.unwrap();
    assert_eq!(snapshot(database, None).await, before, "a dry run changes nothing");
    let report = upgraded(database).await;
    assert_eq!((&foretold.changes, foretold.predecessor), (&report.changes, true));

    let after = snapshot(database, Some(&before)).await;
    let again = upgraded(database).await;
    assert!(again.up_to_date && again.changes.is_empty(), "{again:?}");
    assert_eq!(
        snapshot(database, Some(&before)).await,
        after,
        "a second upgrade changes nothing"
    );
    let check = check_upgrade(&database.url(), &PostgresOptions::new()).await.unwrap();
    assert!(check.up_to_date);
    assert_no_canary(database).await;
    assert_no_canary_in_files(database).await;
    let store = PostgresStore::open_with(database.url(), PostgresOptions::new().connections(2))
        .await
        .unwrap();
    (report, changes(&before, &after), store)
}

async fn key_of(store: &PostgresStore, id: &str) -> Option<String> {
    let id: ConnectionId = id.parse().unwrap();
    let secrets = SealedSecretStore::new(Arc::new(store.clone()), &master_key());
    secrets.get(id).await.unwrap().map(|key| key.expose_secret().to_owned())
}

/// The hub goes on with what it found: reads all of it, changes a task, queues a run, adds and removes a connection.
async fn assert_usable(store: &PostgresStore) {
    let mut task = store.query_tasks(TaskQuery::default()).await.unwrap().tasks.remove(0);
    let expected = task.version;
    task.title = "Changed".to_owned();
    let mut new = Task::new(task.project_id, "New", chrono::Utc::now());
    new.estimated_minutes = Some(20);
    let unit = Unit {
        tasks: vec![
            TaskWrite::Insert {
                task: Box::new(new),
                guard: None,
            },
            TaskWrite::Update {
                task: Box::new(task),
                expected,
            },
        ],
        ..Unit::default()
    };
    let outcome = store.commit(Fence::Hub, Changeset::of(vec![unit])).await.unwrap();
    assert!(outcome.stale.is_empty(), "{outcome:?}");
    // The same instance and tool once more, which the predecessor refused.
    let mut another = ConnectionSettings::new(
        ToolName::new("openproject"),
        "Another",
        "https://op.example",
        chrono::Utc::now(),
    );
    another = store.save_connection(another).await.unwrap();
    for settings in store.connections().await.unwrap() {
        store.enqueue_run(RunRequest::new(settings.id)).await.unwrap();
    }
    assert_eq!(store.unfinished_runs().await.unwrap().len(), 4);
    assert!(store.recent_runs(1000).await.unwrap().len() > 100);
    assert!(store.delete_connection(another.id).await.unwrap());
    let first = store.connections().await.unwrap().remove(0);
    assert!(store.delete_connection(first.id).await.unwrap());
    assert_eq!(
        store.projects().await.unwrap().len(),
        store.projects().await.unwrap().len()
    );
}

#[tokio::test]
async fn old_layout_is_upgraded_in_its_place() {
    let database = predecessor(OLD).await;
    let (report, changed, store) = twice(&database).await;
    // Nothing else of what people had is changed.
    let expected = [
        ("magnus_pm_connections.config", 3),
        ("magnus_pm_connections.last_error", 1),
        ("magnus_pm_connections.sync_enabled", 1),
        ("magnus_pm_connections.instance_url", 1),
        ("magnus_pm_connections.webhook_secret", 2),
        ("magnus_project_mappings.sync_direction", 6),
        ("magnus_sync_log.completed_at", 25),
        ("magnus_sync_log.error_details", 100),
        ("magnus_sync_log.status", 25),
        ("magnus_task_mappings.external_task_url", 1),
        ("magnus_task_mappings.project_mapping_id", 440),
        ("magnus_tasks.created_at", 1),
        ("magnus_tasks.priority", 1),
        ("magnus_tasks.project_id", 1),
        ("magnus_tasks.status", 1),
        ("magnus_tasks.updated_at", 1),
    ];
    let expected: BTreeMap<String, usize> = expected.map(|(column, rows)| (column.to_owned(), rows)).into();
    assert_eq!(changed, expected);
    assert_eq!(rows(&report, "no id of the tool"), 2);
    assert_eq!(rows(&report, "same task of the tool"), 1);
    assert_eq!(rows(&report, "same task of the hub"), 1);
    assert_eq!(rows(&report, "not mapped on this connection"), 1);
    assert_eq!(rows(&report, "never closed"), 25);
    assert_eq!(rows(&report, "API key sealed"), 2);
    assert!(
        report.notes.iter().any(|note| note.contains("\"Bare\" has no API key")),
        "{:?}",
        report.notes
    );
    assert!(
        report.notes.iter().any(|note| note.contains("'9999'")),
        "{:?}",
        report.notes
    );

    let connections = store.connections().await.unwrap();
    let names: Vec<&str> = connections.iter().map(|settings| settings.name.as_str()).collect();
    assert_eq!(names, ["Bare", "Work", "Work 00000000"]);
    assert!(!connections[2].enabled && connections[2].frequency == SyncFrequency::Daily);
    assert_eq!(
        key_of(&store, "00000000-0000-4000-8000-00000000c001").await.as_deref(),
        Some("canary-old-key-0001")
    );
    assert_eq!(
        key_of(&store, "00000000-0000-4000-8000-00000000c002").await.as_deref(),
        Some("canary-old-key-0002")
    );
    assert_eq!(key_of(&store, "00000000-0000-4000-8000-00000000c003").await, None);

    let work: ConnectionId = "00000000-0000-4000-8000-00000000c001".parse().unwrap();
    let mappings = store.mappings(work).await.unwrap();
    assert_eq!(mappings.len(), 9);
    assert_eq!(mappings[0].direction, Some(Direction::Pull));
    assert!(
        mappings
            .iter()
            .all(|mapping| !mapping.first_contact_done && mapping.cursor.is_none())
    );
    let links = store.links(work).await.unwrap();
    assert_eq!(links.len(), 990);
    assert!(
        links
            .iter()
            .all(|link| link.bases.is_empty() && link.last_sync_at.is_some())
    );
    let page = store.query_tasks(TaskQuery::default()).await.unwrap();
    assert_eq!(page.total, 1201);
    let runs = store.recent_runs(1000).await.unwrap();
    assert_eq!(runs.len(), 100);
    assert!(store.unfinished_runs().await.unwrap().is_empty());
    assert!(
        runs.iter()
            .any(|run| run.state == RunState::Interrupted && run.completed_at.is_some())
    );
    assert_usable(&store).await;
    let mut raw = database.connect().await;
    let report: i64 = sqlx::query_scalar("SELECT count(*) FROM report_hours WHERE estimated > 0")
        .fetch_one(&mut raw)
        .await
        .unwrap();
    assert_eq!(report, 6, "a report of people's own still works");
    let stamped: String = sqlx::query_scalar("SELECT tgenabled::text FROM pg_trigger WHERE tgname = 'stamp_tasks'")
        .fetch_one(&mut raw)
        .await
        .unwrap();
    assert_eq!(stamped, "O", "triggers are on again");
    store.close().await;
    database.remove().await;
}

#[tokio::test]
async fn new_layout_is_upgraded_in_its_place() {
    let database = predecessor(NEW).await;
    let (report, changed, store) = twice(&database).await;
    let expected = [
        ("magnus_pm_connections.config", 2),
        ("magnus_pm_connections.display_name", 2),
        ("magnus_pm_connections.sync_direction", 3),
        ("magnus_pm_connections.sync_frequency", 1),
        ("magnus_sync_conflicts.external_data", 5),
        ("magnus_sync_log.completed_at", 20),
        ("magnus_sync_log.error_message", 60),
        ("magnus_sync_log.status", 40),
        ("magnus_tasks.metadata", 300),
    ];
    let expected: BTreeMap<String, usize> = expected.map(|(column, rows)| (column.to_owned(), rows)).into();
    assert_eq!(changed, expected);
    assert_eq!(rows(&report, "no id of the tool"), 2);
    assert_eq!(rows(&report, "same task of the hub"), 1);
    assert!(
        report
            .notes
            .iter()
            .any(|note| note.contains("magnus_tasks.source_tool stays as narrow")),
        "{:?}",
        report.notes
    );

    let connections = store.connections().await.unwrap();
    assert_eq!(connections.len(), 3);
    let board = connections.iter().find(|settings| settings.name == "Board").unwrap();
    assert_eq!(
        (board.direction, board.options.conflicts),
        (Direction::Pull, ConflictPolicy::HubWins)
    );
    assert_eq!(
        key_of(&store, "00000000-0000-4000-8000-00000000c001").await.as_deref(),
        Some("canary-new-key-0001")
    );
    assert_eq!(
        key_of(&store, "00000000-0000-4000-8000-00000000c002").await.as_deref(),
        Some("canary-new-key-0002")
    );
    let links = store.links(board.id).await.unwrap();
    assert_eq!(links.len(), 1100);
    // Conflicts of whole items are history; their fields are compared anew at first contact.
    assert!(store.conflicts(ConflictQuery::default()).await.unwrap().is_empty());
    let tasks = store.query_tasks(TaskQuery::default().page(1000, None)).await.unwrap();
    assert_eq!(tasks.total, 1200);
    let third = tasks.tasks.iter().find(|task| task.title == "Task 333").unwrap();
    assert_eq!(third.estimated_minutes, Some(200));
    assert_eq!(third.metadata["ai_breakdown"]["tasks"][0], 1);
    assert_eq!(third.tags.len(), 2);
    assert_usable(&store).await;
    store.close().await;
    database.remove().await;
}

#[tokio::test]
async fn empty_database_and_one_with_foreign_tables_get_the_hubs_tables() {
    let database = Database::new().await;
    let check = check_upgrade(&database.url(), &PostgresOptions::new()).await.unwrap();
    assert!(!check.predecessor && !check.up_to_date && check.changes.is_empty());
    let mut raw = database.connect().await;
    raw.execute("CREATE TABLE invoices (id INT PRIMARY KEY); INSERT INTO invoices VALUES (1)")
        .await
        .unwrap();
    let before = snapshot(&database, None).await;
    let report = upgraded(&database).await;
    assert!(!report.predecessor && report.changes.is_empty());
    assert_eq!(snapshot(&database, Some(&before)).await, before);
    let store = PostgresStore::open(database.url()).await.unwrap();
    assert_eq!(store.projects().await.unwrap(), []);
    assert!(upgraded(&database).await.up_to_date);
    store.close().await;
    database.remove().await;
}
