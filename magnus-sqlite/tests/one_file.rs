//! Several handles on one file, as several processes have them, and files that are not as they should be.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;
use std::time::Duration;

use magnus_core::model::{ConnectionSettings, Project, Run, RunRequest, Task, ToolName};
use magnus_core::store::{
    Changeset, Fence, HubStore, LeaseAnswer, LeaseStore, ProjectWrite, RunStore, SettingsStore, StoreErrorKind,
    TaskQuery, TaskStore, TaskWrite, Unit,
};
use magnus_sqlite::SqliteStore;
use sqlx::{AssertSqlSafe, ConnectOptions, SqliteConnection};

async fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path.to_str().unwrap()).await.unwrap()
}

async fn raw(path: &Path) -> SqliteConnection {
    sqlx::sqlite::SqliteConnectOptions::new()
        .filename(path)
        .connect()
        .await
        .unwrap()
}

fn insert(task: &Task) -> Changeset {
    let write = TaskWrite::Insert {
        task: Box::new(task.clone()),
        guard: None,
    };
    Changeset::of(vec![Unit {
        tasks: vec![write],
        ..Unit::default()
    }])
}

async fn add_project(store: &SqliteStore) -> Project {
    let project = Project::new("Moon", chrono::Utc::now());
    let write = ProjectWrite {
        project: project.clone(),
        expected: None,
    };
    store
        .commit(
            Fence::Hub,
            Changeset {
                projects: vec![write],
                ..Changeset::new()
            },
        )
        .await
        .unwrap();
    project
}

#[tokio::test(flavor = "multi_thread")]
async fn new_file_is_made_once_however_many_open_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("not/yet/there/hub.db");
    let opening = (0..6).map(|_| {
        let path = path.clone();
        tokio::spawn(async move { open(&path).await })
    });
    for opened in opening.collect::<Vec<_>>() {
        assert_eq!(opened.await.unwrap().projects().await.unwrap(), []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_of_two_handles_wait_for_each_other_and_see_each_others_work() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hub.db");
    let (one, two) = (open(&path).await, open(&path).await);
    let project = add_project(&one).await;
    let writing = [one.clone(), two.clone()].map(|store| {
        let project = project.id;
        tokio::spawn(async move {
            for number in 0..50 {
                let task = Task::new(project, format!("Task {number}"), chrono::Utc::now());
                assert!(store.commit(Fence::Hub, insert(&task)).await.unwrap().stale.is_empty());
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
}

#[tokio::test]
async fn lease_and_run_of_one_handle_bind_the_other() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hub.db");
    let (one, two) = (open(&path).await, open(&path).await);
    let board = ConnectionSettings::new(
        ToolName::new("leantime"),
        "Board",
        "https://example.org",
        chrono::Utc::now(),
    );
    let board = one.save_connection(board).await.unwrap().id;
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
}

#[tokio::test]
async fn row_that_cannot_be_read_is_an_error_that_names_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hub.db");
    let store = open(&path).await;
    let project = add_project(&store).await;
    let task = Task::new(project.id, "Task", chrono::Utc::now());
    store.commit(Fence::Hub, insert(&task)).await.unwrap();
    let mut raw = raw(&path).await;
    for (column, nonsense, sound) in [
        ("status", "'nonsense'", "'todo'"),
        ("due_date", "'2026-02-30'", "NULL"),
        ("percentage_done", "4000", "NULL"),
        ("estimated_minutes", "-1", "NULL"),
        ("tags", "'{}'", "'[]'"),
        ("metadata", "'[]'", "'{}'"),
        ("field_times", "'{\"title\":1}'", "'{}'"),
        ("updated_at", "'yesterday'", "created_at"),
    ] {
        for value in [nonsense, sound] {
            let statement = format!("UPDATE magnus_tasks SET {column} = {value}");
            sqlx::query(AssertSqlSafe(statement)).execute(&mut raw).await.unwrap();
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
}

#[tokio::test]
async fn a_run_that_cannot_be_read_stands_in_the_way_of_its_own_connection_only() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hub.db");
    let store = open(&path).await;
    let mut runs = Vec::new();
    for name in ["Sound", "Broken"] {
        let now = chrono::Utc::now();
        let settings = ConnectionSettings::new(ToolName::new("leantime"), name, "https://example.org", now);
        let connection = store.save_connection(settings).await.unwrap().id;
        runs.push(store.enqueue_run(RunRequest::new(connection)).await.unwrap().run);
    }
    let [sound, broken] = &runs[..] else { unreachable!() };
    let mut raw = raw(&path).await;
    sqlx::query("UPDATE magnus_sync_log SET request = '{\"trigger\": \"magic\"}' WHERE id = ?")
        .bind(broken.id.to_string())
        .execute(&mut raw)
        .await
        .unwrap();
    let ids = |runs: Vec<Run>| runs.into_iter().map(|run| run.id).collect::<Vec<_>>();
    assert_eq!(ids(store.unfinished_runs().await.unwrap()), [sound.id]);
    let error = store.run(broken.id).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Corrupt, "{error}");
    let again = store.enqueue_run(RunRequest::new(broken.connection_id)).await;
    assert_eq!(again.unwrap_err().kind(), StoreErrorKind::Corrupt);
    // Their processes are gone.
    sqlx::query("UPDATE magnus_sync_log SET status = 'started', started_at = queued_at")
        .execute(&mut raw)
        .await
        .unwrap();
    assert_eq!(ids(store.interrupt_abandoned().await.unwrap()), [sound.id]);
}

#[tokio::test]
async fn file_that_is_no_hub_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let text = directory.path().join("notes.txt");
    std::fs::write(
        &text,
        "Not a database at all, but long enough to look like one. ".repeat(20),
    )
    .unwrap();
    let error = SqliteStore::open(text.to_str().unwrap()).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Corrupt, "{error}");
    assert!(std::fs::read_to_string(&text).unwrap().starts_with("Not a database"));

    let error = SqliteStore::open(directory.path().to_str().unwrap()).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
}

#[tokio::test]
async fn hub_of_a_newer_version_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hub.db");
    open(&path).await.close().await;
    let newer = "INSERT INTO magnus_migrations (version, description, success, checksum, execution_time)
                 VALUES (9999, 'from the future', TRUE, x'00', 0)";
    sqlx::query(newer).execute(&mut raw(&path).await).await.unwrap();
    let error = SqliteStore::open(path.to_str().unwrap()).await.unwrap_err();
    assert!(
        error.kind() == StoreErrorKind::Corrupt && error.to_string().contains("newer version"),
        "{error}"
    );
}

#[tokio::test]
async fn closed_hub_answers_with_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory.path().join("hub.db")).await;
    store.close().await;
    assert_eq!(store.projects().await.unwrap_err().kind(), StoreErrorKind::Unavailable);
    assert_eq!(
        store.commit(Fence::Hub, Changeset::new()).await.unwrap_err().kind(),
        StoreErrorKind::Unavailable
    );
}
