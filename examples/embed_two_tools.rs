//! Embeds Magnus in a program of your own: two tools, one hub, kept in step.
//!
//! To try it without accounts, `main` simulates both tools.

use std::sync::Arc;

use chrono::Utc;
use magnus_core::connection::ConnectionExt;
use magnus_core::engine::Engine;
use magnus_core::hub::Hub;
use magnus_core::layer::Layers;
use magnus_core::model::{ConnectionSettings, RunState, ToolName};
use magnus_core::orchestrator::{Orchestrator, SyncAll};
use magnus_core::secret::SecretStore;
use magnus_core::store::TaskStore;
use magnus_leantime::LeantimeConnector;
use magnus_openproject::OpenProjectConnector;
use magnus_sqlite::{MasterKey, SealedSecretStore, SqliteStore};
use magnus_testkit::sim::leantime::{LeantimeOptions, LeantimeSimulator};
use magnus_testkit::sim::openproject::{OpenProjectOptions, OpenProjectSimulator};
use magnus_transport::HttpOptions;

// In the README from here
async fn keep_in_step(database: &str, tools: [(&str, &str, &str); 2]) -> anyhow::Result<SyncAll> {
    let sqlite = SqliteStore::open(database).await?;
    let master_key = MasterKey::from_environment_or_file(sqlite.key_file())?;
    let store: Arc<dyn TaskStore> = Arc::new(sqlite);
    let secrets: Arc<dyn SecretStore> = Arc::new(SealedSecretStore::new(Arc::clone(&store), &master_key));
    let hub = Hub::new(Arc::clone(&store));
    let engine = Engine::new(Arc::clone(&store), Arc::clone(&secrets))
        .with_connector(Arc::new(OpenProjectConnector::over_http(HttpOptions::default())?))
        .with_connector(Arc::new(LeantimeConnector::over_http(HttpOptions::default())?))
        .with_layers(|settings, connection| Layers::new().wrap(&settings.name, connection));
    for (tool, url, key) in tools {
        let settings = ConnectionSettings::new(ToolName::new(tool), tool, url, Utc::now());
        let connection = engine.connect(settings.clone(), key.into()).await?;
        println!("{tool}: connected as {}", connection.check().await?.name);
        let saved = hub.add_connection(settings, key.into(), secrets.as_ref()).await?;
        hub.map_all(saved.id, &connection.all_projects().await?).await;
    }
    let orchestrator = Orchestrator::builder(store, Arc::new(engine)).build();
    Ok(orchestrator.sync_all(None).await?)
}
// to here

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let openproject = OpenProjectSimulator::new(OpenProjectOptions::default());
    let leantime = LeantimeSimulator::new(LeantimeOptions::default());
    let garden = openproject.create_project("Garden", "garden");
    openproject.create_work_package(garden, "Water the tomatoes");
    let board = leantime.create_project("Garden");
    leantime.create_ticket(board, "Cut the hedge");
    let (projects, board) = (openproject.serve().await?, leantime.serve().await?);

    let directory = tempfile::tempdir()?;
    let database = directory.path().join("hub.db");
    let all = keep_in_step(
        &database.to_string_lossy(),
        [
            ("openproject", &projects.url, &openproject.api_key()),
            ("leantime", &board.url, leantime.api_key()),
        ],
    )
    .await?;
    anyhow::ensure!(
        all.quiet && all.runs.iter().all(|run| run.state == RunState::Completed),
        "{all:?}"
    );
    println!(
        "in step: {} tasks in OpenProject, {} in Leantime",
        openproject.work_packages().len(),
        leantime.tickets().len()
    );
    anyhow::ensure!(openproject.work_packages().len() == 2 && leantime.tickets().len() == 2);
    Ok(())
}
