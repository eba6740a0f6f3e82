//! `magnus task`: edits the hub itself.

use clap::{Args, Subcommand};
use magnus_core::hub::NewTask;
use magnus_core::model::{Conflict, Field, HistoryEntry, Link, Task, TaskPatch, Value};
use magnus_core::store::ConflictQuery;
use serde_json::json;

use super::projects::name_of;
use crate::answer::Answer;
use crate::failure::Failure;
use crate::house::House;
use crate::run_table::{quoted, shown};
use crate::{names, values};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Add a task to the hub; the next sync carries it to the tools
    Add {
        /// The hub project, by name or id
        #[arg(long)]
        project: String,
        /// The title
        title: String,
        #[command(flatten)]
        fields: Fields,
    },
    /// Change a task of the hub; a field that is not named stays as it is
    Edit {
        /// The task, by id or by a title that only one task has
        task: String,
        /// The new title
        #[arg(long)]
        title: Option<String>,
        #[command(flatten)]
        fields: Fields,
        /// Clear this field; may be given several times
        #[arg(long, value_name = "FIELD", value_parser = field)]
        clear: Vec<Field>,
    },
    /// Bring a deleted task of the hub back; what a tool still has of it is joined again by the next sync
    Restore {
        /// The task, by its id
        task: String,
    },
    /// Delete a task of the hub; what becomes of it in the tools is for each connection's `deletions` to say
    Rm {
        /// The task, by id or by a title that only one task has
        task: String,
    },
    /// Show a task with its links, conflicts and history
    Show {
        /// The task, by id or by a title that only one task has
        task: String,
    },
}

/// Fields of a task.
#[derive(Debug, Args)]
pub(crate) struct Fields {
    /// Markdown
    #[arg(long)]
    description: Option<String>,
    /// todo, in_progress, blocked, review, done or cancelled
    #[arg(long)]
    status: Option<String>,
    /// critical, high, medium or low
    #[arg(long)]
    priority: Option<String>,
    /// `Name <address>`, an address or a name
    #[arg(long)]
    assignee: Option<String>,
    /// The day work starts, such as 2026-12-24
    #[arg(long)]
    start: Option<String>,
    /// The day it is due, such as 2026-12-24
    #[arg(long)]
    due: Option<String>,
    /// Estimated hours, such as 1.5 or 1h30
    #[arg(long)]
    estimate: Option<String>,
    /// Remaining hours, such as 1.5 or 1h30
    #[arg(long)]
    remaining: Option<String>,
    /// Progress, 0 to 100
    #[arg(long)]
    percent: Option<String>,
    /// The parent task, by id or title
    #[arg(long)]
    parent: Option<String>,
    /// Tags, separated by commas
    #[arg(long)]
    tags: Option<String>,
}

fn field(text: &str) -> Result<Field, String> {
    text.parse()
        .map_err(|error: magnus_core::model::UnknownField| error.to_string())
}

impl Fields {
    async fn patch(&self, house: &House) -> Result<TaskPatch, Failure> {
        let typed = [
            (Field::Description, &self.description),
            (Field::Status, &self.status),
            (Field::Priority, &self.priority),
            (Field::Assignee, &self.assignee),
            (Field::StartDate, &self.start),
            (Field::DueDate, &self.due),
            (Field::EstimatedHours, &self.estimate),
            (Field::RemainingHours, &self.remaining),
            (Field::PercentageDone, &self.percent),
            (Field::Tags, &self.tags),
        ];
        let mut patch = TaskPatch::new();
        for (field, text) in typed {
            if let Some(text) = text {
                set(&mut patch, field, values::parse(field, text)?)?;
            }
        }
        if let Some(parent) = &self.parent {
            let parent = names::task(house.store.as_ref(), parent).await?;
            set(&mut patch, Field::Parent, Value::Task(parent.id))?;
        }
        Ok(patch)
    }
}

fn set(patch: &mut TaskPatch, field: Field, value: Value) -> Result<(), Failure> {
    match patch.set(field, value) {
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::usage(error.to_string())),
    }
}

pub(crate) async fn run(house: &House, command: Command) -> Result<Answer, Failure> {
    match command {
        Command::Add { project, title, fields } => {
            let project = names::hub_project(house.store.as_ref(), &project).await?;
            let patch = fields.patch(house).await?;
            let task = house
                .hub
                .add_task(NewTask::new(project.id, title).fields(patch))
                .await?;
            said("added", &task)
        }
        Command::Edit {
            task,
            title,
            fields,
            clear,
        } => {
            let found = names::task(house.store.as_ref(), &task).await?;
            let mut patch = fields.patch(house).await?;
            if let Some(title) = title {
                set(&mut patch, Field::Title, Value::text(title.trim()))?;
            }
            for field in clear {
                set(&mut patch, field, Value::Empty)?;
            }
            if patch.is_empty() {
                return Err(Failure::usage(
                    "nothing to change: name at least one field, such as --status done",
                ));
            }
            said("changed", &house.hub.edit_task(found.id, patch).await?)
        }
        Command::Restore { task } => {
            let task = names::task(house.store.as_ref(), &task).await?;
            let restored = house.hub.restore_task(task.id).await?;
            Answer::new(format!("restored: {}", quoted(&restored.title)), &restored)
        }
        Command::Rm { task } => {
            let found = names::task(house.store.as_ref(), &task).await?;
            said("deleted", &house.hub.delete_task(found.id).await?)
        }
        Command::Show { task } => show(house, &task).await,
    }
}

fn said(what: &str, task: &Task) -> Result<Answer, Failure> {
    Answer::new(format!("{what} {} ({})", quoted(&task.title), task.id), task)
}

async fn show(house: &House, wanted: &str) -> Result<Answer, Failure> {
    let store = &house.store;
    let task = names::task(store.as_ref(), wanted).await?;
    let links = store.links_of_tasks(vec![task.id]).await?;
    let conflicts = store.conflicts(ConflictQuery::of_task(task.id)).await?;
    let history = store.history(task.id).await?;
    let connections = store.connections().await?;
    let name = |link: &Link| {
        let found = connections.iter().find(|settings| settings.id == link.connection_id);
        found.map_or_else(|| link.connection_id.to_string(), |settings| settings.name.clone())
    };
    let mut lines = vec![task.title.clone(), format!("  id: {}", task.id)];
    lines.push(format!(
        "  project: {}",
        name_of(&store.projects().await?, task.project_id)
    ));
    if let Some(deleted) = task.deleted_at {
        lines.push(format!("  deleted: {deleted}"));
    }
    for field in Field::ALL.iter().filter(|field| **field != Field::Title) {
        let value = task.get(*field);
        if !value.is_empty() {
            lines.push(format!("  {field}: {value}"));
        }
    }
    for link in &links {
        let place = link
            .external_url
            .clone()
            .unwrap_or_else(|| link.external_id.to_string());
        lines.push(format!("  linked: {} {place} ({})", name(link), link.state));
    }
    lines.extend(conflicts.iter().map(conflict_line));
    lines.extend(history.iter().map(history_line));
    let data = json!({ "task": task, "links": links, "conflicts": conflicts, "history": history });
    Answer::new(lines.join("\n"), &data)
}

fn conflict_line(conflict: &Conflict) -> String {
    format!(
        "  conflict {}: {} ({}): hub {}, tool {}",
        names::short(conflict.id),
        conflict.field,
        conflict.state,
        quoted(&conflict.local.to_string()),
        quoted(&conflict.remote_value.to_string()),
    )
}

fn history_line(entry: &HistoryEntry) -> String {
    let what = entry.field.map_or_else(|| "task".to_owned(), |field| field.to_string());
    format!(
        "  {} {what}: {} -> {} ({} side, {})",
        entry.at.format("%Y-%m-%d %H:%M"),
        shown(&entry.before.to_string()),
        shown(&entry.after.to_string()),
        entry.side,
        entry.rule,
    )
}
