//! A task as JSON.

use std::collections::{BTreeMap, HashMap};

use magnus_core::model::{HistoryEntry, Link, Project, ProjectId, Task, TaskId};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::breakdown::BreakdownJobOut;
use super::conflict::ConflictOut;
use super::run::Names;
use super::{instant, value};

/// Where a task is in a tool.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct LinkOut {
    #[schema(format = Uuid)]
    connection_id: String,
    tool_name: Option<String>,
    display_name: Option<String>,
    external_task_id: String,
    external_url: Option<String>,
    /// `live`, `gone_remote`, `gone_local`, `out_of_scope` or `uncertain`.
    state: String,
    /// When it last moved data.
    #[schema(format = DateTime)]
    last_sync_at: Option<String>,
}

/// A task of the hub.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct TaskOut {
    #[schema(format = Uuid)]
    id: String,
    #[schema(format = Uuid)]
    project_id: String,
    project_name: Option<String>,
    title: String,
    /// Markdown.
    description: Option<String>,
    /// `todo`, `in_progress`, `blocked`, `review`, `done` or `cancelled`.
    status: String,
    /// `critical`, `high`, `medium` or `low`.
    priority: String,
    /// `Name <address>`.
    assignee: Option<String>,
    #[schema(format = Date)]
    start_date: Option<String>,
    #[schema(format = Date)]
    due_date: Option<String>,
    estimated_hours: Option<f64>,
    remaining_hours: Option<f64>,
    actual_hours: Option<f64>,
    percentage_done: Option<u8>,
    #[schema(format = Uuid)]
    parent_id: Option<String>,
    tags: Vec<String>,
    #[schema(value_type = Object)]
    metadata: Map<String, Value>,
    source_tool: Option<String>,
    #[schema(format = DateTime)]
    archived_at: Option<String>,
    #[schema(format = DateTime)]
    deleted_at: Option<String>,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    updated_at: String,
    /// Rises with every change; the ETag.
    version: i64,
    links: Vec<LinkOut>,
}

/// What is needed to name what a task refers to.
#[derive(Debug, Default)]
pub(crate) struct Around {
    pub(crate) projects: HashMap<ProjectId, Project>,
    pub(crate) names: Names,
    pub(crate) links: HashMap<TaskId, Vec<Link>>,
}

impl TaskOut {
    pub(crate) fn new(task: &Task, around: &Around) -> Self {
        let link = |link: &Link| {
            let settings = around.names.get(&link.connection_id);
            LinkOut {
                connection_id: link.connection_id.to_string(),
                tool_name: settings.map(|settings| settings.tool.to_string()),
                display_name: settings.map(|settings| settings.name.clone()),
                external_task_id: link.external_id.to_string(),
                external_url: link.external_url.clone(),
                state: link.state.to_string(),
                last_sync_at: link.last_sync_at.map(instant),
            }
        };
        let hours = |minutes: Option<u32>| minutes.map(value::hours);
        Self {
            id: task.id.to_string(),
            project_id: task.project_id.to_string(),
            project_name: around
                .projects
                .get(&task.project_id)
                .map(|project| project.name.clone()),
            title: task.title.clone(),
            description: task.description.clone(),
            status: task.status.to_string(),
            priority: task.priority.to_string(),
            assignee: task.assignee.as_ref().map(ToString::to_string),
            start_date: task.start_date.map(|date| date.to_string()),
            due_date: task.due_date.map(|date| date.to_string()),
            estimated_hours: hours(task.estimated_minutes),
            remaining_hours: hours(task.remaining_minutes),
            actual_hours: hours(task.actual_minutes),
            percentage_done: task.percentage_done,
            parent_id: task.parent_id.map(|id| id.to_string()),
            tags: task.tags.iter().cloned().collect(),
            metadata: task.metadata.clone(),
            source_tool: task.source_tool.as_ref().map(ToString::to_string),
            archived_at: task.archived_at.map(instant),
            deleted_at: task.deleted_at.map(instant),
            created_at: instant(task.created_at),
            updated_at: instant(task.updated_at),
            version: task.version.0,
            links: around.links.get(&task.id).into_iter().flatten().map(link).collect(),
        }
    }
}

/// A page of tasks.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Tasks {
    pub(crate) tasks: Vec<TaskOut>,
    /// How many match in all.
    pub(crate) total: u64,
    /// How many of them came from each tool; `hub`: made here.
    pub(crate) by_source: BTreeMap<String, u64>,
    /// For the next page; null on the last one.
    pub(crate) next_cursor: Option<String>,
    pub(crate) magnus_says: String,
}

/// What a task to be added holds; a change holds some of it. Fields beside these are refused.
#[derive(Debug, ToSchema)]
#[expect(
    dead_code,
    reason = "it describes what is read field by field, to say which one is wrong"
)]
#[schema(example = json!({
    "project_id": "0190c0de-0000-7000-8000-000000000000", "title": "Water the tomatoes", "status": "todo",
    "priority": "high", "due_date": "2026-12-24", "estimated_hours": 1.5, "tags": ["garden"]
}))]
pub(crate) struct TaskIn {
    #[schema(format = Uuid)]
    project_id: String,
    #[schema(min_length = 1, max_length = 1000)]
    title: String,
    #[serde(flatten)]
    fields: TaskFields,
}

/// The fields of a task that can be edited. Null clears one.
#[derive(Debug, ToSchema)]
#[expect(
    dead_code,
    reason = "it describes what is read field by field, to say which one is wrong"
)]
pub(crate) struct TaskFields {
    /// Markdown.
    description: Option<String>,
    /// `todo`, `in_progress`, `blocked`, `review`, `done` or `cancelled`.
    #[schema(value_type = Option<StatusWord>)]
    status: Option<String>,
    /// `critical`, `high`, `medium` or `low`.
    #[schema(value_type = Option<PriorityWord>)]
    priority: Option<String>,
    /// `Name <address>`, an address or a name.
    assignee: Option<String>,
    #[schema(format = Date)]
    start_date: Option<String>,
    #[schema(format = Date)]
    due_date: Option<String>,
    #[schema(minimum = 0)]
    estimated_hours: Option<f64>,
    #[schema(minimum = 0)]
    remaining_hours: Option<f64>,
    #[schema(minimum = 0, maximum = 100)]
    percentage_done: Option<u8>,
    #[schema(format = Uuid)]
    parent_id: Option<String>,
    tags: Option<Vec<String>>,
}

/// A change to a task: what is absent stays, null clears.
#[derive(Debug, ToSchema)]
#[expect(
    dead_code,
    reason = "it describes what is read field by field, to say which one is wrong"
)]
#[schema(example = json!({"status": "done", "due_date": null}))]
pub(crate) struct TaskPatchIn {
    #[schema(min_length = 1, max_length = 1000)]
    title: Option<String>,
    #[serde(flatten)]
    fields: TaskFields,
}

/// Where a task stands.
#[derive(Debug, ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "only described")]
pub(crate) enum StatusWord {
    Todo,
    InProgress,
    Blocked,
    Review,
    Done,
    Cancelled,
}

/// How pressing a task is.
#[derive(Debug, ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "only described")]
pub(crate) enum PriorityWord {
    Critical,
    High,
    Medium,
    Low,
}

/// One change of one field.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Change {
    #[schema(format = DateTime)]
    at: String,
    /// The field; null for the task as a whole.
    field: Option<String>,
    #[schema(value_type = Value)]
    before: Value,
    #[schema(value_type = Value)]
    after: Value,
    /// The side that was changed: `hub` or `external`.
    side: String,
    /// Why: `edited`, `one_moved`, `hub_wins`, ...
    rule: String,
    #[schema(format = Uuid)]
    run_id: Option<String>,
    #[schema(format = Uuid)]
    connection_id: Option<String>,
    display_name: Option<String>,
}

impl Change {
    fn new(entry: &HistoryEntry, names: &Names) -> Self {
        let settings = entry.connection_id.and_then(|id| names.get(&id));
        Self {
            at: instant(entry.at),
            field: entry.field.map(|field| value::name_of(field).to_owned()),
            before: value::to_json(&entry.before),
            after: value::to_json(&entry.after),
            side: entry.side.to_string(),
            rule: entry.rule.to_string(),
            run_id: entry.run_id.map(|id| id.to_string()),
            connection_id: entry.connection_id.map(|id| id.to_string()),
            display_name: settings.map(|settings| settings.name.clone()),
        }
    }
}

/// The description of a task, to be shown.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Described {
    /// Sanitised HTML; null without a description.
    pub(crate) html: Option<String>,
}

/// The story of one task: what changed it, when and why.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Story {
    pub(crate) task: TaskOut,
    /// Oldest first.
    pub(crate) history: Vec<Change>,
    pub(crate) conflicts: Vec<ConflictOut>,
    /// The newest breakdown of it; null if it was never broken down or no model is configured.
    pub(crate) breakdown: Option<BreakdownJobOut>,
}

impl Story {
    pub(crate) fn changes(history: &[HistoryEntry], names: &Names) -> Vec<Change> {
        history.iter().map(|entry| Change::new(entry, names)).collect()
    }
}
