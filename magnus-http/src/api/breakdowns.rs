//! Tasks broken down by a language model.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use magnus_core::breakdown::{BreakdownError, BreakdownInput};
use magnus_core::model::{BreakdownId, BreakdownJob, BreakdownState, Task, TaskId};
use magnus_core::orchestrator::Breakdowns;
use magnus_core::store::BreakdownQuery;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::unified::tasks_out;
use crate::extract::{Body, Id, Params, Raw, from_json};
use crate::problem::{Kind, Problem, ProblemOut};
use crate::shape::breakdown::{AcceptIn, AcceptedSubtaskOut, BreakdownIn, BreakdownJobOut, BreakdownOut, accepted_out};
use crate::shape::task::TaskOut;
use crate::state::{App, Shared};

const ANALYZED: &str = "I've analyzed the position. Here's how to break it down.";

/// What breaks tasks down, if a model is configured.
fn breakdowns(app: &Shared) -> Result<&Breakdowns, Problem> {
    let breakdowns = app.orchestrator.breakdowns();
    breakdowns.ok_or_else(|| BreakdownError::not_configured().into())
}

async fn out(breakdowns: &Breakdowns, job: &BreakdownJob) -> Result<BreakdownJobOut, Problem> {
    let made = breakdowns.accepted(job).await?;
    Ok(BreakdownJobOut::new(job, &made))
}

/// The newest breakdown of a task.
pub(super) async fn newest_of(breakdowns: &Breakdowns, task: TaskId) -> Result<Option<BreakdownJobOut>, Problem> {
    let mut query = BreakdownQuery::of_task(task);
    query.limit = 1;
    match breakdowns.jobs(query).await?.pop() {
        Some(job) => out(breakdowns, &job).await.map(Some),
        None => Ok(None),
    }
}

/// Which task.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct TaskParam {
    /// The task of the hub.
    task_id: uuid::Uuid,
}

/// A breakdown that was begun.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BreakdownStarted {
    /// `started`.
    status: String,
    #[schema(format = Uuid)]
    task_id: String,
    #[schema(format = Uuid)]
    job_id: String,
    message: String,
}

/// Break a task down
///
/// Answers at once. The model is asked in the background, and its proposal is kept as `ai_breakdown` in the metadata of the
/// task. A second request for a task joins the one that is not over. Nothing becomes a subtask before it is accepted.
#[utoipa::path(post, path = "/ai/breakdown-async", tag = "ai", params(TaskParam), responses(
    (status = 202, description = "It is under way", body = BreakdownStarted),
    (status = 404, description = "There is no such task", body = ProblemOut, content_type = "application/problem+json")))]
pub(crate) async fn start(
    State(app): State<App>,
    Params(params): Params<TaskParam>,
) -> Result<(StatusCode, Json<BreakdownStarted>), Problem> {
    let handle = breakdowns(&app)?.start(TaskId::from_uuid(params.task_id)).await?;
    let answer = BreakdownStarted {
        status: "started".to_owned(),
        task_id: handle.task().to_string(),
        job_id: handle.id().to_string(),
        message: "AI breakdown running. Results will be stored on task metadata.".to_owned(),
    };
    Ok((StatusCode::ACCEPTED, Json(answer)))
}

/// What was broken down.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OriginalTask {
    /// Null if it is no task of the hub.
    #[schema(format = Uuid)]
    id: Option<String>,
    title: String,
    description: Option<String>,
}

/// A proposal, and what it is for.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BrokenDown {
    original_task: OriginalTask,
    breakdown: BreakdownOut,
    /// For accepting it; null if it is for no task of the hub.
    #[schema(format = Uuid)]
    job_id: Option<String>,
    magnus_says: String,
}

/// Break a task down and wait
///
/// A task of the hub by its id, where the proposal is kept on it; or something else by its title, where nothing is kept.
#[utoipa::path(post, path = "/ai/breakdown", tag = "ai", request_body = BreakdownIn, responses(
    (status = 200, description = "The proposal", body = BrokenDown),
    (status = 409, description = "It was cancelled", body = ProblemOut, content_type = "application/problem+json"),
    (status = 502, description = "The model gave no good answer", body = ProblemOut,
     content_type = "application/problem+json")))]
pub(crate) async fn wait(State(app): State<App>, Body(wanted): Body<BreakdownIn>) -> Result<Json<BrokenDown>, Problem> {
    let breakdowns = breakdowns(&app)?;
    let answer = match (wanted.task_id, wanted.title) {
        (Some(_), Some(_)) => return Err(Problem::invalid("title", "expected either task_id or title")),
        (Some(task), None) => of_task(&app, breakdowns, TaskId::from_uuid(task)).await?,
        (None, Some(title)) if !title.trim().is_empty() => {
            let input = BreakdownInput::new(title.trim()).description(wanted.description);
            let breakdown = breakdowns.ask(input.clone()).await?;
            BrokenDown {
                original_task: OriginalTask {
                    id: None,
                    title: input.title,
                    description: input.description,
                },
                breakdown: BreakdownOut::from(&breakdown),
                job_id: None,
                magnus_says: ANALYZED.to_owned(),
            }
        }
        (None, _) => return Err(Problem::invalid("task_id", "expected the id of a task, or a title")),
    };
    Ok(Json(answer))
}

async fn of_task(app: &Shared, breakdowns: &Breakdowns, id: TaskId) -> Result<BrokenDown, Problem> {
    let job = breakdowns.start(id).await?.wait().await?;
    let why = || {
        job.error_message
            .clone()
            .unwrap_or_else(|| format!("the breakdown is {}", job.state))
    };
    let breakdown = match (job.state, &job.breakdown) {
        (_, Some(breakdown)) => BreakdownOut::from(breakdown),
        (BreakdownState::Cancelled, None) => return Err(Problem::new(Kind::Conflict, why())),
        (_, None) => return Err(Problem::new(Kind::ModelFailed, why())),
    };
    let task: Option<Task> = app.store().tasks(vec![id]).await?.pop();
    let task = task.ok_or_else(|| Problem::not_found("task", id))?;
    Ok(BrokenDown {
        original_task: OriginalTask {
            id: Some(task.id.to_string()),
            title: task.title,
            description: task.description,
        },
        breakdown,
        job_id: Some(job.id.to_string()),
        magnus_says: ANALYZED.to_owned(),
    })
}

/// One breakdown
#[utoipa::path(get, path = "/ai/breakdowns/{job_id}", tag = "ai", params(
    ("job_id" = uuid::Uuid, Path, description = "The breakdown")), responses(
    (status = 200, description = "Where it stands, with its proposal and what was made of it", body = BreakdownJobOut)))]
pub(crate) async fn read(State(app): State<App>, Id(id): Id<BreakdownId>) -> Result<Json<BreakdownJobOut>, Problem> {
    let breakdowns = breakdowns(&app)?;
    let job = breakdowns.job(id).await?;
    out(breakdowns, &job).await.map(Json)
}

/// Subtasks that were made.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BreakdownAccepted {
    /// `accepted`.
    status: String,
    #[schema(format = Uuid)]
    job_id: String,
    #[schema(format = Uuid)]
    task_id: String,
    /// How many subtasks were made by this request.
    created: usize,
    /// All that were made of the proposal so far.
    accepted: Vec<AcceptedSubtaskOut>,
    /// Those that were asked for, as they are now.
    subtasks: Vec<TaskOut>,
    magnus_says: String,
}

/// Accept a proposal
///
/// Makes subtasks of it in the hub, all or those at the places that are given; they flow to the tools. Accepting again makes
/// nothing twice.
#[utoipa::path(post, path = "/ai/breakdowns/{job_id}/accept", tag = "ai", request_body = AcceptIn, params(
    ("job_id" = uuid::Uuid, Path, description = "The breakdown")), responses(
    (status = 200, description = "The subtasks", body = BreakdownAccepted),
    (status = 409, description = "There is no proposal, or it was discarded", body = ProblemOut,
     content_type = "application/problem+json")))]
pub(crate) async fn accept(
    State(app): State<App>,
    Id(id): Id<BreakdownId>,
    Raw(body): Raw,
) -> Result<Json<BreakdownAccepted>, Problem> {
    let breakdowns = breakdowns(&app)?;
    let wanted: AcceptIn = if body.is_empty() {
        AcceptIn::default()
    } else {
        from_json(&body)?
    };
    let accepted = breakdowns.accept(id, wanted.subtasks).await?;
    if accepted.created > 0 {
        app.flow_out().await;
    }
    let job = breakdowns.job(id).await?;
    let made = breakdowns.accepted(&job).await?;
    let subtasks: Vec<Task> = accepted.subtasks.into_values().collect();
    Ok(Json(BreakdownAccepted {
        status: "accepted".to_owned(),
        job_id: job.id.to_string(),
        task_id: job.task_id.to_string(),
        created: accepted.created,
        accepted: accepted_out(&made),
        subtasks: tasks_out(&app, &subtasks).await?,
        magnus_says: match accepted.created {
            0 => "The board is as it was.".to_owned(),
            1 => "One new piece on the board.".to_owned(),
            more => format!("{more} new pieces on the board."),
        },
    }))
}

/// Discard a proposal
///
/// Takes it off its task. Subtasks that were made of it stay.
#[utoipa::path(post, path = "/ai/breakdowns/{job_id}/discard", tag = "ai", params(
    ("job_id" = uuid::Uuid, Path, description = "The breakdown")), responses(
    (status = 200, description = "It is discarded", body = BreakdownJobOut),
    (status = 409, description = "There is no proposal", body = ProblemOut, content_type = "application/problem+json")))]
pub(crate) async fn discard(State(app): State<App>, Id(id): Id<BreakdownId>) -> Result<Json<BreakdownJobOut>, Problem> {
    let breakdowns = breakdowns(&app)?;
    let job = breakdowns.discard(id).await?;
    out(breakdowns, &job).await.map(Json)
}

/// Cancel a breakdown
///
/// One that waits is cancelled at once, one that goes on stops; one that is over stays as it is.
#[utoipa::path(post, path = "/ai/breakdowns/{job_id}/cancel", tag = "ai", params(
    ("job_id" = uuid::Uuid, Path, description = "The breakdown")), responses(
    (status = 200, description = "As it stands right after", body = BreakdownJobOut)))]
pub(crate) async fn cancel(State(app): State<App>, Id(id): Id<BreakdownId>) -> Result<Json<BreakdownJobOut>, Problem> {
    let breakdowns = breakdowns(&app)?;
    let job = breakdowns.cancel(id).await?;
    out(breakdowns, &job).await.map(Json)
}
