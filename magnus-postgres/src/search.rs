//! Tasks, searched, ordered and counted.

use magnus_core::model::{Priority, ProjectId, Status, Task, TaskId, ToolName};
use magnus_core::store::{StoreError, TaskCounts, TaskCursor, TaskOrder, TaskSearch, TaskSearchPage, TaskSource};
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{Postgres, Row};

use crate::columns::{Columns, text};
use crate::error::failed;
use crate::{PostgresStore, tasks};

const OPERATION: &str = "search tasks";

/// What matches; the parameters are those of [`bind`]. The collation makes `lower` one of ASCII letters only.
const MATCHING: &str = "
    FROM {hub}.magnus_tasks
    WHERE (deleted_at IS NOT NULL) = $1 AND ($2::text IS NULL OR status = $2) AND ($3::text IS NULL OR priority = $3)
      AND ($4::text IS NULL OR source_tool = $4) AND (NOT $5::bool OR source_tool IS NULL)
      AND ($6::uuid IS NULL OR project_id = $6) AND ($7::date IS NULL OR due_date < $7)
      AND (NOT $8::bool OR (status NOT IN ('done', 'cancelled') AND archived_at IS NULL))
      AND ($9::text IS NULL OR strpos(lower(title_key COLLATE \"C\"), $9) > 0
           OR strpos(lower(coalesce(description, '') COLLATE \"C\"), $10) > 0)";

fn bind<'q>(query: Query<'q, Postgres, PgArguments>, search: &TaskSearch) -> Query<'q, Postgres, PgArguments> {
    let tool = match &search.source {
        Some(TaskSource::Tool(tool)) => Some(tool.as_str().to_owned()),
        _ => None,
    };
    let owned = |words: Option<String>| words.map(|words| text(&words).into_owned());
    query
        .bind(search.deleted)
        .bind(search.status.map(Status::as_str))
        .bind(search.priority.map(Priority::as_str))
        .bind(owned(tool))
        .bind(search.source == Some(TaskSource::Hub))
        .bind(search.project_id.map(ProjectId::as_uuid))
        .bind(search.due_before)
        .bind(search.open_only)
        .bind(owned(search.title_text()))
        .bind(owned(search.text.as_deref().map(str::to_ascii_lowercase)))
}

/// The key of an order, as [`TaskOrder::key`] has it.
const fn key(order: TaskOrder) -> &'static str {
    match order {
        TaskOrder::Updated => {
            "to_char(updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') COLLATE \"C\""
        }
        TaskOrder::Due => "coalesce(to_char(due_date, 'YYYY-MM-DD'), '9999-12-31') COLLATE \"C\"",
        TaskOrder::Priority => {
            "CASE priority WHEN 'critical' THEN '0' WHEN 'high' THEN '1' WHEN 'medium' THEN '2' ELSE '3' END \
             COLLATE \"C\""
        }
        TaskOrder::Title => "title_key COLLATE \"C\"",
        _ => "''",
    }
}

pub(crate) async fn page(store: &PostgresStore, search: &TaskSearch) -> Result<TaskSearchPage, StoreError> {
    let key = key(search.order);
    let (direction, beyond) = if search.order.is_descending() {
        ("DESC", "<")
    } else {
        ("ASC", ">")
    };
    // The parameters are always named with their types: without a cursor they would have none.
    let after = match search.order {
        TaskOrder::Newest => "($11::text IS NULL OR id < $12::uuid)".to_owned(),
        _ => format!("($11::text IS NULL OR ({key}, id) {beyond} ($11, $12::uuid))"),
    };
    let order = match search.order {
        TaskOrder::Newest => "id DESC".to_owned(),
        _ => format!("{key} {direction}, id {direction}"),
    };
    let statement = format!("SELECT * {MATCHING} AND {after} ORDER BY {order} LIMIT $13");
    let limit = search.effective_limit();
    let rows = bind(sqlx::query(store.sql(&statement)), search)
        .bind(search.after.as_ref().map(|after| text(&after.key).into_owned()))
        .bind(search.after.as_ref().map(|after| TaskId::as_uuid(after.id)))
        .bind(i64::try_from(limit + 1).unwrap_or(i64::MAX))
        .fetch_all(store.pool())
        .await
        .map_err(failed(OPERATION))?;
    let tasks: Vec<Task> = rows.iter().take(limit).map(tasks::from_row).collect::<Result<_, _>>()?;
    let next = tasks.last().filter(|_| rows.len() > limit).map(|task| TaskCursor {
        key: search.order.key(task),
        id: task.id,
    });
    Ok(TaskSearchPage { tasks, next })
}

pub(crate) async fn counts(store: &PostgresStore, search: &TaskSearch) -> Result<TaskCounts, StoreError> {
    let statement = format!("SELECT source_tool, status, priority, count(*) AS tasks {MATCHING} GROUP BY 1, 2, 3");
    let rows = bind(sqlx::query(store.sql(&statement)), search)
        .fetch_all(store.pool())
        .await
        .map_err(failed(OPERATION))?;
    let mut counts = TaskCounts::default();
    for row in &rows {
        let columns = Columns::new("magnus_tasks", row);
        let tool = columns.get::<Option<&str>>("source_tool")?.map(ToolName::new);
        let tasks: i64 = row.try_get("tasks").map_err(failed(OPERATION))?;
        counts.add(
            tool.map_or(TaskSource::Hub, TaskSource::Tool),
            columns.parse("status")?,
            columns.parse("priority")?,
            tasks.unsigned_abs(),
        );
    }
    Ok(counts)
}
