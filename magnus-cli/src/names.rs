//! Finds what people name: by id, by name, or by the end of an id as it is listed.

use std::fmt::Display;

use magnus_core::hub::Hub;
use magnus_core::model::{
    Conflict, ConnectionSettings, Intent, IntentId, Project, RemoteProject, Run, RunState, Task, TaskId, text,
};
use magnus_core::store::{ConflictQuery, TaskStore};

use crate::failure::Failure;

/// How much of an id lists show: its end, since ids of one moment begin alike.
const SHOWN: usize = 8;

/// How far back a halted run is looked for.
const MOST_RUNS: usize = 1000;

/// The end of an id, as lists show it.
pub(crate) fn short(id: impl Display) -> String {
    let id = id.to_string();
    let start = id.len().saturating_sub(SHOWN);
    id.get(start..).unwrap_or(&id).to_owned()
}

fn is_named(id: impl Display, wanted: &str) -> bool {
    let id = id.to_string();
    id.eq_ignore_ascii_case(wanted) || (wanted.len() >= 6 && id.ends_with(&wanted.to_lowercase()))
}

/// The connection of this name or id.
pub(crate) async fn connection(store: &dyn TaskStore, wanted: &str) -> Result<ConnectionSettings, Failure> {
    let all = store.connections().await?;
    let known: Vec<String> = all.iter().map(|settings| format!("{:?}", settings.name)).collect();
    let found = all
        .iter()
        .find(|settings| settings.name == wanted)
        .or_else(|| all.iter().find(|settings| is_named(settings.id, wanted)));
    found.cloned().ok_or_else(|| {
        Failure::usage(if known.is_empty() {
            format!("there is no connection {wanted:?}; there is none at all yet: add one with `magnus connect`")
        } else {
            format!("there is no connection {wanted:?}; known are: {}", known.join(", "))
        })
    })
}

/// The hub project of this name or id.
pub(crate) async fn hub_project(store: &dyn TaskStore, wanted: &str) -> Result<Project, Failure> {
    let all: Vec<Project> = store.projects().await?;
    let key = text::canonical_title(wanted);
    let by_id: Vec<&Project> = all.iter().filter(|project| is_named(project.id, wanted)).collect();
    let by_name: Vec<&Project> = all
        .iter()
        .filter(|project| project.archived_at.is_none() && text::canonical_title(&project.name) == key)
        .collect();
    let names: Vec<String> = all.iter().map(|project| format!("{:?}", project.name)).collect();
    one(
        "hub project",
        wanted,
        if by_id.is_empty() { by_name } else { by_id },
        &names,
        |project| project.id.to_string(),
    )
    .cloned()
}

/// The tool's project of this id or name.
pub(crate) fn external_project<'a>(
    projects: &'a [RemoteProject],
    connection: &str,
    wanted: &str,
) -> Result<&'a RemoteProject, Failure> {
    let key = text::canonical_title(wanted);
    let by_id: Vec<&RemoteProject> = projects
        .iter()
        .filter(|project| project.id.as_str() == wanted)
        .collect();
    let by_name: Vec<&RemoteProject> = projects
        .iter()
        .filter(|project| text::canonical_title(&project.name) == key)
        .collect();
    let names: Vec<String> = projects.iter().map(|project| format!("{:?}", project.name)).collect();
    let found = if by_id.is_empty() { by_name } else { by_id };
    one("project", wanted, found, &names, |project| project.id.to_string()).map_err(|failure| failure.about(connection))
}

/// The task of this id or, if only one has it, this title.
pub(crate) async fn task(store: &dyn TaskStore, wanted: &str) -> Result<Task, Failure> {
    if let Ok(id) = wanted.parse::<TaskId>()
        && let Some(task) = store.tasks(vec![id]).await?.pop()
    {
        return Ok(task);
    }
    let key = text::canonical_title(wanted);
    let mut by_id = Vec::new();
    let mut by_title = Vec::new();
    for project in store.projects().await? {
        for task in store.tasks_of_project(project.id).await? {
            if is_named(task.id, wanted) {
                by_id.push(task);
            } else if !task.is_deleted() && task.title_key() == key {
                by_title.push(task);
            }
        }
    }
    let found = if by_id.is_empty() { &by_title } else { &by_id };
    let listed = ["see `magnus tasks`".to_owned()];
    one("task", wanted, found.iter().collect(), &listed, |task| {
        task.id.to_string()
    })
    .cloned()
}

/// The conflict of this id.
pub(crate) async fn conflict(store: &dyn TaskStore, wanted: &str) -> Result<Conflict, Failure> {
    let all = store.conflicts(ConflictQuery::default()).await?;
    let found = all.iter().filter(|conflict| is_named(conflict.id, wanted)).collect();
    let open: Vec<String> = all
        .iter()
        .filter(|conflict| conflict.state == magnus_core::model::ConflictState::Open)
        .map(|conflict| short(conflict.id))
        .collect();
    one("conflict", wanted, found, &open, |conflict| conflict.id.to_string()).cloned()
}

/// The uncertain write of this id; by its whole id also one that was settled, to correct what was said of it.
pub(crate) async fn uncertain(hub: &Hub, wanted: &str) -> Result<Intent, Failure> {
    if let Ok(id) = wanted.parse::<IntentId>()
        && let Some(intent) = hub.store().intent(id).await?
    {
        return Ok(intent);
    }
    let all = hub.uncertain(None).await?;
    let known: Vec<String> = all.iter().map(|intent| short(intent.id)).collect();
    let found = all.iter().filter(|intent| is_named(intent.id, wanted)).collect();
    one("uncertain write", wanted, found, &known, |intent| intent.id.to_string()).cloned()
}

/// The run of this id.
pub(crate) async fn run(store: &dyn TaskStore, wanted: &str) -> Result<Run, Failure> {
    let all = store.recent_runs(MOST_RUNS).await?;
    let known: Vec<String> = all.iter().take(5).map(|run| short(run.id)).collect();
    let found = all.iter().filter(|run| is_named(run.id, wanted)).collect();
    one("run", wanted, found, &known, |run| run.id.to_string()).cloned()
}

/// The halted run of this id.
pub(crate) async fn halted_run(store: &dyn TaskStore, wanted: &str) -> Result<Run, Failure> {
    let all = store.recent_runs(MOST_RUNS).await?;
    let halted: Vec<&Run> = all.iter().filter(|run| run.state == RunState::Halted).collect();
    let known: Vec<String> = halted.iter().map(|run| short(run.id)).collect();
    let found = halted.into_iter().filter(|run| is_named(run.id, wanted)).collect();
    one("halted run", wanted, found, &known, |run| run.id.to_string()).cloned()
}

/// The only one that was found.
fn one<'a, T>(
    what: &str,
    wanted: &str,
    found: Vec<&'a T>,
    known: &[String],
    id: impl Fn(&T) -> String,
) -> Result<&'a T, Failure> {
    match found.as_slice() {
        [only] => Ok(only),
        [] if known.is_empty() => Err(Failure::usage(format!(
            "there is no {what} {wanted:?}; there is none at all"
        ))),
        [] => Err(Failure::usage(format!(
            "there is no {what} {wanted:?}; known are: {}",
            known.join(", ")
        ))),
        several => {
            let ids: Vec<String> = several.iter().map(|item| id(item)).collect();
            Err(Failure::usage(format!(
                "{} {what}s are called {wanted:?}; say which one by its id: {}",
                several.len(),
                ids.join(", ")
            )))
        }
    }
}
