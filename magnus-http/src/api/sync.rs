//! Starting syncs, one or all.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use magnus_core::model::{ConnectionId, Direction, Run, RunId, RunRequest, RunState};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::extract::{Id, Params, word};
use crate::problem::{Kind, Problem, ProblemOut};
use crate::shape::run::{Counts, Form, RunOut, says};
use crate::state::App;

/// How to sync.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct SyncParams {
    /// `pull`, `push` or `bidirectional`; without it, the connection's own.
    #[param(value_type = Option<DirectionWord>)]
    direction: Option<String>,
    /// Wait for the end.
    #[serde(default)]
    wait: bool,
    /// Only say what would be done.
    #[serde(default)]
    dry_run: bool,
}

/// Which way data may move.
#[derive(Debug, ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "only described")]
pub(crate) enum DirectionWord {
    Pull,
    Push,
    Bidirectional,
}

/// A sync that goes on.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "status": "started", "message": "the sync is under way", "run_id": "0190c0de-0000-7000-8000-000000000004",
    "joined": false, "magnus_says": "The pieces are moving. I'll update you when the board is set."
}))]
pub(crate) struct Started {
    /// `started`.
    status: String,
    message: String,
    #[schema(format = Uuid)]
    run_id: String,
    /// Whether it joined a run that was queued already.
    joined: bool,
    magnus_says: String,
}

/// A sync that was waited for, or the plan of one.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SyncEnded {
    /// `completed`, `partial` or `halted`; `planned` for a dry run.
    status: String,
    projects: Counts,
    tasks: Counts,
    #[schema(format = Uuid)]
    run_id: Option<String>,
    /// The run, if there was one.
    run: Option<RunOut>,
    /// For a dry run: what would be done, project by project.
    #[schema(value_type = Option<Object>)]
    plan: Option<serde_json::Value>,
    /// Why a guard halted the run, or would.
    halts: Vec<String>,
    magnus_says: String,
}

/// Sync a connection
///
/// By default the answer is immediate and the run goes on in the background. With `wait=true` the answer comes at its
/// end; with `dry_run=true` nothing is written anywhere and the answer is the plan. If a run is queued already, the
/// request joins it.
#[utoipa::path(post, path = "/connections/{id}/sync", tag = "sync", params(
    ("id" = uuid::Uuid, Path, description = "The connection"), SyncParams,
), responses(
    (status = 200, description = "The run has ended, or the plan is made", body = SyncEnded),
    (status = 202, description = "The run goes on in the background", body = Started),
    (status = 409, description = "It is switched off, has no key, or does not allow this direction", body = ProblemOut,
     content_type = "application/problem+json"),
    (status = 502, description = "The run failed, or the tool cannot be reached", body = ProblemOut,
     content_type = "application/problem+json"),
))]
pub(crate) async fn sync_one(
    State(app): State<App>,
    Id(id): Id<ConnectionId>,
    Params(params): Params<SyncParams>,
) -> Result<Response, Problem> {
    let direction = word::<Direction>("direction", params.direction.as_deref())?;
    let request = RunRequest::new(id).direction(direction);
    if params.dry_run {
        let plan = app.orchestrator.plan(request).await?;
        return Ok(Json(planned(plan)?).into_response());
    }
    let handle = app.orchestrator.start(request).await?;
    if params.wait {
        let run = handle.wait().await?;
        return ended(&app, &run).await;
    }
    let started = Started {
        status: "started".to_owned(),
        message: "the sync is under way".to_owned(),
        run_id: handle.id().to_string(),
        joined: handle.joined(),
        magnus_says: says(RunState::Started).to_owned(),
    };
    Ok((StatusCode::ACCEPTED, Json(started)).into_response())
}

pub(crate) fn planned(plan: magnus_core::reconcile::Plan) -> Result<SyncEnded, Problem> {
    let mappings = serde_json::to_value(&plan).map_err(|error| Problem::new(Kind::Internal, error.to_string()))?;
    Ok(SyncEnded {
        status: "planned".to_owned(),
        projects: plan.counts.projects.into(),
        tasks: plan.counts.tasks.into(),
        run_id: None,
        run: None,
        plan: Some(mappings),
        halts: plan.halts,
        magnus_says: "I see the whole board. Nothing has moved yet.".to_owned(),
    })
}

/// The answer to whoever waited for a run.
pub(crate) async fn ended(app: &App, run: &Run) -> Result<Response, Problem> {
    let words = || {
        run.error_message
            .clone()
            .unwrap_or_else(|| format!("the run is {}", run.state))
    };
    match run.state {
        RunState::Completed | RunState::Partial | RunState::Halted => {}
        RunState::Cancelled => return Err(Problem::new(Kind::Conflict, words()).with_run(run.id)),
        RunState::Interrupted => return Err(Problem::new(Kind::Unavailable, words()).with_run(run.id)),
        _ => return Err(Problem::new(Kind::RunFailed, words()).with_run(run.id)),
    }
    let names = app.names().await?;
    let halts = run
        .report
        .plan
        .as_ref()
        .and_then(|plan| serde_json::from_value(plan.get("halts")?.clone()).ok())
        .unwrap_or_default();
    let ended = SyncEnded {
        status: run.state.to_string(),
        projects: run.report.counts.projects.into(),
        tasks: run.report.counts.tasks.into(),
        run_id: Some(run.id.to_string()),
        run: Some(app.run_out(run, &names, Form::InList)),
        plan: None,
        halts,
        magnus_says: says(run.state).to_owned(),
    };
    Ok(Json(ended).into_response())
}

/// How to sync all.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct SyncAllParams {
    /// `pull`, `push` or `bidirectional`; without it, each connection's own.
    #[param(value_type = Option<DirectionWord>)]
    direction: Option<String>,
    /// Wait until nothing moves any more.
    #[serde(default)]
    wait: bool,
}

/// A connection that was not synced.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Refused {
    #[schema(format = Uuid)]
    connection_id: String,
    reason: String,
}

/// Syncs of all connections.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SyncAllOut {
    /// `started`; waited for: `completed`, `partial` or `failed`.
    status: String,
    connections_syncing: usize,
    /// The tools of those connections.
    tools: Vec<String>,
    run_ids: Vec<String>,
    /// Connections that were not synced, and why.
    refused: Vec<Refused>,
    /// Waited for: whether nothing was left to be done.
    quiet: Option<bool>,
    magnus_says: String,
}

/// Sync all connections
///
/// All enabled connections, all at once; what one run changes in the hub is carried to the others, at most five rounds.
#[utoipa::path(post, path = "/sync/all", tag = "sync", params(SyncAllParams), responses(
    (status = 200, description = "All runs have ended", body = SyncAllOut),
    (status = 202, description = "The runs go on in the background", body = SyncAllOut),
))]
pub(crate) async fn sync_all(
    State(app): State<App>,
    Params(params): Params<SyncAllParams>,
) -> Result<Response, Problem> {
    let direction = word::<Direction>("direction", params.direction.as_deref())?;
    let names = app.names().await?;
    let tools = |ids: &[ConnectionId]| {
        let mut tools: Vec<String> = ids
            .iter()
            .filter_map(|id| names.get(id))
            .map(|settings| settings.tool.to_string())
            .collect();
        tools.sort();
        tools.dedup();
        tools
    };
    let refuse = |id: ConnectionId, error: magnus_core::engine::RunError| Refused {
        connection_id: id.to_string(),
        reason: error.to_string(),
    };
    if params.wait {
        let all = app.orchestrator.sync_all(direction).await?;
        let mut ids: Vec<ConnectionId> = all.runs.iter().map(|run| run.connection_id).collect();
        ids.sort();
        ids.dedup();
        let status = overall(&all.runs, all.refused.is_empty());
        let out = SyncAllOut {
            status: status.to_string(),
            connections_syncing: ids.len(),
            tools: tools(&ids),
            run_ids: all.runs.iter().map(|run| run.id.to_string()).collect(),
            refused: all.refused.into_iter().map(|(id, error)| refuse(id, error)).collect(),
            quiet: Some(all.quiet),
            magnus_says: match status {
                RunState::Completed => says(RunState::Completed).to_owned(),
                _ => says(RunState::Partial).to_owned(),
            },
        };
        return Ok(Json(out).into_response());
    }
    let (mut run_ids, mut ids, mut refused): (Vec<RunId>, Vec<ConnectionId>, Vec<Refused>) = Default::default();
    for (id, started) in app.orchestrator.start_all(direction).await? {
        match started {
            Ok(handle) => {
                run_ids.push(handle.id());
                ids.push(id);
            }
            Err(error) => refused.push(refuse(id, error)),
        }
    }
    let out = SyncAllOut {
        status: "started".to_owned(),
        connections_syncing: ids.len(),
        tools: tools(&ids),
        run_ids: run_ids.iter().map(ToString::to_string).collect(),
        refused,
        quiet: None,
        magnus_says: format!(
            "Synchronizing {} battlefields simultaneously. All pieces moving.",
            ids.len()
        ),
    };
    Ok((StatusCode::ACCEPTED, Json(out)).into_response())
}

/// How it all went: completed if everything did, failed if nothing did anything.
fn overall(runs: &[Run], all_began: bool) -> RunState {
    let good = |run: &&Run| matches!(run.state, RunState::Completed | RunState::Partial);
    if all_began && runs.iter().all(|run| run.state == RunState::Completed) {
        RunState::Completed
    } else if runs.iter().any(|run| good(&run)) {
        RunState::Partial
    } else {
        RunState::Failed
    }
}

/// What goes on.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StatusOut {
    /// How many runs go on, in all processes.
    in_progress: u64,
    /// How many wait for their turn.
    queued: u64,
    /// The 20 newest runs, newest first.
    recent_syncs: Vec<RunOut>,
    magnus_says: String,
}

/// What goes on
#[utoipa::path(get, path = "/sync/status", tag = "sync", responses(
    (status = 200, description = "What goes on, in all processes on this hub", body = StatusOut)))]
pub(crate) async fn status(State(app): State<App>) -> Result<Json<StatusOut>, Problem> {
    let going_on = app.going_on(20).await?;
    let names = app.names().await?;
    Ok(Json(StatusOut {
        in_progress: going_on.in_progress,
        queued: going_on.queued,
        recent_syncs: going_on
            .recent
            .iter()
            .map(|run| app.run_out(run, &names, Form::InList))
            .collect(),
        magnus_says: match going_on.in_progress {
            0 => "All syncs complete.".to_owned(),
            running => format!("{running} sync operations in progress."),
        },
    }))
}
