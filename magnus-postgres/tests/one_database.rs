//! One database: used by several handles at once, shared with a host application, used by a role with few rights, and
//! not as it should be.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use magnus_core::connection::Outcome;
use magnus_core::model::{ConnectionSettings, ExternalId, Link, Mapping, Project, Run, RunRequest, Task, ToolName};
use magnus_core::store::{
    Changeset, Fence, HubStore, LeaseAnswer, LeaseStore, LinkWrite, MappingWrite, ProjectWrite, RunStore, ServiceStore,
    SettingsStore, StoreErrorKind, TaskQuery, TaskStore, TaskWrite, Unit,
};
use magnus_postgres::{PostgresOptions, PostgresStore};
use magnus_testkit::postgres::Database;
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, Executor, PgConnection};

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

#[tokio::test(flavor = "multi_thread")]
async fn new_tables_are_made_once_however_many_open_the_database() {
    let database = Database::new().await;
    let opening = (0..6).map(|_| {
        let url = database.url();
        tokio::spawn(async move { PostgresStore::open_with(url, PostgresOptions::new().connections(2)).await })
    });
    for opened in opening.collect::<Vec<_>>() {
        let store = opened.await.unwrap().unwrap();
        assert_eq!(store.projects().await.unwrap(), []);
        store.close().await;
    }
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_of_two_handles_see_each_others_work() {
    let database = Database::new().await;
    let (one, two) = (open(&database).await, open(&database).await);
    let project = add_project(&one).await;
    let writing = [one.clone(), two.clone()].map(|store| {
        let project = project.id;
        tokio::spawn(async move {
            for number in 0..50 {
                let task = Task::new(project, format!("Task {number}"), chrono::Utc::now());
                let outcome = store.commit(Fence::Hub, insert(&[task])).await.unwrap();
                assert!(outcome.stale.is_empty());
            }
        })
    });
    for written in writing {
        written.await.unwrap();
    }
    for store in [&one, &two] {
        assert_eq!(store.query_tasks(TaskQuery::default()).await.unwrap().total, 100);
        assert_eq!(store.changed_rows().tasks, 50, "each handle counts its own changes");
    }
    database.remove().await;
}

/// Each updates all the same rows, in an order of its own, many times.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn commits_over_the_same_rows_in_other_orders_never_end_in_a_deadlock() {
    let database = Database::new().await;
    let store = open(&database).await;
    let project = add_project(&store).await;
    let tasks: Vec<Task> = (0..40)
        .map(|number| Task::new(project.id, format!("Task {number}"), chrono::Utc::now()))
        .collect();
    store.commit(Fence::Hub, insert(&tasks)).await.unwrap();
    let writers = (0..4_usize).map(|writer| {
        let store = store.clone();
        let ids: Vec<_> = tasks.iter().map(|task| task.id).collect();
        tokio::spawn(async move {
            let mut written = 0;
            for _ in 0..10 {
                let mut read = store.tasks(ids.clone()).await.unwrap();
                read.rotate_left(writer * 10);
                if writer % 2 == 1 {
                    read.reverse();
                }
                let units = read.into_iter().map(|task| Unit {
                    tasks: vec![TaskWrite::Update {
                        expected: task.version,
                        task: Box::new(task),
                    }],
                    ..Unit::default()
                });
                let outcome = store.commit(Fence::Hub, Changeset::of(units.collect())).await.unwrap();
                written += 40 - outcome.stale.len();
            }
            written
        })
    });
    let mut written = 0;
    for writer in writers.collect::<Vec<_>>() {
        written += writer.await.unwrap();
    }
    let versions: i64 = store
        .tasks(tasks.iter().map(|task| task.id).collect())
        .await
        .unwrap()
        .iter()
        .map(|task| task.version.0 - 1)
        .sum();
    assert_eq!(
        usize::try_from(versions).unwrap(),
        written,
        "each write that was answered stands"
    );
    let mut raw = database.connect().await;
    let deadlocks: i64 =
        sqlx::query_scalar("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
            .fetch_one(&mut raw)
            .await
            .unwrap();
    assert_eq!(deadlocks, 0);
    database.remove().await;
}

#[tokio::test]
async fn lease_and_run_of_one_handle_bind_the_other() {
    let database = Database::new().await;
    let (one, two) = (open(&database).await, open(&database).await);
    let board = one.save_connection(board()).await.unwrap().id;
    let ttl = Duration::from_secs(60);
    let LeaseAnswer::Granted(lease) = one.acquire_lease(board, "one".to_owned(), ttl).await.unwrap() else {
        panic!("the lease is free");
    };
    assert!(matches!(
        two.acquire_lease(board, "two".to_owned(), ttl).await.unwrap(),
        LeaseAnswer::Held { .. }
    ));
    let run = two.enqueue_run(RunRequest::new(board)).await.unwrap().run;
    let claimed = one.claim_run(Fence::Lease(lease)).await.unwrap().unwrap();
    assert_eq!(claimed.id, run.id);
    assert_eq!(two.interrupt_abandoned().await.unwrap(), []);
    assert_eq!(two.run(run.id).await.unwrap(), Some(claimed));
    database.remove().await;
}

#[tokio::test]
async fn hub_lives_beside_the_tables_of_a_host_in_its_pool() {
    let database = Database::new().await;
    let mut raw = database.connect().await;
    // The host has migrations of its own, and a table that is called as one of ours.
    execute(&mut raw, "CREATE TABLE _sqlx_migrations (version bigint, mine text)").await;
    execute(&mut raw, "CREATE TABLE magnus_tasks (mine text)").await;
    let pool = PgPoolOptions::new()
        .max_connections(2)
        .connect(&database.url())
        .await
        .unwrap();
    let first = PostgresStore::on_pool(pool.clone(), PostgresOptions::new().schema("the \"hub\""))
        .await
        .unwrap();
    let second = PostgresStore::on_pool(pool.clone(), PostgresOptions::new().schema("other"))
        .await
        .unwrap();
    let project = add_project(&first).await;
    assert_eq!(first.projects().await.unwrap().len(), 1);
    assert_eq!(first.project(project.id).await.unwrap().unwrap().name, "Moon");
    assert_eq!(second.projects().await.unwrap(), [], "schemas are apart");
    first.close().await;
    let host: i64 = sqlx::query_scalar("SELECT count(*) FROM public.magnus_tasks")
        .fetch_one(&pool)
        .await
        .expect("the host's pool stays open");
    assert_eq!(host, 0);
    pool.close().await;
    database.remove().await;
}

#[tokio::test]
async fn role_with_the_few_documented_rights_suffices_and_may_not_change_tables() {
    let database = Database::new().await;
    let owner = PostgresStore::open_with(database.url(), PostgresOptions::new().schema("magnus"))
        .await
        .unwrap();
    owner.close().await;
    let mut raw = database.connect().await;
    let role = format!("service_{}", uuid::Uuid::new_v4().simple());
    for statement in [
        format!("CREATE ROLE {role} LOGIN"),
        format!("GRANT USAGE ON SCHEMA magnus TO {role}"),
        format!("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA magnus TO {role}"),
    ] {
        execute(&mut raw, &statement).await;
    }
    let url = database.url().replace("postgres@", &format!("{role}@"));
    let service = PostgresStore::open_with(&url, PostgresOptions::new().schema("magnus").connections(2))
        .await
        .unwrap();
    let project = add_project(&service).await;
    let task = Task::new(project.id, "Task", chrono::Utc::now());
    service.commit(Fence::Hub, insert(&[task])).await.unwrap();
    let board = service.save_connection(board()).await.unwrap().id;
    service.enqueue_run(RunRequest::new(board)).await.unwrap();
    let ttl = Duration::from_secs(60);
    let LeaseAnswer::Granted(lease) = service.acquire_lease(board, "me".to_owned(), ttl).await.unwrap() else {
        panic!("the lease is free");
    };
    assert!(service.claim_run(Fence::Lease(lease)).await.unwrap().is_some());
    assert!(service.delete_connection(board).await.unwrap());
    assert!(
        sqlx::query("DROP TABLE magnus.magnus_tasks")
            .execute(service.pool())
            .await
            .is_err()
    );
    service.close().await;

    // Another schema it can neither make nor find.
    let error = PostgresStore::open_with(&url, PostgresOptions::new().schema("elsewhere"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    let error = PostgresStore::open_with(&url, PostgresOptions::new().schema("elsewhere").migrate(false))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("magnus migrate"), "{error}");
    execute(&mut raw, &format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
    database.remove().await;
}

#[tokio::test]
async fn row_that_cannot_be_read_is_an_error_that_names_it() {
    let database = Database::new().await;
    let store = open(&database).await;
    let project = add_project(&store).await;
    let task = Task::new(project.id, "Task", chrono::Utc::now());
    store
        .commit(Fence::Hub, insert(std::slice::from_ref(&task)))
        .await
        .unwrap();
    let mut raw = database.connect().await;
    for (column, nonsense, sound) in [
        ("status", "'nonsense'", "'todo'"),
        ("percentage_done", "4000", "NULL"),
        ("estimated_minutes", "-1", "NULL"),
        ("metadata", "'[]'", "NULL"),
        ("field_times", "'{\"title\":1}'", "'{}'"),
    ] {
        for value in [nonsense, sound] {
            execute(&mut raw, &format!("UPDATE magnus_tasks SET {column} = {value}")).await;
            let read = store.tasks(vec![task.id]).await;
            if value == sound {
                assert_eq!(read.unwrap().len(), 1, "{column}");
                continue;
            }
            let error = read.unwrap_err();
            assert_eq!(error.kind(), StoreErrorKind::Corrupt, "{column}");
            let text = error.to_string();
            assert!(text.contains(column) && text.contains(&task.id.to_string()), "{text}");
        }
    }
    database.remove().await;
}

#[tokio::test]
async fn hours_are_there_for_reports_and_minutes_are_exact() {
    let database = Database::new().await;
    let store = open(&database).await;
    let project = add_project(&store).await;
    let mut tasks = Vec::new();
    for minutes in [20, u32::MAX] {
        let mut task = Task::new(project.id, "Task", chrono::Utc::now());
        task.estimated_minutes = Some(minutes);
        tasks.push(task);
    }
    store.commit(Fence::Hub, insert(&tasks)).await.unwrap();
    let read = store.tasks(tasks.iter().map(|task| task.id).collect()).await.unwrap();
    let minutes: Vec<_> = read.iter().map(|task| task.estimated_minutes).collect();
    assert_eq!(minutes, [Some(20), Some(u32::MAX)]);
    let mut raw = database.connect().await;
    let hours: Vec<String> =
        sqlx::query_scalar("SELECT estimated_hours::text FROM magnus_tasks ORDER BY estimated_hours")
            .fetch_all(&mut raw)
            .await
            .unwrap();
    assert_eq!(hours, ["0.33", "9999.99"]);
    database.remove().await;
}

#[tokio::test]
async fn nul_characters_do_not_keep_a_task_out() {
    let database = Database::new().await;
    let store = open(&database).await;
    let project = add_project(&store).await;
    let mut task = Task::new(project.id, "a\0b", chrono::Utc::now());
    task.description = Some("\0".to_owned());
    task.tags.insert("t\0".to_owned());
    task.metadata.insert("m\0".to_owned(), "v\0".into());
    store
        .commit(Fence::Hub, insert(std::slice::from_ref(&task)))
        .await
        .unwrap();
    let read = store.tasks(vec![task.id]).await.unwrap().remove(0);
    assert_eq!(read.title, "a\u{FFFD}b");
    assert_eq!(read.metadata["m\u{FFFD}"], "v\u{FFFD}");
    database.remove().await;
}

#[tokio::test]
async fn waiting_for_a_lock_ends_with_an_error_that_says_so() {
    let database = Database::new().await;
    let options = PostgresOptions::new().lock_timeout(Duration::from_millis(100));
    let store = PostgresStore::open_with(database.url(), options).await.unwrap();
    let project = add_project(&store).await;
    let task = Task::new(project.id, "Task", chrono::Utc::now());
    store
        .commit(Fence::Hub, insert(std::slice::from_ref(&task)))
        .await
        .unwrap();
    let mut raw = database.connect().await;
    execute(&mut raw, "BEGIN; SELECT 1 FROM magnus_tasks FOR UPDATE").await;
    let read = store.tasks(vec![task.id]).await.unwrap().remove(0);
    let update = TaskWrite::Update {
        expected: read.version,
        task: Box::new(read),
    };
    let unit = Unit {
        tasks: vec![update],
        ..Unit::default()
    };
    let error = store.commit(Fence::Hub, Changeset::of(vec![unit])).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.outcome()),
        (StoreErrorKind::Unavailable, Outcome::NotApplied)
    );
    assert!(error.to_string().contains("holds a lock"), "{error}");
    database.remove().await;
}

#[tokio::test]
async fn hub_of_a_newer_version_is_refused() {
    let database = Database::new().await;
    open(&database).await.close().await;
    let newer = "INSERT INTO magnus_migrations (version, description, success, checksum, execution_time)
                 VALUES (9999, 'from the future', TRUE, '', 0)";
    execute(&mut database.connect().await, newer).await;
    let error = PostgresStore::open(database.url()).await.unwrap_err();
    assert!(
        error.kind() == StoreErrorKind::Corrupt && error.to_string().contains("newer"),
        "{error}"
    );
    database.remove().await;
}

#[tokio::test]
async fn closed_hub_and_absent_server_answer_with_an_error() {
    let database = Database::new().await;
    let store = open(&database).await;
    store.close().await;
    assert_eq!(store.projects().await.unwrap_err().kind(), StoreErrorKind::Unavailable);
    assert_eq!(
        store.commit(Fence::Hub, Changeset::new()).await.unwrap_err().kind(),
        StoreErrorKind::Unavailable
    );
    let error = PostgresStore::open("postgres://nobody@127.0.0.1:1/hub")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_cannot_be_read_stands_in_the_way_of_its_own_connection_only() {
    let database = Database::new().await;
    let store = open(&database).await;
    let mut runs = Vec::new();
    for name in ["Sound", "Broken"] {
        let now = chrono::Utc::now();
        let settings = ConnectionSettings::new(ToolName::new("leantime"), name, "https://example.org", now);
        let connection = store.save_connection(settings).await.unwrap().id;
        runs.push(store.enqueue_run(RunRequest::new(connection)).await.unwrap().run);
    }
    let [sound, broken] = &runs[..] else { unreachable!() };
    let mut raw = database.connect().await;
    let spoil = format!(
        "UPDATE magnus_sync_log SET request = '{{\"trigger\": \"magic\"}}' WHERE id = '{}'",
        broken.id
    );
    execute(&mut raw, &spoil).await;
    let ids = |runs: Vec<Run>| runs.into_iter().map(|run| run.id).collect::<Vec<_>>();
    assert_eq!(ids(store.unfinished_runs().await.unwrap()), [sound.id]);
    let error = store.run(broken.id).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Corrupt, "{error}");
    let again = store.enqueue_run(RunRequest::new(broken.connection_id)).await;
    assert_eq!(again.unwrap_err().kind(), StoreErrorKind::Corrupt);
    // Their processes are gone.
    let go = "UPDATE magnus_sync_log SET status = 'started', started_at = queued_at";
    execute(&mut raw, go).await;
    assert_eq!(ids(store.interrupt_abandoned().await.unwrap()), [sound.id]);
    store.close().await;
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn links_that_an_upgrade_set_aside_are_not_counted() {
    let database = Database::new().await;
    let store = open(&database).await;
    let project = add_project(&store).await;
    let connection = store.save_connection(board()).await.unwrap().id;
    let mapping = Mapping::new(connection, ExternalId::new("7").unwrap(), "Moon", project.id);
    let mapped = Changeset {
        mappings: vec![MappingWrite {
            mapping: mapping.clone(),
            expected: None,
        }],
        ..Changeset::new()
    };
    store.commit(Fence::Hub, mapped).await.unwrap();
    for number in ["1", "2"] {
        let now = chrono::Utc::now();
        let task = Task::new(project.id, number, now);
        store
            .commit(Fence::Hub, insert(std::slice::from_ref(&task)))
            .await
            .unwrap();
        let link = Link::new(&mapping, task.id, ExternalId::new(number).unwrap(), now);
        let unit = Unit {
            links: vec![LinkWrite {
                link: Box::new(link),
                expected: None,
            }],
            ..Unit::default()
        };
        store.commit(Fence::Hub, Changeset::of(vec![unit])).await.unwrap();
    }
    let mut raw = database.connect().await;
    let set_aside = "UPDATE magnus_task_mappings SET set_aside = 'doubled' WHERE external_task_id = '2'";
    execute(&mut raw, set_aside).await;
    let counts = store.connection_counts().await.unwrap();
    let counted: Vec<(u64, u64)> = counts.iter().map(|one| (one.linked, one.unlinked)).collect();
    assert_eq!(counted, [(1, 0)]);
    store.close().await;
    database.remove().await;
}
