//! One run, and the log of all.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use magnus_core::model::{ConnectionId, Run, RunId, RunRequest, RunState};
use magnus_core::orchestrator::RunHandle;
use magnus_core::store::RunQuery;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::cursor;
use super::sync::ended;
use crate::extract::{Id, Params, word};
use crate::problem::{Kind, Problem, ProblemOut};
use crate::shape::run::{Form, RunOut, says};
use crate::state::{App, Shared};

/// Which runs.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct RunParams {
    /// Only of this connection.
    connection_id: Option<uuid::Uuid>,
    /// Only in this state.
    #[param(value_type = Option<RunStateWord>)]
    status: Option<String>,
    /// At most this many, 1 to 100.
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Where a run stands.
#[derive(Debug, ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "only described")]
pub(crate) enum RunStateWord {
    Queued,
    Started,
    Completed,
    Partial,
    Failed,
    Cancelled,
    Interrupted,
    Halted,
}

/// A page of the run log.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Runs {
    /// Newest first.
    runs: Vec<RunOut>,
    /// For the next page; null on the last one.
    next_cursor: Option<String>,
}

/// The run log
#[utoipa::path(get, path = "/sync/runs", tag = "sync", params(RunParams), responses(
    (status = 200, description = "Runs, newest first", body = Runs)))]
pub(crate) async fn list(State(app): State<App>, Params(params): Params<RunParams>) -> Result<Json<Runs>, Problem> {
    let query = RunQuery::default()
        .connection(params.connection_id.map(ConnectionId::from_uuid))
        .state(word("status", params.status.as_deref())?)
        .page(
            cursor::limit(params.limit, 20, 100)?,
            cursor::read(params.cursor.as_deref())?,
        );
    let page = app.store().run_page(query).await?;
    let names = app.names().await?;
    Ok(Json(Runs {
        runs: page
            .runs
            .iter()
            .map(|run| app.run_out(run, &names, Form::InList))
            .collect(),
        next_cursor: page.next.map(|next| cursor::write(&next)),
    }))
}

async fn run_of(app: &Shared, id: RunId) -> Result<Run, Problem> {
    let run = app.store().run(id).await?;
    run.ok_or_else(|| Problem::not_found("run", id))
}

/// One run
#[utoipa::path(get, path = "/sync/runs/{id}", tag = "sync", params(
    ("id" = uuid::Uuid, Path, description = "The run")), responses(
    (status = 200, description = "The run, with its progress, the outcome of its items and, if it is halted, its plan",
     body = RunOut)))]
pub(crate) async fn read(State(app): State<App>, Id(id): Id<RunId>) -> Result<Json<RunOut>, Problem> {
    let run = run_of(&app, id).await?;
    let names = app.names().await?;
    Ok(Json(app.run_out(&run, &names, Form::Whole)))
}

/// A run that something was done to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RunAnswer {
    /// `cancelled`, `cancelling`, `discarded`, `started` or `over`.
    status: String,
    #[schema(format = Uuid)]
    run_id: String,
    run: RunOut,
    magnus_says: String,
}

/// Cancel a run
///
/// One that waits is cancelled at once, one that goes on stops between two operations, and the plan of a halted one is
/// dropped. One that is over stays as it is.
#[utoipa::path(post, path = "/sync/runs/{id}/cancel", tag = "sync", params(
    ("id" = uuid::Uuid, Path, description = "The run")), responses(
    (status = 200, description = "It is over", body = RunAnswer),
    (status = 202, description = "It will stop", body = RunAnswer)))]
pub(crate) async fn cancel(State(app): State<App>, Id(id): Id<RunId>) -> Result<Response, Problem> {
    let before = run_of(&app, id).await?;
    let run = app.orchestrator.cancel(id).await?;
    let run = run.ok_or_else(|| Problem::not_found("run", id))?;
    let names = app.names().await?;
    let (code, status, words) = match (before.state, run.state) {
        (RunState::Halted, RunState::Cancelled) => (StatusCode::OK, "discarded", "The plan is off the table."),
        (before, RunState::Cancelled) if !before.is_final() => (StatusCode::OK, "cancelled", "The pieces stay put."),
        (_, state) if state.is_final() => (StatusCode::OK, "over", "That game is already over."),
        _ => (StatusCode::ACCEPTED, "cancelling", "The pieces stop after this move."),
    };
    let answer = RunAnswer {
        status: status.to_owned(),
        run_id: id.to_string(),
        run: app.run_out(&run, &names, Form::InList),
        magnus_says: words.to_owned(),
    };
    Ok((code, Json(answer)).into_response())
}

/// Whether to wait.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct WaitParams {
    /// Wait for the end.
    #[serde(default)]
    wait: bool,
}

/// Confirm a halted run
///
/// Starts a run that carries out the plan that was looked at; what changed since then is planned and guarded anew.
#[utoipa::path(post, path = "/sync/runs/{id}/confirm", tag = "sync", params(
    ("id" = uuid::Uuid, Path, description = "The halted run"), WaitParams), responses(
    (status = 200, description = "The run that carries it out has ended", body = super::sync::SyncEnded),
    (status = 202, description = "The run that carries it out is under way", body = RunAnswer),
    (status = 409, description = "It is no halted run", body = ProblemOut, content_type = "application/problem+json"),
    (status = 502, description = "The run failed", body = ProblemOut, content_type = "application/problem+json"),
))]
pub(crate) async fn confirm(
    State(app): State<App>,
    Id(id): Id<RunId>,
    Params(params): Params<WaitParams>,
) -> Result<Response, Problem> {
    let halted = run_of(&app, id).await?;
    if halted.state != RunState::Halted {
        let detail = format!("run {id} is {}; only a halted run can be confirmed", halted.state);
        return Err(Problem::new(Kind::Conflict, detail).with_run(id));
    }
    let handle = app.orchestrator.start(halted.confirmation()).await?;
    follow(&app, &handle, params.wait).await
}

/// Whether to wait, or only to say what would be done.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct UndoParams {
    /// Wait for the end.
    #[serde(default)]
    wait: bool,
    /// Only say what would be done.
    #[serde(default)]
    dry_run: bool,
}

/// Undo a run
///
/// Fields that still hold what the run wrote get back what stood there before, on both sides, and what it made is
/// removed. What people changed since is left alone and listed; what it deleted in a tool cannot be brought back.
#[utoipa::path(post, path = "/sync/runs/{id}/undo", tag = "sync", params(
    ("id" = uuid::Uuid, Path, description = "The run to undo"), UndoParams), responses(
    (status = 200, description = "The run that undoes it has ended, or the plan is made", body = super::sync::SyncEnded),
    (status = 202, description = "The run that undoes it is under way", body = RunAnswer),
    (status = 409, description = "It is not over, or its connection is switched off", body = ProblemOut,
     content_type = "application/problem+json"),
    (status = 502, description = "The run failed", body = ProblemOut, content_type = "application/problem+json"),
))]
pub(crate) async fn undo(
    State(app): State<App>,
    Id(id): Id<RunId>,
    Params(params): Params<UndoParams>,
) -> Result<Response, Problem> {
    let run = run_of(&app, id).await?;
    if !run.state.is_final() {
        let detail = format!("run {id} is {}; cancel it first, or wait for its end", run.state);
        return Err(Problem::new(Kind::Conflict, detail).with_run(id));
    }
    let request = RunRequest::undoing(run.connection_id, id);
    if params.dry_run {
        let plan = app.orchestrator.plan(request).await?;
        return Ok(Json(super::sync::planned(plan)?).into_response());
    }
    let handle = app.orchestrator.start(request).await?;
    follow(&app, &handle, params.wait).await
}

/// The answer to whoever started a run: at once, or at its end.
async fn follow(app: &App, handle: &RunHandle, wait: bool) -> Result<Response, Problem> {
    if wait {
        let run = handle.wait().await?;
        return ended(app, &run).await;
    }
    let run = run_of(app, handle.id()).await?;
    let names = app.names().await?;
    let answer = RunAnswer {
        status: "started".to_owned(),
        run_id: handle.id().to_string(),
        run: app.run_out(&run, &names, Form::InList),
        magnus_says: says(RunState::Started).to_owned(),
    };
    Ok((StatusCode::ACCEPTED, Json(answer)).into_response())
}
