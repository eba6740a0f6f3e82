//! A connection to a simulated instance, in the process.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use magnus_core::connection::{
    Connection, ConnectionError, Connector, CreateTask, RemoteWrite, UpdateTask, Written, WrittenTask,
};
use magnus_core::model::{ConnectionSettings, ExternalId, Field, RemoteTask, RemoteValue, ToolName};
use magnus_openproject::OpenProjectConnector;
use magnus_testkit::sim::openproject::{OpenProjectOptions, OpenProjectSimulator};
use magnus_testkit::transport::RouterTransport;
use magnus_transport::{Transport, TransportError};
use secrecy::SecretString;

pub(crate) struct Bench {
    pub(crate) tool: OpenProjectSimulator,
    pub(crate) connection: Arc<dyn Connection>,
    pub(crate) project: u64,
}

pub(crate) fn settings(url: &str) -> ConnectionSettings {
    ConnectionSettings::new(ToolName::new("openproject"), "Test", url, chrono::Utc::now())
}

pub(crate) async fn open(
    tool: &OpenProjectSimulator,
    settings: ConnectionSettings,
) -> Result<Arc<dyn Connection>, ConnectionError> {
    let connector = OpenProjectConnector::new(Arc::new(RouterTransport::new(tool.router())));
    connector.open(settings, SecretString::from(tool.api_key())).await
}

/// A way to an instance that keeps what was sent.
#[derive(Debug)]
pub(crate) struct Listening {
    pub(crate) tool: RouterTransport,
    pub(crate) heard: Arc<Mutex<Vec<Request<Bytes>>>>,
}

#[async_trait]
impl Transport for Listening {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        self.heard
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(request.clone());
        self.tool.send(request).await
    }
}

pub(crate) async fn bench(options: OpenProjectOptions) -> Bench {
    let tool = OpenProjectSimulator::new(options);
    let project = tool.create_project("Garden", "garden");
    let connection = open(&tool, settings("https://openproject.test"))
        .await
        .expect("valid settings");
    Bench {
        tool,
        connection,
        project,
    }
}

pub(crate) async fn simple() -> Bench {
    bench(OpenProjectOptions::default()).await
}

pub(crate) fn id(number: u64) -> ExternalId {
    ExternalId::from(number)
}

pub(crate) fn fields(of: &[(Field, &str)]) -> BTreeMap<Field, RemoteValue> {
    of.iter()
        .map(|(field, text)| (*field, RemoteValue::text(*text)))
        .collect()
}

pub(crate) fn create(project: u64, of: &[(Field, &str)]) -> RemoteWrite {
    RemoteWrite::Create(CreateTask {
        project: id(project),
        fields: fields(of),
        marker: None,
    })
}

/// A change decided on what was read.
pub(crate) fn change(task: &RemoteTask, of: BTreeMap<Field, RemoteValue>) -> RemoteWrite {
    RemoteWrite::Update(UpdateTask {
        id: task.id.clone(),
        project: task.project.clone(),
        move_to: None,
        version: task.version.clone(),
        fields: of,
    })
}

impl Bench {
    pub(crate) async fn write(&self, write: RemoteWrite) -> Result<Written, ConnectionError> {
        self.connection.write(vec![write]).await.remove(0)
    }

    pub(crate) async fn written(&self, write: RemoteWrite) -> WrittenTask {
        match self.write(write).await {
            Ok(Written::Task(task)) => *task,
            other => panic!("not written: {other:?}"),
        }
    }

    pub(crate) async fn read(&self, task: u64) -> RemoteTask {
        let request = magnus_core::connection::ReadTask {
            id: id(task),
            project: id(self.project),
        };
        let reading = self.connection.read(vec![request]).await.expect("readable").remove(0);
        reading.into_task().expect("there")
    }
}
