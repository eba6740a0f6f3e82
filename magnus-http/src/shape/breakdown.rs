//! A breakdown of a task as JSON.

use std::collections::BTreeMap;

use magnus_core::model::{Breakdown, BreakdownJob, ProposedSubtask, TaskId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::instant;

/// A subtask that is proposed.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct ProposedSubtaskOut {
    title: String,
    /// Markdown.
    description: String,
    estimated_hours: f64,
    /// `critical`, `high`, `medium` or `low`.
    priority: String,
    /// The subtasks that come before it, by their places in the list counted from 0.
    depends_on: Vec<usize>,
}

/// What a model took in and gave out.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct TokenCountOut {
    input: u64,
    output: u64,
}

/// Where a proposal came from.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct ProvenanceOut {
    model: String,
    provider: String,
    /// The version of the words that the model was asked with.
    prompt_version: String,
    /// The SHA-256 of what the model was told of the task.
    content_hash: String,
    tokens: TokenCountOut,
    duration_ms: u64,
    #[schema(format = DateTime)]
    at: String,
}

/// A proposal.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct BreakdownOut {
    /// 3 to 7 of them.
    subtasks: Vec<ProposedSubtaskOut>,
    /// The estimates added up, in hours.
    total_estimate: f64,
    suggested_sprint_points: u32,
    notes: String,
    provenance: ProvenanceOut,
}

impl From<&ProposedSubtask> for ProposedSubtaskOut {
    fn from(subtask: &ProposedSubtask) -> Self {
        Self {
            title: subtask.title.clone(),
            description: subtask.description.clone(),
            estimated_hours: subtask.estimated_hours,
            priority: subtask.priority.to_string(),
            depends_on: subtask.depends_on.clone(),
        }
    }
}

impl From<&Breakdown> for BreakdownOut {
    fn from(breakdown: &Breakdown) -> Self {
        let from = &breakdown.provenance;
        Self {
            subtasks: breakdown.subtasks.iter().map(ProposedSubtaskOut::from).collect(),
            total_estimate: breakdown.total_estimate,
            suggested_sprint_points: breakdown.suggested_sprint_points,
            notes: breakdown.notes.clone(),
            provenance: ProvenanceOut {
                model: from.model.clone(),
                provider: from.provider.clone(),
                prompt_version: from.prompt_version.clone(),
                content_hash: from.content_hash.clone(),
                tokens: TokenCountOut {
                    input: from.tokens.input,
                    output: from.tokens.output,
                },
                duration_ms: from.duration_ms,
                at: instant(from.at),
            },
        }
    }
}

/// A subtask that was made of a proposal.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct AcceptedSubtaskOut {
    /// Its place in the proposal, counted from 0.
    subtask: usize,
    #[schema(format = Uuid)]
    task_id: String,
}

pub(crate) fn accepted_out(made: &BTreeMap<usize, TaskId>) -> Vec<AcceptedSubtaskOut> {
    let one = |(place, task): (&usize, &TaskId)| AcceptedSubtaskOut {
        subtask: *place,
        task_id: task.to_string(),
    };
    made.iter().map(one).collect()
}

/// A breakdown that was asked for.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct BreakdownJobOut {
    #[schema(format = Uuid)]
    job_id: String,
    #[schema(format = Uuid)]
    task_id: String,
    /// `queued`, `running`, `completed`, `failed`, `cancelled` or `interrupted`; one that was interrupted is tried again.
    status: String,
    /// The proposal, once it is completed.
    breakdown: Option<BreakdownOut>,
    /// The subtasks that were made of it so far.
    accepted: Vec<AcceptedSubtaskOut>,
    /// When the proposal was turned down.
    #[schema(format = DateTime)]
    discarded_at: Option<String>,
    /// Why there is no proposal.
    error_message: Option<String>,
    /// What the model answered, cut short, if that was the trouble.
    raw: Option<String>,
    cancel_requested: bool,
    /// How often it was begun.
    attempts: u32,
    #[schema(format = DateTime)]
    queued_at: String,
    #[schema(format = DateTime)]
    started_at: Option<String>,
    #[schema(format = DateTime)]
    completed_at: Option<String>,
}

impl BreakdownJobOut {
    pub(crate) fn new(job: &BreakdownJob, made: &BTreeMap<usize, TaskId>) -> Self {
        Self {
            job_id: job.id.to_string(),
            task_id: job.task_id.to_string(),
            status: job.state.to_string(),
            breakdown: job.breakdown.as_ref().map(BreakdownOut::from),
            accepted: accepted_out(made),
            discarded_at: job.discarded_at.map(instant),
            error_message: job.error_message.clone(),
            raw: job.raw.clone(),
            cancel_requested: job.cancel_requested,
            attempts: job.attempts,
            queued_at: instant(job.queued_at),
            started_at: job.started_at.map(instant),
            completed_at: job.completed_at.map(instant),
        }
    }
}

/// What to break down: a task of the hub, or something that is none.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"task_id": "0190c0de-0000-7000-8000-000000000003"}))]
pub(crate) struct BreakdownIn {
    /// A task of the hub; the proposal is kept on it.
    #[serde(default)]
    pub(crate) task_id: Option<uuid::Uuid>,
    /// Without a task: what is to be done. Nothing is kept.
    #[serde(default)]
    pub(crate) title: Option<String>,
    /// More about that, in Markdown.
    #[serde(default)]
    pub(crate) description: Option<String>,
}

/// Which subtasks to make.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"subtasks": [0, 2]}))]
pub(crate) struct AcceptIn {
    /// Their places in the proposal, counted from 0; all if it is left out.
    #[serde(default)]
    pub(crate) subtasks: Option<Vec<usize>>,
}
