//! Tasks of the hub, edited.

use axum::Json;
use axum::extract::{OriginalUri, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode, Uri, header};
use magnus_core::hub::NewTask;
use magnus_core::model::{ProjectId, RowVersion, Task, TaskId, Value as FieldValue};
use magnus_core::store::{ConflictQuery, OnceAnswer};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::breakdowns;
use super::connections::BodyBytes;
use super::once::{self, Once};
use super::tag::{self, etag};
use super::unified::{TaskParams, tasks_out};
use crate::extract::{Body, Id, Params, from_json};
use crate::problem::{Kind, Problem, ProblemOut};
use crate::prose;
use crate::shape::conflict::ConflictOut;
use crate::shape::task::{Described, Story, TaskIn, TaskOut, TaskPatchIn, Tasks};
use crate::shape::value::patch_from_json;
use crate::state::{App, Shared};

/// Tasks of the hub
///
/// The same as `/unified/tasks`.
#[utoipa::path(get, path = "/tasks", tag = "hub", params(TaskParams), responses(
    (status = 200, description = "A page of tasks", body = Tasks)))]
pub(crate) async fn list(state: State<App>, params: Params<TaskParams>) -> Result<Json<Tasks>, Problem> {
    super::unified::tasks(state, params).await
}

async fn task_of(app: &Shared, id: TaskId) -> Result<Task, Problem> {
    let task = app.store().tasks(vec![id]).await?.pop();
    task.ok_or_else(|| Problem::not_found("task", id))
}

async fn out(app: &Shared, task: &Task) -> Result<TaskOut, Problem> {
    let out = tasks_out(app, std::slice::from_ref(task)).await?.pop();
    out.ok_or_else(|| Problem::not_found("task", task.id))
}

async fn tagged(app: &Shared, task: &Task) -> Result<Response, Problem> {
    Ok(tag::versioned(&out(app, task).await?, task.version))
}

/// The version that `If-Match` names: the task must be at it. `None`: any will do.
fn expected(headers: &HeaderMap, now: RowVersion) -> Result<Option<RowVersion>, Problem> {
    let Some(value) = headers.get(header::IF_MATCH) else {
        return Ok(None);
    };
    let tags = value.to_str().unwrap_or_default();
    let is_match = |tag: &str| tag == "*" || tag == etag(now);
    if tags.split(',').any(|tag| is_match(tag.trim())) {
        // From here on it must not move.
        return Ok((tags.trim() != "*").then_some(now));
    }
    let detail = format!("the task is at {} by now; look at it again", etag(now));
    Err(Problem::new(Kind::Moved, detail))
}

/// One task
#[utoipa::path(get, path = "/tasks/{id}", tag = "hub", params(
    ("id" = uuid::Uuid, Path, description = "The task")), responses(
    (status = 200, description = "The task; a deleted one too", body = TaskOut,
     headers(("etag" = String, description = "Its version, for If-Match")))))]
pub(crate) async fn read(State(app): State<App>, Id(id): Id<TaskId>) -> Result<Response, Problem> {
    let task = task_of(&app, id).await?;
    tagged(&app, &task).await
}

/// The story of a task
///
/// What changed it, when, by which run and by which rule, its conflicts, and its newest breakdown.
#[utoipa::path(get, path = "/tasks/{id}/story", tag = "hub", params(
    ("id" = uuid::Uuid, Path, description = "The task")), responses(
    (status = 200, description = "The task with its history and conflicts", body = Story)))]
pub(crate) async fn story(State(app): State<App>, Id(id): Id<TaskId>) -> Result<Json<Story>, Problem> {
    let task = task_of(&app, id).await?;
    let names = app.names().await?;
    let history = app.store().history(id).await?;
    let conflicts = app.store().conflicts(ConflictQuery::of_task(id)).await?;
    let breakdown = match app.orchestrator.breakdowns() {
        Some(breakdowns) => breakdowns::newest_of(breakdowns, id).await?,
        None => None,
    };
    Ok(Json(Story {
        task: out(&app, &task).await?,
        history: Story::changes(&history, &names),
        conflicts: conflicts
            .iter()
            .map(|conflict| ConflictOut::new(conflict, &names, Some(&task)))
            .collect(),
        breakdown,
    }))
}

/// The description of a task as HTML
///
/// Rendered from its Markdown, without anything that runs, loads or styles.
#[utoipa::path(get, path = "/tasks/{id}/description", tag = "hub", params(
    ("id" = uuid::Uuid, Path, description = "The task")), responses(
    (status = 200, description = "The description", body = Described)))]
pub(crate) async fn description(State(app): State<App>, Id(id): Id<TaskId>) -> Result<Json<Described>, Problem> {
    let task = task_of(&app, id).await?;
    let Some(description) = task.description else {
        return Ok(Json(Described { html: None }));
    };
    let rendered = tokio::task::spawn_blocking(move || prose::html(&description)).await;
    let html = rendered.map_err(|error| Problem::new(Kind::Internal, error.to_string()))?;
    Ok(Json(Described {
        html: Some(html).filter(|html| !html.trim().is_empty()),
    }))
}

/// Add a task
///
/// It flows to the tools that its project is mapped to.
#[utoipa::path(post, path = "/tasks", tag = "hub", request_body = TaskIn, params(
    ("Idempotency-Key" = Option<String>, Header, description = "Sent again with the same key, it takes effect once")),
    responses(
    (status = 201, description = "The task", body = TaskOut, headers(
     ("etag" = String, description = "Its version, for If-Match"), ("location" = String, description = "Where it is"))),
    (status = 409, description = "The project is archived", body = ProblemOut, content_type = "application/problem+json")))]
pub(crate) async fn add(
    State(app): State<App>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: BodyBytes,
) -> Result<Response, Problem> {
    let task = match once::begin(&app, &headers, "POST /tasks", &body.0).await? {
        Once::Answered(answer) => return Ok(added(answer, &uri)),
        Once::Do(task) => task,
    };
    let answer = create(&app, TaskId::from_uuid(task.id), &body.0).await;
    let is_added = answer.is_ok();
    let answer = task.end(&app, answer).await;
    if is_added {
        app.flow_out().await;
    }
    answer.map(|answer| added(answer, &uri))
}

/// The answer to whoever added a task, now or when it was first asked for: with where it is, and the version it then had.
fn added(answer: OnceAnswer, collection: &Uri) -> Response {
    #[derive(Deserialize)]
    struct Made {
        id: TaskId,
        version: i64,
    }
    let made: Option<Made> = serde_json::from_str(&answer.body).ok();
    let mut response = once::respond(answer);
    if let Some(made) = made {
        tag::mark(&mut response, RowVersion(made.version));
        tag::locate(&mut response, collection, made.id);
    }
    response
}

async fn create(app: &Shared, id: TaskId, body: &[u8]) -> Result<OnceAnswer, Problem> {
    let members: Map<String, Value> = from_json(body)?;
    let project = members.get("project_id").and_then(Value::as_str);
    let project: ProjectId = project
        .and_then(|project| project.parse().ok())
        .ok_or_else(|| Problem::invalid("project_id", "expected the id of a hub project"))?;
    let patch = patch_from_json(&members, &["project_id"])?;
    let title = patch.iter().find_map(|(_, value)| match value {
        FieldValue::Text(title) if members.get("title").and_then(Value::as_str).map(str::trim) == Some(title) => {
            Some(title.clone())
        }
        _ => None,
    });
    let title = title.ok_or_else(|| Problem::invalid("title", "a task needs a title"))?;
    let task = app
        .hub
        .add_task(NewTask::new(project, title).fields(patch).id(id))
        .await?;
    once::created(&out(app, &task).await?)
}

/// Change a task
///
/// What is absent stays, null clears. With `If-Match` only if it is still as it was read.
#[utoipa::path(patch, path = "/tasks/{id}", tag = "hub", request_body = TaskPatchIn, params(
    ("id" = uuid::Uuid, Path, description = "The task"),
    ("If-Match" = Option<String>, Header, description = "The ETag that was read")), responses(
    (status = 200, description = "The task as it is now", body = TaskOut,
     headers(("etag" = String, description = "Its version, for If-Match"))),
    (status = 409, description = "Others change it all the time", body = ProblemOut,
     content_type = "application/problem+json"),
    (status = 412, description = "It was changed since it was read", body = ProblemOut,
     content_type = "application/problem+json")))]
pub(crate) async fn change(
    State(app): State<App>,
    Id(id): Id<TaskId>,
    headers: HeaderMap,
    Body(members): Body<Map<String, Value>>,
) -> Result<Response, Problem> {
    let patch = patch_from_json(&members, &[])?;
    let before = task_of(&app, id).await?;
    let expected = expected(&headers, before.version)?;
    let task = app.hub.edit_task_at(id, expected, patch).await?;
    app.flow_out().await;
    tagged(&app, &task).await
}

/// Delete a task
///
/// What becomes of it in the tools is for each connection's `deletions` to say.
#[utoipa::path(delete, path = "/tasks/{id}", tag = "hub", params(
    ("id" = uuid::Uuid, Path, description = "The task"),
    ("If-Match" = Option<String>, Header, description = "The ETag that was read")), responses(
    (status = 204, description = "It is deleted"),
    (status = 409, description = "Others change it all the time", body = ProblemOut,
     content_type = "application/problem+json"),
    (status = 412, description = "It was changed since it was read", body = ProblemOut,
     content_type = "application/problem+json")))]
pub(crate) async fn remove(
    State(app): State<App>,
    Id(id): Id<TaskId>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let before = task_of(&app, id).await?;
    let expected = expected(&headers, before.version)?;
    app.hub.delete_task_at(id, expected).await?;
    app.flow_out().await;
    Ok(StatusCode::NO_CONTENT)
}

/// Try a task again
///
/// Forgets that writes of this task failed before: the next run tries it again.
#[utoipa::path(post, path = "/tasks/{id}/retry", tag = "hub", params(
    ("id" = uuid::Uuid, Path, description = "The task")), responses(
    (status = 200, description = "The next run tries it again", body = TaskOut)))]
pub(crate) async fn retry(State(app): State<App>, Id(id): Id<TaskId>) -> Result<Json<TaskOut>, Problem> {
    let task = task_of(&app, id).await?;
    app.hub.retry(id).await?;
    out(&app, &task).await.map(Json)
}
