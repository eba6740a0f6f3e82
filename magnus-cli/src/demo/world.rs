//! Two simulated tools on loopback, a hub in a temporary database, and the real thing in between.

use std::sync::Arc;
use std::time::Duration;

use magnus_core::connection::ConnectionExt;
use magnus_core::engine::{Engine, SyncEngine};
use magnus_core::hub::{Hub, MapAnswer};
use magnus_core::model::{ConnectionSettings, ProjectId, ToolName};
use magnus_core::orchestrator::{Orchestrator, SyncAll};
use magnus_core::secret::SecretStore;
use magnus_core::store::{BreakdownStore, TaskStore};
use magnus_seal::{MasterKey, SealedSecretStore};
use magnus_sqlite::SqliteStore;
use magnus_testkit::sim::Served;
use magnus_testkit::sim::leantime::{LeantimeOptions, LeantimeSimulator};
use magnus_testkit::sim::openproject::{OpenProjectOptions, OpenProjectSimulator};
use secrecy::SecretString;
use tempfile::TempDir;

use super::fill::{self, Twin};
use crate::failure::Failure;
use crate::follow::Follower;
use crate::house;

/// Everything that the demo plays with.
pub(super) struct World {
    pub(super) openproject: OpenProjectSimulator,
    pub(super) leantime: LeantimeSimulator,
    pub(super) hub: Hub,
    pub(super) twins: Vec<Twin>,
    /// The hub's store as that of breakdowns.
    pub(super) jobs: Arc<dyn BreakdownStore>,
    engine: Arc<Engine>,
    orchestrator: Orchestrator,
    connections: Vec<ConnectionSettings>,
    silent: bool,
    servers: [Served; 2],
    // The last field: the database goes after all who use it.
    _directory: TempDir,
}

/// Writes that were counted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Writes {
    pub(super) openproject: usize,
    pub(super) leantime: usize,
    pub(super) hub: u64,
}

impl Writes {
    pub(super) const fn is_quiet(self) -> bool {
        self.openproject == 0 && self.leantime == 0 && self.hub == 0
    }
}

impl World {
    /// Starts and fills the tools, and connects them.
    pub(super) async fn start(silent: bool) -> Result<Self, Failure> {
        let openproject = OpenProjectSimulator::new(OpenProjectOptions::default());
        let leantime = LeantimeSimulator::new(LeantimeOptions::default());
        let twins = fill::fill(&openproject, &leantime);
        let servers = [served(openproject.serve().await)?, served(leantime.serve().await)?];

        let directory = tempfile::tempdir()
            .map_err(|error| Failure::unreachable(format!("no temporary directory can be made: {error}")))?;
        let path = directory.path().join("demo.db");
        let sqlite = SqliteStore::open(path.to_string_lossy()).await?;
        let jobs: Arc<dyn BreakdownStore> = Arc::new(sqlite.clone());
        let store: Arc<dyn TaskStore> = Arc::new(sqlite);
        let secrets: Arc<dyn SecretStore> =
            Arc::new(SealedSecretStore::new(Arc::clone(&store), &MasterKey::generate()?));
        let hub = Hub::new(Arc::clone(&store));
        let engine = Arc::new(house::engine(Arc::clone(&store), Arc::clone(&secrets))?);

        let mut connections = Vec::new();
        let keys: [SecretString; 2] = [openproject.api_key().into(), leantime.api_key().into()];
        for (((tool, name), server), key) in [("openproject", "OpenProject"), ("leantime", "Leantime")]
            .into_iter()
            .zip(&servers)
            .zip(keys)
        {
            let mut settings = ConnectionSettings::new(ToolName::new(tool), name, &server.url, chrono::Utc::now());
            if tool == "leantime" {
                settings.options.time_zone = Some("America/Los_Angeles".to_owned());
            }
            let connection = engine.connect(settings.clone(), key.clone()).await?;
            connection.check().await?;
            connections.push(hub.add_connection(settings, key, secrets.as_ref()).await?);
        }
        let shared: Arc<dyn SyncEngine> = Arc::<Engine>::clone(&engine);
        let orchestrator = Orchestrator::builder(store, shared).build();
        Ok(Self {
            openproject,
            leantime,
            hub,
            twins,
            jobs,
            engine,
            orchestrator,
            connections,
            silent,
            servers,
            _directory: directory,
        })
    }

    pub(super) fn openproject_url(&self) -> &str {
        &self.servers[0].url
    }

    pub(super) fn leantime_url(&self) -> &str {
        &self.servers[1].url
    }

    pub(super) fn connections(&self) -> &[ConnectionSettings] {
        &self.connections
    }

    pub(super) fn store(&self) -> &dyn TaskStore {
        self.hub.store().as_ref()
    }

    /// Maps every project by name, and tells how.
    pub(super) async fn map_all(&self) -> Result<Vec<String>, Failure> {
        let mut lines = Vec::new();
        for settings in &self.connections {
            let (_, connection) = self.engine.open(settings.id).await?;
            let remotes = connection.all_projects().await?;
            for (external, mapped) in self.hub.map_all(settings.id, &remotes).await {
                let mapped = mapped?;
                let how = match mapped.answer {
                    MapAnswer::Joined => "joins the hub project",
                    _ => "makes the hub project",
                };
                lines.push(format!(
                    "{}: {} {how} {}",
                    settings.name, external.name, mapped.project.name
                ));
            }
        }
        Ok(lines)
    }

    /// Syncs both tools at the same time, until nothing moves any more.
    pub(super) async fn sync(&self) -> Result<SyncAll, Failure> {
        let follower = Follower::start(&self.orchestrator, &self.connections, self.silent);
        let done = self.orchestrator.sync_all(None).await;
        follower.finish().await;
        Ok(done?)
    }

    /// The hub project that both tools have.
    pub(super) async fn shared_project(&self) -> Result<ProjectId, Failure> {
        let projects = self.store().projects().await?;
        let found = projects.iter().find(|project| project.name == fill::COMMON[0]);
        found
            .map(|project| project.id)
            .ok_or_else(|| Failure::usage("the demo's project is gone"))
    }

    /// How many children a task of this title has in each tool.
    pub(super) fn children_of(&self, title: &str) -> (usize, usize) {
        let packages = self.openproject.work_packages();
        let package = packages.iter().find(|row| row.subject == title).map(|row| row.id);
        let below = packages
            .iter()
            .filter(|row| package.is_some() && row.parent_id == package);
        let tickets = self.leantime.tickets();
        let ticket = tickets
            .iter()
            .find(|row| row.headline.as_deref() == Some(title))
            .map(|row| row.id);
        let subtasks = tickets.iter().filter(|row| row.kind == "subtask");
        let subtasks = subtasks.filter(|row| ticket.is_some() && row.depending_ticket_id == ticket);
        (below.count(), subtasks.count())
    }

    /// How many tasks there are on each side.
    pub(super) async fn sizes(&self) -> Result<String, Failure> {
        let query = magnus_core::store::TaskQuery::default().page(1, None);
        let hub = self.store().query_tasks(query).await?.total;
        Ok(format!(
            "tasks now: {} in OpenProject, {} in Leantime, {hub} in the hub",
            self.openproject.work_packages().len(),
            self.leantime.tickets().len()
        ))
    }

    /// Starts counting anew; answers what the hub counted so far.
    pub(super) fn start_counting(&self) -> u64 {
        self.openproject.reset_counts();
        self.leantime.reset_counts();
        self.store().changed_rows().total()
    }

    pub(super) fn writes_since(&self, hub_before: u64) -> Writes {
        Writes {
            openproject: self.openproject.writes(),
            leantime: self.leantime.writes(),
            hub: self.store().changed_rows().total() - hub_before,
        }
    }

    /// Ends what runs.
    pub(super) async fn stop(self) {
        self.orchestrator.shutdown(Duration::from_secs(5)).await;
    }
}

pub(super) fn served(server: std::io::Result<Served>) -> Result<Served, Failure> {
    server.map_err(|error| Failure::unreachable(format!("no port of the loopback address can be bound: {error}")))
}
