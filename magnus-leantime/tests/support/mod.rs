//! A connection to a router, and shorthands for values.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test file is a crate of its own and uses what it needs; a test that cannot go on has failed"
)]

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use magnus_core::connection::{
    Connection, ConnectionError, Connector, CreateTask, RemoteWrite, UpdateTask, Written, WrittenTask,
};
use magnus_core::model::{ConnectionOptions, ConnectionSettings, ExternalId, Field, RemoteValue, ToolName};
use magnus_leantime::LeantimeConnector;
use magnus_testkit::sim::leantime::{Dialect, LeantimeOptions, LeantimeSimulator};
use magnus_testkit::transport::RouterTransport;
use serde_json::Value;

pub(crate) async fn open(router: Router, key: &str, options: ConnectionOptions) -> Arc<dyn Connection> {
    let connector = LeantimeConnector::new(Arc::new(RouterTransport::new(router)));
    let url = "https://leantime.test";
    let mut settings = ConnectionSettings::new(ToolName::new("leantime"), "board", url, chrono::Utc::now());
    settings.options = options;
    connector.open(settings, key.to_owned().into()).await.unwrap()
}

/// An instance with one project, and an owner's connection to it.
pub(crate) async fn instance(dialect: Dialect) -> (LeantimeSimulator, ExternalId, Arc<dyn Connection>) {
    let simulator = LeantimeSimulator::new(LeantimeOptions::dialect(dialect));
    let project = id(simulator.create_project("Alpha"));
    let connection = open(simulator.router(), simulator.api_key(), ConnectionOptions::default()).await;
    (simulator, project, connection)
}

pub(crate) fn id(number: i64) -> ExternalId {
    ExternalId::new(number.to_string()).unwrap()
}

pub(crate) fn number(id: &ExternalId) -> i64 {
    id.as_str().parse().unwrap()
}

pub(crate) fn fields(values: &[(Field, Value)]) -> BTreeMap<Field, RemoteValue> {
    values
        .iter()
        .map(|(field, value)| (*field, RemoteValue(value.clone())))
        .collect()
}

pub(crate) fn create(project: &ExternalId, values: &[(Field, Value)]) -> RemoteWrite {
    RemoteWrite::Create(CreateTask {
        project: project.clone(),
        fields: fields(values),
        marker: None,
    })
}

pub(crate) fn update(project: &ExternalId, task: i64, values: &[(Field, Value)]) -> RemoteWrite {
    let (project, fields) = (project.clone(), fields(values));
    RemoteWrite::Update(UpdateTask {
        id: id(task),
        project,
        move_to: None,
        version: None,
        fields,
    })
}

pub(crate) fn written(result: Result<Written, ConnectionError>) -> WrittenTask {
    match result.unwrap() {
        Written::Task(task) => *task,
        Written::Deleted => panic!("deleted"),
    }
}
