//! A connection whose calls are counted and may break.

use std::sync::Arc;

use async_trait::async_trait;
use magnus_core::connection::{
    Capabilities, Connection, ConnectionError, ConnectionErrorKind, FindCreated, Identity, ListIds, ListProjects,
    ListTasks, Outcome, Page, ProjectReading, ReadTask, Reading, RemoteWrite, Translator, Written,
};
use magnus_core::model::{ExternalId, LastChange, RemoteProject, RemoteTask};

use super::{CrashPoint, Mode};

#[derive(Debug)]
pub(super) struct Breaking {
    inner: Arc<dyn Connection>,
    crash: CrashPoint,
}

impl Breaking {
    pub(super) fn new(inner: Arc<dyn Connection>, crash: CrashPoint) -> Self {
        Self { inner, crash }
    }

    async fn read_step<T>(
        &self,
        name: &'static str,
        call: impl Future<Output = Result<T, ConnectionError>>,
    ) -> Result<T, ConnectionError> {
        match self.crash.step(name).await {
            Some(Mode::AnswerLost | Mode::NeverArrived) => Err(lost(name)),
            Some(Mode::StopAfter) => {
                let _ = call.await;
                self.crash.die().await
            }
            _ => call.await,
        }
    }
}

fn lost(operation: &'static str) -> ConnectionError {
    ConnectionError::new(ConnectionErrorKind::Timeout, operation, "no answer came")
}

const fn name(write: &RemoteWrite) -> &'static str {
    match write {
        RemoteWrite::Create(_) => "create",
        RemoteWrite::Update(_) => "update",
        RemoteWrite::Delete(_) => "delete",
    }
}

#[async_trait]
impl Connection for Breaking {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn check(&self) -> Result<Identity, ConnectionError> {
        self.read_step("check", self.inner.check()).await
    }

    async fn translator(&self, projects: Vec<ExternalId>) -> Result<Arc<dyn Translator>, ConnectionError> {
        self.read_step("translator", self.inner.translator(projects)).await
    }

    async fn list_projects(&self, request: ListProjects) -> Result<Page<RemoteProject>, ConnectionError> {
        self.read_step("list_projects", self.inner.list_projects(request)).await
    }

    async fn list_tasks(&self, request: ListTasks) -> Result<Page<RemoteTask>, ConnectionError> {
        self.read_step("list_tasks", self.inner.list_tasks(request)).await
    }

    async fn list_ids(&self, request: ListIds) -> Result<Page<ExternalId>, ConnectionError> {
        self.read_step("list_ids", self.inner.list_ids(request)).await
    }

    async fn read(&self, requests: Vec<ReadTask>) -> Result<Vec<Reading>, ConnectionError> {
        self.read_step("read", self.inner.read(requests)).await
    }

    async fn read_project(&self, project: ExternalId) -> Result<ProjectReading, ConnectionError> {
        self.read_step("read_project", self.inner.read_project(project)).await
    }

    // One by one: a batch that broke off in the middle has taken effect in part.
    async fn write(&self, writes: Vec<RemoteWrite>) -> Vec<Result<Written, ConnectionError>> {
        let mut answers = Vec::with_capacity(writes.len());
        for write in writes {
            let name = name(&write);
            let mode = self.crash.step(name).await;
            if mode == Some(Mode::NeverArrived) {
                answers.push(Err(lost(name).with_outcome(Outcome::Unknown)));
                continue;
            }
            let answer = self.inner.write(vec![write]).await.pop();
            answers.push(match mode {
                Some(Mode::StopAfter) => self.crash.die().await,
                Some(Mode::AnswerLost) => Err(lost(name).with_outcome(Outcome::Unknown)),
                _ => answer.unwrap_or_else(|| Err(lost(name).with_outcome(Outcome::Unknown))),
            });
        }
        answers
    }

    async fn find_created(&self, request: FindCreated) -> Result<Vec<RemoteTask>, ConnectionError> {
        self.read_step("find_created", self.inner.find_created(request)).await
    }

    async fn last_change(&self, task: ReadTask) -> Result<Option<LastChange>, ConnectionError> {
        self.read_step("last_change", self.inner.last_change(task)).await
    }

    async fn list_descendants(&self, task: ReadTask) -> Result<Vec<RemoteTask>, ConnectionError> {
        self.read_step("list_descendants", self.inner.list_descendants(task))
            .await
    }
}
