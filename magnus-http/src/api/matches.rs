//! Which items of a tool and tasks of the hub are the same, where a person says so.

use axum::Json;
use axum::extract::State;
use magnus_core::hub::MatchChoice;
use magnus_core::model::{ConnectionId, ExternalId, RunRequest, TaskId};
use magnus_core::reconcile::{Proposal, proposals};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::extract::{Body, Id};
use crate::problem::{Problem, ProblemOut};
use crate::state::{App, Shared};

/// Items of one title on both sides that are not joined.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProposalOut {
    /// The tool's project.
    project_name: String,
    #[schema(format = Uuid)]
    project_id: String,
    title: String,
    /// The hub's tasks.
    #[schema(value_type = Vec<uuid::Uuid>)]
    task_ids: Vec<String>,
    /// The tool's items.
    external_task_ids: Vec<String>,
    /// Why a person is asked.
    reason: String,
}

impl From<Proposal> for ProposalOut {
    fn from(proposal: Proposal) -> Self {
        Self {
            project_name: proposal.project,
            project_id: proposal.project_id.to_string(),
            title: proposal.title,
            task_ids: proposal.tasks.iter().map(ToString::to_string).collect(),
            external_task_ids: proposal.externals.iter().map(ToString::to_string).collect(),
            reason: proposal.reason,
        }
    }
}

/// What waits for a person.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Matches {
    matches: Vec<ProposalOut>,
}

async fn proposed(app: &Shared, id: ConnectionId) -> Result<Vec<Proposal>, Problem> {
    app.connection(id).await?;
    let plan = app.orchestrator.plan(RunRequest::new(id)).await?;
    Ok(proposals(&plan))
}

/// What may be the same
///
/// Items of the tool and tasks of the hub that may be the same and wait for a person to say so: all of them where the
/// connection's `match` is `ask`, else those that a title does not tell. The tool is asked.
#[utoipa::path(get, path = "/connections/{id}/matches", tag = "connections", params(
    ("id" = uuid::Uuid, Path, description = "The connection")), responses(
    (status = 200, description = "By project and title", body = Matches),
    (status = 409, description = "It is switched off or has no key", body = ProblemOut,
     content_type = "application/problem+json"),
    (status = 502, description = "The tool cannot be reached", body = ProblemOut,
     content_type = "application/problem+json")))]
pub(crate) async fn list(State(app): State<App>, Id(id): Id<ConnectionId>) -> Result<Json<Matches>, Problem> {
    let found = proposed(&app, id).await?;
    Ok(Json(Matches {
        matches: found.into_iter().map(ProposalOut::from).collect(),
    }))
}

/// What a person says. One of `task_id`, `new` and `sure`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"external_task_id": "42", "task_id": "0190c0de-0000-7000-8000-000000000000"}))]
pub(crate) struct MatchIn {
    /// The tool's item; not with `sure`.
    #[serde(default)]
    external_task_id: Option<String>,
    /// It is this task of the hub.
    #[serde(default)]
    #[schema(format = Uuid)]
    task_id: Option<String>,
    /// It is none of the hub's tasks, and becomes a new one.
    #[serde(default)]
    new: bool,
    /// Every item is the task of the same title, where there is one of it on each side.
    #[serde(default)]
    sure: bool,
}

/// What was decided.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Matched {
    /// `matched`.
    status: String,
    /// How many items.
    decided: u64,
    magnus_says: String,
}

/// Say what is the same
///
/// The next run goes on from there; where the connection is kept in real time, that run begins at once.
#[utoipa::path(post, path = "/connections/{id}/matches", tag = "connections", request_body = MatchIn, params(
    ("id" = uuid::Uuid, Path, description = "The connection")), responses(
    (status = 200, description = "It is decided", body = Matched),
    (status = 409, description = "The item or the task is joined with another one", body = ProblemOut,
     content_type = "application/problem+json"),
    (status = 502, description = "The tool cannot be reached", body = ProblemOut,
     content_type = "application/problem+json")))]
pub(crate) async fn decide(
    State(app): State<App>,
    Id(id): Id<ConnectionId>,
    Body(wanted): Body<MatchIn>,
) -> Result<Json<Matched>, Problem> {
    app.connection(id).await?;
    let decided = match (wanted.external_task_id, wanted.task_id, wanted.new, wanted.sure) {
        (None, None, false, true) => {
            let found = proposed(&app, id).await?;
            app.hub.accept_sure_matches(id, &found).await?
        }
        (Some(external), task, new, false) if task.is_some() != new => {
            let external =
                ExternalId::new(external).map_err(|error| Problem::invalid("external_task_id", error.to_string()))?;
            let (choice, found) = match task {
                Some(task) => {
                    let task = task.parse::<TaskId>();
                    let task = task.map_err(|error| Problem::invalid("task_id", error.to_string()))?;
                    (MatchChoice::With(task), Vec::new())
                }
                None => (MatchChoice::New, proposed(&app, id).await?),
            };
            app.hub.decide_match(id, &found, &external, choice).await?;
            1
        }
        _ => {
            let expected = "expected external_task_id with either task_id or new, or sure alone";
            return Err(Problem::invalid("external_task_id", expected));
        }
    };
    app.carry_out(id).await;
    Ok(Json(Matched {
        status: "matched".to_owned(),
        decided: u64::try_from(decided).unwrap_or(u64::MAX),
        magnus_says: "The pieces know each other now. The next move joins them.".to_owned(),
    }))
}
