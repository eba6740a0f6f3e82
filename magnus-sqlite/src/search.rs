//! Tasks, searched, ordered and counted.

use magnus_core::model::{Priority, Status, Task, ToolName};
use magnus_core::store::{StoreError, TaskCounts, TaskCursor, TaskOrder, TaskSearch, TaskSearchPage, TaskSource};
use sqlx::query::Query;
use sqlx::sqlite::SqliteArguments;
use sqlx::{AssertSqlSafe, Row, Sqlite};

use crate::columns::Columns;
use crate::error::failed;
use crate::{SqliteStore, tasks};

const OPERATION: &str = "search tasks";

/// What matches; the parameters are those of [`bind`].
const MATCHING: &str = "
    FROM magnus_tasks
    WHERE (deleted_at IS NOT NULL) = ?1 AND (?2 IS NULL OR status = ?2) AND (?3 IS NULL OR priority = ?3)
      AND (?4 IS NULL OR source_tool = ?4) AND (NOT ?5 OR source_tool IS NULL) AND (?6 IS NULL OR project_id = ?6)
      AND (?7 IS NULL OR due_date < ?7)
      AND (NOT ?8 OR (status NOT IN ('done', 'cancelled') AND archived_at IS NULL))
      AND (?9 IS NULL OR instr(lower(title_key), ?9) > 0 OR instr(lower(coalesce(description, '')), ?10) > 0)";

fn bind<'q>(query: Query<'q, Sqlite, SqliteArguments>, search: &TaskSearch) -> Query<'q, Sqlite, SqliteArguments> {
    let tool = match &search.source {
        Some(TaskSource::Tool(tool)) => Some(tool.as_str().to_owned()),
        _ => None,
    };
    query
        .bind(search.deleted)
        .bind(search.status.map(Status::as_str))
        .bind(search.priority.map(Priority::as_str))
        .bind(tool)
        .bind(search.source == Some(TaskSource::Hub))
        .bind(search.project_id.map(|id| id.to_string()))
        .bind(search.due_before.map(|day| day.to_string()))
        .bind(search.open_only)
        .bind(search.title_text())
        .bind(search.text.as_deref().map(str::to_ascii_lowercase))
}

/// The key of an order, as [`TaskOrder::key`] has it.
const fn key(order: TaskOrder) -> &'static str {
    match order {
        TaskOrder::Updated => "updated_at",
        TaskOrder::Due => "coalesce(due_date, '9999-12-31')",
        TaskOrder::Priority => {
            "CASE priority WHEN 'critical' THEN '0' WHEN 'high' THEN '1' WHEN 'medium' THEN '2' ELSE '3' END"
        }
        TaskOrder::Title => "title_key",
        _ => "''",
    }
}

pub(crate) async fn page(store: &SqliteStore, search: &TaskSearch) -> Result<TaskSearchPage, StoreError> {
    let key = key(search.order);
    let (direction, beyond) = if search.order.is_descending() {
        ("DESC", "<")
    } else {
        ("ASC", ">")
    };
    let after = match (&search.after, search.order) {
        (None, _) => String::new(),
        // Nothing but the id orders them: its index serves.
        (Some(_), TaskOrder::Newest) => "AND ?11 IS NOT NULL AND id < ?12".to_owned(),
        (Some(_), _) => format!("AND ({key}, id) {beyond} (?11, ?12)"),
    };
    let order = match search.order {
        TaskOrder::Newest => "id DESC".to_owned(),
        _ => format!("{key} {direction}, id {direction}"),
    };
    // Built of fixed parts; what is asked for is bound.
    let statement = format!("SELECT * {MATCHING} {after} ORDER BY {order} LIMIT ?13");
    let limit = search.effective_limit();
    let rows = bind(sqlx::query(AssertSqlSafe(statement)), search)
        .bind(search.after.as_ref().map(|after| after.key.clone()))
        .bind(search.after.as_ref().map(|after| after.id.to_string()))
        .bind(i64::try_from(limit + 1).unwrap_or(i64::MAX))
        .fetch_all(store.readers())
        .await
        .map_err(failed(OPERATION))?;
    let tasks: Vec<Task> = rows.iter().take(limit).map(tasks::from_row).collect::<Result<_, _>>()?;
    let next = tasks.last().filter(|_| rows.len() > limit).map(|task| TaskCursor {
        key: search.order.key(task),
        id: task.id,
    });
    Ok(TaskSearchPage { tasks, next })
}

pub(crate) async fn counts(store: &SqliteStore, search: &TaskSearch) -> Result<TaskCounts, StoreError> {
    let statement = format!("SELECT source_tool, status, priority, count(*) AS tasks {MATCHING} GROUP BY 1, 2, 3");
    let rows = bind(sqlx::query(AssertSqlSafe(statement)), search)
        .fetch_all(store.readers())
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
