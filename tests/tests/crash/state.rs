//! What all sides hold in the end, in a form in which two runs of one scenario can be compared: no ids, no times.

use std::collections::{BTreeSet, HashMap};

use magnus_core::model::{ConflictState, ExternalId, TaskId, Value};
use magnus_core::store::ConflictQuery;

use super::world::World;

/// What all sides hold, one line per thing, sorted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) lines: Vec<String>,
    /// Values that lost, each with what it lost to.
    pub(crate) losers: BTreeSet<String>,
}

impl State {
    pub(crate) async fn of(world: &World) -> Self {
        let mut lines = Vec::new();
        let tasks = world.tasks().await;
        let titles: HashMap<TaskId, String> = tasks.iter().map(|(_, task)| (task.id, task.title.clone())).collect();
        let named = |value: &Value| match value {
            Value::Task(task) => format!("→ {}", titles.get(task).map_or("?", String::as_str)),
            other => other.to_string(),
        };
        for (project, task) in &tasks {
            lines.push(format!(
                "hub {project:?} {:?}: {:?} {} {} {:?} {:?}..{:?} {:?} {:?} {:?} parent {:?} tags {:?} archived {} deleted {}",
                task.title,
                task.description,
                task.status,
                task.priority,
                task.assignee,
                task.start_date,
                task.due_date,
                task.estimated_minutes,
                task.remaining_minutes,
                task.percentage_done,
                task.parent_id.and_then(|parent| titles.get(&parent)),
                task.tags,
                task.archived_at.is_some(),
                task.deleted_at.is_some(),
            ));
        }
        let mut externals: HashMap<ExternalId, String> = HashMap::new();
        let packages = world.openproject.work_packages();
        let subjects: HashMap<u64, String> = packages.iter().map(|row| (row.id, row.subject.clone())).collect();
        let projects: HashMap<u64, String> = world
            .openproject
            .projects()
            .into_iter()
            .map(|row| (row.id, row.name))
            .collect();
        for row in &packages {
            externals.insert(ExternalId::new(row.id.to_string()).unwrap(), row.subject.clone());
            lines.push(format!(
                "op {:?} {:?}: {:?} {} {} {:?} {:?}..{:?} {:?} {:?} {:?} parent {:?}",
                projects.get(&row.project_id),
                row.subject,
                row.description,
                row.status_id,
                row.priority_id,
                row.assignee_id,
                row.start_date,
                row.due_date,
                row.estimated_minutes,
                row.remaining_minutes,
                row.percentage_done,
                row.parent_id.map(|parent| subjects.get(&parent)),
            ));
        }
        let mut tickets_by_id: HashMap<ExternalId, String> = HashMap::new();
        let tickets = world.leantime.tickets();
        let headlines: HashMap<i64, String> = tickets
            .iter()
            .map(|row| (row.id, row.headline.clone().unwrap_or_default()))
            .collect();
        let projects: HashMap<i64, String> = world
            .leantime
            .projects()
            .into_iter()
            .map(|row| (row.id, row.name))
            .collect();
        for row in &tickets {
            let headline = row.headline.clone().unwrap_or_default();
            tickets_by_id.insert(ExternalId::new(row.id.to_string()).unwrap(), headline.clone());
            lines.push(format!(
                "lt {:?} {headline:?}: {:?} {} {:?} {:?} {:?}..{:?} {:?} {:?} tags {:?} parent {:?}",
                row.project_id.and_then(|project| projects.get(&project)),
                row.description,
                row.status,
                row.priority,
                row.editor_id,
                row.edit_from,
                row.date_to_finish,
                row.plan_hours,
                row.hour_remaining,
                row.tags,
                row.depending_ticket_id.map(|parent| headlines.get(&parent)),
            ));
        }
        for (name, id, externals) in [("op", world.op, &externals), ("lt", world.lt, &tickets_by_id)] {
            for link in world.store.links(id).await.unwrap() {
                lines.push(format!(
                    "link {name} {:?} ↔ {:?}: {:?}, refused {:?}",
                    titles.get(&link.task_id),
                    externals.get(&link.external_id),
                    link.state,
                    link.refusals.keys().collect::<Vec<_>>(),
                ));
            }
        }
        let mut losers = BTreeSet::new();
        for conflict in world.store.conflicts(ConflictQuery::default()).await.unwrap() {
            let name = if conflict.connection_id == world.op { "op" } else { "lt" };
            let line = format!(
                "{name} {:?} {}: {:?} / {:?}",
                titles.get(&conflict.task_id),
                conflict.field,
                named(&conflict.local),
                named(&conflict.remote_value),
            );
            match conflict.state {
                ConflictState::Open => lines.push(format!("conflict {line}")),
                ConflictState::Decided => {
                    losers.insert(line);
                }
                _ => {}
            }
        }
        lines.sort();
        Self { lines, losers }
    }

    /// What is amiss compared with the undisturbed run.
    pub(crate) fn differences(&self, undisturbed: &Self) -> Vec<String> {
        let mut differences = Vec::new();
        let mut left = undisturbed.lines.clone();
        for line in &self.lines {
            match left.iter().position(|other| other == line) {
                Some(at) => {
                    left.remove(at);
                }
                None => differences.push(format!("+ {line}")),
            }
        }
        differences.extend(left.into_iter().map(|line| format!("- {line}")));
        let lost = undisturbed.losers.difference(&self.losers);
        differences.extend(lost.map(|line| format!("- on record {line}")));
        differences
    }
}
