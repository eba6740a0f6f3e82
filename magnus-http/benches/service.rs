//! How fast the service answers while it works: starting a run while 20 others sync 1,000 tasks each, and the status over
//! a run log of 1,000,000 rows, the newest of which are runs of 1,000 items each. Real sockets, SQLite on disk, simulated
//! tools in this process.
#![expect(clippy::unwrap_used, reason = "what fails here fails the bench")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use magnus_core::engine::Engine;
use magnus_core::hub::Hub;
use magnus_core::model::{ConnectionId, ConnectionSettings, ToolName};
use magnus_core::orchestrator::Orchestrator;
use magnus_core::store::{RunStore as _, ServiceStore};
use magnus_http::{ServiceOptions, router};
use magnus_openproject::OpenProjectConnector;
use magnus_seal::{MasterKey, SealedSecretStore};
use magnus_sqlite::SqliteStore;
use magnus_testkit::sim::openproject::{OpenProjectOptions, OpenProjectSimulator};
use magnus_testkit::sim::{Served, serve_router};
use magnus_testkit::transport::HostsTransport;
use magnus_transport::{HttpOptions, HttpTransport, Transport, TransportError};
use secrecy::SecretString;
use tokio::runtime::{Builder, Handle, Runtime};

const CONNECTIONS: usize = 20;
const TASKS: usize = 1_000;
const LOG_ROWS: u32 = 1_000_000;

/// The tools, which live on machines of their own: what they do takes no turn of the service's.
#[derive(Debug)]
struct Elsewhere {
    hosts: HostsTransport,
    machines: Handle,
}

#[async_trait]
impl Transport for Elsewhere {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let hosts = self.hosts.clone();
        let sent = self.machines.spawn(async move { hosts.send(request).await });
        sent.await.unwrap()
    }
}

struct Bench {
    served: Served,
    transport: HttpTransport,
    machines: Handle,
    orchestrator: Orchestrator,
    store: SqliteStore,
    connections: Vec<ConnectionId>,
}

impl Bench {
    async fn new(directory: &Path, tasks: usize, machines: Handle, runs: Handle) -> Self {
        let store = SqliteStore::open(directory.join("hub.db").to_str().unwrap())
            .await
            .unwrap();
        let service: Arc<dyn ServiceStore> = Arc::new(store.clone());
        let key = MasterKey::from_bytes([7; 32]);
        let secrets = Arc::new(SealedSecretStore::new(Arc::clone(&service) as _, &key));
        let webhooks = Arc::new(SealedSecretStore::for_webhooks(Arc::clone(&service) as _, &key));
        let hosts = HostsTransport::default();
        let mut connections = Vec::new();
        let hub = Hub::new(Arc::clone(&service) as _);
        for number in 0..CONNECTIONS {
            let tool = OpenProjectSimulator::new(OpenProjectOptions::default());
            let project = tool.create_project("Garden", "garden");
            for task in 0..tasks {
                tool.create_work_package(project, &format!("Task {task}"));
            }
            let host = format!("tool-{number}.test");
            hosts.add(&host, tool.router());
            let settings = ConnectionSettings::new(
                ToolName::new("openproject"),
                format!("Tool {number}"),
                format!("http://{host}"),
                chrono::Utc::now(),
            );
            let key = SecretString::from(tool.api_key());
            connections.push(hub.add_connection(settings, key, secrets.as_ref()).await.unwrap().id);
        }
        let engine = Arc::new(
            Engine::new(Arc::clone(&service) as _, Arc::clone(&secrets) as _).with_connector(Arc::new(
                OpenProjectConnector::new(Arc::new(Elsewhere {
                    hosts,
                    machines: machines.clone(),
                })),
            )),
        );
        let orchestrator = {
            // As `magnus serve` does it.
            let _inside = runs.enter();
            Orchestrator::builder(Arc::clone(&service) as _, Arc::clone(&engine) as _)
                .concurrency(CONNECTIONS)
                .build()
        };
        let options = ServiceOptions::new(service, engine, secrets, webhooks);
        Self {
            served: serve_router(router(orchestrator.clone(), options)).await.unwrap(),
            machines,
            transport: HttpTransport::new(HttpOptions::default()).unwrap(),
            orchestrator,
            store,
            connections,
        }
    }

    /// Asks once; answers how long that took.
    async fn timed(&self, method: &str, path: &str, status: u16) -> Duration {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.served.url));
        let begun = Instant::now();
        let (request, transport) = (request.body(Bytes::new()).unwrap(), self.transport.clone());
        // Whoever asks is elsewhere, too.
        let asked = self
            .machines
            .spawn(async move { (transport.send(request).await.unwrap(), begun.elapsed()) });
        let (answer, elapsed) = asked.await.unwrap();
        assert_eq!(answer.status(), status, "{:?}", answer.body());
        elapsed
    }
}

fn tell(what: &str, mut times: Vec<Duration>, wanted: &str) {
    times.sort_unstable();
    let at = |part: usize| times[(times.len() * part / 100).min(times.len() - 1)];
    println!(
        "{what}: {} requests, median {:.1?}, p99 {:.1?}, longest {:.1?} (wanted: {wanted})",
        times.len(),
        at(50),
        at(99),
        times[times.len() - 1]
    );
}

async fn starts_while_syncs_run(machines: Handle, runs: Handle) {
    let directory = tempfile::tempdir().unwrap();
    let bench = Bench::new(directory.path(), TASKS, machines, runs).await;
    let begun = Instant::now();
    bench.timed("POST", "/sync/all", 202).await;
    let (mut starts, mut statuses) = (Vec::new(), Vec::new());
    'running: loop {
        for connection in &bench.connections {
            // As long as any of the first runs goes on; each start queues one behind it or joins that.
            if bench.store.unfinished_runs().await.unwrap().len() <= CONNECTIONS / 2 && starts.len() > CONNECTIONS {
                break 'running;
            }
            starts.push(
                bench
                    .timed("POST", &format!("/connections/{connection}/sync"), 202)
                    .await,
            );
            statuses.push(bench.timed("GET", "/sync/status", 200).await);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        if begun.elapsed() > Duration::from_secs(20) {
            break;
        }
    }
    tell(
        "POST /connections/{id}/sync while 20 syncs of 1,000 tasks run",
        starts,
        "median < 10 ms, p99 < 50 ms",
    );
    tell("GET /sync/status meanwhile", statuses, "-");
    bench.orchestrator.idle().await;
    println!("all of it took {:.1?}", begun.elapsed());
}

async fn status_over_a_long_log(machines: Handle, runs: Handle) {
    let directory = tempfile::tempdir().unwrap();
    // The first run of each connection lists its 1,000 tasks: what is newest in the log is as large as it gets.
    let bench = Bench::new(directory.path(), TASKS, machines, runs).await;
    let begun = Instant::now();
    bench.timed("POST", "/sync/all?wait=true", 200).await;
    println!("{CONNECTIONS} syncs of {TASKS} tasks in {:.1?}", begun.elapsed());
    let begun = Instant::now();
    let url = format!("sqlite://{}", bench.store.path().display());
    let pool = sqlx::SqlitePool::connect(&url).await.unwrap();
    let mut transaction = pool.begin().await.unwrap();
    // Each row is one that a run without items would leave there, with another id and an earlier time.
    sqlx::query(
        "WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < ?)
         INSERT INTO magnus_sync_log
         SELECT format('00000000-0000-7000-8000-%012x', n), connection.id, run.request, 'completed', 0, run.details, 0, 0, 0,
                NULL, strftime('%Y-%m-%dT%H:%M:%S.000000Z', '2020-01-01', n || ' seconds'), run.started_at,
                run.completed_at, run.brief
         FROM number
         JOIN (SELECT request, started_at, completed_at,
                      json_set(details, '$.items', json('[]'), '$.plan', NULL) AS details,
                      json_set(brief, '$.items', json('[]')) AS brief
               FROM magnus_sync_log LIMIT 1) AS run
         JOIN (SELECT id, row_number() OVER () AS place FROM magnus_pm_connections) AS connection
           ON connection.place = 1 + n % (SELECT count(*) FROM magnus_pm_connections)",
    )
    .bind(LOG_ROWS)
    .execute(&mut *transaction)
    .await
    .unwrap();
    // Events as old as these rows were forgotten long ago.
    sqlx::query("DELETE FROM magnus_run_events WHERE run_id LIKE '00000000-0000-7000-8000-%'")
        .execute(&mut *transaction)
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM magnus_sync_log")
        .fetch_one(&pool)
        .await
        .unwrap();
    pool.close().await;
    println!("run log of {rows} rows, made in {:.1?}", begun.elapsed());
    let paths = [
        ("GET /sync/status", "/sync/status".to_owned(), "median < 20 ms"),
        ("GET /connections", "/connections".to_owned(), "-"),
        ("GET /unified/dashboard", "/unified/dashboard".to_owned(), "-"),
        ("GET /sync/runs", "/sync/runs".to_owned(), "-"),
        (
            "GET /sync/runs of one connection",
            format!("/sync/runs?connection_id={}", bench.connections[3]),
            "-",
        ),
        (
            "GET /sync/runs in a rare state",
            "/sync/runs?status=halted".to_owned(),
            "-",
        ),
    ];
    for (what, path, wanted) in paths {
        let mut times = Vec::new();
        for _ in 0..200 {
            times.push(bench.timed("GET", &path, 200).await);
        }
        tell(what, times, wanted);
    }
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().enable_all().build().unwrap()
}

fn main() {
    let (service, tools, runs) = (runtime(), runtime(), runtime());
    service.block_on(starts_while_syncs_run(tools.handle().clone(), runs.handle().clone()));
    service.block_on(status_over_a_long_log(tools.handle().clone(), runs.handle().clone()));
}
