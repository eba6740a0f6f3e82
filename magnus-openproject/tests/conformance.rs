//! Every rule of a connection, on a simulated instance, plain and through all layers.

use std::sync::Arc;

use async_trait::async_trait;
use magnus_core::connection::{Connection, Connector};
use magnus_core::layer::Layers;
use magnus_core::model::{ConnectionSettings, ExternalId, Field, Person, ToolName};
use magnus_openproject::OpenProjectConnector;
use magnus_testkit::conformance::connection::{Calls, ConnectionFixture, Layered, Trouble};
use magnus_testkit::sim::openproject::{OpenProjectOptions, OpenProjectSimulator};
use magnus_testkit::sim::{CallMatcher, Fault, FaultRule};
use magnus_testkit::transport::RouterTransport;
use secrecy::SecretString;
use serde_json::json;

struct OpenProject {
    tool: OpenProjectSimulator,
    project: u64,
    /// The custom field that new work packages carry a marker in.
    marker_field: Option<&'static str>,
}

fn number(id: &ExternalId) -> u64 {
    id.as_str().parse().unwrap_or(0)
}

fn is_read(call: &magnus_testkit::sim::Call) -> bool {
    call.method.as_str() == "GET"
}

#[async_trait]
impl ConnectionFixture for OpenProject {
    async fn connect(&self) -> Arc<dyn Connection> {
        let connector = OpenProjectConnector::new(Arc::new(RouterTransport::new(self.tool.router())));
        let url = "https://openproject.test";
        let mut settings = ConnectionSettings::new(ToolName::new("openproject"), "Test", url, chrono::Utc::now());
        if let Some(field) = self.marker_field {
            let tool = &mut settings.options.tool;
            tool.insert("create_marker_field".to_owned(), field.into());
        }
        let opened = connector.open(settings, SecretString::from(self.tool.api_key())).await;
        opened.expect("valid settings")
    }

    fn project(&self) -> ExternalId {
        ExternalId::from(self.project)
    }

    fn secret(&self) -> Option<String> {
        Some(self.tool.api_key())
    }

    fn assignee(&self) -> Option<Person> {
        Person::parse("Ada Byron <ada@example.org>")
    }

    async fn requests(&self) -> Option<usize> {
        Some(self.tool.recorder().total())
    }

    async fn page_size(&self, rows: usize) -> Option<()> {
        self.tool.configure(|options| options.page_size_max = rows);
        Some(())
    }

    async fn another_project(&self) -> Option<ExternalId> {
        Some(ExternalId::from(self.tool.create_project("Workshop", "workshop")))
    }

    async fn other_creates(&self, title: &str) -> Option<ExternalId> {
        Some(ExternalId::from(self.tool.create_work_package(self.project, title)))
    }

    async fn other_renames(&self, task: &ExternalId, title: &str) -> Option<()> {
        let title = title.to_owned();
        self.tool.edit_work_package(number(task), |item| item.subject = title);
        Some(())
    }

    async fn other_deletes(&self, task: &ExternalId) -> Option<()> {
        self.tool.delete_work_package(number(task));
        Some(())
    }

    async fn other_moves(&self, task: &ExternalId, project: &ExternalId) -> Option<()> {
        self.tool.move_work_package(number(task), number(project));
        Some(())
    }

    async fn hide_project(&self) -> Option<()> {
        self.tool.remove_membership(self.project, self.tool.sync_user());
        Some(())
    }

    async fn delete_project(&self) -> Option<()> {
        self.tool.delete_project(self.project);
        Some(())
    }

    async fn refuse(&self, field: Field) -> Option<()> {
        let attribute = match field {
            Field::PercentageDone => "percentageDone",
            Field::RemainingHours => "remainingTime",
            Field::DueDate => "dueDate",
            _ => return None,
        };
        let writes = CallMatcher::any().when(move |call| {
            let names = |body: &serde_json::Value| body.get(attribute).is_some();
            !is_read(call) && call.body.as_ref().is_some_and(names)
        });
        let refusal = json!({
            "_type": "Error",
            "errorIdentifier": "urn:openproject-org:api:v3:errors:PropertyConstraintViolation",
            "message": "Darf nicht gesetzt werden.",
            "_embedded": { "details": { "attribute": attribute } },
        });
        let fault = Fault::status(422, refusal.to_string());
        self.tool.faults().inject(FaultRule::new(writes, fault).always());
        Some(())
    }

    async fn trouble(&self, calls: Calls, trouble: Trouble) -> Option<()> {
        let matcher = CallMatcher::any().when(move |call| is_read(call) == (calls == Calls::Reads));
        self.tool
            .faults()
            .inject(FaultRule::new(matcher, trouble.fault()).always());
        Some(())
    }

    async fn heal(&self) {
        self.tool.faults().clear();
    }
}

fn instance(options: OpenProjectOptions) -> OpenProject {
    let tool = OpenProjectSimulator::new(options);
    let project = tool.create_project("Garden", "garden");
    OpenProject {
        tool,
        project,
        marker_field: None,
    }
}

mod plain {
    use super::*;

    async fn new_instance() -> OpenProject {
        OpenProject {
            marker_field: Some("customField7"),
            ..instance(OpenProjectOptions::default().filterable_custom_field("customField7"))
        }
    }

    magnus_testkit::connection_tests!(new_instance, paused, without: [
        what_the_tool_lacks_is_refused_before_any_request,
        what_was_overwritten_is_told_where_there_are_no_versions,
    ]);
}

mod through_layers {
    use super::*;

    async fn new_instance() -> Layered<OpenProject> {
        Layered::new(instance(OpenProjectOptions::default()), Layers::new())
    }

    magnus_testkit::connection_tests!(new_instance, paused, without: [
        a_create_is_known_by_its_marker,
        what_the_tool_lacks_is_refused_before_any_request,
        what_was_overwritten_is_told_where_there_are_no_versions,
    ]);
}
