//! A run as JSON.

use std::collections::HashMap;

use magnus_core::engine::{Phase, Progress};
use magnus_core::model::{
    ConnectionId, ConnectionSettings, Counts as CoreCounts, ItemOutcome, Run, RunRequest, RunState, Scope, Trigger,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::instant;

/// How many items a run has in a list; the run by itself has all that were noted.
const ITEMS_IN_LISTS: usize = 10;

/// How many items ended how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Counts {
    pub(crate) created: u64,
    pub(crate) updated: u64,
    pub(crate) deleted: u64,
    pub(crate) unchanged: u64,
    pub(crate) conflicted: u64,
    pub(crate) skipped: u64,
    pub(crate) failed: u64,
}

impl From<CoreCounts> for Counts {
    fn from(counts: CoreCounts) -> Self {
        Self {
            created: counts.created,
            updated: counts.updated,
            deleted: counts.deleted,
            unchanged: counts.unchanged,
            conflicted: counts.conflicted,
            skipped: counts.skipped,
            failed: counts.failed,
        }
    }
}

/// How one item ended.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Item {
    /// The hub task.
    task_id: Option<String>,
    /// The tool's task.
    external_task_id: Option<String>,
    title: String,
    /// `created`, `updated`, `deleted`, `conflicted`, `skipped` or `failed`.
    outcome: String,
    /// What happened, or why not.
    detail: String,
}

impl From<&ItemOutcome> for Item {
    fn from(item: &ItemOutcome) -> Self {
        Self {
            task_id: item.task_id.map(|id| id.to_string()),
            external_task_id: item.external_id.as_ref().map(ToString::to_string),
            title: item.title.clone(),
            outcome: item.outcome.clone(),
            detail: item.detail.clone(),
        }
    }
}

/// What a run did, in detail.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Details {
    /// Items worth telling, failed ones first: not unchanged ones.
    items: Vec<Item>,
    /// How many further items there are.
    items_omitted: u64,
    /// What went wrong with the run or with a whole project.
    problems: Vec<String>,
    /// Rows of the hub that were changed.
    hub_changes: u64,
    /// Writes that the tool accepted.
    remote_writes: u64,
    /// Of projects.
    projects: Counts,
    /// What a halted run would have done; only in the run by itself.
    #[schema(value_type = Option<Object>)]
    plan: Option<serde_json::Value>,
}

/// How far a run has come.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
pub(crate) struct ProgressOut {
    /// `waiting`, `settling`, `observing`, `planning`, `executing` or `finished`.
    #[schema(value_type = String)]
    pub(crate) phase: Phase,
    pub(crate) done: u64,
    /// As far as it is known by now.
    pub(crate) total: u64,
    /// Items per second, lately.
    pub(crate) rate: Option<f64>,
    /// How many seconds it will take at this rate.
    pub(crate) seconds_left: Option<u64>,
}

/// One sync of one connection.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct RunOut {
    #[schema(format = Uuid)]
    id: String,
    /// The same.
    #[schema(format = Uuid)]
    run_id: String,
    #[schema(format = Uuid)]
    connection_id: String,
    tool_name: Option<String>,
    display_name: Option<String>,
    /// `manual`, `webhook`, `full` or `incremental`.
    sync_type: String,
    /// `pull`, `push` or `bidirectional`.
    direction: Option<String>,
    /// `queued`, `started`, `completed`, `partial`, `failed`, `cancelled`, `interrupted` or `halted`.
    status: String,
    /// `manual`, `schedule`, `webhook`, `resume` or `ripple`.
    trigger: String,
    done: u64,
    total: u64,
    /// Of tasks.
    counts: Counts,
    items_synced: u64,
    items_failed: u64,
    conflicts_detected: u64,
    details: Details,
    error_message: Option<String>,
    /// Whether it was asked to stop.
    cancel_requested: bool,
    /// How far it has come; only while it goes on.
    progress: Option<ProgressOut>,
    #[schema(format = DateTime)]
    queued_at: String,
    #[schema(format = DateTime)]
    started_at: Option<String>,
    #[schema(format = DateTime)]
    completed_at: Option<String>,
}

/// The connections by id, to name those of runs.
pub(crate) type Names = HashMap<ConnectionId, ConnectionSettings>;

/// Which form a run is shown in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Whole,
    InList,
}

impl RunOut {
    pub(crate) fn new(run: &Run, names: &Names, progress: Option<(Progress, Option<ProgressOut>)>, form: Form) -> Self {
        let settings = names.get(&run.connection_id);
        let report = &run.report;
        let tasks = report.counts.tasks;
        let shown = match form {
            Form::Whole => report.items.len(),
            Form::InList => report.items.len().min(ITEMS_IN_LISTS),
        };
        let live = progress.filter(|_| !run.state.is_final());
        let (done, total, counts) = match live {
            Some((progress, _)) => (progress.done, progress.total, progress.counts.tasks),
            None => (tasks.total(), tasks.total(), tasks),
        };
        let direction = run.request.direction.or(settings.map(|settings| settings.direction));
        Self {
            id: run.id.to_string(),
            run_id: run.id.to_string(),
            connection_id: run.connection_id.to_string(),
            tool_name: settings.map(|settings| settings.tool.to_string()),
            display_name: settings.map(|settings| settings.name.clone()),
            sync_type: sync_type(&run.request).to_owned(),
            direction: direction.map(|direction| direction.to_string()),
            status: run.state.to_string(),
            trigger: run.request.trigger.to_string(),
            done,
            total,
            counts: counts.into(),
            items_synced: counts.changed(),
            items_failed: counts.failed,
            conflicts_detected: counts.conflicted,
            details: Details {
                items: report.items.iter().take(shown).map(Item::from).collect(),
                items_omitted: report.items_omitted + (report.items.len() - shown) as u64,
                problems: report.problems.clone(),
                hub_changes: report.hub_changes,
                remote_writes: report.remote_writes,
                projects: report.counts.projects.into(),
                plan: report.plan.clone().filter(|_| form == Form::Whole),
            },
            error_message: run.error_message.clone(),
            cancel_requested: run.cancel_requested,
            progress: live.and_then(|(_, progress)| progress),
            queued_at: instant(run.queued_at),
            started_at: run.started_at.map(instant),
            completed_at: run.completed_at.map(instant),
        }
    }
}

/// What kind of sync it is, in the words that clients know.
const fn sync_type(request: &RunRequest) -> &'static str {
    match (request.trigger, request.scope) {
        (Trigger::Webhook, _) => "webhook",
        (Trigger::Manual, _) => "manual",
        (_, Scope::All) => "full",
        _ => "incremental",
    }
}

/// What a waited sync says of a run that ended so.
pub(crate) const fn says(state: RunState) -> &'static str {
    match state {
        RunState::Completed => "All pieces synchronized. The board is current.",
        RunState::Partial => "Most pieces are in place. Some moves failed; the run says which.",
        RunState::Halted => "I stopped before the first move. Look at the plan, then confirm or discard it.",
        _ => "The pieces are moving. I'll update you when the board is set.",
    }
}
