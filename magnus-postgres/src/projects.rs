//! Rows of `magnus_projects`.

use magnus_core::model::{Project, ProjectId, RowVersion, ToolName};
use magnus_core::store::{ProjectWrite, StoreError};
use sqlx::PgConnection;
use sqlx::postgres::PgRow;

use crate::columns::{Columns, text};
use crate::error::failed;
use crate::schema::Schema;

pub(crate) fn from_row(row: &PgRow) -> Result<Project, StoreError> {
    let columns = Columns::new("magnus_projects", row);
    Ok(Project {
        id: columns.id("id", ProjectId::from_uuid)?,
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
pub(crate) async fn write(
    connection: &mut PgConnection,
    schema: &Schema,
    write: &ProjectWrite,
) -> Result<bool, StoreError> {
    let statement = match write.expected {
        None => {
            "INSERT INTO {hub}.magnus_projects
                (id, name, description, source_tool, archived_at, created_at, updated_at, version)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8 + 1)
             ON CONFLICT DO NOTHING"
        }
        Some(_) => {
            "UPDATE {hub}.magnus_projects
             SET name = $2, description = $3, source_tool = $4, archived_at = $5, created_at = $6, updated_at = $7,
                 version = $8 + 1
             WHERE id = $1 AND version = $8"
        }
    };
    let project = &write.project;
    let done = sqlx::query(schema.sql(statement))
        .bind(project.id.as_uuid())
        .bind(text(&project.name))
        .bind(project.description.as_deref().map(text))
        .bind(project.source_tool.as_ref().map(ToolName::as_str))
        .bind(project.archived_at)
        .bind(project.created_at)
        .bind(project.updated_at)
        .bind(write.expected.unwrap_or_default().0)
        .execute(connection)
        .await
        .map_err(failed("write project"))?;
    Ok(done.rows_affected() == 1)
}
