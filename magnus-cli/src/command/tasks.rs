//! `magnus tasks`: the one view of all tools.

use std::collections::BTreeMap;

use clap::Args;
use magnus_core::model::{Priority, Status, TaskId, ToolName};
use magnus_core::store::TaskQuery;
use serde_json::json;

use super::projects::name_of;
use crate::answer::Answer;
use crate::failure::Failure;
use crate::house::House;
use crate::names;
use crate::run_table::{shown, table, text};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Only this status: todo, in_progress, blocked, review, done, cancelled
    #[arg(long, value_parser = status)]
    status: Option<Status>,
    /// Only this priority: critical, high, medium, low
    #[arg(long, value_parser = priority)]
    priority: Option<Priority>,
    /// Only tasks that came from this tool
    #[arg(long, value_name = "TOOL")]
    source: Option<String>,
    /// Only this hub project, by name or id
    #[arg(long)]
    project: Option<String>,
    /// At most this many
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
    /// Go on after this task: the `next_cursor` of an answer before
    #[arg(long, value_name = "CURSOR")]
    after: Option<TaskId>,
}

pub(crate) fn status(text: &str) -> Result<Status, String> {
    text.parse()
        .map_err(|error: magnus_core::model::UnknownName| error.to_string())
}

pub(crate) fn priority(text: &str) -> Result<Priority, String> {
    text.parse()
        .map_err(|error: magnus_core::model::UnknownName| error.to_string())
}

pub(crate) async fn run(house: &House, arguments: Arguments) -> Result<Answer, Failure> {
    let project = match &arguments.project {
        Some(project) => Some(names::hub_project(house.store.as_ref(), project).await?.id),
        None => None,
    };
    let query = TaskQuery::default()
        .status(arguments.status)
        .priority(arguments.priority)
        .source(arguments.source.as_deref().map(ToolName::new))
        .project(project)
        .page(arguments.limit.into(), arguments.after);
    let page = house.store.query_tasks(query).await?;
    let projects = house.store.projects().await?;
    let mut by_source: BTreeMap<String, u64> = BTreeMap::new();
    let mut table = table([
        "id", "project", "title", "status", "priority", "due", "assignee", "source",
    ]);
    for task in &page.tasks {
        let source = task
            .source_tool
            .as_ref()
            .map_or_else(|| "hub".to_owned(), ToString::to_string);
        *by_source.entry(source.clone()).or_default() += 1;
        table.add_row([
            names::short(task.id),
            name_of(&projects, task.project_id),
            shown(&task.title),
            task.status.to_string(),
            task.priority.to_string(),
            task.due_date.map(|date| date.to_string()).unwrap_or_default(),
            task.assignee.as_ref().map(ToString::to_string).unwrap_or_default(),
            source,
        ]);
    }
    let words = if page.tasks.is_empty() {
        "no tasks".to_owned()
    } else {
        format!("{}\n{} of {} tasks", text(&table), page.tasks.len(), page.total)
    };
    let data = json!({
        "tasks": page.tasks,
        "total": page.total,
        "by_source": by_source,
        "next_cursor": page.next,
    });
    Answer::new(words, &data)
}
