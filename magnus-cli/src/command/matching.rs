//! `magnus matches` and `magnus match`: which items of a tool and tasks of the hub are the same, where a person says so.

use std::collections::HashMap;

use clap::Args;
use magnus_core::engine::{RunContext, RunError, SyncEngine};
use magnus_core::hub::MatchChoice;
use magnus_core::model::{ConnectionSettings, ExternalId, RunRequest, TaskId};
use magnus_core::reconcile::{Proposal, proposals};
use serde_json::json;

use crate::answer::Answer;
use crate::failure::Failure;
use crate::house::House;
use crate::names;
use crate::run_table::{quoted, shown, table, text};

#[derive(Debug, Args)]
pub(crate) struct ListArguments {
    /// The connection, by name or id
    connection: String,
}

#[derive(Debug, Args)]
pub(crate) struct DecideArguments {
    /// The connection, by name or id
    connection: String,
    /// The item of the tool, by its id there
    #[arg(value_name = "EXTERNAL ID", required_unless_present = "sure")]
    item: Option<String>,
    #[command(flatten)]
    choice: Choice,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Choice {
    /// It is this task of the hub, by id or title, whatever both are called
    #[arg(long, value_name = "TASK", requires = "item")]
    with: Option<String>,
    /// It is none of the hub's tasks: it becomes a new one
    #[arg(long, requires = "item")]
    new: bool,
    /// Every item is the task of the same title, where there is one of it on each side
    #[arg(long, conflicts_with = "item")]
    sure: bool,
}

pub(crate) async fn list(house: &House, arguments: ListArguments) -> Result<Answer, Failure> {
    let settings = names::connection(house.store.as_ref(), &arguments.connection).await?;
    let found = proposed(house, &settings).await?;
    if found.is_empty() {
        return Answer::new("nothing waits to be matched", &found);
    }
    let tasks: Vec<TaskId> = found.iter().flat_map(|proposal| proposal.tasks.clone()).collect();
    let known = house.store.tasks(tasks).await?;
    let titles: HashMap<TaskId, String> = known.into_iter().map(|task| (task.id, task.title)).collect();
    let mut table = table(["project", "title", "in the hub", "in the tool", "why"]);
    for proposal in &found {
        let in_hub: Vec<String> = proposal
            .tasks
            .iter()
            .map(|task| named(*task, &titles, proposal))
            .collect();
        let in_tool: Vec<&str> = proposal.externals.iter().map(ExternalId::as_str).collect();
        table.add_row([
            shown(&proposal.project),
            shown(&proposal.title),
            in_hub.join(", "),
            in_tool.join(", "),
            proposal.reason.clone(),
        ]);
    }
    let sure = found.iter().filter(|proposal| proposal.pair().is_some()).count();
    let name = &settings.name;
    let how = format!(
        "decide with `magnus match {name:?} <id in the tool> --with <task>` or `--new`; `magnus match {name:?} --sure` \
         accepts the {sure} that have one on each side"
    );
    Answer::new(format!("{}\n{how}", text(&table)), &found)
}

/// A task by its id, and its title where it is written otherwise.
fn named(task: TaskId, titles: &HashMap<TaskId, String>, proposal: &Proposal) -> String {
    match titles.get(&task).filter(|title| **title != proposal.title) {
        Some(title) => format!("{} ({})", names::short(task), shown(title)),
        None => names::short(task),
    }
}

pub(crate) async fn decide(house: &House, arguments: DecideArguments) -> Result<Answer, Failure> {
    let settings = names::connection(house.store.as_ref(), &arguments.connection).await?;
    let Some(item) = arguments.item else {
        let found = proposed(house, &settings).await?;
        let decided = house.hub.accept_sure_matches(settings.id, &found).await?;
        let left = found.len() - decided;
        let text = format!("{decided} matched, {left} left to decide; the next sync keeps them in step");
        return Answer::new(text, &json!({ "decided": decided, "left": left }));
    };
    let external = ExternalId::new(item.trim()).map_err(|error| Failure::usage(format!("{item:?}: {error}")))?;
    let (choice, found) = match &arguments.choice.with {
        // A person may know what titles do not tell: there need not be a proposal.
        Some(task) => {
            let task = names::task(house.store.as_ref(), task).await?;
            (MatchChoice::With(task.id), Vec::new())
        }
        None => (MatchChoice::New, proposed(house, &settings).await?),
    };
    let link = house.hub.decide_match(settings.id, &found, &external, choice).await?;
    let title = house
        .store
        .tasks(vec![link.task_id])
        .await?
        .pop()
        .map(|task| task.title);
    let title = quoted(&title.unwrap_or_default());
    let text = match choice {
        MatchChoice::With(_) => format!("item {external} is {title}; the next sync keeps both in step"),
        MatchChoice::New => format!("item {external} is the new task {title}; the next sync fills it in"),
    };
    Answer::new(text, &link)
}

/// What a plan made now asks a person.
async fn proposed(house: &House, settings: &ConnectionSettings) -> Result<Vec<Proposal>, Failure> {
    let engine = house.engine()?;
    let request = RunRequest::new(settings.id);
    let about = |error: RunError| Failure::from(error).about(&settings.name);
    engine.validate(request.clone()).await.map_err(about)?;
    let plan = engine.plan(request, RunContext::detached()).await.map_err(about)?;
    Ok(proposals(&plan))
}
