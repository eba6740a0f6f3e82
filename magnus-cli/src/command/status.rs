//! `magnus status`: what goes on in all processes on this hub.

use std::collections::HashMap;

use magnus_core::model::{ConnectionSettings, ItemFailure, Run, RunState, TaskId};
use magnus_core::store::ConflictQuery;
use serde_json::json;

use crate::answer::Answer;
use crate::failure::Failure;
use crate::house::House;
use crate::names;
use crate::run_table::{self, quoted};

/// How many runs are listed.
const RECENT: usize = 20;

pub(super) async fn run(house: &House) -> Result<Answer, Failure> {
    let store = &house.store;
    // A run whose process died is not in progress.
    store.interrupt_abandoned().await?;
    let connections = store.connections().await?;
    let unfinished = store.unfinished_runs().await?;
    let (in_progress, queued): (Vec<Run>, Vec<Run>) =
        unfinished.into_iter().partition(|run| run.state == RunState::Started);
    let recent = store.recent_runs(RECENT).await?;
    let conflicts = store.conflicts(ConflictQuery::open(None)).await?.len();
    let mut due = Vec::new();
    for id in store.due_connections().await? {
        due.extend(
            connections
                .iter()
                .find(|settings| settings.id == id)
                .map(|settings| settings.name.clone()),
        );
    }

    let mut lines = vec![format!("{} in progress, {} queued", in_progress.len(), queued.len())];
    if !due.is_empty() {
        lines.push(format!("changed in the hub since their last sync: {}", due.join(", ")));
    }
    if conflicts > 0 {
        lines.push(format!(
            "{conflicts} conflicts wait for a person: see `magnus conflicts`"
        ));
    }
    let failing = waiting_items(house, &connections).await?;
    lines.extend(failing.iter().cloned());
    if !recent.is_empty() {
        lines.push(run_table::runs(&connections, &recent));
        let newest_of_each = newest_of_each(&recent);
        lines.extend(run_table::remarks(&connections, &newest_of_each));
    }
    let data = json!({
        "in_progress": in_progress.len(),
        "queued": queued.len(),
        "due": due,
        "open_conflicts": conflicts,
        "failing": house.hub.failing(None).await?,
        "recent_syncs": recent,
    });
    Answer::new(lines.join("\n"), &data)
}

/// A line for each item whose writes fail.
async fn waiting_items(house: &House, connections: &[ConnectionSettings]) -> Result<Vec<String>, Failure> {
    let failures = house.hub.failing(None).await?;
    let ids = failures.iter().map(|failure| failure.task_id).collect();
    let titles: HashMap<TaskId, String> = house
        .store
        .tasks(ids)
        .await?
        .into_iter()
        .map(|task| (task.id, task.title))
        .collect();
    let line = |failure: &ItemFailure| {
        let title = titles.get(&failure.task_id).cloned().unwrap_or_default();
        let connection = connections
            .iter()
            .find(|settings| settings.id == failure.connection_id)
            .map_or_else(|| failure.connection_id.to_string(), |settings| settings.name.clone());
        let next = if failure.is_quarantined() {
            format!(
                "quarantined: change it, or `magnus retry {}`",
                names::short(failure.task_id)
            )
        } else {
            "tried again by the next `magnus sync`".to_owned()
        };
        format!(
            "{connection}: {} failed {} times ({}); {next}",
            quoted(&title),
            failure.failures,
            failure.message
        )
    };
    Ok(failures.iter().map(line).collect())
}

fn newest_of_each(runs: &[Run]) -> Vec<Run> {
    let mut seen = std::collections::HashSet::new();
    runs.iter()
        .filter(|run| seen.insert(run.connection_id))
        .cloned()
        .collect()
}
