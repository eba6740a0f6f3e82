//! Every rule of a connection, on simulated instances of three versions, plain and through all layers.

use std::sync::Arc;

use async_trait::async_trait;
use magnus_core::connection::{Connection, Connector};
use magnus_core::layer::Layers;
use magnus_core::model::{ConnectionSettings, ExternalId, Person, ToolName};
use magnus_leantime::LeantimeConnector;
use magnus_testkit::conformance::connection::{Calls, ConnectionFixture, Layered, Trouble};
use magnus_testkit::sim::leantime::{Dialect, LeantimeOptions, LeantimeSimulator};
use magnus_testkit::sim::{Call, CallMatcher, FaultRule};
use magnus_testkit::transport::RouterTransport;

/// An instance on which our key is a manager's, who sees only the projects that it is a member of.
struct Leantime {
    tool: LeantimeSimulator,
    project: i64,
    key: String,
    user: i64,
}

const MANAGER: u8 = 30;

fn id(number: i64) -> ExternalId {
    ExternalId::new(number.to_string()).expect("a number is an id")
}

fn number(id: &ExternalId) -> i64 {
    id.as_str().parse().unwrap_or(0)
}

fn is_write(call: &Call) -> bool {
    let writes = ["addTicket", "patchTicket", "Tickets.patch", "Tickets.delete"];
    call.rpc_methods
        .iter()
        .any(|method| writes.iter().any(|write| method.ends_with(write)))
}

#[async_trait]
impl ConnectionFixture for Leantime {
    async fn connect(&self) -> Arc<dyn Connection> {
        let connector = LeantimeConnector::new(Arc::new(RouterTransport::new(self.tool.router())));
        let url = "https://leantime.test";
        let settings = ConnectionSettings::new(ToolName::new("leantime"), "Test", url, chrono::Utc::now());
        let opened = connector.open(settings, self.key.clone().into()).await;
        opened.expect("valid settings")
    }

    fn project(&self) -> ExternalId {
        id(self.project)
    }

    fn secret(&self) -> Option<String> {
        Some(self.key.clone())
    }

    fn assignee(&self) -> Option<Person> {
        Person::parse("Ada Admin <admin@example.test>")
    }

    async fn requests(&self) -> Option<usize> {
        Some(self.tool.recorder().total())
    }

    async fn another_project(&self) -> Option<ExternalId> {
        let project = self.tool.create_project("Workshop");
        self.tool.assign(self.user, project);
        Some(id(project))
    }

    async fn other_creates(&self, title: &str) -> Option<ExternalId> {
        Some(id(self.tool.create_ticket(self.project, title)))
    }

    async fn other_renames(&self, task: &ExternalId, title: &str) -> Option<()> {
        let title = title.to_owned();
        self.tool
            .edit_ticket(number(task), |ticket| ticket.headline = Some(title));
        Some(())
    }

    async fn other_deletes(&self, task: &ExternalId) -> Option<()> {
        self.tool.delete_ticket(number(task));
        Some(())
    }

    async fn other_moves(&self, task: &ExternalId, project: &ExternalId) -> Option<()> {
        self.tool.move_ticket(number(task), number(project));
        Some(())
    }

    async fn hide_project(&self) -> Option<()> {
        self.tool.unassign(self.user, self.project);
        Some(())
    }

    async fn delete_project(&self) -> Option<()> {
        self.tool.delete_project(self.project);
        Some(())
    }

    async fn trouble(&self, calls: Calls, trouble: Trouble) -> Option<()> {
        let matcher = CallMatcher::any().when(move |call| is_write(call) == (calls == Calls::Writes));
        self.tool
            .faults()
            .inject(FaultRule::new(matcher, trouble.fault()).always());
        Some(())
    }

    async fn heal(&self) {
        self.tool.faults().clear();
    }
}

fn instance(dialect: Dialect) -> Leantime {
    let tool = LeantimeSimulator::new(LeantimeOptions::dialect(dialect));
    let project = tool.create_project("Garden");
    let key = tool.create_api_key(MANAGER);
    let user = tool.user_of_key(&key).expect("a key has a user");
    tool.assign(user, project);
    Leantime {
        tool,
        project,
        key,
        user,
    }
}

/// Leantime has no pages, no versions, no cursors, and refuses no single field.
macro_rules! leantime_tests {
    ($module:ident, $dialect:expr) => {
        mod $module {
            use super::*;

            async fn new_instance() -> Leantime {
                instance($dialect)
            }

            async fn new_layered_instance() -> Layered<Leantime> {
                Layered::new(instance($dialect), Layers::new())
            }

            mod plain {
                use super::*;

                leantime_tests!(@suite new_instance);
            }

            mod through_layers {
                use super::*;

                leantime_tests!(@suite new_layered_instance);
            }
        }
    };
    (@suite $factory:ident) => {
        magnus_testkit::connection_tests!($factory, paused, without: [
            a_create_is_known_by_its_marker,
            every_task_is_listed_over_all_pages,
            no_row_is_lost_while_others_edit_during_paging,
            no_row_is_lost_while_others_delete_during_paging,
            the_sweep_of_ids_equals_the_list,
            a_page_that_repeats_is_no_list,
            a_cursor_includes_its_own_stamp,
            no_change_is_missed_from_cursor_to_cursor,
            an_edit_during_an_incremental_list_is_found_by_the_next,
            a_cursor_of_another_tool_is_an_error,
            a_refusal_names_the_field_and_leaves_the_rest,
            a_stale_write_is_refused,
            the_version_of_an_answer_is_the_next_to_decide_on,
        ]);
    };
}

leantime_tests!(version_3_7, Dialect::V373);
leantime_tests!(version_3_9, Dialect::V398);
leantime_tests!(after_version_3_9, Dialect::Master);
