//! Conflicts, and how people settle them.

use std::collections::HashMap;

use axum::Json;
use axum::extract::State;
use magnus_core::model::{Conflict, ConflictId, ConnectionId, Resolution, Task, TaskId};
use magnus_core::store::ConflictQuery;
use serde::Deserialize;
use utoipa::IntoParams;

use super::cursor;
use crate::extract::{Body, Id, Params};
use crate::problem::{Kind, Problem, ProblemOut};
use crate::shape::conflict::{ConflictOut, Conflicts, ResolveIn, Resolved};
use crate::shape::value::{from_json, name_of};
use crate::state::{App, Shared};

/// Which conflicts.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ConflictParams {
    /// Only of this connection.
    connection_id: Option<uuid::Uuid>,
    /// Only of this task.
    task_id: Option<uuid::Uuid>,
    /// Settled ones too.
    #[serde(default)]
    all: bool,
    /// At most this many, 1 to 1000.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Conflicts
///
/// Fields that both sides changed; by default those that wait for a person.
#[utoipa::path(get, path = "/conflicts", tag = "conflicts", params(ConflictParams), responses(
    (status = 200, description = "Conflicts, newest first", body = Conflicts)))]
pub(crate) async fn list(
    State(app): State<App>,
    Params(params): Params<ConflictParams>,
) -> Result<Json<Conflicts>, Problem> {
    let mut query = ConflictQuery::default();
    query.connection_id = params.connection_id.map(ConnectionId::from_uuid);
    query.task_id = params.task_id.map(TaskId::from_uuid);
    query.open_only = !params.all;
    let limit = cursor::limit(params.limit, 100, 1000)?;
    let after: Option<ConflictId> = cursor::read(params.cursor.as_deref())?;
    let page = app.store().conflict_page(query, limit, after).await?;
    Ok(Json(Conflicts {
        next_cursor: page.next.map(|next| cursor::write(&next)),
        total: page.total,
        conflicts: conflicts_out(&app, &page.conflicts).await?,
    }))
}

async fn conflicts_out(app: &Shared, conflicts: &[Conflict]) -> Result<Vec<ConflictOut>, Problem> {
    let names = app.names().await?;
    let ids = conflicts.iter().map(|conflict| conflict.task_id).collect();
    let tasks: HashMap<TaskId, Task> = app
        .store()
        .tasks(ids)
        .await?
        .into_iter()
        .map(|task| (task.id, task))
        .collect();
    Ok(conflicts
        .iter()
        .map(|conflict| ConflictOut::new(conflict, &names, tasks.get(&conflict.task_id)))
        .collect())
}

/// Settle a conflict
///
/// The next run of its connection carries it out; where it is kept in real time, that run begins at once.
#[utoipa::path(post, path = "/conflicts/{id}/resolve", tag = "conflicts", request_body = ResolveIn, params(
    ("id" = uuid::Uuid, Path, description = "The conflict")), responses(
    (status = 200, description = "It is settled", body = Resolved),
    (status = 409, description = "It is settled already, or its values changed meanwhile", body = ProblemOut,
     content_type = "application/problem+json")))]
pub(crate) async fn resolve(
    State(app): State<App>,
    Id(id): Id<ConflictId>,
    Body(wanted): Body<ResolveIn>,
) -> Result<Json<Resolved>, Problem> {
    let conflict = app.store().conflict(id).await?;
    let conflict = conflict.ok_or_else(|| Problem::not_found("conflict", id))?;
    let resolution = match wanted.resolution.as_str() {
        "hub" => Resolution::Hub,
        "external" => Resolution::External,
        "merged" => Resolution::Merged(merged(&conflict, &wanted)?),
        _ => return Err(Problem::invalid("resolution", "expected hub, external or merged")),
    };
    if wanted.updated_at.is_some_and(|seen| seen != conflict.updated_at) {
        let detail = format!("the values of conflict {id} have changed since; look at it again");
        return Err(Problem::new(Kind::Conflict, detail));
    }
    let settled = app
        .hub
        .resolve_as_seen(&conflict, resolution, "a person, over HTTP")
        .await?;
    app.carry_out(settled.connection_id).await;
    let out = conflicts_out(&app, std::slice::from_ref(&settled)).await?.pop();
    Ok(Json(Resolved {
        status: "resolved".to_owned(),
        conflict: out.ok_or_else(|| Problem::not_found("conflict", id))?,
        magnus_says: "The dispute is settled. The next move carries it out.".to_owned(),
    }))
}

fn merged(conflict: &Conflict, wanted: &ResolveIn) -> Result<magnus_core::model::Value, Problem> {
    let name = name_of(conflict.field);
    let value = wanted.fields.as_ref().and_then(|fields| fields.get(name));
    let value = value.ok_or_else(|| Problem::invalid("fields", format!("expected the merged value of {name}")))?;
    from_json(conflict.field, value).map_err(|message| Problem::invalid(format!("fields.{name}"), message))
}
