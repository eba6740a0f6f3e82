//! A project of the hub as JSON.

use magnus_core::model::Project;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::instant;

/// A project to be added.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "Garden"}))]
pub(crate) struct ProjectIn {
    pub(crate) name: String,
}

/// A project of the hub.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProjectOut {
    #[schema(format = Uuid)]
    id: String,
    name: String,
    description: Option<String>,
    source_tool: Option<String>,
    #[schema(format = DateTime)]
    archived_at: Option<String>,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    updated_at: String,
}

impl From<&Project> for ProjectOut {
    fn from(project: &Project) -> Self {
        Self {
            id: project.id.to_string(),
            name: project.name.clone(),
            description: project.description.clone(),
            source_tool: project.source_tool.as_ref().map(ToString::to_string),
            archived_at: project.archived_at.map(instant),
            created_at: instant(project.created_at),
            updated_at: instant(project.updated_at),
        }
    }
}

/// A page of the projects, archived ones too, by name.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Projects {
    pub(crate) projects: Vec<ProjectOut>,
    /// How many there are in all.
    pub(crate) total: u64,
    /// For the next page; null on the last one.
    pub(crate) next_cursor: Option<String>,
}
