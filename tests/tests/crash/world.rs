//! Both simulators, the real adapters and a hub, and processes that come and go over them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use magnus_core::clock::Clock;
use magnus_core::engine::{Engine, RunContext, RunEnd, RunError, SyncEngine};
use magnus_core::memory::MemoryStore;
use magnus_core::model::{
    ConnectionId, ConnectionSettings, ExternalId, Field, Mapping, Project, ProjectId, RunRequest, RunState, Task,
    Timestamp, ToolName,
};
use magnus_core::secret::{SecretError, SecretStore};
use magnus_core::store::{Changeset, Fence, LeaseAnswer, MappingWrite, ProjectWrite, TaskStore, TaskWrite, Unit};
use magnus_leantime::LeantimeConnector;
use magnus_openproject::OpenProjectConnector;
use magnus_postgres::{PostgresOptions, PostgresStore};
use magnus_sqlite::SqliteStore;
use magnus_testkit::clock::SetClock;
use magnus_testkit::crash::CrashPoint;
use magnus_testkit::postgres::Database;
use magnus_testkit::sim::leantime::{LeantimeOptions, LeantimeSimulator, Ticket};
use magnus_testkit::sim::openproject::{OpenProjectOptions, OpenProjectSimulator, WorkPackage};
use magnus_testkit::transport::RouterTransport;
use secrecy::SecretString;
use sqlx::PgPool;

use super::act::{Side, perform};
use super::scenario::Scenario;

const LEASE: Duration = Duration::from_secs(30);
/// More than a lease and the wait before a lost create is believed lost.
const PAUSE: i64 = 120;

#[derive(Debug)]
struct Keys(BTreeMap<ConnectionId, String>);

#[async_trait]
impl SecretStore for Keys {
    async fn get(&self, id: ConnectionId) -> Result<Option<SecretString>, SecretError> {
        Ok(self.0.get(&id).cloned().map(SecretString::from))
    }

    async fn put(&self, _: ConnectionId, _: SecretString) -> Result<(), SecretError> {
        Ok(())
    }

    async fn delete(&self, _: ConnectionId) -> Result<(), SecretError> {
        Ok(())
    }
}

/// The hub project of one that all three have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Common {
    pub(crate) hub: ProjectId,
}

/// Which hub a world keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hub {
    Memory,
    Sqlite,
    Postgres,
}

/// Where a hub is kept.
enum Kept {
    Memory(MemoryStore),
    File(tempfile::TempDir),
    Server(Arc<OnServer>),
}

/// A hub on a database server. Making a database takes longer than most runs, so that a world and its forks share one, one
/// after the other: each fork puts its rows back to what they were at the first.
struct OnServer {
    database: Database,
    /// Whether its rows were kept.
    kept: tokio::sync::OnceCell<()>,
    /// That of the process that lived last.
    pool: Mutex<PgPool>,
}

impl OnServer {
    async fn new() -> Self {
        let database = Database::new().await;
        let pool = Self::pool(&database).await;
        Self {
            database,
            kept: tokio::sync::OnceCell::new(),
            pool: Mutex::new(pool),
        }
    }

    async fn pool(database: &Database) -> PgPool {
        let options = PostgresOptions::new().connections(4);
        let store = PostgresStore::open_with(database.url(), options).await.unwrap();
        store.pool().clone()
    }

    /// The hub, with a clock of its own.
    async fn store(&self, clock: &Arc<SetClock>) -> Arc<dyn TaskStore> {
        let pool = self.pool.lock().unwrap().clone();
        let options = PostgresOptions::new().clock(clock.clone());
        Arc::new(PostgresStore::on_pool(pool, options).await.unwrap())
    }

    async fn rewind(&self) {
        self.kept.get_or_init(|| self.database.keep()).await;
        self.database.restore().await;
    }

    async fn reopen(&self) {
        let pool = Self::pool(&self.database).await;
        let dead = std::mem::replace(&mut *self.pool.lock().unwrap(), pool);
        // What was under way is over, one way or the other, before anything else is asked.
        dead.close().await;
    }
}

impl Kept {
    async fn new(hub: Hub, clock: &Arc<SetClock>) -> (Self, Arc<dyn TaskStore>) {
        match hub {
            Hub::Memory => Self::memory(MemoryStore::with_clock(clock.clone())),
            Hub::Sqlite => Self::file(tempfile::tempdir().unwrap(), clock).await,
            Hub::Postgres => Self::server(Arc::new(OnServer::new().await), clock).await,
        }
    }

    fn memory(memory: MemoryStore) -> (Self, Arc<dyn TaskStore>) {
        let store = Arc::new(memory.clone());
        (Self::Memory(memory), store)
    }

    async fn file(file: tempfile::TempDir, clock: &Arc<SetClock>) -> (Self, Arc<dyn TaskStore>) {
        let store = open(&file, clock).await;
        (Self::File(file), store)
    }

    async fn server(server: Arc<OnServer>, clock: &Arc<SetClock>) -> (Self, Arc<dyn TaskStore>) {
        let store = server.store(clock).await;
        (Self::Server(server), store)
    }

    /// A hub that holds the same. One on a server takes the place of this one and of every other fork.
    async fn fork(&self, clock: &Arc<SetClock>) -> (Self, Arc<dyn TaskStore>) {
        match self {
            Self::Memory(memory) => Self::memory(memory.fork(clock.clone())),
            Self::File(file) => {
                let copy = tempfile::tempdir().unwrap();
                for entry in std::fs::read_dir(file.path()).unwrap() {
                    let entry = entry.unwrap();
                    std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
                }
                Self::file(copy, clock).await
            }
            Self::Server(server) => {
                server.rewind().await;
                Self::server(server.clone(), clock).await
            }
        }
    }
}

pub(crate) struct World {
    pub(crate) openproject: OpenProjectSimulator,
    pub(crate) leantime: LeantimeSimulator,
    pub(crate) store: Arc<dyn TaskStore>,
    pub(crate) clock: Arc<SetClock>,
    pub(crate) op: ConnectionId,
    pub(crate) lt: ConnectionId,
    pub(crate) op_statuses: BTreeMap<String, u64>,
    pub(crate) op_priorities: BTreeMap<String, u64>,
    keys: Arc<Keys>,
    common: BTreeMap<&'static str, Common>,
    kept: Kept,
}

/// A process: an engine of its own, which dies with its crash point.
pub(crate) struct Process {
    engine: Engine,
    crash: CrashPoint,
    name: String,
}

impl World {
    pub(crate) async fn new(
        hub: Hub,
        settings: fn(&mut ConnectionSettings),
        tools: fn(&mut OpenProjectOptions),
    ) -> Self {
        let start: Timestamp = "2026-03-02T08:00:00Z".parse().unwrap();
        let clock = SetClock::at(start);
        let time = clock.clone();
        let mut options =
            OpenProjectOptions::default().clock(magnus_testkit::sim::openproject::Clock::new(move || time.now()));
        tools(&mut options);
        let openproject = OpenProjectSimulator::new(options);
        let leantime = LeantimeSimulator::new(LeantimeOptions::default());
        let (kept, store) = Kept::new(hub, &clock).await;
        let mut keys = BTreeMap::new();
        let mut ids = Vec::new();
        for (tool, key) in [
            ("openproject", openproject.api_key()),
            ("leantime", leantime.api_key().to_owned()),
        ] {
            let url = format!("https://{tool}.test");
            let mut new = ConnectionSettings::new(ToolName::new(tool), tool, url, clock.now());
            if tool == "leantime" {
                // Raised in this instance: a test has no minute to wait.
                new.options
                    .tool
                    .insert("requests_per_minute".to_owned(), 1_000_000.into());
            }
            settings(&mut new);
            let stored = store.save_connection(new).await.unwrap();
            keys.insert(stored.id, key);
            ids.push(stored.id);
        }
        let named = |rows: Vec<(String, u64)>| rows.into_iter().collect();
        let statuses = openproject
            .statuses()
            .into_iter()
            .map(|row| (row.name, row.id))
            .collect();
        let priorities = openproject
            .priorities()
            .into_iter()
            .map(|row| (row.name, row.id))
            .collect();
        let mut world = Self {
            op_statuses: named(statuses),
            op_priorities: named(priorities),
            openproject,
            leantime,
            store,
            clock,
            op: ids[0],
            lt: ids[1],
            keys: Arc::new(Keys(keys)),
            common: BTreeMap::new(),
            kept,
        };
        for name in ["Common", "Other"] {
            world.make_common(name).await;
        }
        world
    }

    /// A world in which everything that the scenario takes for granted has happened.
    pub(crate) async fn of(scenario: &Scenario, hub: Hub) -> Self {
        let world = Self::new(hub, scenario.settings, scenario.tools).await;
        for act in scenario.before {
            perform(&world, *act).await;
        }
        if !scenario.before.is_empty() {
            let process = world.process("before", CrashPoint::counting());
            assert!(world.settle(&process, None, false).await.is_some(), "{}", scenario.name);
        }
        for act in scenario.then {
            perform(&world, *act).await;
        }
        world
    }

    /// A world of its own in which the same has happened.
    pub(crate) async fn fork(&self) -> Self {
        let clock = SetClock::at(self.now());
        let time = clock.clone();
        let openproject = self.openproject.fork();
        openproject.configure(|options| {
            options.clock = magnus_testkit::sim::openproject::Clock::new(move || time.now());
        });
        let (kept, store) = self.kept.fork(&clock).await;
        Self {
            openproject,
            leantime: self.leantime.fork(),
            store,
            clock,
            op: self.op,
            lt: self.lt,
            op_statuses: self.op_statuses.clone(),
            op_priorities: self.op_priorities.clone(),
            keys: self.keys.clone(),
            common: self.common.clone(),
            kept,
        }
    }

    /// Removes what a server keeps of it, unless it is a fork; all else goes by itself.
    pub(crate) async fn remove(self) {
        drop(self.store);
        if let Kept::Server(server) = self.kept
            && let Some(server) = Arc::into_inner(server)
        {
            let pool = server.pool.into_inner().unwrap();
            pool.close().await;
            server.database.remove().await;
        }
    }

    async fn make_common(&mut self, name: &'static str) {
        let op = self.openproject.create_project(name, &name.to_lowercase());
        let lt = self.leantime.create_project(name);
        let project = Project::new(name, self.clock.now());
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
        self.common.insert(name, Common { hub });
    }

    /// Starts a process on what the last one left behind.
    pub(crate) fn process(&self, name: &str, crash: CrashPoint) -> Process {
        let op = Arc::new(RouterTransport::new(self.openproject.router()));
        let lt = Arc::new(RouterTransport::new(self.leantime.router()));
        let layer = crash.clone();
        let engine = Engine::new(crash.store(self.store.clone()), self.keys.clone())
            .with_clock(self.clock.clone())
            .with_connector(Arc::new(OpenProjectConnector::new(op)))
            .with_connector(Arc::new(LeantimeConnector::new(lt)))
            .with_layers(move |_, connection| layer.connection(connection));
        Process {
            engine,
            crash,
            name: name.to_owned(),
        }
    }

    /// Opens the hub anew, as a new process does.
    pub(crate) async fn reopen(&mut self) {
        match &mut self.kept {
            Kept::Memory(_) => {}
            Kept::File(file) => self.store = open(file, &self.clock).await,
            Kept::Server(server) => {
                server.reopen().await;
                self.store = server.store(&self.clock).await;
            }
        }
    }

    /// The connection whose lease a dead process left behind: its run is resumed first.
    pub(crate) async fn leased(&self) -> Option<ConnectionId> {
        for id in [self.op, self.lt] {
            let answer = self.store.acquire_lease(id, "asking".to_owned(), LEASE).await.unwrap();
            match answer {
                LeaseAnswer::Held { .. } => return Some(id),
                LeaseAnswer::Granted(lease) => self.store.release_lease(lease).await.unwrap(),
            }
        }
        None
    }

    /// One run, under a lease that nobody gives back if the process dies. `None`: it died.
    pub(crate) async fn run(&self, process: &Process, id: ConnectionId) -> Option<Result<RunEnd, RunError>> {
        let answer = self.store.acquire_lease(id, process.name.clone(), LEASE).await.unwrap();
        let LeaseAnswer::Granted(lease) = answer else {
            panic!("the lease of a dead process stands for ever: {answer:?}")
        };
        let context = RunContext {
            fence: Fence::Lease(lease.clone()),
            ..RunContext::detached()
        };
        let ended = process
            .crash
            .until_death(process.engine.run(RunRequest::new(id), context))
            .await?;
        self.store.release_lease(lease).await.unwrap();
        Some(ended)
    }

    /// Runs both connections, `first` before the other, until a round writes nothing. Answers how the last runs ended;
    /// `None`: the process died.
    pub(crate) async fn settle(
        &self,
        process: &Process,
        first: Option<ConnectionId>,
        at_once: bool,
    ) -> Option<Vec<RunState>> {
        let mut order = [self.op, self.lt];
        if first == Some(self.lt) {
            order.reverse();
        }
        let mut last = String::new();
        for _ in 0..12 {
            self.clock.advance(PAUSE);
            let before = self.writes().await;
            let broke_before = process.crash.fired();
            let ends = if at_once {
                let (one, two) = futures::future::join(self.run(process, order[0]), self.run(process, order[1])).await;
                vec![one?, two?]
            } else {
                let one = self.run(process, order[0]).await?;
                vec![one, self.run(process, order[1]).await?]
            };
            let broke = process.crash.fired() != broke_before;
            if self.writes().await == before && !broke && ends.iter().all(Result::is_ok) {
                return Some(ends.into_iter().map(|end| end.unwrap().state).collect());
            }
            last = format!("{ends:?}");
        }
        panic!("the sides do not come to rest: {last}");
    }

    /// Everything written anywhere so far, and the journal entries that are not settled.
    pub(crate) async fn writes(&self) -> (usize, usize, u64, usize) {
        let mut open = 0;
        for id in [self.op, self.lt] {
            open += self.store.unsettled_intents(id).await.unwrap().len();
        }
        (
            self.openproject.writes(),
            self.leantime.writes(),
            self.store.changed_rows().total(),
            open,
        )
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn common(&self, name: &str) -> Common {
        self.common[name]
    }

    pub(crate) fn openproject_project(&self, name: &str) -> u64 {
        let found = self.openproject.projects().into_iter().find(|row| row.name == name);
        found.unwrap_or_else(|| panic!("no project {name:?} in OpenProject")).id
    }

    pub(crate) fn leantime_project(&self, name: &str) -> i64 {
        let found = self.leantime.projects().into_iter().find(|row| row.name == name);
        found.unwrap_or_else(|| panic!("no project {name:?} in Leantime")).id
    }

    pub(crate) fn work_package(&self, title: &str) -> WorkPackage {
        let found = self
            .openproject
            .work_packages()
            .into_iter()
            .find(|row| row.subject == title);
        found.unwrap_or_else(|| panic!("no work package {title:?}"))
    }

    pub(crate) fn ticket(&self, title: &str) -> Ticket {
        let found = self
            .leantime
            .tickets()
            .into_iter()
            .find(|row| row.headline.as_deref() == Some(title));
        found.unwrap_or_else(|| panic!("no ticket {title:?}"))
    }

    /// Every task of the hub, tombstones too.
    pub(crate) async fn tasks(&self) -> Vec<(String, Task)> {
        let mut tasks = Vec::new();
        for project in self.store.projects().await.unwrap() {
            for task in self.store.tasks_of_project(project.id).await.unwrap() {
                tasks.push((project.name.clone(), task));
            }
        }
        tasks
    }

    pub(crate) async fn task(&self, title: &str) -> Task {
        let found = self.tasks().await.into_iter().find(|(_, task)| task.title == title);
        found.unwrap_or_else(|| panic!("no task {title:?}")).1
    }

    pub(crate) async fn add(&self, project: &str, title: &str) {
        let task = Task::new(self.common(project).hub, title, self.now());
        self.write(TaskWrite::Insert {
            task: Box::new(task),
            guard: None,
        })
        .await;
    }

    pub(crate) async fn edit(&self, title: &str, change: impl FnOnce(&mut Task), field: Option<Field>) {
        let mut task = self.task(title).await;
        let expected = task.version;
        change(&mut task);
        task.updated_at = self.now();
        if let Some(field) = field {
            task.field_times.insert(field, self.now());
        }
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

    fn connection(&self, side: Side) -> ConnectionId {
        if side == Side::Lt { self.lt } else { self.op }
    }

    pub(crate) async fn change_settings(&self, side: Side, change: fn(&mut ConnectionSettings)) {
        let mut settings = self.store.connection(self.connection(side)).await.unwrap().unwrap();
        change(&mut settings);
        self.store.save_connection(settings).await.unwrap();
    }

    pub(crate) async fn change_mapping(&self, side: Side, project: &str, change: fn(&mut Mapping)) {
        let mappings = self.store.mappings(self.connection(side)).await.unwrap();
        let mut mapping = mappings.into_iter().find(|row| row.external_name == project).unwrap();
        let expected = Some(mapping.version);
        change(&mut mapping);
        let write = MappingWrite { mapping, expected };
        let changeset = Changeset {
            mappings: vec![write],
            ..Changeset::new()
        };
        let outcome = self.store.commit(Fence::Hub, changeset).await.unwrap();
        assert_eq!(outcome.stale_rows, 0);
    }
}

async fn open(file: &tempfile::TempDir, clock: &Arc<SetClock>) -> Arc<dyn TaskStore> {
    let path = file.path().join("magnus.db");
    let store = SqliteStore::open_with_clock(path.to_str().unwrap(), clock.clone()).await;
    Arc::new(store.unwrap())
}
