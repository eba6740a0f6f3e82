//! Several workers share the runs of many connections; one is killed and one is stopped past its leases and continued:
//! everything is synced, nothing is doubled, and no connection is ever run by two at a time, as the requests to the tools show.
//!
//! `MAGNUS_WORKERS_FULL` plays it with 200 connections and 20,000 tasks, and wants each run taken over within the lease and
//! five seconds. By hand, to measure: `MAGNUS_WORKERS` (3), `MAGNUS_WORKERS_CONNECTIONS` (24), `MAGNUS_WORKERS_TASKS` (50, per
//! connection), `MAGNUS_WORKERS_DELAY` (10: milliseconds until a tool answers), `MAGNUS_WORKERS_AT_ONCE` (4: connections that a
//! worker runs at once), and `MAGNUS_WORKERS_UNDISTURBED`, which lets all workers live.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::collections::{BTreeSet, HashMap};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::extract::Request;
use axum::middleware::Next;
use base64::Engine as _;
use http::Method;
use magnus_core::engine::{Engine, SyncEngine};
use magnus_core::model::{
    ConnectionId, ConnectionSettings, ExternalId, Mapping, Project, ProjectId, Run, RunState, Task, Timestamp, ToolName,
};
use magnus_core::orchestrator::Orchestrator;
use magnus_core::queue::RunQueue;
use magnus_core::secret::SecretStore;
use magnus_core::store::{
    Changeset, Fence, HubStore, MappingWrite, ProjectWrite, RunStore, SettingsStore, TaskStore, TaskWrite, Unit,
};
use magnus_openproject::OpenProjectConnector;
use magnus_postgres::{GraphileQueue, PostgresOptions, PostgresStore};
use magnus_seal::{MasterKey, SealedSecretStore};
use magnus_testkit::postgres::Database;
use magnus_testkit::sim::openproject::{OpenProjectOptions, OpenProjectSimulator};
use magnus_testkit::sim::{Served, serve_router};
use magnus_transport::{HttpOptions, HttpTransport};

const LEASE_SECONDS: u32 = 3;
const KEY: [u8; 32] = [9; 32];

fn from_environment(name: &str, otherwise: usize) -> usize {
    std::env::var(name).map_or(otherwise, |value| value.parse().expect("a number"))
}

/// A request as a tool saw it: when it came, which process sent it, and how.
#[derive(Debug, Clone)]
struct Seen {
    at: Timestamp,
    agent: String,
    method: Method,
}

impl Seen {
    fn is_write(&self) -> bool {
        self.method != Method::GET
    }

    fn is_within(&self, run: &Run) -> bool {
        run.started_at.is_some_and(|began| began <= self.at) && run.completed_at.is_none_or(|ended| self.at <= ended)
    }
}

/// What a process says of itself in its requests.
fn agent_of(worker: &Child) -> String {
    format!("(process {})", worker.id())
}

type Log = Arc<Mutex<Vec<Seen>>>;

/// A tool of its own for one connection.
struct Tool {
    simulator: OpenProjectSimulator,
    log: Log,
    connection: ConnectionId,
    hub: ProjectId,
    _served: Served,
}

struct Farm {
    database: Database,
    store: PostgresStore,
    tools: Vec<Tool>,
    tasks: usize,
    orchestrator: Orchestrator,
}

impl Farm {
    async fn new(connections: usize, tasks: usize, delay: Duration) -> Self {
        let database = Database::new().await;
        let options = PostgresOptions::new().connections(20);
        let store = PostgresStore::open_with(database.url(), options).await.unwrap();
        let key = MasterKey::from_bytes(KEY);
        let secrets: Arc<dyn SecretStore> = Arc::new(SealedSecretStore::new(Arc::new(store.clone()), &key));
        let mut tools = Vec::new();
        for number in 0..connections {
            tools.push(tool(number, tasks, delay, &store, secrets.as_ref()).await);
        }
        let transport = Arc::new(HttpTransport::new(HttpOptions::default()).unwrap());
        let engine = Engine::new(Arc::new(store.clone()), secrets)
            .with_connector(Arc::new(OpenProjectConnector::new(transport)));
        let engine: Arc<dyn SyncEngine> = Arc::new(engine);
        let queue: Arc<dyn RunQueue> = Arc::new(GraphileQueue::open(&store, 1).await.unwrap());
        let orchestrator = Orchestrator::builder(Arc::new(store.clone()), engine)
            .queue(queue)
            .build();
        Self {
            database,
            store,
            tools,
            tasks,
            orchestrator,
        }
    }

    fn worker(&self, at_once: usize) -> Child {
        Command::new(env!("CARGO_BIN_EXE_magnus"))
            .args(["worker", "--concurrency", &at_once.to_string(), "--per-host", "4"])
            .env("MAGNUS_DATABASE", self.database.url())
            .env(
                "MAGNUS_MASTER_KEY",
                base64::engine::general_purpose::STANDARD.encode(KEY),
            )
            .env("MAGNUS_LEASE_SECONDS", LEASE_SECONDS.to_string())
            .env_remove("MAGNUS_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// Requests that change something.
    fn writes(&self) -> usize {
        let of = |tool: &Tool| tool.log.lock().unwrap().iter().filter(|seen| seen.is_write()).count();
        self.tools.iter().map(of).sum()
    }

    async fn until_writes(&self, count: usize) {
        self.until("the tools are written to", || async { self.writes() >= count })
            .await;
    }

    /// Waits until a worker made so many more requests.
    async fn until_busy(&self, worker: &Child, more: usize) {
        let agent = agent_of(worker);
        let of = |tool: &Tool| {
            let log = tool.log.lock().unwrap();
            log.iter().filter(|seen| seen.agent.contains(&agent)).count()
        };
        let made = || self.tools.iter().map(of).sum::<usize>();
        let enough = made() + more;
        self.until("the worker works", || async { made() >= enough }).await;
    }

    /// Waits until others took over everything that a process had begun.
    async fn until_taken_over(&self, agent: &str) {
        let taken_over = || async {
            let runs = self.store.recent_runs(100_000).await.unwrap();
            let lost = self.interrupted(&runs, agent);
            let resumed = |lost: &&Run| {
                runs.iter()
                    .any(|run| run.connection_id == lost.connection_id && run.started_at > lost.started_at)
            };
            let goes_on = runs
                .iter()
                .any(|run| run.state == RunState::Started && self.is_of(run, agent));
            !lost.is_empty() && lost.iter().all(resumed) && !goes_on
        };
        self.until("somebody takes over", taken_over).await;
    }

    async fn until<F: Future<Output = bool>>(&self, what: &str, is_so: impl Fn() -> F) {
        let began = Instant::now();
        while !is_so().await {
            assert!(began.elapsed() < Duration::from_secs(300), "it never comes that {what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Whether requests within a run came from this process.
    fn is_of(&self, run: &Run, agent: &str) -> bool {
        let tool = self.tools.iter().find(|tool| tool.connection == run.connection_id);
        let log = tool.unwrap().log.lock().unwrap();
        log.iter().any(|seen| seen.agent.contains(agent) && seen.is_within(run))
    }

    /// The runs that this process had to leave.
    fn interrupted<'a>(&self, runs: &'a [Run], agent: &str) -> Vec<&'a Run> {
        runs.iter()
            .filter(|run| run.state == RunState::Interrupted && self.is_of(run, agent))
            .collect()
    }

    /// Waits until nothing is queued or running and every connection's newest run completed.
    async fn until_all_is_done(&self) -> Vec<Run> {
        let began = Instant::now();
        let all = self.tools.len() * self.tasks;
        loop {
            let unfinished = self.store.unfinished_runs().await.unwrap();
            let runs = self.store.recent_runs(100_000).await.unwrap();
            let mut newest: HashMap<ConnectionId, &Run> = HashMap::new();
            for run in &runs {
                newest.entry(run.connection_id).or_insert(run);
            }
            let done = newest.values().filter(|run| run.state == RunState::Completed).count();
            if unfinished.is_empty() && done == self.tools.len() {
                return runs;
            }
            assert!(
                began.elapsed() < Duration::from_secs(300) + Duration::from_millis(100) * u32::try_from(all).unwrap(),
                "{done} of {} are done; {unfinished:#?}",
                self.tools.len()
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Every task is once in the tool and once in the hub.
    async fn assert_nothing_is_doubled(&self) {
        for tool in &self.tools {
            let subjects: Vec<String> = tool
                .simulator
                .work_packages()
                .into_iter()
                .map(|row| row.subject)
                .collect();
            let hub = self.store.tasks_of_project(tool.hub).await.unwrap();
            let titles: Vec<String> = hub.into_iter().map(|task| task.title).collect();
            for there in [subjects, titles] {
                assert_eq!(there.len(), self.tasks, "{there:?}");
                assert_eq!(there.iter().collect::<BTreeSet<_>>().len(), self.tasks, "{there:?}");
            }
        }
    }

    /// Runs of a connection do not overlap, and all requests within one run came from one process; but for what was on its way
    /// in the one that was stopped: it reads to the end what it was reading, and one write may have passed all checks and leave
    /// when it goes on. The journal and the versions of items are there for that one.
    fn assert_never_twice_at_a_time(&self, runs: &[Run], stopped: Option<&str>) -> usize {
        let mut requests = 0;
        let is_late = |seen: &Seen| stopped.is_some_and(|stopped| seen.agent.contains(stopped));
        for tool in &self.tools {
            let mut mine: Vec<&Run> = runs
                .iter()
                .filter(|run| run.connection_id == tool.connection && run.started_at.is_some())
                .collect();
            mine.sort_by_key(|run| run.started_at);
            for pair in mine.windows(2) {
                assert!(pair[0].completed_at <= pair[1].started_at, "runs overlap: {pair:#?}");
            }
            let log = tool.log.lock().unwrap().clone();
            requests += log.len();
            for run in &mine {
                let within: Vec<&Seen> = log.iter().filter(|seen| seen.is_within(run)).collect();
                let late_writes = within.iter().filter(|seen| seen.is_write() && is_late(seen)).count();
                let counts = within.iter().filter(|seen| late_writes > 1 || !is_late(seen));
                let agents: BTreeSet<&str> = counts.map(|seen| seen.agent.as_str()).collect();
                assert!(
                    agents.len() <= 1,
                    "two processes ran {} at a time ({stopped:?} was stopped): {within:#?}",
                    run.id
                );
            }
            let stray = log
                .iter()
                .filter(|seen| seen.is_write() && !mine.iter().any(|run| seen.is_within(run)));
            let (late, stray): (Vec<&Seen>, Vec<&Seen>) = stray.partition(|seen| is_late(seen));
            assert!(
                stray.is_empty() && late.len() <= 1,
                "writes belong to no run: {stray:?} {late:?}"
            );
        }
        requests
    }
}

async fn tool(number: usize, tasks: usize, delay: Duration, store: &PostgresStore, secrets: &dyn SecretStore) -> Tool {
    let simulator = OpenProjectSimulator::new(OpenProjectOptions::default());
    let project = simulator.create_project("Field", "field");
    let log = Log::default();
    let written = Arc::clone(&log);
    let watched = simulator
        .router()
        .layer(axum::middleware::from_fn(move |request: Request, next: Next| {
            let written = Arc::clone(&written);
            async move {
                let agent = request
                    .headers()
                    .get("user-agent")
                    .and_then(|agent| agent.to_str().ok());
                written.lock().unwrap().push(Seen {
                    at: chrono::Utc::now(),
                    agent: agent.unwrap_or_default().to_owned(),
                    method: request.method().clone(),
                });
                tokio::time::sleep(delay).await;
                next.run(request).await
            }
        }));
    let served = serve_router(watched).await.unwrap();
    let now = chrono::SubsecRound::trunc_subsecs(chrono::Utc::now(), 6);
    let settings = ConnectionSettings::new(
        ToolName::new("openproject"),
        format!("Field {number}"),
        &served.url,
        now,
    );
    let connection = store.save_connection(settings).await.unwrap().id;
    secrets.put(connection, simulator.api_key().into()).await.unwrap();
    // Half of the tasks are in the tool, half in the hub.
    let hub = Project::new(format!("Field {number}"), now);
    let mapping = Mapping::new(connection, ExternalId::from(project), "Field", hub.id);
    let units = (0..tasks / 2).map(|task| Unit {
        tasks: vec![TaskWrite::Insert {
            task: Box::new(Task::new(hub.id, format!("hub {task}"), now)),
            guard: None,
        }],
        ..Unit::default()
    });
    let changeset = Changeset {
        projects: vec![ProjectWrite {
            project: hub.clone(),
            expected: None,
        }],
        mappings: vec![MappingWrite {
            mapping,
            expected: None,
        }],
        units: units.collect(),
        ..Changeset::new()
    };
    store.commit(Fence::Hub, changeset).await.unwrap();
    for task in tasks / 2..tasks {
        simulator.create_work_package(project, &format!("tool {task}"));
    }
    Tool {
        simulator,
        log,
        connection,
        hub: hub.id,
        _served: served,
    }
}

/// A worker that goes with the test, whatever comes of that.
struct Worker(Child);

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended long ago.
        let _killed = self.0.kill();
        let _waited = self.0.wait();
    }
}

fn signal(child: &Child, signal: &str) {
    let sent = Command::new("kill").args([signal, &child.id().to_string()]).status();
    assert!(sent.unwrap().success());
}

/// How long after a moment the runs that were cut short by it were taken up again, at most.
fn taken_over_within(runs: &[Run], since: Timestamp, lost: &[&Run]) -> chrono::TimeDelta {
    let taken_over = lost.iter().map(|run| {
        let next = runs
            .iter()
            .filter(|next| next.connection_id == run.connection_id && next.started_at > run.started_at);
        let next = next.filter_map(|next| next.started_at).min();
        next.unwrap_or_else(|| panic!("nobody took {} over", run.id)) - since
    });
    taken_over.max().expect("something was lost")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn three_workers_of_which_one_is_killed_and_one_is_stopped_sync_everything_once() {
    let full = std::env::var_os("MAGNUS_WORKERS_FULL").is_some();
    let connections = from_environment("MAGNUS_WORKERS_CONNECTIONS", if full { 200 } else { 24 });
    let tasks = from_environment("MAGNUS_WORKERS_TASKS", if full { 100 } else { 50 });
    let delay = Duration::from_millis(u64::try_from(from_environment("MAGNUS_WORKERS_DELAY", 10)).unwrap());
    let at_once = from_environment("MAGNUS_WORKERS_AT_ONCE", 4);
    let count = from_environment("MAGNUS_WORKERS", 3);
    let disturbed = std::env::var_os("MAGNUS_WORKERS_UNDISTURBED").is_none();
    let farm = Farm::new(connections, tasks, delay).await;

    let mut workers: Vec<Worker> = (0..count).map(|_| Worker(farm.worker(at_once))).collect();
    let began = Instant::now();
    let started = farm.orchestrator.start_all(None).await.unwrap();
    assert!(started.iter().all(|(_, answer)| answer.is_ok()), "{started:?}");
    let mut disturbances = Vec::new();
    if disturbed {
        farm.until_busy(&workers[0].0, connections).await;
        workers[0].0.kill().unwrap();
        workers[0].0.wait().unwrap();
        disturbances.push(("killed", chrono::Utc::now(), agent_of(&workers[0].0)));
        farm.until_busy(&workers[1].0, connections).await;
        signal(&workers[1].0, "-STOP");
        let stopped = agent_of(&workers[1].0);
        disturbances.push(("stopped", chrono::Utc::now(), stopped.clone()));
        // Others go on with what it had begun; then it goes on where it stopped.
        farm.until_taken_over(&stopped).await;
        signal(&workers[1].0, "-CONT");
    }
    let runs = farm.until_all_is_done().await;
    let took = began.elapsed();
    for worker in workers.iter_mut().skip(usize::from(disturbed)) {
        signal(&worker.0, "-TERM");
        let ended = tokio::task::block_in_place(|| worker.0.wait()).unwrap();
        assert!(ended.success(), "a worker that is asked to stop ends well: {ended}");
    }
    farm.assert_nothing_is_doubled().await;
    let stopped = disturbances.iter().find(|(what, ..)| *what == "stopped");
    let requests = farm.assert_never_twice_at_a_time(&runs, stopped.map(|(_, _, agent)| agent.as_str()));
    println!(
        "{count} workers, {connections} connections, {} tasks, {delay:?} an answer: {took:.1?}, {requests} requests, {} runs",
        connections * tasks,
        runs.len(),
    );
    for (what, since, agent) in disturbances {
        let lost = farm.interrupted(&runs, &agent);
        let longest = taken_over_within(&runs, since, &lost);
        println!(
            "{what}: {} runs were taken over, the last after {} ms (lease {LEASE_SECONDS} s)",
            lost.len(),
            longest.num_milliseconds()
        );
        let allowed = chrono::TimeDelta::seconds(i64::from(LEASE_SECONDS) + 5);
        assert!(!full || longest < allowed, "{what}: taken over after {longest}");
    }
    farm.orchestrator.shutdown(Duration::from_secs(10)).await;
    farm.store.close().await;
    farm.database.remove().await;
}

/// A process that stood still for longer than its lease writes nothing any more, neither to the tool nor to the hub.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_worker_that_was_stopped_past_its_lease_writes_nothing_when_it_goes_on() {
    let farm = Farm::new(1, 60, Duration::from_millis(40)).await;
    let stopped = Worker(farm.worker(1));
    farm.orchestrator.start_all(None).await.unwrap();
    farm.until_writes(5).await;
    signal(&stopped.0, "-STOP");
    let other = Worker(farm.worker(1));
    farm.until_taken_over(&agent_of(&stopped.0)).await;
    // It goes on while the other one is in the middle of its run.
    let written = farm.writes();
    farm.until_writes(written + 1).await;
    signal(&stopped.0, "-CONT");
    let runs = farm.until_all_is_done().await;

    let log = farm.tools[0].log.lock().unwrap().clone();
    let (before, after) = (agent_of(&stopped.0), agent_of(&other.0));
    let taken_over = log.iter().position(|seen| seen.agent.contains(&after)).unwrap();
    let (first, second) = log.split_at(taken_over);
    assert!(first.iter().any(|seen| seen.is_write() && seen.agent.contains(&before)));
    // Later it may take up a run as every worker does; into one of the other's it must not write.
    let of_other = |run: &&Run| {
        let mut within = second.iter().filter(|seen| seen.is_within(run));
        within.any(|seen| seen.agent.contains(&after))
    };
    let of_other: Vec<&Run> = runs.iter().filter(of_other).collect();
    assert!(!of_other.is_empty());
    let late: Vec<&Seen> = second
        .iter()
        .filter(|seen| seen.is_write() && seen.agent.contains(&before))
        .filter(|seen| of_other.iter().any(|run| seen.is_within(run)))
        .collect();
    assert!(late.is_empty(), "it wrote after its lease: {late:?}");
    farm.assert_never_twice_at_a_time(&runs, Some(before.as_str()));
    farm.assert_nothing_is_doubled().await;
    let interrupted = farm.interrupted(&runs, &before);
    assert_eq!(interrupted.len(), 1);
    assert_eq!(runs[0].state, RunState::Completed);
    for mut worker in [stopped, other] {
        signal(&worker.0, "-TERM");
        let ended = tokio::task::block_in_place(|| worker.0.wait()).unwrap();
        assert!(ended.success(), "it lives on and ends well: {ended}");
    }
    farm.orchestrator.shutdown(Duration::from_secs(10)).await;
    farm.store.close().await;
    farm.database.remove().await;
}
