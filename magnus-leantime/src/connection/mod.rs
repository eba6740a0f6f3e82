//! One instance of Leantime.

mod reads;
mod tables;
mod writes;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chrono_tz::Tz;
use magnus_core::connection::{
    Capabilities, Connection, ConnectionError, ConnectionErrorKind as Kind, FieldSupport, FindCreated, Identity,
    ListIds, ListProjects, ListTasks, Pace, Page, ProjectReading, ReadTask, Reading, RemoteWrite, Translator, Written,
};
use magnus_core::model::{ConnectionOptions, ExternalId, Field, RemoteProject, RemoteTask, ToolName};
use magnus_transport::InstanceUrl;
use serde_json::Value;

use crate::answer::Answer;
use crate::remote::{self, Surroundings};
use crate::rpc::Rpc;
use crate::tempo::{PER_REQUEST, Tempo};
use crate::wire::Row;

/// A connection to one instance of Leantime.
#[derive(Debug)]
pub(crate) struct LeantimeConnection {
    rpc: Rpc,
    instance: InstanceUrl,
    zone: Tz,
    options: ConnectionOptions,
    key_name: String,
    tempo: Tempo,
    /// What a call taught us of the version.
    old_patch: AtomicBool,
    tells_modified: AtomicBool,
    /// Statuses of new tickets, from the last translator.
    first_statuses: Mutex<BTreeMap<ExternalId, i64>>,
}

impl LeantimeConnection {
    pub(crate) fn new(rpc: Rpc, instance: InstanceUrl, zone: Tz, options: ConnectionOptions, key_name: String) -> Self {
        Self {
            rpc,
            instance,
            zone,
            options,
            key_name,
            tempo: Tempo::new(),
            old_patch: AtomicBool::new(false),
            tells_modified: AtomicBool::new(false),
            first_statuses: Mutex::default(),
        }
    }

    fn around(&self) -> Surroundings {
        Surroundings {
            instance: self.instance.as_str().to_owned(),
            seconds_ahead: self.rpc.seconds_ahead(),
        }
    }

    fn task(&self, row: &Row) -> Option<RemoteTask> {
        let task = remote::task(row, &self.around())?;
        if task.updated_at.is_some() {
            self.tells_modified.store(true, Ordering::Relaxed);
        }
        Some(task)
    }
}

/// The user in the answer of `getUser`; versions up to 3.7 do not tell whose key it is.
fn user_of(answer: &Answer) -> Option<&Row> {
    answer.as_ref().ok().and_then(Value::as_object)
}

fn unsupported(operation: &'static str, message: &str) -> ConnectionError {
    ConnectionError::new(Kind::Unsupported, operation, message)
}

#[async_trait]
impl Connection for LeantimeConnection {
    fn capabilities(&self) -> Capabilities {
        let fields = Field::ALL
            .iter()
            .filter(|field| remote::column(**field).is_some())
            .map(|field| {
                let computed = *field == Field::ActualHours;
                (
                    *field,
                    if computed {
                        FieldSupport::ReadOnly
                    } else {
                        FieldSupport::ReadWrite
                    },
                )
            })
            .collect();
        let host = self.instance.as_url().host_str().unwrap_or_default().to_owned();
        let mut capabilities = Capabilities::new(ToolName::new("leantime"), host, fields);
        capabilities.change_times = self.tells_modified.load(Ordering::Relaxed);
        capabilities.delete = true;
        capabilities.archive = true;
        capabilities.writes_notify = true;
        capabilities.notifying_fields = [Field::Status].into();
        capabilities.batch_size = self.tempo.batch();
        capabilities.pace = Some(Pace {
            requests_per_minute: self.rpc.allowance().per_minute(),
            requests_used: self.rpc.allowance().used(),
            requests_per_batch: 2,
            per_request: PER_REQUEST,
            per_item: self.tempo.per_item(),
            batch: self.tempo.batch(),
            largest_batch: self.tempo.largest(),
        });
        capabilities
    }

    async fn check(&self) -> Result<Identity, ConnectionError> {
        self.identify().await
    }

    async fn translator(&self, projects: Vec<ExternalId>) -> Result<Arc<dyn Translator>, ConnectionError> {
        self.tables(projects).await
    }

    async fn list_projects(&self, _request: ListProjects) -> Result<Page<RemoteProject>, ConnectionError> {
        self.visible_projects().await
    }

    async fn list_tasks(&self, request: ListTasks) -> Result<Page<RemoteTask>, ConnectionError> {
        self.tasks_of(request).await
    }

    async fn list_ids(&self, _request: ListIds) -> Result<Page<ExternalId>, ConnectionError> {
        Err(unsupported("list_ids", "Leantime lists whole tickets only"))
    }

    async fn read(&self, requests: Vec<ReadTask>) -> Result<Vec<Reading>, ConnectionError> {
        self.read_tasks(requests).await
    }

    async fn read_project(&self, project: ExternalId) -> Result<ProjectReading, ConnectionError> {
        self.project_reading(project).await
    }

    async fn write(&self, writes: Vec<RemoteWrite>) -> Vec<Result<Written, ConnectionError>> {
        self.write_all(writes).await
    }

    async fn find_created(&self, request: FindCreated) -> Result<Vec<RemoteTask>, ConnectionError> {
        self.newer_of_ours(request).await
    }

    async fn list_descendants(&self, task: ReadTask) -> Result<Vec<RemoteTask>, ConnectionError> {
        self.descendants(task).await
    }
}
