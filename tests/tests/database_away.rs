//! The database goes away while everything is synced: the sync ends by itself, what did not complete says why, nothing is
//! doubled or lost, and it goes on when the database is back.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use magnus_core::engine::{RunError, RunErrorKind};
use magnus_core::model::{Run, RunRequest, RunState};
use magnus_core::orchestrator::SyncAll;
use magnus_core::store::{StoreErrorKind, TaskStore};
use magnus_http::{ServiceOptions, router};
use magnus_postgres::{PostgresOptions, PostgresStore};
use magnus_testkit::postgres::{Database, Server};
use magnus_testkit::sim::{CallMatcher, Fault, FaultRule};
use sqlx::Executor;
use support::{Keys, Setup, World};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

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
    come_to_rest(&world).await;
    assert_same_everywhere(&world, TASKS).await;
    world.shutdown().await;
}

/// A run that pushes tasks of the hub, in the middle of it.
struct UnderWay {
    database: Database,
    raw: sqlx::PgConnection,
    world: World,
    run: tokio::task::JoinHandle<Result<Run, RunError>>,
}

/// How many tasks there are to push, and how many to pull.
const EACH: usize = 40;

impl UnderWay {
    async fn new() -> Self {
        let database = Database::new().await;
        let store = open(&database.url()).await;
        let world = world_on(&store).await;
        let common = world.common_project("Common").await;
        for number in 0..EACH {
            world.add(common.hub, &format!("from the hub {number}")).await;
            world
                .openproject
                .create_work_package(common.op, &format!("from OpenProject {number}"));
        }
        let before = world.openproject.writes();
        // Each call takes a moment, so that there is a middle.
        let delay = FaultRule::new(CallMatcher::any(), Fault::Delay(Duration::from_millis(20)));
        world.openproject.faults().inject(delay.always());
        let handle = world.orchestrator.start(RunRequest::new(world.op)).await.unwrap();
        let run = tokio::spawn(async move { handle.wait().await });
        while world.openproject.writes() < before + 5 {
            assert!(!run.is_finished(), "it ended before anything was away");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let raw = database.connect().await;
        Self {
            database,
            raw,
            world,
            run,
        }
    }

    /// All is well again: everything is everywhere, once.
    async fn comes_to_rest(self) {
        self.world.openproject.faults().clear();
        come_to_rest(&self.world).await;
        assert_same_everywhere(&self.world, 2 * EACH).await;
        self.world.shutdown().await;
        self.database.remove().await;
    }
}

/// A create of which nothing was written down is believed lost only after a while; that time is waited for only if
/// something is open.
async fn come_to_rest(world: &World) {
    for _ in 0..150 {
        let all = world.orchestrator.sync_all(None).await;
        let rests = |all: SyncAll| all.quiet && all.runs.iter().all(|run| run.state == RunState::Completed);
        if all.is_ok_and(rests) {
            break;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    world.settle().await;
}

/// The end of a run of which the hub knows by now.
async fn logged(world: &World, state: RunState) -> Run {
    let runs = world.store.recent_runs(100).await.unwrap();
    let found = runs.iter().find(|run| run.state == state);
    found.unwrap_or_else(|| panic!("no run is {state}: {runs:#?}")).clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_turns_read_only_under_a_run_is_named_as_the_reason_and_nothing_is_doubled() {
    let mut under_way = UnderWay::new().await;
    let switch = |on: &str| {
        format!(
            "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = {on}', current_database()); \
             END $$; SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    };
    let world = &under_way.world;
    under_way.raw.execute(sqlx::AssertSqlSafe(switch("on"))).await.unwrap();
    // Not even its end can be written down: whoever waits is told why.
    let error = (&mut under_way.run).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), RunErrorKind::Store);
    assert!(error.to_string().contains("read-only"), "{error}");
    let refused = world.orchestrator.start(RunRequest::new(world.lt)).await.unwrap_err();
    assert!(refused.to_string().contains("read-only"), "{refused}");
    assert!(world.store.projects().await.is_ok(), "reading goes on");
    world.orchestrator.idle().await;

    under_way
        .raw
        .execute("SET default_transaction_read_only = off")
        .await
        .unwrap();
    under_way.raw.execute(sqlx::AssertSqlSafe(switch("off"))).await.unwrap();
    come_to_rest(world).await;
    let interrupted = logged(world, RunState::Interrupted).await;
    assert!(interrupted.error_message.is_some(), "{interrupted:#?}");
    assert_eq!(world.orchestrator.status(20).await.unwrap().in_progress.len(), 0);
    under_way.comes_to_rest().await;
}

/// The server cannot be given a small disk here without being root, so it answers as it does on a full one: whatever needs
/// room is refused with its code for that, and what is written in place goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_of_the_server_that_is_full_under_a_run_is_named_as_the_reason_and_nothing_is_doubled() {
    const GROWING: [&str; 4] = [
        "magnus_tasks",
        "magnus_task_mappings",
        "magnus_intents",
        "magnus_changesets",
    ];
    let mut under_way = UnderWay::new().await;
    under_way
        .raw
        .execute(
            "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full';
             END $$",
        )
        .await
        .unwrap();
    for table in GROWING {
        let trigger = format!(
            "CREATE TRIGGER full_disk BEFORE INSERT ON {table} FOR EACH STATEMENT EXECUTE FUNCTION full_disk()"
        );
        under_way.raw.execute(sqlx::AssertSqlSafe(trigger)).await.unwrap();
    }
    let run = (&mut under_way.run).await.unwrap().unwrap();
    assert_eq!(run.state, RunState::Failed, "{run:#?}");
    assert_told(&run);
    let message = run.error_message.clone().unwrap_or_default();
    assert!(message.contains("the disk of the database server is full"), "{message}");
    assert_eq!(logged(&under_way.world, RunState::Failed).await.id, run.id);
    // It fails for that reason as long as that is so, and does nothing to the tool meanwhile.
    let written = under_way.world.openproject.writes();
    let again = under_way.world.sync(under_way.world.op).await;
    assert_eq!(again.state, RunState::Failed);
    assert_eq!(under_way.world.openproject.writes(), written);

    for table in GROWING {
        let trigger = format!("DROP TRIGGER full_disk ON {table}");
        under_way.raw.execute(sqlx::AssertSqlSafe(trigger)).await.unwrap();
    }
    under_way.comes_to_rest().await;
}

/// Asks a service as a program does, and answers the status.
async fn ask(address: SocketAddr, method: &str, path: &str) -> u16 {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request =
        format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let status = answer.split_whitespace().nth(1).and_then(|status| status.parse().ok());
    status.unwrap_or_else(|| panic!("{method} {path}: {answer}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_whose_server_goes_away_answers_503_and_serves_again_when_it_is_back() {
    let server = Server::start().unwrap();
    let database = Database::on(&server.url(), None).await;
    let options = PostgresOptions::new()
        .connections(6)
        .acquire_timeout(Duration::from_secs(2));
    let store = PostgresStore::open_with(database.url(), options).await.unwrap();
    let world = world_on(&store).await;
    let common = world.common_project("Common").await;
    world.openproject.create_work_package(common.op, "task");
    let webhooks = Arc::new(Keys::default());
    let options = ServiceOptions::new(
        Arc::new(store),
        Arc::clone(&world.engine) as _,
        Arc::clone(&world.keys) as _,
        webhooks,
    );
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = router(world.orchestrator.clone(), options).into_make_service_with_connect_info::<SocketAddr>();
    let served = tokio::spawn(async move { axum::serve(listener, service).await });

    assert_eq!(ask(address, "GET", "/ready").await, 200);
    tokio::task::block_in_place(|| server.stop()).unwrap();
    for (method, path) in [
        ("GET", "/ready"),
        ("GET", "/connections"),
        ("GET", "/sync/status"),
        ("POST", "/sync/all"),
    ] {
        assert_eq!(ask(address, method, path).await, 503, "{method} {path}");
    }
    assert_eq!(ask(address, "GET", "/health").await, 200);

    tokio::task::block_in_place(|| server.begin()).unwrap();
    // A server that has just begun may take a moment to take connections.
    let mut tries = 0;
    while ask(address, "GET", "/ready").await != 200 {
        tries += 1;
        assert!(tries < 100, "it stays away");
    }
    assert_eq!(ask(address, "GET", "/connections").await, 200);
    assert_eq!(ask(address, "POST", "/sync/all?wait=true").await, 200);
    world.settle().await;
    assert_same_everywhere(&world, 1).await;
    world.shutdown().await;
    served.abort();
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
