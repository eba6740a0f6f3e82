//! Projects of the hub.

use axum::Json;
use axum::extract::{OriginalUri, State};
use axum::response::Response;
use http::StatusCode;
use magnus_core::model::{Project, ProjectId};

use super::cursor::PageParams;
use super::tag;
use crate::extract::{Body, Id, Params};
use crate::problem::Problem;
use crate::shape::project::{ProjectIn, ProjectOut, Projects};
use crate::shape::value::check_name;
use crate::state::App;

/// Projects of the hub
#[utoipa::path(get, path = "/projects", tag = "hub", params(PageParams), responses(
    (status = 200, description = "A page of projects, archived ones too, by name", body = Projects)))]
pub(crate) async fn list(
    State(app): State<App>,
    Params(params): Params<PageParams>,
) -> Result<Json<Projects>, Problem> {
    let all = app.store().projects().await?;
    let total = all.len() as u64;
    let (page, next_cursor) = params.page(all, |project| (project.name.clone(), project.id))?;
    Ok(Json(Projects {
        projects: page.iter().map(ProjectOut::from).collect(),
        total,
        next_cursor,
    }))
}

/// One project
#[utoipa::path(get, path = "/projects/{id}", tag = "hub", params(
    ("id" = uuid::Uuid, Path, description = "The project")), responses(
    (status = 200, description = "The project; an archived one too", body = ProjectOut,
     headers(("etag" = String, description = "Its version")))))]
pub(crate) async fn read(State(app): State<App>, Id(id): Id<ProjectId>) -> Result<Response, Problem> {
    let project = app.store().project(id).await?;
    let project = project.ok_or_else(|| Problem::not_found("project", id))?;
    Ok(tag::versioned(&ProjectOut::from(&project), project.version))
}

/// Add a project
#[utoipa::path(post, path = "/projects", tag = "hub", request_body = ProjectIn, responses(
    (status = 201, description = "The project", body = ProjectOut, headers(
     ("etag" = String, description = "Its version"), ("location" = String, description = "Where it is")))))]
pub(crate) async fn add(
    State(app): State<App>,
    OriginalUri(uri): OriginalUri,
    Body(wanted): Body<ProjectIn>,
) -> Result<Response, Problem> {
    check_name("name", &wanted.name)?;
    let project: Project = app.hub.add_project(&wanted.name).await?;
    let mut response = tag::versioned(&ProjectOut::from(&project), project.version);
    *response.status_mut() = StatusCode::CREATED;
    tag::locate(&mut response, &uri, project.id);
    Ok(response)
}
