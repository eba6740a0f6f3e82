//! A process that is killed in the middle of its commits loses nothing that was answered and leaves nothing half done.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use magnus_core::model::{ConnectionSettings, ExternalId, Link, Mapping, Project, Task, ToolName};
use magnus_core::store::{
    Changeset, Fence, HubStore, LinkStore, LinkWrite, MappingWrite, ProjectWrite, SettingsStore, TaskStore, TaskWrite,
    Unit,
};
use magnus_sqlite::SqliteStore;

/// Tells the test that it is its own child process, and where the database lies.
const DATABASE: &str = "MAGNUS_DURABILITY_DATABASE";
const UNITS: usize = 20;

#[test]
fn what_was_answered_survives_a_kill_and_nothing_is_half_done() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    if let Ok(path) = std::env::var(DATABASE) {
        runtime.block_on(commit_for_ever(&path));
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hub.db");
    runtime.block_on(prepare(&path));
    let mut answered = 0;
    for round in 0..4 {
        answered += kill_while_committing(&path, 3 + round);
        runtime.block_on(check(&path, answered));
    }
}

async fn prepare(path: &Path) {
    let store = SqliteStore::open(path.to_str().unwrap()).await.unwrap();
    let now = chrono::Utc::now();
    let board = ConnectionSettings::new(ToolName::new("leantime"), "Board", "https://example.org", now);
    let board = store.save_connection(board).await.unwrap();
    let project = Project::new("Moon", now);
    let mapping = Mapping::new(board.id, ExternalId::from(1), "Moon", project.id);
    let changeset = Changeset {
        projects: vec![ProjectWrite {
            project,
            expected: None,
        }],
        mappings: vec![MappingWrite {
            mapping,
            expected: None,
        }],
        ..Changeset::new()
    };
    assert_eq!(store.commit(Fence::Hub, changeset).await.unwrap().stale_rows, 0);
    store.close().await;
}

/// Commits tasks with their links, and says so after each answer.
async fn commit_for_ever(path: &str) {
    let store = SqliteStore::open(path).await.unwrap();
    let mapping = store.all_mappings().await.unwrap().remove(0);
    let mut external = store.links(mapping.connection_id).await.unwrap().len() as u64;
    loop {
        let units = (0..UNITS).map(|_| {
            external += 1;
            let task = Task::new(mapping.project_id, format!("Task {external}"), chrono::Utc::now());
            let link = Link::new(&mapping, task.id, ExternalId::from(external), task.created_at);
            Unit {
                tasks: vec![TaskWrite::Insert {
                    task: Box::new(task),
                    guard: None,
                }],
                links: vec![LinkWrite {
                    link: Box::new(link),
                    expected: None,
                }],
                ..Unit::default()
            }
        });
        let outcome = store.commit(Fence::Hub, Changeset::of(units.collect())).await.unwrap();
        assert!(outcome.stale.is_empty());
        let mut out = std::io::stdout().lock();
        writeln!(out, "\nanswered").unwrap();
        out.flush().unwrap();
    }
}

/// Runs this test as a child, kills it after some commits, and answers how many were answered.
fn kill_while_committing(path: &Path, commits: usize) -> usize {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "--nocapture",
            "what_was_answered_survives_a_kill_and_nothing_is_half_done",
        ])
        .env(DATABASE, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut answered = 0;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        answered += usize::from(line.unwrap() == "answered");
        if answered == commits {
            // On Unix this is SIGKILL. What the child wrote before it is still read.
            child.kill().unwrap();
        }
    }
    assert!(!child.wait().unwrap().success() && answered >= commits);
    answered
}

async fn check(path: &Path, answered: usize) {
    let store = SqliteStore::open(path.to_str().unwrap()).await.unwrap();
    let project = store.projects().await.unwrap().remove(0);
    let tasks = store.tasks_of_project(project.id).await.unwrap();
    let links = store
        .links_of_tasks(tasks.iter().map(|task| task.id).collect())
        .await
        .unwrap();
    assert!(
        tasks.len() >= answered * UNITS,
        "{} tasks after {answered} answers",
        tasks.len()
    );
    assert_eq!(
        (tasks.len() % UNITS, links.len()),
        (0, tasks.len()),
        "changesets are whole"
    );
    store.close().await;

    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
    let mut raw = sqlx::ConnectOptions::connect(&options).await.unwrap();
    let verdict: String = sqlx::query_scalar("PRAGMA integrity_check")
        .fetch_one(&mut raw)
        .await
        .unwrap();
    assert_eq!(verdict, "ok");
    let dangling = sqlx::query("PRAGMA foreign_key_check")
        .fetch_all(&mut raw)
        .await
        .unwrap();
    assert!(dangling.is_empty());
}
