//! The toy's hooks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use magnus_core::connection::Connection;
use magnus_core::model::{ExternalId, Field, Person, RemoteValue};
use magnus_testkit::conformance::connection::{Calls, ConnectionFixture, Trouble};

use crate::toy_tool::{Bug, SECRET, Server, Toy};

/// A toy with one project, and maybe a bug in its adapter.
pub(crate) struct ToyFixture(Toy);

impl ToyFixture {
    pub(crate) fn new(bug: Option<Bug>) -> Self {
        Self(Toy {
            server: Arc::new(Mutex::new(Server::new())),
            bug,
        })
    }
}

fn number(id: &ExternalId) -> u64 {
    id.as_str().parse().unwrap_or(0)
}

#[async_trait]
impl ConnectionFixture for ToyFixture {
    async fn connect(&self) -> Arc<dyn Connection> {
        Arc::new(self.0.clone())
    }

    fn project(&self) -> ExternalId {
        ExternalId::from(1)
    }

    fn secret(&self) -> Option<String> {
        Some(SECRET.to_owned())
    }

    fn assignee(&self) -> Option<Person> {
        Person::parse("Ada Byron <ada@example.org>")
    }

    async fn requests(&self) -> Option<usize> {
        Some(self.0.server().requests)
    }

    async fn page_size(&self, rows: usize) -> Option<()> {
        self.0.server().page_size = rows;
        Some(())
    }

    async fn another_project(&self) -> Option<ExternalId> {
        self.0.server().projects.insert(2, true);
        Some(ExternalId::from(2))
    }

    async fn other_creates(&self, title: &str) -> Option<ExternalId> {
        let fields = BTreeMap::from([(Field::Title, RemoteValue::text(title))]);
        Some(ExternalId::from(self.0.server().insert(1, fields, false)))
    }

    async fn other_renames(&self, task: &ExternalId, title: &str) -> Option<()> {
        self.0.server().change(number(task), |item| {
            item.fields.insert(Field::Title, RemoteValue::text(title));
        });
        Some(())
    }

    async fn other_deletes(&self, task: &ExternalId) -> Option<()> {
        self.0.server().items.remove(&number(task)).map(|_| ())
    }

    async fn other_moves(&self, task: &ExternalId, project: &ExternalId) -> Option<()> {
        self.0
            .server()
            .change(number(task), |item| item.project = number(project));
        Some(())
    }

    async fn hide_project(&self) -> Option<()> {
        self.0.server().projects.insert(1, false);
        Some(())
    }

    async fn delete_project(&self) -> Option<()> {
        let mut server = self.0.server();
        server.projects.remove(&1);
        server.items.retain(|_, item| item.project != 1);
        Some(())
    }

    async fn refuse(&self, field: Field) -> Option<()> {
        self.0.server().refused = Some(field);
        Some(())
    }

    async fn trouble(&self, calls: Calls, trouble: Trouble) -> Option<()> {
        self.0.server().trouble.push((calls, trouble));
        Some(())
    }

    async fn heal(&self) {
        let mut server = self.0.server();
        server.trouble.clear();
        server.refused = None;
    }
}
