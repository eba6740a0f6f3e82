//! Writes of which nobody knows whether they took place.

use std::collections::HashMap;

use axum::Json;
use axum::extract::State;
use magnus_core::hub::Finding;
use magnus_core::model::{ExternalId, Intent, IntentId, IntentState};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::cursor::PageParams;
use crate::extract::{Body, Id, Params};
use crate::problem::{Problem, ProblemOut};
use crate::shape::instant;
use crate::state::{App, Shared};

/// A write of which nobody knows whether it took place.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UncertainOut {
    #[schema(format = Uuid)]
    id: String,
    #[schema(format = Uuid)]
    connection_id: String,
    tool_name: Option<String>,
    display_name: Option<String>,
    #[schema(format = Uuid)]
    task_id: String,
    task_title: Option<String>,
    /// Why it is not known.
    reason: Option<String>,
    #[schema(format = Uuid)]
    run_id: String,
    #[schema(format = DateTime)]
    created_at: String,
}

/// A page of writes that wait for a person, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UncertainList {
    uncertain: Vec<UncertainOut>,
    /// How many there are in all.
    total: u64,
    /// For the next page; null on the last one.
    next_cursor: Option<String>,
}

async fn out(app: &Shared, intents: &[Intent]) -> Result<Vec<UncertainOut>, Problem> {
    let names = app.names().await?;
    let ids = intents.iter().map(|intent| intent.task_id).collect();
    let tasks = app.store().tasks(ids).await?;
    let titles: HashMap<_, _> = tasks.into_iter().map(|task| (task.id, task.title)).collect();
    let one = |intent: &Intent| {
        let settings = names.get(&intent.connection_id);
        UncertainOut {
            id: intent.id.to_string(),
            connection_id: intent.connection_id.to_string(),
            tool_name: settings.map(|settings| settings.tool.to_string()),
            display_name: settings.map(|settings| settings.name.clone()),
            task_id: intent.task_id.to_string(),
            task_title: titles.get(&intent.task_id).cloned(),
            reason: match &intent.state {
                IntentState::Uncertain { reason } => Some(reason.clone()),
                _ => None,
            },
            run_id: intent.run_id.to_string(),
            created_at: instant(intent.created_at),
        }
    };
    Ok(intents.iter().map(one).collect())
}

/// Uncertain writes
///
/// Creates whose answer was lost and that could not be found in the tool. While there is one, its task and new items of
/// its tool wait.
#[utoipa::path(get, path = "/uncertain", tag = "conflicts", params(PageParams), responses(
    (status = 200, description = "Writes that wait for a person, oldest first", body = UncertainList)))]
pub(crate) async fn list(
    State(app): State<App>,
    Params(params): Params<PageParams>,
) -> Result<Json<UncertainList>, Problem> {
    let all = app.hub.uncertain(None).await?;
    let total = all.len() as u64;
    let (page, next_cursor) = params.page(all, |intent| (intent.created_at, intent.id))?;
    Ok(Json(UncertainList {
        uncertain: out(&app, &page).await?,
        total,
        next_cursor,
    }))
}

/// What a person found out.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"finding": "is", "external_task_id": "42"}))]
pub(crate) struct FindingIn {
    /// `is`: it took place, see `external_task_id`; `send_again`: it did not.
    finding: String,
    /// The item that it made.
    #[serde(default)]
    external_task_id: Option<String>,
}

/// Settle an uncertain write
#[utoipa::path(post, path = "/uncertain/{id}/resolve", tag = "conflicts", request_body = FindingIn, params(
    ("id" = uuid::Uuid, Path, description = "The write")), responses(
    (status = 200, description = "It is settled; the next run goes on from there", body = UncertainOut),
    (status = 409, description = "It is settled already, or the item is linked otherwise", body = ProblemOut,
     content_type = "application/problem+json")))]
pub(crate) async fn resolve(
    State(app): State<App>,
    Id(id): Id<IntentId>,
    Body(wanted): Body<FindingIn>,
) -> Result<Json<UncertainOut>, Problem> {
    let finding = match (wanted.finding.as_str(), wanted.external_task_id) {
        ("send_again", _) => Finding::SendAgain,
        ("is", Some(external)) => Finding::Is(
            ExternalId::new(external).map_err(|error| Problem::invalid("external_task_id", error.to_string()))?,
        ),
        ("is", None) => return Err(Problem::invalid("external_task_id", "expected the item that was made")),
        _ => return Err(Problem::invalid("finding", "expected is or send_again")),
    };
    let settled = app.hub.settle(id, finding).await?;
    app.carry_out(settled.connection_id).await;
    let shown = out(&app, std::slice::from_ref(&settled)).await?.pop();
    shown.map(Json).ok_or_else(|| Problem::not_found("uncertain write", id))
}
