//! The database goes away while everything is synced: the sync ends by itself, what did not complete says why, nothing is
//! doubled or lost, and it goes on when the database is back.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use magnus_core::model::{Run, RunState};
use magnus_core::store::{StoreErrorKind, TaskStore};
use magnus_postgres::{PostgresOptions, PostgresStore};
use magnus_testkit::postgres::{Database, Server};
use magnus_testkit::sim::{CallMatcher, Fault, FaultRule};
use sqlx::Executor;
use support::{Setup, World};

async fn world_on(store: &PostgresStore) -> World {
    World::with(Setup {
        store: Some(Arc::new(store.clone())),
        ..Setup::default()
    })
    .await
}

async fn open(url: &str) -> PostgresStore {
    let options = PostgresOptions::new()
        .connections(6)
        .acquire_timeout(Duration::from_secs(60));
    PostgresStore::open_with(url, options).await.unwrap()
}

/// A run that did not complete says that the database was the reason.
fn assert_told(run: &Run) {
    let message = run.error_message.as_deref().unwrap_or_default();
    let told = match run.state {
        RunState::Completed => true,
        RunState::Failed | RunState::Partial => message.contains("hub:"),
        RunState::Interrupted => !message.is_empty(),
        _ => false,
    };
    assert!(told, "{run:#?}");
}

async fn assert_same_everywhere(world: &World, expected: usize) {
    let subjects: Vec<String> = world
        .openproject
        .work_packages()
        .into_iter()
        .map(|row| row.subject)
        .collect();
    let headlines: Vec<String> = world
        .leantime
        .tickets()
        .into_iter()
        .filter_map(|row| row.headline)
        .collect();
    let page = magnus_core::store::TaskQuery::default().page(1000, None);
    let hub = world.store.query_tasks(page).await.unwrap().tasks;
    let hub: Vec<String> = hub.into_iter().map(|task| task.title).collect();
    for (name, there) in [("OpenProject", subjects), ("Leantime", headlines), ("the hub", hub)] {
        assert_eq!(there.len(), expected, "{name}");
        assert_eq!(there.into_iter().collect::<BTreeSet<_>>().len(), expected, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_restarted_ten_times_while_all_is_synced_loses_and_doubles_nothing() {
    const TASKS: usize = 240;
    const RESTARTS: usize = 10;
    let server = Server::start().unwrap();
    let database = Database::on(&server.url(), None).await;
    let store = open(&database.url()).await;
    let world = world_on(&store).await;
    let common = world.common_project("Common").await;
    for number in 0..TASKS {
        match number % 3 {
            0 => drop(
                world
                    .openproject
                    .create_work_package(common.op, &format!("task {number}")),
            ),
            1 => drop(world.leantime.create_ticket(common.lt, &format!("task {number}"))),
            _ => drop(world.add(common.hub, &format!("task {number}")).await),
        }
    }
    // Each call takes a moment, so that a restart meets runs under way.
    for faults in [world.openproject.faults(), world.leantime.faults()] {
        faults.inject(FaultRule::new(CallMatcher::any(), Fault::Delay(Duration::from_millis(5))).always());
    }
    let calls = || world.openproject.recorder().total() + world.leantime.recorder().total();
    let orchestrator = world.orchestrator.clone();
    let mut syncing = tokio::spawn(async move { orchestrator.sync_all(None).await });
    let (mut restarts, mut syncs, mut runs, mut refused) = (0, 1, Vec::new(), 0);
    while restarts < RESTARTS {
        let before = calls();
        while calls() < before + 6 && !syncing.is_finished() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        if syncing.is_finished() {
            if let Ok(all) = (&mut syncing).await.unwrap() {
                refused += all.refused.len();
                runs.extend(all.runs);
            }
            let orchestrator = world.orchestrator.clone();
            syncing = tokio::spawn(async move { orchestrator.sync_all(None).await });
            syncs += 1;
            continue;
        }
        tokio::task::block_in_place(|| server.crash_and_restart()).unwrap();
        restarts += 1;
    }
    if let Ok(all) = syncing.await.unwrap() {
        refused += all.refused.len();
        runs.extend(all.runs);
    }
    world.orchestrator.idle().await;
    for run in &runs {
        assert_told(run);
    }
    let completed = runs.iter().filter(|run| run.state == RunState::Completed).count();
    println!(
        "{RESTARTS} restarts during {syncs} syncs: {completed} of {} runs completed, {refused} refused",
        runs.len()
    );
    // A create of which nothing was written down is believed lost only after a while; that time is not waited for here,
    // unless something is open.
    for _ in 0..100 {
        let all = world.orchestrator.sync_all(None).await.unwrap();
        if all.quiet && all.runs.iter().all(|run| run.state == RunState::Completed) {
            break;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    world.settle().await;
    assert_same_everywhere(&world, TASKS).await;
    world.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_read_only_ends_runs_with_that_reason_and_they_go_on_later() {
    let database = Database::new().await;
    let store = open(&database.url()).await;
    let world = world_on(&store).await;
    let common = world.common_project("Common").await;
    world.openproject.create_work_package(common.op, "task");
    let mut raw = database.connect().await;
    let switch = |on: &str| {
        format!(
            "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = {on}', current_database()); \
             END $$; SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    };
    raw.execute(sqlx::AssertSqlSafe(switch("on"))).await.unwrap();
    let error = world
        .orchestrator
        .start(magnus_core::model::RunRequest::new(world.op))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("read-only"), "{error}");
    assert!(world.store.projects().await.is_ok(), "reading goes on");
    raw.execute("SET default_transaction_read_only = off").await.unwrap();
    raw.execute(sqlx::AssertSqlSafe(switch("off"))).await.unwrap();
    world.settle().await;
    assert_same_everywhere(&world, 1).await;
    world.shutdown().await;
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_gone_is_said_to_be_and_found_again() {
    let server = Server::start().unwrap();
    let database = Database::on(&server.url(), None).await;
    let options = PostgresOptions::new()
        .connections(2)
        .acquire_timeout(Duration::from_millis(300));
    let store = PostgresStore::open_with(database.url(), options).await.unwrap();
    let store: Arc<dyn TaskStore> = Arc::new(store);
    tokio::task::block_in_place(|| server.stop()).unwrap();
    let error = store.projects().await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
    tokio::task::block_in_place(|| server.begin()).unwrap();
    // A server that has just begun may take a moment to take connections.
    let mut tries = 0;
    while let Err(error) = store.projects().await {
        tries += 1;
        assert!(tries < 100, "{error}");
    }
}
