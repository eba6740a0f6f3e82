//! Reading projects and tasks.

use async_trait::async_trait;
use magnus_core::model::{
    HistoryEntry, Priority, Project, ProjectId, RunId, Status, Task, TaskEntry, TaskId, ToolName,
};
use magnus_core::store::{HubStore, StoreError, TaskPage, TaskQuery};

use crate::columns::id_list;
use crate::error::failed;
use crate::{SqliteStore, history, projects, rows, tasks};

#[async_trait]
impl HubStore for SqliteStore {
    async fn projects(&self) -> Result<Vec<Project>, StoreError> {
        let rows = sqlx::query("SELECT * FROM magnus_projects ORDER BY name, id")
            .fetch_all(self.readers())
            .await
            .map_err(failed("read projects"))?;
        rows.iter().map(projects::from_row).collect()
    }

    async fn project(&self, id: ProjectId) -> Result<Option<Project>, StoreError> {
        let row = sqlx::query("SELECT * FROM magnus_projects WHERE id = ?")
            .bind(id.to_string())
            .fetch_optional(self.readers())
            .await
            .map_err(failed("read project"))?;
        row.as_ref().map(projects::from_row).transpose()
    }

    async fn tasks_of_project(&self, project: ProjectId) -> Result<Vec<Task>, StoreError> {
        let query =
            sqlx::query("SELECT * FROM magnus_tasks WHERE project_id = ? ORDER BY id").bind(project.to_string());
        rows::each(query.fetch(self.bulk_readers()), "read tasks", tasks::from_row).await
    }

    async fn task_index(&self, project: ProjectId) -> Result<Vec<TaskEntry>, StoreError> {
        let query = sqlx::query(
            "SELECT id, project_id, title, parent_task_id, archived_at, deleted_at, version
             FROM magnus_tasks WHERE project_id = ? ORDER BY id",
        )
        .bind(project.to_string());
        rows::each(query.fetch(self.bulk_readers()), "read tasks", tasks::entry_from_row).await
    }

    async fn tasks(&self, ids: Vec<TaskId>) -> Result<Vec<Task>, StoreError> {
        let query = sqlx::query("SELECT * FROM magnus_tasks WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id")
            .bind(id_list(ids));
        rows::each(query.fetch(self.bulk_readers()), "read tasks", tasks::from_row).await
    }

    async fn query_tasks(&self, query: TaskQuery) -> Result<TaskPage, StoreError> {
        // Both statements in one transaction: the total belongs to the page.
        let mut transaction = self.bulk_readers().begin().await.map_err(failed("query tasks"))?;
        let status = query.status.map(Status::as_str);
        let priority = query.priority.map(Priority::as_str);
        let source = query.source.as_ref().map(ToolName::as_str);
        let project = query.project_id.map(|id| id.to_string());
        let limit = query.effective_limit();

        let total: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM magnus_tasks
             WHERE (deleted_at IS NOT NULL) = ?1 AND (?2 IS NULL OR status = ?2) AND (?3 IS NULL OR priority = ?3)
               AND (?4 IS NULL OR source_tool = ?4) AND (?5 IS NULL OR project_id = ?5)",
        )
        .bind(query.deleted)
        .bind(status)
        .bind(priority)
        .bind(source)
        .bind(project.as_deref())
        .fetch_one(&mut *transaction)
        .await
        .map_err(failed("query tasks"))?;

        let rows = sqlx::query(
            "SELECT * FROM magnus_tasks
             WHERE (deleted_at IS NOT NULL) = ?1 AND (?2 IS NULL OR status = ?2) AND (?3 IS NULL OR priority = ?3)
               AND (?4 IS NULL OR source_tool = ?4) AND (?5 IS NULL OR project_id = ?5)
               AND (?6 IS NULL OR id < ?6)
             ORDER BY id DESC LIMIT ?7",
        )
        .bind(query.deleted)
        .bind(status)
        .bind(priority)
        .bind(source)
        .bind(project.as_deref())
        .bind(query.after.map(|after| after.to_string()))
        // One more than asked for tells whether there is a next page.
        .bind(i64::try_from(limit + 1).unwrap_or(i64::MAX))
        .fetch_all(&mut *transaction)
        .await
        .map_err(failed("query tasks"))?;
        transaction.rollback().await.map_err(failed("query tasks"))?;

        let tasks: Vec<Task> = rows.iter().take(limit).map(tasks::from_row).collect::<Result<_, _>>()?;
        let next = if rows.len() > limit {
            tasks.last().map(|task| task.id)
        } else {
            None
        };
        Ok(TaskPage {
            tasks,
            total: total.unsigned_abs(),
            next,
        })
    }

    async fn history(&self, task: TaskId) -> Result<Vec<HistoryEntry>, StoreError> {
        let rows = sqlx::query("SELECT * FROM magnus_history WHERE magnus_task_id = ? ORDER BY at, sequence")
            .bind(task.to_string())
            .fetch_all(self.readers())
            .await
            .map_err(failed("read history"))?;
        rows.iter().map(history::from_row).collect()
    }

    async fn history_of_run(&self, run: RunId) -> Result<Vec<HistoryEntry>, StoreError> {
        let rows = sqlx::query("SELECT * FROM magnus_history WHERE run_id = ? ORDER BY at, sequence")
            .bind(run.to_string())
            .fetch_all(self.bulk_readers())
            .await
            .map_err(failed("read history"))?;
        rows.iter().map(history::from_row).collect()
    }
}
