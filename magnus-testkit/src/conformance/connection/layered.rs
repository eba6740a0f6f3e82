//! The same tool through the layers of the core.

use std::sync::Arc;

use async_trait::async_trait;
use magnus_core::connection::Connection;
use magnus_core::layer::Layers;
use magnus_core::model::{ExternalId, Field, Person};

use super::{Calls, ConnectionFixture, Trouble};

/// A fixture whose connections are wrapped in all layers: they must keep every rule of the connection inside.
///
/// Layers wait between tries, so the rules are best run on paused time.
#[derive(Debug)]
pub struct Layered<F> {
    inner: F,
    layers: Layers,
}

impl<F> Layered<F> {
    /// Wraps the connections of this fixture.
    #[must_use]
    pub const fn new(inner: F, layers: Layers) -> Self {
        Self { inner, layers }
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<F: ConnectionFixture> ConnectionFixture for Layered<F> {
    async fn connect(&self) -> Arc<dyn Connection> {
        self.layers.wrap("conformance", self.inner.connect().await)
    }

    fn project(&self) -> ExternalId {
        self.inner.project()
    }

    fn secret(&self) -> Option<String> {
        self.inner.secret()
    }

    fn assignee(&self) -> Option<Person> {
        self.inner.assignee()
    }

    async fn requests(&self) -> Option<usize> {
        self.inner.requests().await
    }

    async fn page_size(&self, rows: usize) -> Option<()> {
        self.inner.page_size(rows).await
    }

    async fn another_project(&self) -> Option<ExternalId> {
        self.inner.another_project().await
    }

    async fn other_creates(&self, title: &str) -> Option<ExternalId> {
        self.inner.other_creates(title).await
    }

    async fn other_renames(&self, task: &ExternalId, title: &str) -> Option<()> {
        self.inner.other_renames(task, title).await
    }

    async fn other_deletes(&self, task: &ExternalId) -> Option<()> {
        self.inner.other_deletes(task).await
    }

    async fn other_moves(&self, task: &ExternalId, project: &ExternalId) -> Option<()> {
        self.inner.other_moves(task, project).await
    }

    async fn hide_project(&self) -> Option<()> {
        self.inner.hide_project().await
    }

    async fn delete_project(&self) -> Option<()> {
        self.inner.delete_project().await
    }

    async fn refuse(&self, field: Field) -> Option<()> {
        self.inner.refuse(field).await
    }

    async fn trouble(&self, calls: Calls, trouble: Trouble) -> Option<()> {
        self.inner.trouble(calls, trouble).await
    }

    async fn heal(&self) {
        self.inner.heal().await;
    }
}
