//! The engine over the in-memory store, with toys connected to it.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use magnus_core::engine::{Engine, RunContext, RunEnd, RunError, SyncEngine};
use magnus_core::memory::MemoryStore;
use magnus_core::model::{
    Conflict, ConnectionId, ConnectionSettings, ExternalId, Field, Link, Mapping, Project, ProjectId, Run, RunId,
    RunRequest, Task, TaskId, TaskPatch, ToolName, Value,
};
use magnus_core::secret::{SecretError, SecretStore};
use magnus_core::store::{
    Changeset, ConflictQuery, Fence, HubStore, LeaseAnswer, LeaseStore, LinkStore, LinkWrite, MappingWrite,
    ProjectWrite, RunStore, SettingsStore, TaskStore, TaskWrite, Unit,
};
use magnus_testkit::clock::SetClock;
use magnus_testkit::watched::{Watch, WatchedStore};
use secrecy::SecretString;

use super::toy::Toy;

#[derive(Debug)]
struct AnyKey;

#[async_trait]
impl SecretStore for AnyKey {
    async fn get(&self, _: ConnectionId) -> Result<Option<SecretString>, SecretError> {
        Ok(Some(SecretString::from("key")))
    }

    async fn put(&self, _: ConnectionId, _: SecretString) -> Result<(), SecretError> {
        Ok(())
    }

    async fn delete(&self, _: ConnectionId) -> Result<(), SecretError> {
        Ok(())
    }
}

/// The engine over the in-memory store, with toys connected to it. All toys' project 1 meets in one hub project.
pub(crate) struct Bench {
    pub(crate) store: MemoryStore,
    pub(crate) engine: Engine,
    pub(crate) clock: Arc<SetClock>,
    pub(crate) toys: Vec<(Toy, ConnectionId)>,
    pub(crate) project: ProjectId,
}

fn engine(store: Arc<dyn TaskStore>, clock: &Arc<SetClock>) -> Engine {
    Engine::new(store, Arc::new(AnyKey)).with_clock(Arc::clone(clock) as Arc<dyn magnus_core::clock::Clock>)
}

impl Bench {
    pub(crate) async fn new(toys: Vec<Toy>) -> Self {
        Self::with(toys, |_| {}).await
    }

    pub(crate) async fn with(toys: Vec<Toy>, change: impl Fn(&mut ConnectionSettings)) -> Self {
        let clock = SetClock::at("2026-11-22T12:00:00Z".parse().unwrap());
        let store = MemoryStore::with_clock(Arc::clone(&clock) as Arc<dyn magnus_core::clock::Clock>);
        let mut engine = engine(Arc::new(store.clone()), &clock);
        let now = magnus_core::clock::Clock::now(clock.as_ref());
        let project = Project::new("Alpha", now);
        let id = project.id;
        let mut changeset = Changeset::new();
        changeset.projects.push(ProjectWrite {
            project,
            expected: None,
        });
        let mut connected = Vec::new();
        for toy in toys {
            engine = engine.with_connector(Arc::new(toy.clone()));
            let mut settings = ConnectionSettings::new(ToolName::new(toy.name), toy.name, "http://toy", now);
            change(&mut settings);
            let settings = store.save_connection(settings).await.unwrap();
            let mapping = Mapping::new(settings.id, ExternalId::from(1), "Alpha", id);
            changeset.mappings.push(MappingWrite {
                mapping,
                expected: None,
            });
            connected.push((toy, settings.id));
        }
        store.commit(Fence::Hub, changeset).await.unwrap();
        Self {
            store,
            engine,
            clock,
            toys: connected,
            project: id,
        }
    }

    /// From now on somebody watches what the engine asks of the store.
    pub(crate) fn watched(&mut self, watch: impl Watch) {
        let store = WatchedStore::new(Arc::new(self.store.clone()), watch);
        let over = engine(Arc::new(store), &self.clock);
        let toys = self.toys.iter().map(|(toy, _)| Arc::new(toy.clone()));
        self.engine = toys.fold(over, |engine, toy| engine.with_connector(toy));
    }

    /// Changes the settings of a connection.
    pub(crate) async fn set(&self, index: usize, change: impl Fn(&mut ConnectionSettings)) {
        let mut settings = self.store.connection(self.toys[index].1).await.unwrap().unwrap();
        change(&mut settings);
        self.store.save_connection(settings).await.unwrap();
    }

    pub(crate) async fn try_sync(&self, index: usize) -> Result<RunEnd, RunError> {
        self.try_request(RunRequest::new(self.toys[index].1)).await
    }

    pub(crate) async fn try_request(&self, request: RunRequest) -> Result<RunEnd, RunError> {
        self.try_as(RunId::generate(), request).await
    }

    async fn try_as(&self, run: RunId, request: RunRequest) -> Result<RunEnd, RunError> {
        self.clock.advance(120);
        let ttl = std::time::Duration::from_secs(600);
        let answer = self
            .store
            .acquire_lease(request.connection_id, "bench".to_owned(), ttl)
            .await
            .unwrap();
        let LeaseAnswer::Granted(lease) = answer else {
            panic!("the bench runs one at a time: {answer:?}")
        };
        let mut context = RunContext::detached();
        context.run_id = run;
        context.fence = Fence::Lease(lease.clone());
        let ended = self.engine.run(request, context).await;
        self.store.release_lease(lease).await.unwrap();
        ended
    }

    /// Runs as the orchestrator does, with a row in the run log.
    pub(crate) async fn run(&self, request: RunRequest) -> Run {
        let queued = self.store.enqueue_run(request.clone()).await.unwrap().run;
        let ttl = std::time::Duration::from_secs(600);
        let answer = self
            .store
            .acquire_lease(request.connection_id, "bench".to_owned(), ttl)
            .await
            .unwrap();
        let LeaseAnswer::Granted(lease) = answer else {
            panic!("the bench runs one at a time: {answer:?}")
        };
        self.store.claim_run(Fence::Lease(lease.clone())).await.unwrap();
        self.store.release_lease(lease).await.unwrap();
        let end = self.try_as(queued.id, request).await.unwrap();
        self.store
            .finish_run(queued.id, end.state, end.report, end.message)
            .await
            .unwrap();
        self.store.run(queued.id).await.unwrap().unwrap()
    }

    pub(crate) async fn sync(&self, index: usize) -> RunEnd {
        self.try_sync(index).await.unwrap()
    }

    /// Syncs all, in turn, until a round writes nothing. Answers how many rounds it took.
    pub(crate) async fn settle(&self) -> usize {
        for round in 1..=8 {
            let before = self.writes();
            for index in 0..self.toys.len() {
                self.sync(index).await;
            }
            if self.writes() == before {
                return round;
            }
        }
        panic!("the sides do not come to rest");
    }

    /// Everything written anywhere so far.
    pub(crate) fn writes(&self) -> u64 {
        let tools: u64 = self.toys.iter().map(|(toy, _)| toy.state().writes).sum();
        tools + self.store.changed_rows().total()
    }

    pub(crate) async fn tasks(&self) -> BTreeMap<TaskId, Task> {
        let tasks = self.store.tasks_of_project(self.project).await.unwrap();
        tasks.into_iter().map(|task| (task.id, task)).collect()
    }

    pub(crate) async fn task(&self, title: &str) -> Task {
        let tasks = self.tasks().await;
        let found: Vec<&Task> = tasks.values().filter(|task| task.title == title).collect();
        assert_eq!(found.len(), 1, "tasks named {title:?} among {tasks:#?}");
        found[0].clone()
    }

    pub(crate) async fn store_task(&self, id: TaskId) -> Task {
        self.store.tasks(vec![id]).await.unwrap().remove(0)
    }

    pub(crate) async fn links(&self, index: usize) -> Vec<Link> {
        self.store.links(self.toys[index].1).await.unwrap()
    }

    pub(crate) async fn conflicts(&self) -> Vec<Conflict> {
        self.store.conflicts(ConflictQuery::default()).await.unwrap()
    }

    pub(crate) async fn add(&self, title: &str) -> TaskId {
        let task = Task::new(self.project, title, magnus_core::clock::Clock::now(self.clock.as_ref()));
        let id = task.id;
        let write = TaskWrite::Insert {
            task: Box::new(task),
            guard: None,
        };
        self.commit(write).await;
        id
    }

    pub(crate) async fn edit(&self, id: TaskId, field: Field, value: Value) -> Value {
        self.clock.advance(1);
        let mut task = self.store.tasks(vec![id]).await.unwrap().remove(0);
        let expected = task.version;
        let before = task.get(field);
        let patch: TaskPatch = [(field, value)].into_iter().collect();
        patch
            .apply(&mut task, magnus_core::clock::Clock::now(self.clock.as_ref()))
            .unwrap();
        self.commit(TaskWrite::Update {
            task: Box::new(task),
            expected,
        })
        .await;
        before
    }

    pub(crate) async fn delete(&self, id: TaskId) {
        let mut task = self.store.tasks(vec![id]).await.unwrap().remove(0);
        let expected = task.version;
        task.deleted_at = Some(magnus_core::clock::Clock::now(self.clock.as_ref()));
        self.commit(TaskWrite::Update {
            task: Box::new(task),
            expected,
        })
        .await;
    }

    pub(crate) async fn move_task(&self, id: TaskId, project: ProjectId) {
        let mut task = self.store.tasks(vec![id]).await.unwrap().remove(0);
        let expected = task.version;
        task.project_id = project;
        self.commit(TaskWrite::Update {
            task: Box::new(task),
            expected,
        })
        .await;
    }

    /// Writes a link as a person's decision would.
    pub(crate) async fn relink(&self, link: Link) {
        let unit = Unit {
            links: vec![LinkWrite {
                expected: Some(link.version),
                link: Box::new(link),
            }],
            ..Unit::default()
        };
        let outcome = self.store.commit(Fence::Hub, Changeset::of(vec![unit])).await.unwrap();
        assert!(outcome.stale.is_empty(), "{outcome:?}");
    }

    async fn commit(&self, write: TaskWrite) {
        let unit = Unit {
            tasks: vec![write],
            ..Unit::default()
        };
        let outcome = self.store.commit(Fence::Hub, Changeset::of(vec![unit])).await.unwrap();
        assert!(outcome.stale.is_empty(), "{outcome:?}");
    }
}
