//! `magnus status`: what goes on in all processes on this hub.

use magnus_core::model::{Run, RunState};
use magnus_core::store::ConflictQuery;
use serde_json::json;

use crate::answer::Answer;
use crate::failure::Failure;
use crate::house::House;
use crate::run_table;

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
        "recent_syncs": recent,
    });
    Answer::new(lines.join("\n"), &data)
}

fn newest_of_each(runs: &[Run]) -> Vec<Run> {
    let mut seen = std::collections::HashSet::new();
    runs.iter()
        .filter(|run| seen.insert(run.connection_id))
        .cloned()
        .collect()
}
