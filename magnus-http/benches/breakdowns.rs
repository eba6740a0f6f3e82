//! Whether breakdowns get in the way of syncs: two syncs alone, and two while 200 tasks are broken down. Real sockets, SQLite
//! on disk, simulated tools and a fake model in this process.
#![expect(clippy::unwrap_used, reason = "what fails here fails the bench")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use magnus_core::engine::Engine;
use magnus_core::hub::{Hub, NewTask};
use magnus_core::model::{BreakdownState, ConnectionId, ConnectionSettings, RunState, TaskId, ToolName};
use magnus_core::orchestrator::{BreakdownOptions, Orchestrator};
use magnus_core::secret::EnvSecretStore;
use magnus_llm::{LanguageModel, ModelSettings, Provider};
use magnus_openproject::OpenProjectConnector;
use magnus_seal::{MasterKey, SealedSecretStore};
use magnus_sqlite::SqliteStore;
use magnus_testkit::model::{FakeModel, Reply};
use magnus_testkit::sim::openproject::{OpenProjectOptions, OpenProjectSimulator};
use magnus_testkit::transport::HostsTransport;
use secrecy::SecretString;

const TASKS: usize = 1_000;
const BREAKDOWNS: usize = 200;
const AT_ONCE: usize = 2;
const ROUNDS: usize = 5;
/// A model of its own takes longer, and waits elsewhere.
const PIECE: Duration = Duration::from_millis(2);

struct Bench {
    orchestrator: Orchestrator,
    fake: FakeModel,
    tools: Vec<(OpenProjectSimulator, Vec<u64>)>,
    connections: Vec<ConnectionId>,
    tasks: Vec<TaskId>,
}

impl Bench {
    async fn new(directory: &Path, model_url: &str, fake: FakeModel) -> Self {
        let path = directory.join("hub.db");
        let store = Arc::new(SqliteStore::open(path.to_str().unwrap()).await.unwrap());
        let key = MasterKey::from_bytes([7; 32]);
        let secrets = Arc::new(SealedSecretStore::new(Arc::clone(&store) as _, &key));
        let hub = Hub::new(Arc::clone(&store) as _);
        let hosts = HostsTransport::default();
        let (mut tools, mut connections) = (Vec::new(), Vec::new());
        for number in 0..2 {
            let tool = OpenProjectSimulator::new(OpenProjectOptions::default());
            let project = tool.create_project("Garden", "garden");
            let items = (0..TASKS).map(|task| tool.create_work_package(project, &format!("Task {task}")));
            let items: Vec<u64> = items.collect();
            let host = format!("tool-{number}.test");
            hosts.add(&host, tool.router());
            let (name, url) = (format!("Tool {number}"), format!("http://{host}"));
            let settings = ConnectionSettings::new(ToolName::new("openproject"), name, url, chrono::Utc::now());
            let key = SecretString::from(tool.api_key());
            connections.push(hub.add_connection(settings, key, secrets.as_ref()).await.unwrap().id);
            tools.push((tool, items));
        }
        let connector = OpenProjectConnector::new(Arc::new(hosts));
        let engine = Engine::new(Arc::clone(&store) as _, secrets).with_connector(Arc::new(connector));
        let settings = ModelSettings::new(Provider::Compatible, "fake").base_url(model_url);
        let model = LanguageModel::new(settings, Arc::new(EnvSecretStore::new()), ConnectionId::generate()).unwrap();
        let project = hub.add_project("Dreams").await.unwrap();
        let mut tasks = Vec::new();
        for number in 0..BREAKDOWNS {
            let task = hub
                .add_task(NewTask::new(project.id, format!("Dream {number}")))
                .await
                .unwrap();
            tasks.push(task.id);
        }
        let orchestrator = Orchestrator::builder(Arc::clone(&store) as _, Arc::new(engine))
            // A busy machine must not cost a run its lease: that is not what is measured.
            .lease_ttl(Duration::from_secs(600))
            .breakdowns(store, Arc::new(model), BreakdownOptions::new().concurrency(AT_ONCE))
            .build();
        Self {
            orchestrator,
            fake,
            tools,
            connections,
            tasks,
        }
    }

    /// Half of the tasks of both tools have changed, the same number each time; how long it takes until the hub knows.
    async fn sync(&self, round: usize) -> Duration {
        for (tool, items) in &self.tools {
            for item in &items[..TASKS / 2] {
                tool.edit_work_package(*item, |item| item.subject = format!("Round {round}, task {}", item.id));
            }
        }
        let begun = Instant::now();
        for (_, handle) in self.orchestrator.start_all(None).await.unwrap() {
            assert_eq!(handle.unwrap().wait().await.unwrap().state, RunState::Completed);
        }
        begun.elapsed()
    }

    /// The same, while all tasks are broken down.
    async fn sync_beside(&self, round: usize) -> Duration {
        for _ in 0..BREAKDOWNS {
            self.fake.then(Reply::Slow(PIECE));
        }
        let starts = self.tasks.iter().map(|task| self.orchestrator.start_breakdown(*task));
        let handles = futures::future::try_join_all(starts).await.unwrap();
        let took = self.sync(round).await;
        for handle in handles {
            assert_eq!(handle.wait().await.unwrap().state, BreakdownState::Completed);
        }
        took
    }
}

#[tokio::main]
async fn main() {
    let directory = tempfile::tempdir().unwrap();
    let fake = FakeModel::new();
    let served = fake.serve().await.unwrap();
    let bench = Bench::new(directory.path(), &format!("{}/v1", served.url), fake).await;
    assert_eq!(bench.connections.len(), 2);
    bench.sync(0).await;
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        alone.push(bench.sync(2 * round + 1).await);
        beside.push(bench.sync_beside(2 * round + 2).await);
        println!(
            "round {round}: alone {:.2?}, beside breakdowns {:.2?}",
            alone[round], beside[round]
        );
    }
    alone.sort_unstable();
    beside.sort_unstable();
    let ratio = beside[ROUNDS / 2].as_secs_f64() / alone[ROUNDS / 2].as_secs_f64();
    println!(
        "{BREAKDOWNS} breakdowns beside two syncs: {ratio:.3} times as long as alone (wanted: < 1.1), {} models at once \
         (allowed: {AT_ONCE})",
        bench.fake.most_at_once()
    );
    assert!(bench.fake.most_at_once() <= AT_ONCE);
    bench.orchestrator.shutdown(Duration::from_secs(5)).await;
}
