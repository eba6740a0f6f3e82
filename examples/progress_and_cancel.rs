//! Starts a sync, watches how far it comes, and stops it; a second run does the rest, and nothing twice.
//!
//! To try it without an account, `main` simulates OpenProject.

use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use chrono::Utc;
use magnus_core::connection::ConnectionExt as _;
use magnus_core::engine::Engine;
use magnus_core::hub::{Hub, NewTask};
use magnus_core::memory::MemoryStore;
use magnus_core::model::{ConnectionSettings, RunRequest, RunState, ToolName};
use magnus_core::orchestrator::Orchestrator;
use magnus_core::secret::EnvSecretStore;
use magnus_core::store::TaskStore;
use magnus_openproject::OpenProjectConnector;
use magnus_testkit::sim::openproject::{OpenProjectOptions, OpenProjectSimulator};
use magnus_testkit::transport::RouterTransport;

const TASKS: usize = 40;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let tool = OpenProjectSimulator::new(OpenProjectOptions::default());
    tool.create_project("Garden", "garden");
    tool.faults().delay_all(Some(Duration::from_millis(5)));

    let store: Arc<dyn TaskStore> = Arc::new(MemoryStore::new());
    let key = tool.api_key();
    let secrets = Arc::new(EnvSecretStore::from_lookup(move |_| Some(key.clone().into())));
    let connector = OpenProjectConnector::new(Arc::new(RouterTransport::new(tool.router())));
    let engine = Engine::new(Arc::clone(&store), secrets).with_connector(Arc::new(connector));
    let url = "https://openproject.test";
    let settings = ConnectionSettings::new(ToolName::new("openproject"), "Office", url, Utc::now());
    let settings = store.save_connection(settings).await?;

    let hub = Hub::new(Arc::clone(&store));
    let projects = engine
        .connect(settings.clone(), tool.api_key().into())
        .await?
        .all_projects()
        .await?;
    for (_, mapped) in hub.map_all(settings.id, &projects).await {
        let project = mapped?.project;
        for number in 1..=TASKS {
            hub.add_task(NewTask::new(project.id, format!("Plant row {number}")))
                .await?;
        }
    }

    let orchestrator = Orchestrator::builder(store, Arc::new(engine)).build();
    let run = orchestrator.start(RunRequest::new(settings.id)).await?;
    let mut progress = run.progress();
    let seen = *progress.wait_for(|progress| progress.done >= 3).await?;
    println!("{:?}: {} of {} done; that is enough", seen.phase, seen.done, seen.total);
    run.cancel().await?;
    let ended = run.wait().await?;
    let written = tool.work_packages().len();
    println!("{:?} with {written} of {TASKS} tasks in the tool", ended.state);
    ensure!(ended.state == RunState::Cancelled && written < TASKS);

    let ended = orchestrator.start(RunRequest::new(settings.id)).await?.wait().await?;
    println!(
        "{:?} with {} of {TASKS} tasks in the tool",
        ended.state,
        tool.work_packages().len()
    );
    ensure!(ended.state == RunState::Completed && tool.work_packages().len() == TASKS);
    orchestrator.shutdown(Duration::from_secs(5)).await;
    Ok(())
}
