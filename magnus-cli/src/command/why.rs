//! `magnus why`: the story of one task.

use std::collections::HashMap;

use clap::Args;
use magnus_core::model::{ConnectionId, ConnectionSettings, HistoryEntry, Side};
use magnus_core::store::ConflictQuery;
use serde_json::json;

use crate::answer::Answer;
use crate::failure::Failure;
use crate::house::House;
use crate::names;
use crate::run_table::{quoted, shown};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The task, by id or by a title that only one task has
    task: String,
}

pub(crate) async fn run(house: &House, arguments: Arguments) -> Result<Answer, Failure> {
    let store = &house.store;
    let task = names::task(store.as_ref(), &arguments.task).await?;
    let history = store.history(task.id).await?;
    let conflicts = store.conflicts(ConflictQuery::of_task(task.id)).await?;
    let links = store.links_of_tasks(vec![task.id]).await?;
    let connections = store.connections().await?;
    let names: HashMap<ConnectionId, &ConnectionSettings> =
        connections.iter().map(|settings| (settings.id, settings)).collect();
    let called = |id: ConnectionId| {
        names
            .get(&id)
            .map_or_else(|| id.to_string(), |settings| settings.name.clone())
    };
    let mut story: Vec<(magnus_core::model::Timestamp, String)> =
        history.iter().map(|entry| (entry.at, told(entry, &called))).collect();
    for conflict in &conflicts {
        let values = format!(
            "{} in the hub, {} in {}",
            quoted(&conflict.local.to_string()),
            quoted(&conflict.remote_value.to_string()),
            called(conflict.connection_id)
        );
        let line = format!(
            "conflict on {}: {values}; {}: {}",
            conflict.field, conflict.state, conflict.reason
        );
        story.push((conflict.created_at, line));
    }
    story.sort_by_key(|(at, _)| *at);
    let mut lines = vec![format!("{} ({})", quoted(&task.title), task.id)];
    lines.extend(
        story
            .iter()
            .map(|(at, line)| format!("  {}  {line}", at.format("%Y-%m-%d %H:%M:%S"))),
    );
    for link in &links {
        let reason = match link.refusals.iter().next() {
            Some((field, refusal)) => format!("; {field} was refused: {}", refusal.reason),
            None => String::new(),
        };
        lines.push(format!(
            "  now: {} in {} as {}{reason}",
            link.state,
            called(link.connection_id),
            link.external_id
        ));
    }
    let data = json!({ "task": task, "history": history, "conflicts": conflicts, "links": links });
    Answer::new(lines.join("\n"), &data)
}

fn told(entry: &HistoryEntry, called: &impl Fn(ConnectionId) -> String) -> String {
    let tool = entry.connection_id.map(called);
    let (from, to) = match (entry.side, tool) {
        (Side::Hub, Some(tool)) => (tool, "the hub".to_owned()),
        (Side::External, Some(tool)) => ("the hub".to_owned(), tool),
        (_, None) => ("a person".to_owned(), "the hub".to_owned()),
    };
    match entry.field {
        Some(field) => format!(
            "{field}: {} became {} in {to}, from {from} ({})",
            quoted(&entry.before.to_string()),
            quoted(&shown(&entry.after.to_string())),
            entry.rule
        ),
        None => format!("{} in {to}, from {from}", entry.rule),
    }
}
