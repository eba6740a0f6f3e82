//! Tests a program that embeds Magnus without any tool: the exported mocks stand in for one.
//!
//! The mocks come with the feature `mock` of `magnus-core`.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::Utc;
use magnus_core::connection::{
    Capabilities, Connection, Decoded, Encoded, FieldSupport, Identity, MockConnection, MockConnector, Page, Translator,
};
use magnus_core::engine::{Engine, RunContext, SyncEngine};
use magnus_core::memory::MemoryStore;
use magnus_core::model::{
    ConnectionSettings, ExternalId, Field, RemoteField, RemoteProject, RemoteTask, RemoteValue, RunRequest, RunState,
    ToolName, Value,
};
use magnus_core::secret::EnvSecretStore;
use magnus_core::store::{HubStore, SettingsStore, TaskQuery};

/// A tool whose only field is a title.
#[derive(Debug)]
struct Titles;

impl Translator for Titles {
    fn decode(&self, _: &ExternalId, _: Field, value: &RemoteValue) -> Decoded {
        Decoded::Exact(Value::text(value.as_text().unwrap_or_default()))
    }

    fn encode(&self, _: &ExternalId, _: Field, value: &Value) -> Encoded {
        Encoded::Value(RemoteValue::text(value.to_string()))
    }

    fn is_default(&self, _: &ExternalId, _: Field, value: &RemoteValue) -> bool {
        value.is_null()
    }
}

fn board() -> MockConnection {
    let mut board = MockConnection::new();
    let fields = BTreeMap::from([(Field::Title, FieldSupport::ReadWrite)]);
    let capabilities = Capabilities::new(ToolName::new("board"), "board.example", fields);
    board.expect_capabilities().return_const(capabilities);
    board.expect_check().returning(|| {
        Ok(Identity {
            id: ExternalId::from(1),
            name: "Ada".to_owned(),
            version: None,
            notes: Vec::new(),
        })
    });
    board.expect_translator().returning(|_| Ok(Arc::new(Titles)));
    board.expect_list_projects().returning(|_| {
        Ok(Page::whole(vec![RemoteProject {
            id: ExternalId::from(1),
            name: "Garden".to_owned(),
            description: None,
            open: true,
            url: None,
        }]))
    });
    board.expect_list_tasks().returning(|request| {
        let title = RemoteField::from(RemoteValue::text("Water the tomatoes"));
        Ok(Page::whole(vec![RemoteTask {
            id: ExternalId::from(7),
            project: request.project,
            version: None,
            updated_at: None,
            url: None,
            fields: [(Field::Title, title)].into_iter().collect(),
            metadata: serde_json::Map::new(),
            marker: None,
            skip: None,
        }]))
    });
    // A call that nobody expects fails the test: nothing may be written to a tool in which nothing is to change.
    board.expect_write().never();
    board
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut connector = MockConnector::new();
    connector.expect_tool().returning(|| ToolName::new("board"));
    connector
        .expect_open()
        .returning(|_, _| Ok(Arc::new(board()) as Arc<dyn Connection>));

    let store = Arc::new(MemoryStore::new());
    let secrets = Arc::new(EnvSecretStore::from_lookup(|_| Some("any key".into())));
    let engine = Engine::new(Arc::<MemoryStore>::clone(&store), secrets).with_connector(Arc::new(connector));
    let settings = ConnectionSettings::new(ToolName::new("board"), "Board", "https://board.example", Utc::now());
    let settings = store.save_connection(settings).await?;

    for created in [1, 0] {
        let run = engine.run(RunRequest::new(settings.id), RunContext::detached()).await?;
        anyhow::ensure!(
            run.state == RunState::Completed && run.report.counts.tasks.created == created,
            "{run:?}"
        );
    }
    let page = store.query_tasks(TaskQuery::default()).await?;
    anyhow::ensure!(page.tasks.len() == 1 && page.tasks[0].title == "Water the tomatoes");
    println!("{:?} came from a tool that is not there", page.tasks[0].title);
    Ok(())
}
