//! The one place where a layer forwards the methods of a connection.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

use crate::connection::{
    Capabilities, Connection, ConnectionError, FindCreated, Identity, ListIds, ListProjects, ListTasks, Page,
    ProjectReading, ReadTask, Reading, RemoteWrite, Translator, Written,
};
use crate::model::{ExternalId, LastChange, RemoteProject, RemoteTask};

/// What became of one write.
pub(super) type WriteResult = Result<Written, ConnectionError>;

/// What a layer does around reads and writes, whichever they are.
pub(super) trait Layer: Debug + Send + Sync + 'static {
    /// Carries out a read. It changes nothing and may be called more than once.
    fn read<T, F, R>(
        &self,
        operation: &'static str,
        call: F,
    ) -> impl Future<Output = Result<T, ConnectionError>> + Send
    where
        T: Send,
        F: Fn() -> R + Send + Sync,
        R: Future<Output = Result<T, ConnectionError>> + Send;

    /// Carries out writes. What was tried already is tried again only if it surely did not happen.
    fn write(&self, inner: &dyn Connection, writes: Vec<RemoteWrite>) -> impl Future<Output = Vec<WriteResult>> + Send;
}

/// A connection with a layer around it.
#[derive(Debug)]
pub(super) struct Around<L> {
    inner: Arc<dyn Connection>,
    layer: L,
}

impl<L: Layer> Around<L> {
    pub(super) fn wrap(inner: Arc<dyn Connection>, layer: L) -> Arc<dyn Connection> {
        Arc::new(Self { inner, layer })
    }
}

// A method that the trait may one day bring with a default body would bypass what an adapter made of it.
#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<L: Layer> Connection for Around<L> {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn check(&self) -> Result<Identity, ConnectionError> {
        self.layer.read("check", || self.inner.check()).await
    }

    async fn translator(&self, projects: Vec<ExternalId>) -> Result<Arc<dyn Translator>, ConnectionError> {
        self.layer
            .read("translator", || self.inner.translator(projects.clone()))
            .await
    }

    async fn list_projects(&self, request: ListProjects) -> Result<Page<RemoteProject>, ConnectionError> {
        self.layer
            .read("list_projects", || self.inner.list_projects(request.clone()))
            .await
    }

    async fn list_tasks(&self, request: ListTasks) -> Result<Page<RemoteTask>, ConnectionError> {
        self.layer
            .read("list_tasks", || self.inner.list_tasks(request.clone()))
            .await
    }

    async fn list_ids(&self, request: ListIds) -> Result<Page<ExternalId>, ConnectionError> {
        self.layer
            .read("list_ids", || self.inner.list_ids(request.clone()))
            .await
    }

    async fn read(&self, requests: Vec<ReadTask>) -> Result<Vec<Reading>, ConnectionError> {
        self.layer.read("read", || self.inner.read(requests.clone())).await
    }

    async fn read_project(&self, project: ExternalId) -> Result<ProjectReading, ConnectionError> {
        self.layer
            .read("read_project", || self.inner.read_project(project.clone()))
            .await
    }

    async fn write(&self, writes: Vec<RemoteWrite>) -> Vec<WriteResult> {
        self.layer.write(self.inner.as_ref(), writes).await
    }

    async fn find_created(&self, request: FindCreated) -> Result<Vec<RemoteTask>, ConnectionError> {
        self.layer
            .read("find_created", || self.inner.find_created(request.clone()))
            .await
    }

    async fn last_change(&self, task: ReadTask) -> Result<Option<LastChange>, ConnectionError> {
        self.layer
            .read("last_change", || self.inner.last_change(task.clone()))
            .await
    }

    async fn list_descendants(&self, task: ReadTask) -> Result<Vec<RemoteTask>, ConnectionError> {
        self.layer
            .read("list_descendants", || self.inner.list_descendants(task.clone()))
            .await
    }
}
