//! An engine over the in-memory hub, with one simulated instance.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "each test file is a crate of its own and uses what it needs; a test that cannot go on has failed"
)]

use std::sync::Arc;

use async_trait::async_trait;
use magnus_core::engine::{Engine, RunContext, RunEnd, RunError, SyncEngine};
use magnus_core::layer::Layers;
use magnus_core::memory::MemoryStore;
use magnus_core::model::{
    ConnectionId, ConnectionSettings, ExternalId, Mapping, Project, ProjectId, RunRequest, RunState, Task, ToolName,
};
use magnus_core::reconcile::Plan;
use magnus_core::secret::{SecretError, SecretStore};
use magnus_core::store::{
    Changeset, Fence, HubStore, LeaseAnswer, LeaseStore, MappingWrite, ProjectWrite, SettingsStore, TaskStore,
    TaskWrite, Unit,
};
use magnus_leantime::LeantimeConnector;
use magnus_testkit::sim::leantime::{Dialect, LeantimeOptions, LeantimeSimulator};
use magnus_testkit::transport::RouterTransport;
use magnus_transport::Transport;
use secrecy::SecretString;

#[derive(Debug)]
struct OneKey(String);

#[async_trait]
impl SecretStore for OneKey {
    async fn get(&self, _: ConnectionId) -> Result<Option<SecretString>, SecretError> {
        Ok(Some(self.0.clone().into()))
    }

    async fn put(&self, _: ConnectionId, _: SecretString) -> Result<(), SecretError> {
        Ok(())
    }

    async fn delete(&self, _: ConnectionId) -> Result<(), SecretError> {
        Ok(())
    }
}

pub(crate) struct Bench {
    pub(crate) simulator: LeantimeSimulator,
    pub(crate) store: MemoryStore,
    pub(crate) engine: Engine,
    pub(crate) connection: ConnectionId,
    pub(crate) hub: ProjectId,
    pub(crate) project: i64,
}

impl Bench {
    pub(crate) async fn new(dialect: Dialect, change: impl FnOnce(&mut ConnectionSettings)) -> Self {
        let simulator = LeantimeSimulator::new(LeantimeOptions::dialect(dialect));
        let transport = RouterTransport::new(simulator.router());
        Self::over(simulator, Arc::new(transport), change).await
    }

    /// With all layers, over this way to the instance.
    pub(crate) async fn over(
        simulator: LeantimeSimulator,
        transport: Arc<dyn Transport>,
        change: impl FnOnce(&mut ConnectionSettings),
    ) -> Self {
        let project = simulator.create_project("Alpha");
        let store = MemoryStore::new();
        let connector = LeantimeConnector::new(transport);
        let key = OneKey(simulator.api_key().to_owned());
        let engine = Engine::new(Arc::new(store.clone()), Arc::new(key))
            .with_connector(Arc::new(connector))
            .with_layers(|settings, connection| Layers::new().wrap(&settings.name, connection));
        let now = chrono::Utc::now();
        let hub = Project::new("Alpha", now);
        let id = hub.id;
        let tool = ToolName::new("leantime");
        let mut settings = ConnectionSettings::new(tool, "board", "https://leantime.test", now);
        settings.options.time_zone = Some("Europe/Berlin".to_owned());
        change(&mut settings);
        let connection = store.save_connection(settings).await.unwrap().id;
        let external = ExternalId::new(project.to_string()).unwrap();
        let mapping = Mapping::new(connection, external, "Alpha", id);
        let mut changeset = Changeset::new();
        changeset.projects.push(ProjectWrite {
            project: hub,
            expected: None,
        });
        changeset.mappings.push(MappingWrite {
            mapping,
            expected: None,
        });
        store.commit(Fence::Hub, changeset).await.unwrap();
        Self {
            simulator,
            store,
            engine,
            connection,
            hub: id,
            project,
        }
    }

    pub(crate) async fn sync(&self) -> RunEnd {
        self.try_sync().await.unwrap()
    }

    pub(crate) async fn try_sync(&self) -> Result<RunEnd, RunError> {
        self.try_sync_in(RunContext::detached()).await
    }

    pub(crate) async fn plan(&self) -> Plan {
        self.engine
            .plan(RunRequest::new(self.connection), RunContext::detached())
            .await
            .unwrap()
    }

    pub(crate) async fn try_sync_in(&self, mut context: RunContext) -> Result<RunEnd, RunError> {
        // Nothing prolongs it here, and paused time passes quickly.
        let ttl = std::time::Duration::from_secs(86_400);
        let answer = self
            .store
            .acquire_lease(self.connection, "bench".to_owned(), ttl)
            .await
            .unwrap();
        let LeaseAnswer::Granted(lease) = answer else {
            panic!("{answer:?}")
        };
        context.fence = Fence::Lease(lease.clone());
        let ended = self.engine.run(RunRequest::new(self.connection), context).await;
        self.store.release_lease(lease).await.unwrap();
        ended
    }

    /// Nothing is written anywhere by one more run, in few requests.
    pub(crate) async fn is_quiet(&self) {
        let rows = self.store.changed_rows().total();
        self.simulator.reset_counts();
        let end = self.sync().await;
        assert_eq!(end.state, RunState::Completed, "{:?}", end.message);
        let rows_written = self.store.changed_rows().total() - rows;
        assert_eq!(
            (self.simulator.writes(), rows_written),
            (0, 0),
            "{:?}",
            self.store.changed_rows()
        );
        assert!(
            self.simulator.requests().http <= 6 + 2,
            "{:?}",
            self.simulator.requests()
        );
    }

    pub(crate) async fn tasks(&self) -> Vec<Task> {
        let mut tasks = self.store.tasks_of_project(self.hub).await.unwrap();
        tasks.retain(|task| !task.is_deleted());
        tasks.sort_by(|a, b| a.title.cmp(&b.title));
        tasks
    }

    pub(crate) async fn put(&self, task: Task, is_new: bool) {
        let (expected, task) = (task.version, Box::new(task));
        let write = if is_new {
            TaskWrite::Insert { task, guard: None }
        } else {
            TaskWrite::Update { task, expected }
        };
        let mut changeset = Changeset::new();
        changeset.units.push(Unit {
            tasks: vec![write],
            ..Unit::default()
        });
        self.store.commit(Fence::Hub, changeset).await.unwrap();
    }
}
