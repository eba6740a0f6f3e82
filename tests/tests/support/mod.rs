//! Both simulators, the real adapters, the engine and a hub, wired in one process.
#![allow(dead_code, reason = "each test file is a crate of its own and uses what it needs")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use magnus_core::clock::Clock;
use magnus_core::connection::Connector;
use magnus_core::engine::{Engine, SyncEngine};
use magnus_core::layer::Layers;
use magnus_core::memory::MemoryStore;
use magnus_core::model::{
    Conflict, ConnectionId, ConnectionSettings, ExternalId, Field, Link, LinkState, Mapping, Project, ProjectId, Run,
    RunRequest, RunState, Task, TaskId, TaskPatch, ToolName, Value,
};
use magnus_core::orchestrator::Orchestrator;
use magnus_core::secret::{SecretError, SecretStore};
use magnus_core::store::{Changeset, ConflictQuery, Fence, MappingWrite, ProjectWrite, TaskStore, TaskWrite, Unit};
use magnus_leantime::LeantimeConnector;
use magnus_openproject::OpenProjectConnector;
use magnus_testkit::sim::leantime::{LeantimeOptions, LeantimeSimulator};
use magnus_testkit::sim::openproject::{OpenProjectOptions, OpenProjectSimulator};
use magnus_testkit::transport::RouterTransport;
use secrecy::SecretString;

/// Keys by connection.
#[derive(Debug, Default)]
pub(crate) struct Keys(std::sync::Mutex<BTreeMap<ConnectionId, String>>);

#[async_trait]
impl SecretStore for Keys {
    async fn get(&self, id: ConnectionId) -> Result<Option<SecretString>, SecretError> {
        Ok(self.0.lock().unwrap().get(&id).cloned().map(SecretString::from))
    }

    async fn put(&self, id: ConnectionId, secret: SecretString) -> Result<(), SecretError> {
        use secrecy::ExposeSecret;
        self.0.lock().unwrap().insert(id, secret.expose_secret().to_owned());
        Ok(())
    }

    async fn delete(&self, id: ConnectionId) -> Result<(), SecretError> {
        self.0.lock().unwrap().remove(&id);
        Ok(())
    }
}

/// Both simulators, the real adapters, the engine and a hub.
pub(crate) struct World {
    pub(crate) openproject: OpenProjectSimulator,
    pub(crate) leantime: LeantimeSimulator,
    pub(crate) store: Arc<dyn TaskStore>,
    pub(crate) keys: Arc<Keys>,
    pub(crate) orchestrator: Orchestrator,
    pub(crate) engine: Arc<Engine>,
    pub(crate) op: ConnectionId,
    pub(crate) lt: ConnectionId,
}

/// What differs from world to world.
pub(crate) struct Setup {
    pub(crate) openproject: OpenProjectOptions,
    pub(crate) leantime: LeantimeOptions,
    pub(crate) store: Option<Arc<dyn TaskStore>>,
    pub(crate) settings: fn(&mut ConnectionSettings),
    pub(crate) layers: Option<Layers>,
    pub(crate) clock: Option<Arc<dyn Clock>>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            openproject: OpenProjectOptions::default(),
            leantime: LeantimeOptions::default(),
            store: None,
            settings: |_| {},
            layers: None,
            clock: None,
        }
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(Setup::default()).await
    }

    pub(crate) async fn with(setup: Setup) -> Self {
        let openproject = OpenProjectSimulator::new(setup.openproject);
        let leantime = LeantimeSimulator::new(setup.leantime);
        let store = setup.store.unwrap_or_else(|| Arc::new(MemoryStore::new()));
        let keys = Arc::new(Keys::default());
        let op_connector: Arc<dyn Connector> = Arc::new(OpenProjectConnector::new(Arc::new(RouterTransport::new(
            openproject.router(),
        ))));
        let lt_connector: Arc<dyn Connector> = Arc::new(LeantimeConnector::new(Arc::new(RouterTransport::new(
            leantime.router(),
        ))));
        let mut engine = Engine::new(Arc::clone(&store), Arc::clone(&keys) as Arc<dyn SecretStore>)
            .with_connector(op_connector)
            .with_connector(lt_connector);
        if let Some(layers) = setup.layers {
            engine = engine.with_layers(move |settings, connection| layers.wrap(&settings.name, connection));
        }
        if let Some(clock) = setup.clock {
            engine = engine.with_clock(clock);
        }
        let engine = Arc::new(engine);
        let orchestrator =
            Orchestrator::builder(Arc::clone(&store), Arc::clone(&engine) as Arc<dyn SyncEngine>).build();
        let now = magnus_core::clock::SystemClock.now();
        let mut ids = Vec::new();
        for (tool, key) in [
            ("openproject", openproject.api_key()),
            ("leantime", leantime.api_key().to_owned()),
        ] {
            let url = format!("https://{tool}.test");
            let mut settings = ConnectionSettings::new(ToolName::new(tool), format!("the {tool}"), url, now);
            if tool == "leantime" {
                // Raised in this instance: a test has no minute to wait.
                settings
                    .options
                    .tool
                    .insert("requests_per_minute".to_owned(), 1_000_000.into());
            }
            (setup.settings)(&mut settings);
            let settings = store.save_connection(settings).await.unwrap();
            keys.put(settings.id, SecretString::from(key)).await.unwrap();
            ids.push(settings.id);
        }
        Self {
            openproject,
            leantime,
            store,
            keys,
            orchestrator,
            engine,
            op: ids[0],
            lt: ids[1],
        }
    }

    /// Makes a project in both tools and in the hub, and maps them.
    pub(crate) async fn common_project(&self, name: &str) -> Common {
        let op = self
            .openproject
            .create_project(name, &name.to_lowercase().replace(' ', "-"));
        let lt = self.leantime.create_project(name);
        let project = Project::new(name, magnus_core::clock::SystemClock.now());
        let hub = project.id;
        let mapping = |connection, id: String| MappingWrite {
            mapping: Mapping::new(connection, ExternalId::new(id).unwrap(), name, hub),
            expected: None,
        };
        let changeset = Changeset {
            projects: vec![ProjectWrite {
                project,
                expected: None,
            }],
            mappings: vec![mapping(self.op, op.to_string()), mapping(self.lt, lt.to_string())],
            ..Changeset::new()
        };
        self.store.commit(Fence::Hub, changeset).await.unwrap();
        Common { op, lt, hub }
    }

    /// Starts a run and waits for its end.
    pub(crate) async fn sync(&self, connection: ConnectionId) -> Run {
        let handle = self.orchestrator.start(RunRequest::new(connection)).await.unwrap();
        handle.wait().await.unwrap()
    }

    /// Starts a run, waits, and wants it completed.
    pub(crate) async fn complete(&self, connection: ConnectionId) -> Run {
        let run = self.sync(connection).await;
        assert_eq!(run.state, RunState::Completed, "{run:#?}");
        run
    }

    /// Syncs everything until quiet.
    pub(crate) async fn settle(&self) {
        for _ in 0..6 {
            let before = self.writes();
            let all = self.orchestrator.sync_all(None).await.unwrap();
            for run in &all.runs {
                assert_eq!(run.state, RunState::Completed, "{run:#?}");
            }
            if self.writes() == before {
                return;
            }
        }
        panic!("the sides do not come to rest");
    }

    /// Everything written anywhere so far.
    pub(crate) fn writes(&self) -> (usize, usize, u64) {
        (
            self.openproject.writes(),
            self.leantime.writes(),
            self.store.changed_rows().total(),
        )
    }

    pub(crate) async fn tasks(&self, project: ProjectId) -> BTreeMap<TaskId, Task> {
        let tasks = self.store.tasks_of_project(project).await.unwrap();
        tasks.into_iter().map(|task| (task.id, task)).collect()
    }

    pub(crate) async fn task(&self, project: ProjectId, title: &str) -> Task {
        let tasks = self.tasks(project).await;
        let found: Vec<&Task> = tasks.values().filter(|task| task.title == title).collect();
        assert_eq!(
            found.len(),
            1,
            "{title:?}: {:?}",
            tasks.values().map(|task| &task.title).collect::<Vec<_>>()
        );
        found[0].clone()
    }

    pub(crate) async fn links(&self, connection: ConnectionId) -> Vec<Link> {
        let links = self.store.links(connection).await.unwrap();
        links.into_iter().filter(|link| link.state == LinkState::Live).collect()
    }

    pub(crate) async fn conflicts(&self) -> Vec<Conflict> {
        self.store.conflicts(ConflictQuery::default()).await.unwrap()
    }

    pub(crate) async fn add(&self, project: ProjectId, title: &str) -> TaskId {
        let task = Task::new(project, title, magnus_core::clock::SystemClock.now());
        let id = task.id;
        self.write(TaskWrite::Insert {
            task: Box::new(task),
            guard: None,
        })
        .await;
        id
    }

    pub(crate) async fn edit(&self, id: TaskId, field: Field, value: Value) -> Value {
        let mut task = self.store.tasks(vec![id]).await.unwrap().remove(0);
        let expected = task.version;
        let before = task.get(field);
        let patch: TaskPatch = [(field, value)].into_iter().collect();
        patch.apply(&mut task, magnus_core::clock::SystemClock.now()).unwrap();
        self.write(TaskWrite::Update {
            task: Box::new(task),
            expected,
        })
        .await;
        before
    }

    pub(crate) async fn delete(&self, id: TaskId) {
        let mut task = self.store.tasks(vec![id]).await.unwrap().remove(0);
        let expected = task.version;
        task.deleted_at = Some(magnus_core::clock::SystemClock.now());
        self.write(TaskWrite::Update {
            task: Box::new(task),
            expected,
        })
        .await;
    }

    async fn write(&self, write: TaskWrite) {
        let unit = Unit {
            tasks: vec![write],
            ..Unit::default()
        };
        let outcome = self.store.commit(Fence::Hub, Changeset::of(vec![unit])).await.unwrap();
        assert!(outcome.stale.is_empty(), "{outcome:?}");
    }

    pub(crate) async fn shutdown(self) {
        self.orchestrator.shutdown(Duration::from_secs(5)).await;
    }
}

/// A project that both tools and the hub have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Common {
    pub(crate) op: u64,
    pub(crate) lt: i64,
    pub(crate) hub: ProjectId,
}
