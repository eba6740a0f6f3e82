//! A tool of your own, synced like any other: `json_file.rs` is all that Magnus needs to know of it.

mod json_file;

use std::sync::{Arc, Mutex};

use anyhow::ensure;
use async_trait::async_trait;
use chrono::Utc;
use magnus_core::connection::{Connection, ConnectionError, ConnectionExt as _, Connector};
use magnus_core::engine::Engine;
use magnus_core::hub::{Hub, NewTask};
use magnus_core::memory::MemoryStore;
use magnus_core::model::{ConnectionSettings, ToolName};
use magnus_core::orchestrator::Orchestrator;
use magnus_core::secret::EnvSecretStore;
use magnus_core::store::TaskStore;
use secrecy::SecretString;

use json_file::JsonFile;

/// Opens the file that the settings name.
#[derive(Debug)]
struct JsonFiles;

#[async_trait]
impl Connector for JsonFiles {
    fn tool(&self) -> ToolName {
        ToolName::new("json_file")
    }

    async fn open(
        &self,
        settings: ConnectionSettings,
        _: SecretString,
    ) -> Result<Arc<dyn Connection>, ConnectionError> {
        Ok(Arc::new(JsonFile(Mutex::new(settings.url.into()))))
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("tasks.json");
    std::fs::write(
        &path,
        r#"{"1": {"title": "Water the tomatoes", "status": "in_progress"}}"#,
    )?;

    let store: Arc<dyn TaskStore> = Arc::new(MemoryStore::new());
    let secrets = EnvSecretStore::from_lookup(|_| Some("no key is needed".into()));
    let engine = Engine::new(Arc::clone(&store), Arc::new(secrets)).with_connector(Arc::new(JsonFiles));
    let tool = ToolName::new("json_file");
    let settings = ConnectionSettings::new(tool, "My file", path.to_string_lossy(), Utc::now());
    let settings = store.save_connection(settings).await?;
    let file = engine.connect(settings.clone(), "no key is needed".into()).await?;

    let hub = Hub::new(Arc::clone(&store));
    for (_, mapped) in hub.map_all(settings.id, &file.all_projects().await?).await {
        hub.add_task(NewTask::new(mapped?.project.id, "Paint the fence"))
            .await?;
    }
    let orchestrator = Orchestrator::builder(Arc::clone(&store), Arc::new(engine)).build();
    let all = orchestrator.sync_all(None).await?;
    ensure!(all.quiet, "{all:?}");

    let in_file = std::fs::read_to_string(&path)?;
    println!("the file holds {in_file}");
    ensure!(in_file.contains("Paint the fence"));
    for project in store.projects().await? {
        let tasks = store.tasks_of_project(project.id).await?;
        ensure!(tasks.len() == 2, "{tasks:?}");
        for task in tasks {
            println!("the hub holds {} ({})", task.title, task.status);
        }
    }
    Ok(())
}
