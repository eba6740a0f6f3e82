//! Rows of `magnus_projects`.

use magnus_core::model::{Project, RowVersion, ToolName};
use magnus_core::store::{ProjectWrite, StoreError};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use crate::columns::Columns;
use crate::error::failed;
use crate::instant::{optional_to_text, to_text};

pub(crate) fn from_row(row: &SqliteRow) -> Result<Project, StoreError> {
    let columns = Columns::new("magnus_projects", row);
    Ok(Project {
        id: columns.parse("id")?,
        name: columns.text("name")?,
        description: columns.get("description")?,
        source_tool: columns.get::<Option<&str>>("source_tool")?.map(ToolName::new),
        archived_at: columns.optional_time("archived_at")?,
        created_at: columns.time("created_at")?,
        updated_at: columns.time("updated_at")?,
        version: RowVersion(columns.get("version")?),
    })
}

/// Writes the project; `false` if it is stale.
pub(crate) async fn write(connection: &mut SqliteConnection, write: &ProjectWrite) -> Result<bool, StoreError> {
    let query = match write.expected {
        None => sqlx::query(
            "INSERT INTO magnus_projects
                (id, name, description, source_tool, archived_at, created_at, updated_at, version)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8 + 1)
             ON CONFLICT DO NOTHING",
        ),
        Some(_) => sqlx::query(
            "UPDATE OR IGNORE magnus_projects
             SET name = ?2, description = ?3, source_tool = ?4, archived_at = ?5, created_at = ?6, updated_at = ?7,
                 version = ?8 + 1
             WHERE id = ?1 AND version = ?8",
        ),
    };
    let project = &write.project;
    let done = query
        .bind(project.id.to_string())
        .bind(&project.name)
        .bind(project.description.as_deref())
        .bind(project.source_tool.as_ref().map(ToolName::as_str))
        .bind(optional_to_text(project.archived_at))
        .bind(to_text(project.created_at))
        .bind(to_text(project.updated_at))
        .bind(write.expected.unwrap_or_default().0)
        .execute(connection)
        .await
        .map_err(failed("write project"))?;
    Ok(done.rows_affected() == 1)
}
