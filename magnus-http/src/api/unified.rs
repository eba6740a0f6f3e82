//! The one view of all tools.

use std::collections::{BTreeMap, HashMap};

use axum::Json;
use axum::extract::State;
use chrono::NaiveDate;
use chrono_tz::Tz;
use magnus_core::model::{ConnectionId, ConnectionSettings, Mapping, MappingState, ProjectId, Task, TaskId, ToolName};
use magnus_core::store::{ConnectionCounts, RunStanding, TaskCounts, TaskCursor, TaskOrder, TaskSearch, TaskSource};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::cursor;
use crate::extract::{Params, word};
use crate::problem::Problem;
use crate::shape::run::{Form, RunOut};
use crate::shape::task::{Around, PriorityWord, StatusWord, TaskOut, Tasks};
use crate::state::{App, Shared};

/// Which tasks, and in which order.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct TaskParams {
    #[param(value_type = Option<StatusWord>)]
    status: Option<String>,
    #[param(value_type = Option<PriorityWord>)]
    priority: Option<String>,
    /// The tool that a task came from, or `hub` for those made here.
    source: Option<String>,
    project_id: Option<uuid::Uuid>,
    /// Only tasks whose title or description contains this.
    search: Option<String>,
    #[param(value_type = Option<OrderWord>)]
    order: Option<String>,
    /// Deleted tasks instead of living ones.
    #[serde(default)]
    deleted: bool,
    /// At most this many, 1 to 1000.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// In which order tasks are listed.
#[derive(Debug, ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "only described")]
pub(crate) enum OrderWord {
    Newest,
    Updated,
    Due,
    Priority,
    Title,
}

/// A place in a list, and the order it belongs to.
#[derive(Debug, Serialize, Deserialize)]
struct Place {
    order: TaskOrder,
    after: TaskCursor,
}

impl TaskParams {
    fn search(&self) -> Result<TaskSearch, Problem> {
        let mut search = TaskSearch::default();
        search.status = word("status", self.status.as_deref())?;
        search.priority = word("priority", self.priority.as_deref())?;
        search.source = self.source.as_deref().map(source);
        search.project_id = self.project_id.map(ProjectId::from_uuid);
        search.text = self.search.clone().filter(|text| !text.trim().is_empty());
        if search
            .text
            .as_ref()
            .is_some_and(|text| text.contains('\0') || text.len() > 1_000)
        {
            return Err(Problem::invalid(
                "search",
                "expected at most 1000 characters, none of them NUL",
            ));
        }
        if self.source.as_ref().is_some_and(|source| source.contains('\0')) {
            return Err(Problem::invalid("source", "expected the name of a tool, or hub"));
        }
        search.deleted = self.deleted;
        search.order = word("order", self.order.as_deref())?.unwrap_or(TaskOrder::Newest);
        search.limit = cursor::limit(self.limit, 100, 1000)?;
        if let Some(place) = cursor::read::<Place>(self.cursor.as_deref())? {
            if place.order != search.order || place.after.key.contains('\0') {
                return Err(Problem::invalid("cursor", "it belongs to a list in another order"));
            }
            search.after = Some(place.after);
        }
        Ok(search)
    }
}

fn source(name: &str) -> TaskSource {
    match name {
        "hub" => TaskSource::Hub,
        tool => TaskSource::Tool(ToolName::new(tool)),
    }
}

/// A page of tasks.
pub(crate) async fn page(app: &Shared, search: TaskSearch) -> Result<Tasks, Problem> {
    let order = search.order;
    let counts = app.store().count_tasks(search.clone()).await?;
    let page = app.store().search_tasks(search).await?;
    Ok(Tasks {
        tasks: tasks_out(app, &page.tasks).await?,
        total: counts.total,
        by_source: by_source(&counts),
        next_cursor: page.next.map(|after| cursor::write(&Place { order, after })),
        magnus_says: match counts.total {
            1 => "One piece on the board.".to_owned(),
            total => format!("{total} pieces on the board."),
        },
    })
}

fn by_source(counts: &TaskCounts) -> BTreeMap<String, u64> {
    let name = |source: &TaskSource| match source {
        TaskSource::Hub => "hub".to_owned(),
        TaskSource::Tool(tool) => tool.to_string(),
    };
    counts
        .by_source
        .iter()
        .map(|(source, count)| (name(source), *count))
        .collect()
}

/// Tasks with the names of what they refer to.
pub(crate) async fn tasks_out(app: &Shared, tasks: &[Task]) -> Result<Vec<TaskOut>, Problem> {
    let ids: Vec<TaskId> = tasks.iter().map(|task| task.id).collect();
    let mut around = Around {
        projects: app
            .store()
            .projects()
            .await?
            .into_iter()
            .map(|project| (project.id, project))
            .collect(),
        names: app.names().await?,
        links: HashMap::new(),
    };
    for link in app.store().links_of_tasks(ids).await? {
        around.links.entry(link.task_id).or_default().push(link);
    }
    Ok(tasks.iter().map(|task| TaskOut::new(task, &around)).collect())
}

/// All tasks
///
/// The one view of all tools: without filters every status, also tasks of projects that are not synced at present.
#[utoipa::path(get, path = "/unified/tasks", tag = "unified", params(TaskParams), responses(
    (status = 200, description = "A page of tasks", body = Tasks)))]
pub(crate) async fn tasks(State(app): State<App>, Params(params): Params<TaskParams>) -> Result<Json<Tasks>, Problem> {
    page(&app, params.search()?).await.map(Json)
}

/// Whose day it is.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct DayParams {
    /// The user's time zone, such as `Europe/Berlin`; without it, UTC.
    tz: Option<String>,
    /// At most this many, 1 to 1000.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// The day it is in a time zone.
fn today(app: &Shared, zone: Option<&str>) -> Result<NaiveDate, Problem> {
    let zone = match zone {
        None | Some("") => Tz::UTC,
        Some(name) => name
            .parse()
            .map_err(|_| Problem::invalid("tz", "expected a time zone such as Europe/Berlin"))?,
    };
    Ok(app.options.clock.now().with_timezone(&zone).date_naive())
}

/// Overdue tasks
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Overdue {
    tasks: Vec<TaskOut>,
    total: u64,
    by_source: BTreeMap<String, u64>,
    next_cursor: Option<String>,
    /// The day it is for the user: what was due before it is overdue.
    #[schema(format = Date)]
    today: String,
    magnus_says: String,
}

/// Overdue tasks
///
/// Tasks that were due before today and are neither done, cancelled nor archived; the longest overdue first. Which day
/// it is depends on the user's time zone.
#[utoipa::path(get, path = "/unified/overdue", tag = "unified", params(DayParams), responses(
    (status = 200, description = "Overdue tasks", body = Overdue)))]
pub(crate) async fn overdue(
    State(app): State<App>,
    Params(params): Params<DayParams>,
) -> Result<Json<Overdue>, Problem> {
    let today = today(&app, params.tz.as_deref())?;
    let listing = TaskParams {
        limit: params.limit,
        cursor: params.cursor,
        order: Some("due".to_owned()),
        ..TaskParams::default()
    };
    let search = TaskSearch::from_overdue(listing.search()?, today);
    let page = page(&app, search).await?;
    Ok(Json(Overdue {
        magnus_says: match page.total {
            0 => "Nothing is overdue.".to_owned(),
            1 => "One piece has overstayed.".to_owned(),
            total => format!("{total} pieces have overstayed."),
        },
        tasks: page.tasks,
        total: page.total,
        by_source: page.by_source,
        next_cursor: page.next_cursor,
        today: today.to_string(),
    }))
}

/// Makes a search one for what is overdue.
trait FromOverdue {
    fn from_overdue(search: Self, today: NaiveDate) -> Self;
}

impl FromOverdue for TaskSearch {
    fn from_overdue(mut search: Self, today: NaiveDate) -> Self {
        search.due_before = Some(today);
        search.open_only = true;
        search
    }
}

/// How it stands with one connection.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Standing {
    #[schema(format = Uuid)]
    connection_id: String,
    tool_name: String,
    display_name: String,
    /// Tasks that are kept in step.
    linked: u64,
    /// Links that are not live: gone, out of scope or uncertain.
    unlinked: u64,
    /// Conflicts that wait for a person.
    conflicts: u64,
    /// Why projects are not synced at present.
    suspended: Vec<String>,
    /// The newest run.
    #[schema(format = Uuid)]
    last_run_id: Option<String>,
    /// Where the newest run stands.
    last_run_status: Option<String>,
}

/// Everything at a glance.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Dashboard {
    total: u64,
    by_status: BTreeMap<String, u64>,
    by_priority: BTreeMap<String, u64>,
    by_source: BTreeMap<String, u64>,
    overdue: u64,
    /// Due today, for the user.
    due_today: u64,
    #[schema(format = Date)]
    today: String,
    /// Conflicts that wait for a person.
    conflicts: u64,
    in_progress: u64,
    queued: u64,
    projects: u64,
    connections: Vec<Standing>,
    /// The five newest runs.
    recent_syncs: Vec<RunOut>,
    magnus_says: String,
}

/// Everything at a glance
#[utoipa::path(get, path = "/unified/dashboard", tag = "unified", params(
    ("tz" = Option<String>, Query, description = "The user's time zone, such as `Europe/Berlin`; without it, UTC")),
    responses((status = 200, description = "Counts of tasks, runs and conflicts, and each connection's standing",
    body = Dashboard)))]
pub(crate) async fn dashboard(
    State(app): State<App>,
    Params(params): Params<DayParams>,
) -> Result<Json<Dashboard>, Problem> {
    let store = app.store();
    let today = today(&app, params.tz.as_deref())?;
    let counts = store.count_tasks(TaskSearch::default()).await?;
    let overdue = TaskSearch::from_overdue(TaskSearch::default(), today);
    let overdue = store.count_tasks(overdue).await?.total;
    let until_today = TaskSearch::from_overdue(TaskSearch::default(), today.succ_opt().unwrap_or(today));
    let until_today = store.count_tasks(until_today).await?.total;
    let going_on = app.going_on(5).await?;
    let names = app.names().await?;
    let counted = store.connection_counts().await?;
    let mut mappings: HashMap<ConnectionId, Vec<Mapping>> = HashMap::new();
    for mapping in store.all_mappings().await? {
        mappings.entry(mapping.connection_id).or_default().push(mapping);
    }
    let of_runs: HashMap<ConnectionId, RunStanding> = going_on
        .standings
        .iter()
        .map(|standing| (standing.connection_id, *standing))
        .collect();
    let connections = counted.iter().filter_map(|counts| {
        // One that was added or removed in between is left to the next look.
        let settings = names.get(&counts.connection_id)?;
        let runs = of_runs.get(&counts.connection_id);
        let mappings = mappings.get(&counts.connection_id).map(Vec::as_slice);
        Some(Standing::new(settings, counts, runs, mappings.unwrap_or_default()))
    });
    let connections: Vec<Standing> = connections.collect();
    Ok(Json(Dashboard {
        total: counts.total,
        by_status: counts
            .by_status
            .iter()
            .map(|(word, count)| (word.to_string(), *count))
            .collect(),
        by_priority: counts
            .by_priority
            .iter()
            .map(|(word, count)| (word.to_string(), *count))
            .collect(),
        by_source: by_source(&counts),
        overdue,
        due_today: until_today.saturating_sub(overdue),
        today: today.to_string(),
        conflicts: counted.iter().map(|counts| counts.open_conflicts).sum(),
        in_progress: going_on.in_progress,
        queued: going_on.queued,
        projects: store.projects().await?.len() as u64,
        connections,
        recent_syncs: going_on
            .recent
            .iter()
            .map(|run| app.run_out(run, &names, Form::InList))
            .collect(),
        magnus_says: match going_on.in_progress {
            0 => "The board is quiet.".to_owned(),
            running => format!("{running} sync operations in progress."),
        },
    }))
}

impl Standing {
    fn new(
        settings: &ConnectionSettings,
        counts: &ConnectionCounts,
        runs: Option<&RunStanding>,
        mappings: &[Mapping],
    ) -> Self {
        let newest = runs.and_then(|runs| runs.newest);
        Self {
            connection_id: settings.id.to_string(),
            tool_name: settings.tool.to_string(),
            display_name: settings.name.clone(),
            linked: counts.linked,
            unlinked: counts.unlinked,
            conflicts: counts.open_conflicts,
            suspended: mappings
                .iter()
                .filter_map(|mapping| match &mapping.state {
                    MappingState::Suspended { reason } => Some(format!("{}: {reason}", mapping.external_name)),
                    MappingState::Active => None,
                })
                .collect(),
            last_run_id: newest.map(|(id, _)| id.to_string()),
            last_run_status: newest.map(|(_, state)| state.to_string()),
        }
    }
}
