//! Rows of `magnus_tasks`.

use std::collections::BTreeSet;

use magnus_core::model::{ConnectionId, Person, RowVersion, Task, TaskEntry, TaskId, ToolName};
use magnus_core::store::{MatchGuard, StoreError};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use crate::columns::{Columns, to_json};
use crate::commit::Written;
use crate::error::failed;
use crate::instant::{optional_to_text, to_text};

pub(crate) fn from_row(row: &SqliteRow) -> Result<Task, StoreError> {
    let columns = Columns::new("magnus_tasks", row);
    Ok(Task {
        id: columns.parse("id")?,
        project_id: columns.parse("project_id")?,
        title: columns.text("title")?,
        description: columns.get("description")?,
        status: columns.parse("status")?,
        priority: columns.parse("priority")?,
        assignee: columns.get::<Option<String>>("assignee")?.map(Person::from),
        start_date: columns.optional("start_date")?,
        due_date: columns.optional("due_date")?,
        estimated_minutes: columns.number("estimated_minutes")?,
        remaining_minutes: columns.number("remaining_minutes")?,
        actual_minutes: columns.number("actual_minutes")?,
        percentage_done: columns.number("percentage_done")?,
        parent_id: columns.optional("parent_task_id")?,
        tags: columns.json::<BTreeSet<String>>("tags")?,
        metadata: columns.json("metadata")?,
        source_tool: columns.get::<Option<&str>>("source_tool")?.map(ToolName::new),
        archived_at: columns.optional_time("archived_at")?,
        deleted_at: columns.optional_time("deleted_at")?,
        created_at: columns.time("created_at")?,
        updated_at: columns.time("updated_at")?,
        field_times: columns.json("field_times")?,
        version: RowVersion(columns.get("version")?),
    })
}

pub(crate) fn entry_from_row(row: &SqliteRow) -> Result<TaskEntry, StoreError> {
    let columns = Columns::new("magnus_tasks", row);
    Ok(TaskEntry {
        id: columns.parse("id")?,
        project_id: columns.parse("project_id")?,
        title: columns.text("title")?,
        parent_id: columns.optional("parent_task_id")?,
        archived: columns.get::<Option<&str>>("archived_at")?.is_some(),
        deleted: columns.get::<Option<&str>>("deleted_at")?.is_some(),
        version: RowVersion(columns.get("version")?),
    })
}

/// Writes a task: inserts it, or updates the row of the expected version.
pub(crate) async fn write(
    connection: &mut SqliteConnection,
    task: &Task,
    expected: Option<RowVersion>,
) -> Result<Written, StoreError> {
    let query = match expected {
        None => sqlx::query(
            "INSERT INTO magnus_tasks
                (id, project_id, parent_task_id, title, title_key, description, status, priority, assignee,
                 start_date, due_date, estimated_minutes, remaining_minutes, actual_minutes, percentage_done,
                 tags, metadata, source_tool, archived_at, deleted_at, created_at, updated_at, field_times, version)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20,
                     ?21, ?22, ?23, ?24 + 1)
             ON CONFLICT DO NOTHING",
        ),
        Some(_) => sqlx::query(
            "UPDATE OR IGNORE magnus_tasks
             SET project_id = ?2, parent_task_id = ?3, title = ?4, title_key = ?5, description = ?6, status = ?7,
                 priority = ?8, assignee = ?9, start_date = ?10, due_date = ?11, estimated_minutes = ?12,
                 remaining_minutes = ?13, actual_minutes = ?14, percentage_done = ?15, tags = ?16, metadata = ?17,
                 source_tool = ?18, archived_at = ?19, deleted_at = ?20, created_at = ?21, updated_at = ?22,
                 field_times = ?23, version = ?24 + 1
             WHERE id = ?1 AND version = ?24",
        ),
    };
    let done = query
        .bind(task.id.to_string())
        .bind(task.project_id.to_string())
        .bind(task.parent_id.map(|parent| parent.to_string()))
        .bind(&task.title)
        .bind(task.title_key())
        .bind(task.description.as_deref())
        .bind(task.status.as_str())
        .bind(task.priority.as_str())
        .bind(task.assignee.as_ref().map(ToString::to_string))
        .bind(task.start_date.map(|date| date.to_string()))
        .bind(task.due_date.map(|date| date.to_string()))
        .bind(task.estimated_minutes)
        .bind(task.remaining_minutes)
        .bind(task.actual_minutes)
        .bind(task.percentage_done)
        .bind(to_json(&task.tags, "the tags of a task")?)
        .bind(to_json(&task.metadata, "the metadata of a task")?)
        .bind(task.source_tool.as_ref().map(ToolName::as_str))
        .bind(optional_to_text(task.archived_at))
        .bind(optional_to_text(task.deleted_at))
        .bind(to_text(task.created_at))
        .bind(to_text(task.updated_at))
        .bind(to_json(&task.field_times, "the field times of a task")?)
        .bind(expected.unwrap_or_default().0)
        .execute(connection)
        .await;
    Written::from_result(done, "write task")
}

/// Whether a task to match appeared that the plan did not know.
pub(crate) async fn match_appeared(
    connection: &mut SqliteConnection,
    guard: &MatchGuard,
    new: TaskId,
    here: Option<ConnectionId>,
) -> Result<bool, StoreError> {
    let candidates: Vec<String> = sqlx::query_scalar(
        "SELECT id FROM magnus_tasks AS task
         WHERE project_id = ?1 AND title_key = ?2 AND deleted_at IS NULL AND id <> ?3
           AND NOT EXISTS (SELECT 1 FROM magnus_task_mappings AS link
                           WHERE link.magnus_task_id = task.id AND link.connection_id = ?4)",
    )
    .bind(guard.project_id.to_string())
    .bind(&guard.title_key)
    .bind(new.to_string())
    .bind(here.map(|here| here.to_string()))
    .fetch_all(connection)
    .await
    .map_err(failed("match"))?;
    let is_known = |id: &String| guard.known.iter().any(|known| known.to_string() == *id);
    Ok(!candidates.iter().all(is_known))
}
