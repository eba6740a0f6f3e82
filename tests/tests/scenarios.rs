//! Whole runs through the real adapters against simulated tools.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use magnus_core::model::{ConflictState, Field, RunRequest, RunState, Status, Value};
use magnus_core::store::RunStore;
use magnus_sqlite::SqliteStore;
use magnus_testkit::sim::faults::{CallMatcher, Fault, FaultRule};
use magnus_testkit::sim::openproject::OpenProjectOptions;
use support::{Setup, World};

#[tokio::test]
async fn five_hundred_tasks_arrive_through_pages_of_twenty_closed_ones_too() {
    let openproject = OpenProjectOptions::default().page_size_max(20);
    let world = World::with(Setup {
        openproject,
        ..Setup::default()
    })
    .await;
    let project = world.openproject.create_project("Large", "large");
    let closed = world.openproject.status_id("Closed").unwrap();
    for number in 0..500 {
        world
            .openproject
            .create_work_package_with(project, &format!("task {number}"), |item| {
                if number % 2 == 0 {
                    item.status_id = closed;
                }
            });
    }
    let run = world.complete(world.op).await;
    assert_eq!(run.report.counts.tasks.created, 500);
    let page = world
        .store
        .query_tasks(magnus_core::store::TaskQuery::default().page(1000, None))
        .await
        .unwrap();
    assert_eq!(page.total, 500);
    assert_eq!(
        page.tasks.iter().filter(|task| task.status == Status::Done).count(),
        250
    );
}

#[tokio::test]
async fn two_tools_with_150_equal_tasks_of_200_each_make_250_and_none_twice() {
    let world = World::new().await;
    let common = world.common_project("Common").await;
    for number in 0..200 {
        world
            .openproject
            .create_work_package(common.op, &format!("task {number}"));
        world
            .leantime
            .create_ticket(common.lt, &format!("task {}", number + 50));
    }
    let all = world.orchestrator.sync_all(None).await.unwrap();
    assert!(
        all.quiet,
        "{:?}",
        all.runs
            .iter()
            .map(|run| (&run.state, &run.error_message))
            .collect::<Vec<_>>()
    );
    assert_eq!(world.tasks(common.hub).await.len(), 250);
    for titles in [
        world
            .openproject
            .work_packages()
            .into_iter()
            .map(|item| item.subject)
            .collect::<Vec<_>>(),
        world
            .leantime
            .tickets()
            .into_iter()
            .filter_map(|ticket| ticket.headline)
            .collect(),
    ] {
        let mut unique = titles.clone();
        unique.sort();
        unique.dedup();
        assert_eq!((titles.len(), unique.len()), (250, 250));
    }
    let before = world.writes();
    world.orchestrator.sync_all(None).await.unwrap();
    assert_eq!(world.writes(), before);
}

#[tokio::test]
async fn twenty_starts_at_once_are_one_run_or_one_and_one_queued() {
    let world = World::new().await;
    let common = world.common_project("Common").await;
    for number in 0..30 {
        world
            .openproject
            .create_work_package(common.op, &format!("task {number}"));
    }
    let starts = (0..20).map(|_| world.orchestrator.start(RunRequest::new(world.op)));
    let handles = futures::future::join_all(starts).await;
    let mut runs = BTreeMap::new();
    for handle in handles {
        let run = handle.unwrap().wait().await.unwrap();
        assert_eq!(run.state, RunState::Completed, "{run:?}");
        runs.insert(run.id, run);
    }
    assert!(runs.len() <= 2, "{} runs", runs.len());
    assert_eq!(world.tasks(common.hub).await.len(), 30);
}

#[tokio::test]
async fn edits_on_three_sides_meet_and_a_true_conflict_is_held() {
    let world = World::new().await;
    let common = world.common_project("Common").await;
    let item = world.openproject.create_work_package(common.op, "task");
    world.settle().await;
    let task = world.task(common.hub, "task").await;
    let ticket = world.leantime.tickets().remove(0).id;
    let testing = world.openproject.status_id("In testing").unwrap();
    world
        .openproject
        .edit_work_package(item, |item| item.status_id = testing);
    world
        .leantime
        .edit_ticket(ticket, |ticket| ticket.tags = Some("red,blue".to_owned()));
    world
        .edit(task.id, Field::DueDate, Value::Date("2026-12-24".parse().unwrap()))
        .await;
    world.settle().await;
    let task = world.task(common.hub, "task").await;
    assert_eq!((task.status, task.tags.len()), (Status::Review, 2));
    let item_now = world.openproject.work_package(item).unwrap();
    assert_eq!(item_now.due_date, Some("2026-12-24".parse().unwrap()));
    assert_eq!(world.leantime.ticket(ticket).unwrap().status, 2);
    assert!(world.conflicts().await.is_empty());

    world
        .edit(task.id, Field::Description, Value::text("from the hub"))
        .await;
    world
        .openproject
        .edit_work_package(item, |item| item.description = "from OpenProject".to_owned());
    world.settle().await;
    let conflicts = world.conflicts().await;
    assert_eq!(conflicts.len(), 1, "{conflicts:?}");
    assert_eq!(
        (conflicts[0].state, conflicts[0].field),
        (ConflictState::Open, Field::Description)
    );
    assert_eq!(
        world.openproject.work_package(item).unwrap().description,
        "from OpenProject"
    );
    let before = world.writes();
    world.orchestrator.sync_all(None).await.unwrap();
    assert_eq!(world.writes(), before);
}

#[tokio::test]
async fn a_tool_that_answers_500_to_every_call_fails_the_run_and_nothing_stays_in_progress() {
    let world = World::new().await;
    world.common_project("Common").await;
    world
        .openproject
        .faults()
        .inject(FaultRule::new(CallMatcher::any(), Fault::status(500, "oh no")).always());
    let run = world.sync(world.op).await;
    assert_eq!(run.state, RunState::Failed, "{run:?}");
    let message = run.error_message.unwrap();
    assert!(
        message.contains("500") && message.contains("the openproject"),
        "{message}"
    );
    let status = world.orchestrator.status(20).await.unwrap();
    assert!(status.in_progress.is_empty() && status.queued.is_empty());
}

#[tokio::test]
async fn an_unchanged_sync_of_a_thousand_tasks_writes_nothing_and_asks_little() {
    let world = World::new().await;
    let mut projects = Vec::new();
    for name in ["One", "Two", "Three"] {
        projects.push(world.common_project(name).await);
    }
    for number in 0..1000 {
        world
            .openproject
            .create_work_package(projects[number % 3].op, &format!("task {number}"));
    }
    for id in [world.op, world.lt] {
        let mut settings = world.store.connection(id).await.unwrap().unwrap();
        settings.options.guard.creations.count = 10_000;
        world.store.save_connection(settings).await.unwrap();
    }
    world.settle().await;
    assert_eq!(world.leantime.tickets().len(), 1000);
    let before = world.writes();
    world.openproject.reset_counts();
    world.leantime.reset_counts();
    let (op, lt) = (world.complete(world.op).await, world.complete(world.lt).await);
    assert_eq!(
        (op.report.counts.tasks.unchanged, lt.report.counts.tasks.unchanged),
        (1000, 1000)
    );
    assert_eq!(world.store.changed_rows().total(), before.2);
    assert_eq!((world.openproject.writes(), world.leantime.writes()), (0, 0));
    let asked: usize = world.openproject.requests().values().sum();
    assert!(
        asked <= 6 + 3 * 3,
        "{asked} requests to OpenProject: {:?}",
        world.openproject.requests()
    );
    let asked = world.leantime.requests();
    assert!(asked.http <= 6 + 2 * 3, "{asked:?}");
}

#[tokio::test]
async fn the_same_through_sqlite_survives_a_reopening() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("magnus.db");
    let store = Arc::new(SqliteStore::open(path.to_str().unwrap()).await.unwrap());
    let world = World::with(Setup {
        store: Some(store),
        ..Setup::default()
    })
    .await;
    let common = world.common_project("Common").await;
    world.openproject.seed_project(common.op, 60, 7);
    world.settle().await;
    let before = world.tasks(common.hub).await;
    assert_eq!((before.len(), world.leantime.tickets().len()), (60, 60));
    let writes = world.writes();
    world.settle().await;
    assert_eq!(world.writes(), writes);
    world.shutdown().await;
    let reopened = SqliteStore::open(path.to_str().unwrap()).await.unwrap();
    let runs = reopened.recent_runs(50).await.unwrap();
    assert!(runs.len() >= 4 && runs.iter().all(|run| run.state == RunState::Completed));
}
