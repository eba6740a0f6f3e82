//! Which project of a tool belongs to which project of the hub.

use axum::Json;
use axum::extract::{FromRequest, Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use magnus_core::connection::ConnectionExt as _;
use magnus_core::hub::MapAnswer;
use magnus_core::model::{ConnectionId, MappingState, ProjectId, RemoteProject};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::extract::{Id, Params, Raw, from_json};
use crate::problem::{Kind, Problem, ProblemOut};
use crate::shape::connection::{ExternalProject, ExternalProjects, MapProject, ProjectMapped};
use crate::state::{App, Shared};

async fn listed(app: &Shared, id: ConnectionId) -> Result<Vec<RemoteProject>, Problem> {
    app.connection(id).await?;
    let (_, connection) = app.options.opener.open(id).await?;
    Ok(connection.all_projects().await?)
}

/// The projects of a tool
///
/// Those that the connection's key can see, and where they are mapped. The tool is asked.
#[utoipa::path(get, path = "/connections/{id}/projects", tag = "connections", params(
    ("id" = uuid::Uuid, Path, description = "The connection")), responses(
    (status = 200, description = "The tool's projects", body = ExternalProjects),
    (status = 409, description = "There is no key", body = ProblemOut, content_type = "application/problem+json"),
    (status = 502, description = "The tool cannot be reached", body = ProblemOut, content_type = "application/problem+json"),
))]
pub(crate) async fn list(State(app): State<App>, Id(id): Id<ConnectionId>) -> Result<Json<ExternalProjects>, Problem> {
    let found = listed(&app, id).await?;
    let mappings = app.store().mappings(id).await?;
    let hub = app.store().projects().await?;
    let projects = found.into_iter().map(|project| {
        let mapping = mappings.iter().find(|mapping| mapping.external_id == project.id);
        let name = mapping.and_then(|mapping| hub.iter().find(|known| known.id == mapping.project_id));
        ExternalProject {
            external_project_id: project.id.to_string(),
            name: project.name,
            open: project.open,
            magnus_project_id: mapping.map(|mapping| mapping.project_id.to_string()),
            magnus_project_name: name.map(|known| known.name.clone()),
            suspended: mapping.and_then(|mapping| match &mapping.state {
                MappingState::Suspended { reason } => Some(reason.clone()),
                MappingState::Active => None,
            }),
        }
    });
    Ok(Json(ExternalProjects {
        projects: projects.collect(),
    }))
}

/// The same as in the body.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct MapParams {
    /// The tool's project.
    external_project_id: Option<String>,
    /// The hub's project.
    #[param(value_type = Option<uuid::Uuid>)]
    magnus_project_id: Option<String>,
}

/// A JSON body, or none.
pub(crate) struct OptionalBody(MapProject);

impl<S: Send + Sync> FromRequest<S> for OptionalBody {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let Raw(bytes) = Raw::from_request(request, state).await?;
        if bytes.is_empty() {
            return Ok(Self(MapProject::default()));
        }
        from_json(&bytes).map(Self)
    }
}

/// Map a project
///
/// Says which project of the tool belongs to which project of the hub: two connections meet in one hub project only like
/// this. What is wanted stands in the body or in the parameters.
#[utoipa::path(post, path = "/connections/{id}/map-project", tag = "connections", params(
    ("id" = uuid::Uuid, Path, description = "The connection"), MapParams), request_body = Option<MapProject>, responses(
    (status = 200, description = "It is mapped so now", body = ProjectMapped),
    (status = 201, description = "It is mapped to a new hub project", body = ProjectMapped),
    (status = 409, description = "It is synced elsewhere already", body = ProblemOut,
     content_type = "application/problem+json"),
    (status = 502, description = "The tool cannot be reached", body = ProblemOut, content_type = "application/problem+json"),
))]
pub(crate) async fn map(
    State(app): State<App>,
    Id(id): Id<ConnectionId>,
    Params(params): Params<MapParams>,
    OptionalBody(body): OptionalBody,
) -> Result<Response, Problem> {
    let external = body.external_project_id.or(params.external_project_id);
    let external = external.ok_or_else(|| Problem::invalid("external_project_id", "it is missing"))?;
    let to = match body.magnus_project_id.or(params.magnus_project_id) {
        Some(text) => Some(
            text.parse::<ProjectId>()
                .map_err(|_| Problem::invalid("magnus_project_id", "expected the id of a hub project"))?,
        ),
        None => None,
    };
    let found = listed(&app, id).await?;
    let Some(project) = found.iter().find(|project| project.id.as_str() == external) else {
        let detail = format!("the tool shows no project {external:?} to this key");
        return Err(Problem::new(Kind::NotFound, detail).with_field("external_project_id", "there is no such project"));
    };
    let mapped = app.hub.map(id, project, to).await?;
    let (code, status) = match mapped.answer {
        MapAnswer::Created => (StatusCode::CREATED, "created"),
        MapAnswer::Joined => (StatusCode::OK, "joined"),
        MapAnswer::Moved => (StatusCode::OK, "moved"),
        MapAnswer::AlreadyThere => (StatusCode::OK, "already_mapped"),
    };
    let out = ProjectMapped {
        status: status.to_owned(),
        mapping_id: mapped.mapping.id.to_string(),
        external_project_id: mapped.mapping.external_id.to_string(),
        magnus_project_id: mapped.project.id.to_string(),
        project_name: mapped.project.name.clone(),
        magnus_says: format!("{} takes its place on the board.", mapped.mapping.external_name),
    };
    Ok((code, Json(out)).into_response())
}
