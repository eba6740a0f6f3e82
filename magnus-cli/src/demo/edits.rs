//! Edits on all three sides, among them one true conflict, and what became of them.

use magnus_core::hub::NewTask;
use magnus_core::model::{Conflict, Field, Task, TaskPatch, Value, text};
use magnus_core::store::ConflictQuery;
use magnus_testkit::sim::seed::SeedStatus;

use super::fill::{COMMON, Twin};
use super::world::World;
use crate::failure::Failure;
use crate::run_table::{quoted, table, text as table_text};

const NEW_TASK: &str = "Book the launch party";
const DUE: &str = "2026-12-24";
const IN_HUB: &str = "Rename agreed in the hub";
const IN_LEANTIME: &str = "Rename agreed in Leantime";

/// What was edited where.
pub(super) struct Edits {
    closed: Twin,
    urgent: Twin,
    dated: Twin,
    disputed: Twin,
}

impl Edits {
    pub(super) fn lines(&self) -> Vec<String> {
        vec![
            format!("OpenProject: {} is closed", quoted(&self.closed.title)),
            format!("Leantime: {} becomes critical", quoted(&self.urgent.title)),
            format!("hub: {} is due on {DUE}", quoted(&self.dated.title)),
            format!("hub: new task {NEW_TASK:?}"),
            format!(
                "hub and Leantime: {} is renamed in both, to different titles",
                quoted(&self.disputed.title)
            ),
        ]
    }
}

impl World {
    /// Edits on all three sides.
    pub(super) async fn edit(&self) -> Result<Edits, Failure> {
        // Open tasks that nobody touched: the same ones in every demo.
        let mut open = self
            .twins
            .iter()
            .filter(|twin| twin.status == SeedStatus::Todo)
            .cloned();
        let mut next = || {
            let twin = open.next();
            twin.ok_or_else(|| Failure::unreachable("the simulated tools hold too few open tasks"))
        };
        let edits = Edits {
            closed: next()?,
            urgent: next()?,
            dated: next()?,
            disputed: next()?,
        };
        let closed = self.openproject.status_id("Closed").unwrap_or_default();
        self.openproject
            .edit_work_package(edits.closed.openproject, |item| item.status_id = closed);
        self.leantime
            .edit_ticket(edits.urgent.leantime, |ticket| ticket.priority = Some("1".to_owned()));
        self.leantime.edit_ticket(edits.disputed.leantime, |ticket| {
            ticket.headline = Some(IN_LEANTIME.to_owned())
        });

        let due = crate::values::parse(Field::DueDate, DUE)?;
        let dated = self.hub_task(&edits.dated.title).await?;
        self.hub.edit_task(dated.id, patch(Field::DueDate, due)).await?;
        let disputed = self.hub_task(&edits.disputed.title).await?;
        self.hub
            .edit_task(disputed.id, patch(Field::Title, Value::text(IN_HUB)))
            .await?;
        self.hub.add_task(NewTask::new(dated.project_id, NEW_TASK)).await?;
        Ok(edits)
    }

    /// What stands on each side now, and whether everything arrived.
    pub(super) async fn outcome(&self, edits: &Edits) -> Result<(String, bool), Failure> {
        let closed = self.hub_task(&edits.closed.title).await?;
        let urgent = self.hub_task(&edits.urgent.title).await?;
        let dated = self.hub_task(&edits.dated.title).await?;
        let new = self.hub_task(NEW_TASK).await?;
        let new_in_openproject = self
            .openproject
            .work_packages()
            .iter()
            .any(|item| item.subject == new.title);
        let new_in_leantime = self
            .leantime
            .tickets()
            .iter()
            .any(|item| item.headline.as_ref() == Some(&new.title));
        let there = |there: bool| if there { "there" } else { "missing" }.to_owned();
        let rows = [
            (
                "closed in OpenProject",
                [
                    self.openproject_status(&edits.closed),
                    closed.status.to_string(),
                    self.leantime_status(&edits.closed),
                ],
                ["Closed", "done", "0 (done)"],
            ),
            (
                "critical in Leantime",
                [
                    self.openproject_priority(&edits.urgent),
                    urgent.priority.to_string(),
                    self.leantime_priority(&edits.urgent),
                ],
                ["Immediate", "critical", "1"],
            ),
            (
                "due date in the hub",
                [
                    self.openproject_due(&edits.dated),
                    date(&dated),
                    self.leantime_due(&edits.dated),
                ],
                [DUE, DUE, DUE],
            ),
            (
                "new in the hub",
                [there(new_in_openproject), there(true), there(new_in_leantime)],
                ["there", "there", "there"],
            ),
        ];
        let mut table = table(["what moved", "OpenProject", "hub", "Leantime"]);
        let mut arrived = true;
        for (what, sides, expected) in rows {
            arrived &= sides == expected;
            let [openproject, hub, leantime] = sides;
            table.add_row([what.to_owned(), openproject, hub, leantime]);
        }
        Ok((table_text(&table), arrived))
    }

    /// How the conflict went: held, with both values, until a person says.
    pub(super) async fn conflict_story(&self, edits: &Edits) -> Result<(String, bool), Failure> {
        let open: Vec<Conflict> = self.store().conflicts(ConflictQuery::open(None)).await?;
        let mut lines = Vec::new();
        for conflict in &open {
            lines.push(format!(
                "conflict held: {} is {} in the hub and {} in Leantime; neither is overwritten\n  \
                 a person decides: magnus resolve {} --hub | --external | --value ...",
                conflict.field,
                quoted(&conflict.local.to_string()),
                quoted(&conflict.remote_value.to_string()),
                crate::names::short(conflict.id),
            ));
        }
        let here = self
            .leantime
            .ticket(edits.disputed.leantime)
            .and_then(|ticket| ticket.headline);
        let there = self
            .openproject
            .work_package(edits.disputed.openproject)
            .map(|item| item.subject);
        let as_promised = open.len() == 1 && here.as_deref() == Some(IN_LEANTIME) && there.as_deref() == Some(IN_HUB);
        Ok((lines.join("\n"), as_promised))
    }

    async fn hub_task(&self, title: &str) -> Result<Task, Failure> {
        let key = text::canonical_title(title);
        for project in self.store().projects().await? {
            if project.name == COMMON[0] {
                let tasks = self.store().tasks_of_project(project.id).await?;
                if let Some(task) = tasks.into_iter().find(|task| task.title_key() == key) {
                    return Ok(task);
                }
            }
        }
        Err(missing(title))
    }

    fn openproject_status(&self, twin: &Twin) -> String {
        let id = self
            .openproject
            .work_package(twin.openproject)
            .map(|item| item.status_id);
        let status = self
            .openproject
            .statuses()
            .into_iter()
            .find(|status| Some(status.id) == id);
        status.map(|status| status.name).unwrap_or_default()
    }

    fn openproject_priority(&self, twin: &Twin) -> String {
        let id = self
            .openproject
            .work_package(twin.openproject)
            .map(|item| item.priority_id);
        let priority = self
            .openproject
            .priorities()
            .into_iter()
            .find(|priority| Some(priority.id) == id);
        priority.map(|priority| priority.name).unwrap_or_default()
    }

    fn openproject_due(&self, twin: &Twin) -> String {
        let due = self
            .openproject
            .work_package(twin.openproject)
            .and_then(|item| item.due_date);
        due.map(|date| date.to_string()).unwrap_or_default()
    }

    fn leantime_status(&self, twin: &Twin) -> String {
        match self.leantime.ticket(twin.leantime).map(|ticket| ticket.status) {
            Some(0) => "0 (done)".to_owned(),
            Some(other) => other.to_string(),
            None => String::new(),
        }
    }

    fn leantime_priority(&self, twin: &Twin) -> String {
        let ticket = self.leantime.ticket(twin.leantime);
        ticket.and_then(|ticket| ticket.priority).unwrap_or_default()
    }

    /// The local day of the stored instant, as Leantime's pages show it.
    fn leantime_due(&self, twin: &Twin) -> String {
        let stored = self
            .leantime
            .ticket(twin.leantime)
            .and_then(|ticket| ticket.date_to_finish);
        let instant = stored.and_then(|text| chrono::NaiveDateTime::parse_from_str(&text, "%Y-%m-%d %H:%M:%S").ok());
        // The simulated server stands in Los Angeles: eight hours behind in winter.
        let local = instant.map(|instant| instant - chrono::TimeDelta::hours(8));
        local.map(|local| local.date().to_string()).unwrap_or_default()
    }
}

/// A task that is not in the hub although a sync brought it there: the demo has come to its verdict.
pub(super) fn missing(title: &str) -> Failure {
    Failure::not_completed(format!("the task {title:?} did not reach the hub; {}", super::BROKEN))
}

fn patch(field: Field, value: Value) -> TaskPatch {
    [(field, value)].into_iter().collect()
}

fn date(task: &Task) -> String {
    task.due_date.map(|date| date.to_string()).unwrap_or_default()
}
