//! Both simulators, the real adapters, the engine and a hub, wired in one process.
#![allow(dead_code, reason = "each test file is a crate of its own and uses what it needs")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use magnus_core::clock::{Clock, SystemClock};
use magnus_core::connection::Connector;
use magnus_core::engine::{Engine, SyncEngine};
use magnus_core::layer::Layers;
use magnus_core::memory::MemoryStore;
use magnus_core::model::{
    Conflict, ConnectionId, ConnectionSettings, ExternalId, Field, Link, LinkState, Mapping, Project, ProjectId, Run,
    RunRequest, RunState, Task, TaskId, TaskPatch, Timestamp, ToolName, Value,
};
use magnus_core::orchestrator::Orchestrator;
use magnus_core::secret::{SecretError, SecretStore};
use magnus_core::store::{Changeset, ConflictQuery, Fence, MappingWrite, ProjectWrite, TaskStore, TaskWrite, Unit};
use magnus_leantime::LeantimeConnector;
use magnus_openproject::OpenProjectConnector;
use magnus_testkit::crash::CrashPoint;
use magnus_testkit::sim::leantime::{LeantimeOptions, LeantimeSimulator};
use magnus_testkit::sim::openproject::{OpenProjectOptions, OpenProjectSimulator};
use magnus_testkit::transport::HostsTransport;
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
    pub(crate) clock: Arc<dyn Clock>,
    hosts: HostsTransport,
    settings: fn(&mut ConnectionSettings),
}

/// What differs from world to world.
pub(crate) struct Setup {
    pub(crate) openproject: OpenProjectOptions,
    pub(crate) leantime: LeantimeOptions,
    pub(crate) store: Option<Arc<dyn TaskStore>>,
    pub(crate) settings: fn(&mut ConnectionSettings),
    pub(crate) layers: Option<Layers>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            openproject: OpenProjectOptions::default(),
            leantime: LeantimeOptions::default(),
            store: None,
            settings: |_| {},
            layers: None,
            clock: Arc::new(SystemClock),
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
        let store = setup
            .store
            .unwrap_or_else(|| Arc::new(MemoryStore::with_clock(Arc::clone(&setup.clock))));
        let keys = Arc::new(Keys::default());
        let hosts = HostsTransport::default();
        let mut engine = engine(Arc::clone(&store), &keys, &hosts, &setup.clock);
        if let Some(layers) = setup.layers {
            engine = engine.with_layers(move |settings, connection| layers.wrap(&settings.name, connection));
        }
        let engine = Arc::new(engine);
        let orchestrator =
            Orchestrator::builder(Arc::clone(&store), Arc::clone(&engine) as Arc<dyn SyncEngine>).build();
        let mut world = Self {
            openproject: openproject.clone(),
            leantime: leantime.clone(),
            store,
            keys,
            orchestrator,
            engine,
            op: ConnectionId::generate(),
            lt: ConnectionId::generate(),
            clock: setup.clock,
            hosts,
            settings: setup.settings,
        };
        world.op = world.connect_openproject("openproject", &openproject).await;
        world.lt = world.connect_leantime("leantime", &leantime).await;
        world
    }

    /// Connects one more instance of OpenProject, at a host of its own.
    pub(crate) async fn connect_openproject(&self, name: &str, instance: &OpenProjectSimulator) -> ConnectionId {
        self.hosts.add(&format!("{name}.test"), instance.router());
        self.connect("openproject", name, instance.api_key()).await
    }

    /// Connects one more instance of Leantime, at a host of its own.
    pub(crate) async fn connect_leantime(&self, name: &str, instance: &LeantimeSimulator) -> ConnectionId {
        self.hosts.add(&format!("{name}.test"), instance.router());
        self.connect("leantime", name, instance.api_key().to_owned()).await
    }

    async fn connect(&self, tool: &str, name: &str, key: String) -> ConnectionId {
        let url = format!("https://{name}.test");
        let mut settings = ConnectionSettings::new(ToolName::new(tool), format!("the {name}"), url, self.clock.now());
        if tool == "leantime" {
            // Raised in this instance: a test has no minute to wait.
            settings
                .options
                .tool
                .insert("requests_per_minute".to_owned(), 1_000_000.into());
        }
        (self.settings)(&mut settings);
        let settings = self.store.save_connection(settings).await.unwrap();
        self.keys.put(settings.id, SecretString::from(key)).await.unwrap();
        settings.id
    }

    /// The engine of a process that breaks where `crash` says.
    pub(crate) fn breaking(&self, crash: &CrashPoint) -> Engine {
        let layer = crash.clone();
        engine(
            crash.store(Arc::clone(&self.store)),
            &self.keys,
            &self.hosts,
            &self.clock,
        )
        .with_layers(move |_, connection| layer.connection(connection))
    }

    /// The same tools with another hub, which must know the same connections.
    pub(crate) fn over(&self, store: Arc<dyn TaskStore>) -> Self {
        let engine = Arc::new(engine(Arc::clone(&store), &self.keys, &self.hosts, &self.clock));
        let orchestrator =
            Orchestrator::builder(Arc::clone(&store), Arc::clone(&engine) as Arc<dyn SyncEngine>).build();
        Self {
            openproject: self.openproject.clone(),
            leantime: self.leantime.clone(),
            store,
            keys: Arc::clone(&self.keys),
            orchestrator,
            engine,
            op: self.op,
            lt: self.lt,
            clock: Arc::clone(&self.clock),
            hosts: self.hosts.clone(),
            settings: self.settings,
        }
    }

    /// Makes a project in both tools and in the hub, and maps them.
    pub(crate) async fn common_project(&self, name: &str) -> Common {
        let op = self
            .openproject
            .create_project(name, &name.to_lowercase().replace(' ', "-"));
        let lt = self.leantime.create_project(name);
        let hub = self.hub_project(name).await;
        self.map(self.op, &op.to_string(), name, hub).await;
        self.map(self.lt, &lt.to_string(), name, hub).await;
        Common { op, lt, hub }
    }

    /// Makes a project in the hub.
    pub(crate) async fn hub_project(&self, name: &str) -> ProjectId {
        let project = Project::new(name, self.clock.now());
        let id = project.id;
        let changeset = Changeset {
            projects: vec![ProjectWrite {
                project,
                expected: None,
            }],
            ..Changeset::new()
        };
        self.store.commit(Fence::Hub, changeset).await.unwrap();
        id
    }

    /// Maps a project of a tool to one of the hub.
    pub(crate) async fn map(&self, connection: ConnectionId, id: &str, name: &str, hub: ProjectId) {
        let mapping = MappingWrite {
            mapping: Mapping::new(connection, ExternalId::new(id).unwrap(), name, hub),
            expected: None,
        };
        let changeset = Changeset {
            mappings: vec![mapping],
            ..Changeset::new()
        };
        self.store.commit(Fence::Hub, changeset).await.unwrap();
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
        let task = Task::new(project, title, self.clock.now());
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
        patch.apply(&mut task, self.clock.now()).unwrap();
        self.write(TaskWrite::Update {
            task: Box::new(task),
            expected,
        })
        .await;
        before
    }

    pub(crate) async fn delete(&self, id: TaskId) {
        self.change(id, |task, now| task.deleted_at = Some(now)).await;
    }

    /// Takes a task to another project of the hub.
    pub(crate) async fn carry(&self, id: TaskId, project: ProjectId) {
        self.change(id, |task, now| {
            task.project_id = project;
            task.updated_at = now;
        })
        .await;
    }

    async fn change(&self, id: TaskId, change: impl FnOnce(&mut Task, Timestamp)) {
        let mut task = self.store.tasks(vec![id]).await.unwrap().remove(0);
        let expected = task.version;
        change(&mut task, self.clock.now());
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

fn engine(store: Arc<dyn TaskStore>, keys: &Arc<Keys>, hosts: &HostsTransport, clock: &Arc<dyn Clock>) -> Engine {
    let openproject: Arc<dyn Connector> = Arc::new(OpenProjectConnector::new(Arc::new(hosts.clone())));
    let leantime: Arc<dyn Connector> = Arc::new(LeantimeConnector::new(Arc::new(hosts.clone())));
    Engine::new(store, Arc::clone(keys) as Arc<dyn SecretStore>)
        .with_clock(Arc::clone(clock))
        .with_connector(openproject)
        .with_connector(leantime)
}
