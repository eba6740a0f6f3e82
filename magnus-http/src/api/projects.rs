//! Projects of the hub.

use axum::Json;
use axum::extract::State;
use http::StatusCode;

use crate::extract::Body;
use crate::problem::Problem;
use crate::shape::project::{ProjectIn, ProjectOut, Projects};
use crate::shape::value::check_name;
use crate::state::App;

/// All projects of the hub
#[utoipa::path(get, path = "/projects", tag = "hub", responses(
    (status = 200, description = "All projects, archived ones too, by name", body = Projects)))]
pub(crate) async fn list(State(app): State<App>) -> Result<Json<Projects>, Problem> {
    let projects = app.store().projects().await?;
    Ok(Json(Projects {
        projects: projects.iter().map(ProjectOut::from).collect(),
    }))
}

/// Add a project
#[utoipa::path(post, path = "/projects", tag = "hub", request_body = ProjectIn, responses(
    (status = 201, description = "The project", body = ProjectOut)))]
pub(crate) async fn add(
    State(app): State<App>,
    Body(wanted): Body<ProjectIn>,
) -> Result<(StatusCode, Json<ProjectOut>), Problem> {
    check_name("name", &wanted.name)?;
    let project = app.hub.add_project(&wanted.name).await?;
    Ok((StatusCode::CREATED, Json(ProjectOut::from(&project))))
}
