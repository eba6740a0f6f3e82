//! Rows of `magnus_tasks`.

use std::collections::{BTreeMap, BTreeSet};

use magnus_core::model::{ConnectionId, Person, ProjectId, RowVersion, Task, TaskEntry, TaskId, ToolName};
use magnus_core::store::{MatchGuard, StoreError};
use sqlx::PgConnection;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::batch::Written;
use crate::columns::{Columns, each, text, to_jsonb, try_each};
use crate::error::failed;
use crate::schema::Schema;

pub(crate) fn from_row(row: &PgRow) -> Result<Task, StoreError> {
    let columns = Columns::new("magnus_tasks", row);
    let tags = columns.get::<Option<Vec<Option<String>>>>("tags")?.unwrap_or_default();
    Ok(Task {
        id: columns.id("id", TaskId::from_uuid)?,
        project_id: columns.id("project_id", ProjectId::from_uuid)?,
        title: columns.text("title")?,
        description: columns.get("description")?,
        status: columns.parse("status")?,
        priority: columns.parse("priority")?,
        assignee: columns.get::<Option<String>>("assigned_agent")?.map(Person::from),
        start_date: columns.get("start_date")?,
        due_date: columns.get("due_date")?,
        estimated_minutes: columns.number::<i64, _>("estimated_minutes")?,
        remaining_minutes: columns.number::<i64, _>("remaining_minutes")?,
        actual_minutes: columns.number::<i64, _>("actual_minutes")?,
        percentage_done: columns.number::<i16, _>("percentage_done")?,
        parent_id: columns.optional_id("parent_task_id", TaskId::from_uuid)?,
        tags: tags.into_iter().flatten().collect::<BTreeSet<String>>(),
        metadata: columns.optional_json("metadata")?.unwrap_or_default(),
        source_tool: columns.get::<Option<&str>>("source_tool")?.map(ToolName::new),
        archived_at: columns.optional_time("archived_at")?,
        deleted_at: columns.optional_time("deleted_at")?,
        created_at: columns.time("created_at")?,
        updated_at: columns.time("updated_at")?,
        field_times: columns.json("field_times")?,
        version: RowVersion(columns.get("version")?),
    })
}

pub(crate) fn entry_from_row(row: &PgRow) -> Result<TaskEntry, StoreError> {
    let columns = Columns::new("magnus_tasks", row);
    Ok(TaskEntry {
        id: columns.id("id", TaskId::from_uuid)?,
        project_id: columns.id("project_id", ProjectId::from_uuid)?,
        title: columns.text("title")?,
        parent_id: columns.optional_id("parent_task_id", TaskId::from_uuid)?,
        archived: columns.optional_time("archived_at")?.is_some(),
        deleted: columns.optional_time("deleted_at")?.is_some(),
        version: RowVersion(columns.get("version")?),
    })
}

/// A task, and the version it must have now; none: it must not be there.
pub(crate) type TaskRow<'a> = (&'a Task, Option<RowVersion>);

const ROWS: &str = "
    FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
                $9::text[], $10::date[], $11::date[], $12::bigint[], $13::bigint[], $14::bigint[], $15::smallint[],
                $16::text[], $17::text[], $18::text[], $19::timestamptz[], $20::timestamptz[], $21::timestamptz[],
                $22::timestamptz[], $23::text[], $24::bigint[])
      AS row (id, project_id, parent_task_id, title, title_key, description, status, priority,
              assigned_agent, start_date, due_date, estimated_minutes, remaining_minutes, actual_minutes,
              percentage_done, tags, metadata, source_tool, archived_at, deleted_at, created_at, updated_at,
              field_times, version)";

// Hours are for reading; what does not fit their columns is shown as the greatest that does.
const INSERT: &str = "
    INSERT INTO {hub}.magnus_tasks
        (id, project_id, parent_task_id, title, title_key, description, status, priority, assigned_agent, start_date,
         due_date, estimated_minutes, remaining_minutes, actual_minutes, percentage_done, tags, metadata, source_tool,
         archived_at, deleted_at, created_at, updated_at, field_times, version, estimated_hours, actual_hours)
    SELECT id, project_id, parent_task_id, title, title_key, description, status, priority, assigned_agent, start_date,
           due_date, estimated_minutes, remaining_minutes, actual_minutes, percentage_done,
           ARRAY(SELECT jsonb_array_elements_text(tags::jsonb)), metadata::jsonb, source_tool,
           archived_at, deleted_at, created_at, updated_at, field_times::jsonb, version + 1,
           least(round(estimated_minutes / 60.0, 2), 9999.99), least(round(actual_minutes / 60.0, 2), 9999.99)";

const UPDATE: &str = "
    UPDATE {hub}.magnus_tasks AS task
    SET project_id = row.project_id, parent_task_id = row.parent_task_id, title = row.title,
        title_key = row.title_key, description = row.description, status = row.status, priority = row.priority,
        assigned_agent = row.assigned_agent, start_date = row.start_date, due_date = row.due_date,
        estimated_minutes = row.estimated_minutes, remaining_minutes = row.remaining_minutes,
        actual_minutes = row.actual_minutes, percentage_done = row.percentage_done,
        tags = ARRAY(SELECT jsonb_array_elements_text(row.tags::jsonb)), metadata = row.metadata::jsonb,
        source_tool = row.source_tool, archived_at = row.archived_at, deleted_at = row.deleted_at,
        created_at = row.created_at, updated_at = row.updated_at, field_times = row.field_times::jsonb,
        version = row.version + 1, estimated_hours = least(round(row.estimated_minutes / 60.0, 2), 9999.99),
        actual_hours = least(round(row.actual_minutes / 60.0, 2), 9999.99)";

/// Inserts tasks, or updates the rows of the expected versions, all in one statement.
pub(crate) async fn write(
    connection: &mut PgConnection,
    schema: &Schema,
    rows: &[TaskRow<'_>],
    insert: bool,
) -> Result<Written, StoreError> {
    if rows.is_empty() {
        return Ok(Written::Done);
    }
    let statement = if insert {
        format!("{INSERT} {ROWS} ON CONFLICT DO NOTHING")
    } else {
        format!("{UPDATE} {ROWS} WHERE task.id = row.id AND task.version = row.version")
    };
    let minutes = |value: Option<u32>| value.map(i64::from);
    let done = sqlx::query(schema.sql(&statement))
        .bind(each(rows, |(task, _)| task.id.as_uuid()))
        .bind(each(rows, |(task, _)| task.project_id.as_uuid()))
        .bind(each(rows, |(task, _)| task.parent_id.map(TaskId::as_uuid)))
        .bind(each(rows, |(task, _)| text(&task.title)))
        .bind(each(rows, |(task, _)| text(&task.title_key()).into_owned()))
        .bind(each(rows, |(task, _)| task.description.as_deref().map(text)))
        .bind(each(rows, |(task, _)| task.status.as_str()))
        .bind(each(rows, |(task, _)| task.priority.as_str()))
        .bind(each(rows, |(task, _)| {
            task.assignee
                .as_ref()
                .map(|person| text(&person.to_string()).into_owned())
        }))
        .bind(each(rows, |(task, _)| task.start_date))
        .bind(each(rows, |(task, _)| task.due_date))
        .bind(each(rows, |(task, _)| minutes(task.estimated_minutes)))
        .bind(each(rows, |(task, _)| minutes(task.remaining_minutes)))
        .bind(each(rows, |(task, _)| minutes(task.actual_minutes)))
        .bind(each(rows, |(task, _)| task.percentage_done.map(i16::from)))
        .bind(try_each(rows, |(task, _)| to_jsonb(&task.tags, "the tags of a task"))?)
        .bind(try_each(rows, |(task, _)| {
            to_jsonb(&task.metadata, "the metadata of a task")
        })?)
        .bind(each(rows, |(task, _)| task.source_tool.as_ref().map(ToolName::as_str)))
        .bind(each(rows, |(task, _)| task.archived_at))
        .bind(each(rows, |(task, _)| task.deleted_at))
        .bind(each(rows, |(task, _)| task.created_at))
        .bind(each(rows, |(task, _)| task.updated_at))
        .bind(try_each(rows, |(task, _)| {
            to_jsonb(&task.field_times, "the field times of a task")
        })?)
        .bind(each(rows, |(_, expected)| expected.unwrap_or_default().0))
        .execute(connection)
        .await;
    Written::from_result(done, rows.len(), "write tasks")
}

/// Whether tasks to match appeared that the plan did not know: for each guard, given with the task it lets in.
pub(crate) async fn match_appeared(
    connection: &mut PgConnection,
    schema: &Schema,
    guards: &[(&MatchGuard, TaskId)],
    here: Option<ConnectionId>,
) -> Result<bool, StoreError> {
    if guards.is_empty() {
        return Ok(false);
    }
    let rows: Vec<(i64, Uuid)> = sqlx::query_as(schema.sql(
        "SELECT guard.place, task.id
         FROM unnest($1::uuid[], $2::text[], $3::uuid[]) WITH ORDINALITY AS guard (project_id, title_key, new, place)
         JOIN {hub}.magnus_tasks AS task
           ON task.project_id = guard.project_id AND task.title_key = guard.title_key
          AND task.deleted_at IS NULL AND task.id <> guard.new
         WHERE NOT EXISTS (SELECT 1 FROM {hub}.magnus_task_mappings AS link
                           WHERE link.magnus_task_id = task.id AND link.connection_id = $4
                             AND link.set_aside IS NULL)",
    ))
    .bind(each(guards, |(guard, _)| guard.project_id.as_uuid()))
    .bind(each(guards, |(guard, _)| text(&guard.title_key)))
    .bind(each(guards, |(_, new)| new.as_uuid()))
    .bind(here.map(ConnectionId::as_uuid))
    .fetch_all(connection)
    .await
    .map_err(failed("match"))?;
    let is_known = |(place, id): &(i64, Uuid)| {
        let guard = usize::try_from(place - 1).ok().and_then(|place| guards.get(place));
        guard.is_some_and(|(guard, _)| guard.known.contains(&TaskId::from_uuid(*id)))
    };
    Ok(!rows.iter().all(is_known))
}

/// Locks the rows of tasks, in the order of their ids, and answers in which projects they are now.
pub(crate) async fn lock(
    connection: &mut PgConnection,
    schema: &Schema,
    ids: &BTreeSet<TaskId>,
) -> Result<BTreeMap<TaskId, ProjectId>, StoreError> {
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let rows: Vec<(Uuid, Uuid)> = sqlx::query_as(
        schema.sql("SELECT id, project_id FROM {hub}.magnus_tasks WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE"),
    )
    .bind(ids.iter().map(|id| id.as_uuid()).collect::<Vec<_>>())
    .fetch_all(connection)
    .await
    .map_err(failed("lock tasks"))?;
    Ok(rows
        .into_iter()
        .map(|(id, project)| (TaskId::from_uuid(id), ProjectId::from_uuid(project)))
        .collect())
}
