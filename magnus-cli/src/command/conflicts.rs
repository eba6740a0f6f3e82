//! `magnus conflicts`: what waits for a person.

use std::collections::HashMap;

use clap::Args;
use magnus_core::model::{Conflict, ConnectionSettings, IntentState, LastChange, TaskId, Value};
use magnus_core::store::{ConflictQuery, TaskStore};
use serde_json::json;

use crate::answer::Answer;
use crate::failure::Failure;
use crate::house::House;
use crate::names;
use crate::run_table::{shown, table, text};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Settled ones, too: a value that lost is on record there
    #[arg(long)]
    all: bool,
}

pub(crate) async fn run(house: &House, arguments: Arguments) -> Result<Answer, Failure> {
    let query = if arguments.all {
        ConflictQuery::default()
    } else {
        ConflictQuery::open(None)
    };
    let conflicts = house.store.conflicts(query).await?;
    let connections = house.store.connections().await?;
    let uncertain = uncertain(house, &connections).await?;
    if conflicts.is_empty() && uncertain.is_empty() {
        return Answer::new("no conflicts", &conflicts);
    }
    let titles = titles(house.store.as_ref(), &conflicts).await?;
    let mut table = table(["conflict", "connection", "task", "field", "hub", "tool", "state", "why"]);
    let mut rows = Vec::new();
    for conflict in conflicts {
        let connection = connections
            .iter()
            .find(|settings| settings.id == conflict.connection_id);
        let connection = connection.map_or_else(|| conflict.connection_id.to_string(), |found| found.name.clone());
        let title = titles.get(&conflict.task_id).cloned().unwrap_or_default();
        table.add_row([
            names::short(conflict.id),
            connection.clone(),
            shown(&title),
            conflict.field.to_string(),
            side(&conflict.local, &conflict.local_change),
            side(&conflict.remote_value, &conflict.remote_change),
            conflict.state.to_string(),
            conflict.reason.clone(),
        ]);
        rows.push(json!({ "connection": connection, "title": title, "conflict": conflict }));
    }
    let mut lines = Vec::new();
    if !rows.is_empty() {
        lines.push(text(&table));
        lines.push("settle one with `magnus resolve <conflict> --hub`, `--external` or `--value ...`".to_owned());
    }
    for (line, row) in uncertain {
        lines.push(line);
        rows.push(row);
    }
    Answer::new(lines.join("\n"), &rows)
}

/// A value with who gave it and when, as far as that is known.
fn side(value: &Value, change: &LastChange) -> String {
    let by = change.by.as_ref().map(|by| format!("by {}", shown(by)));
    let at = change.at.map(|at| at.format("%Y-%m-%d %H:%M").to_string());
    let told: Vec<String> = at.into_iter().chain(by).collect();
    let value = shown(&value.to_string());
    if told.is_empty() {
        value
    } else {
        format!("{value} ({})", told.join(" "))
    }
}

/// Creates of which it is not known whether they took place.
async fn uncertain(
    house: &House,
    connections: &[ConnectionSettings],
) -> Result<Vec<(String, serde_json::Value)>, Failure> {
    let mut told = Vec::new();
    for intent in house.hub.uncertain(None).await? {
        let tasks = house.store.tasks(vec![intent.task_id]).await?;
        let title = tasks.first().map(|task| task.title.clone()).unwrap_or_default();
        let connection = connections.iter().find(|settings| settings.id == intent.connection_id);
        let connection = connection.map_or_else(|| intent.connection_id.to_string(), |found| found.name.clone());
        let reason = match &intent.state {
            IntentState::Uncertain { reason } => reason.clone(),
            _ => String::new(),
        };
        let id = names::short(intent.id);
        let line = format!(
            "{connection}: it is not known whether {} was created: {reason}\n  look in the tool, then `magnus resolve \
             {id} --is <its id there>` or `magnus resolve {id} --send-again`",
            shown(&title)
        );
        told.push((
            line,
            json!({ "connection": connection, "title": title, "uncertain": intent }),
        ));
    }
    Ok(told)
}

/// The titles of the tasks in conflict.
async fn titles(store: &dyn TaskStore, conflicts: &[Conflict]) -> Result<HashMap<TaskId, String>, Failure> {
    let mut ids: Vec<TaskId> = conflicts.iter().map(|conflict| conflict.task_id).collect();
    ids.sort_unstable();
    ids.dedup();
    let tasks = store.tasks(ids).await?;
    Ok(tasks.into_iter().map(|task| (task.id, task.title)).collect())
}
