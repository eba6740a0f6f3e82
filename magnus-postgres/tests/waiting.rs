//! Transactions that wait for each other see what was done meanwhile.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::time::Duration;

use magnus_core::model::{ConnectionSettings, ExternalId, Mapping, Project, RunRequest, Task, ToolName};
use magnus_core::store::{
    Changeset, Fence, HubStore, LeaseAnswer, LeaseStore, MappingWrite, MatchGuard, ProjectWrite, RunStore,
    SettingsStore, StaleReason, TaskStore, TaskWrite, Unit,
};
use magnus_postgres::{PostgresOptions, PostgresStore};
use magnus_testkit::postgres::Database;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

async fn open(database: &Database) -> PostgresStore {
    PostgresStore::open_with(database.url(), PostgresOptions::new().connections(4))
        .await
        .unwrap()
}

fn insert(tasks: &[Task]) -> Changeset {
    let unit = |task: &Task| Unit {
        tasks: vec![TaskWrite::Insert {
            task: Box::new(task.clone()),
            guard: None,
        }],
        ..Unit::default()
    };
    Changeset::of(tasks.iter().map(unit).collect())
}

async fn add_project(store: &PostgresStore) -> Project {
    let project = Project::new("Moon", chrono::Utc::now());
    let write = ProjectWrite {
        project: project.clone(),
        expected: None,
    };
    let changeset = Changeset {
        projects: vec![write],
        ..Changeset::new()
    };
    store.commit(Fence::Hub, changeset).await.unwrap();
    project
}

fn board() -> ConnectionSettings {
    ConnectionSettings::new(
        ToolName::new("leantime"),
        "Board",
        "https://example.org",
        chrono::Utc::now(),
    )
}

async fn execute(connection: &mut PgConnection, statement: &str) {
    let done = connection.execute(AssertSqlSafe(statement.to_owned())).await;
    done.unwrap_or_else(|error| panic!("{statement}: {error}"));
}

/// Waits until so many others wait for a lock in this database.
async fn until_waiting(looker: &mut PgConnection, how_many: i64) {
    let waiting = "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)
                   WHERE NOT granted AND datname = current_database()";
    while sqlx::query_scalar::<_, i64>(waiting)
        .fetch_one(&mut *looker)
        .await
        .unwrap()
        < how_many
    {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_match_while_an_import_waits_is_seen_whatever_isolation_the_host_has() {
    let database = Database::new().await;
    let options: PgConnectOptions = database.url().parse().unwrap();
    let pool = PgPoolOptions::new()
        .max_connections(3)
        .connect_with(options.options([("default_transaction_isolation", "repeatable read")]))
        .await
        .unwrap();
    let store = PostgresStore::on_pool(pool.clone(), PostgresOptions::new())
        .await
        .unwrap();
    let project = add_project(&store).await;
    let guarded = |task: &Task| {
        let guard = MatchGuard {
            project_id: project.id,
            title_key: task.title_key(),
            known: BTreeSet::new(),
        };
        let write = TaskWrite::Insert {
            task: Box::new(task.clone()),
            guard: Some(guard),
        };
        Changeset::of(vec![Unit {
            tasks: vec![write],
            ..Unit::default()
        }])
    };
    let (first, second) = (
        Task::new(project.id, "Task", chrono::Utc::now()),
        Task::new(project.id, "Task", chrono::Utc::now()),
    );
    // Somebody else holds the project until he has brought in the same title.
    let (mut raw, mut looker) = (database.connect().await, database.connect().await);
    let mut other = raw.begin().await.unwrap();
    other
        .execute("SELECT 1 FROM magnus_projects FOR NO KEY UPDATE")
        .await
        .unwrap();
    let import = {
        let (store, changeset) = (store.clone(), guarded(&second));
        tokio::spawn(async move { store.commit(Fence::Hub, changeset).await })
    };
    until_waiting(&mut looker, 1).await;
    sqlx::query("INSERT INTO magnus_tasks (id, project_id, title, title_key) VALUES ($1, $2, $3, $4)")
        .bind(first.id.as_uuid())
        .bind(project.id.as_uuid())
        .bind(&first.title)
        .bind(second.title_key())
        .execute(&mut *other)
        .await
        .unwrap();
    other.commit().await.unwrap();
    let outcome = import.await.unwrap().unwrap();
    assert_eq!(outcome.stale.len(), 1, "the same title twice: {outcome:?}");
    assert_eq!(outcome.stale[0].reason, StaleReason::MatchAppeared);
    assert_eq!(store.tasks_of_project(project.id).await.unwrap().len(), 1);
    pool.close().await;
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_does_not_take_away_the_mark_of_a_commit_that_it_cannot_see() {
    let database = Database::new().await;
    let store = open(&database).await;
    let project = add_project(&store).await;
    let board = store.save_connection(board()).await.unwrap().id;
    let mapping = Mapping::new(board, ExternalId::from(1), "Moon", project.id);
    let changeset = Changeset {
        mappings: vec![MappingWrite {
            mapping,
            expected: None,
        }],
        ..Changeset::new()
    };
    store.commit(Fence::Hub, changeset).await.unwrap();
    let task = |title| Task::new(project.id, title, chrono::Utc::now());
    store.commit(Fence::Hub, insert(&[task("first")])).await.unwrap();
    assert_eq!(store.due_connections().await.unwrap(), [board]);
    store.enqueue_run(RunRequest::new(board)).await.unwrap();
    let ttl = Duration::from_secs(60);
    let LeaseAnswer::Granted(lease) = store.acquire_lease(board, "one".to_owned(), ttl).await.unwrap() else {
        panic!("the lease is free");
    };
    // The next commit has done everything but to end.
    let (mut raw, mut looker) = (database.connect().await, database.connect().await);
    execute(
        &mut raw,
        "CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN PERFORM pg_advisory_xact_lock(4711); RETURN NULL; END $$;
         CREATE CONSTRAINT TRIGGER hold AFTER INSERT ON magnus_tasks DEFERRABLE INITIALLY DEFERRED
             FOR EACH ROW EXECUTE FUNCTION hold();
         SELECT pg_advisory_lock(4711)",
    )
    .await;
    let commit = {
        let (store, changeset) = (store.clone(), insert(&[task("second")]));
        tokio::spawn(async move { store.commit(Fence::Hub, changeset).await })
    };
    until_waiting(&mut looker, 1).await;
    let mut claim = {
        let store = store.clone();
        tokio::spawn(async move {
            let claimed = store.claim_run(Fence::Lease(lease)).await;
            (claimed, store.tasks_of_project(project.id).await)
        })
    };
    tokio::select! {
        early = &mut claim => panic!("it reads the hub as it was before, and no mark is left: {early:?}"),
        () = until_waiting(&mut looker, 2) => {}
    }
    execute(&mut raw, "SELECT pg_advisory_unlock(4711)").await;
    assert!(commit.await.unwrap().unwrap().stale.is_empty());
    let (claimed, tasks) = claim.await.unwrap();
    assert!(claimed.unwrap().is_some());
    assert_eq!(tasks.unwrap().len(), 2, "the run covers what the mark stood for");
    assert_eq!(store.due_connections().await.unwrap(), []);
    database.remove().await;
}
