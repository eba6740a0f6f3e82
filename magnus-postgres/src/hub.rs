//! Reading projects and tasks.

use async_trait::async_trait;
use magnus_core::model::{
    HistoryEntry, Priority, Project, ProjectId, RunId, Status, Task, TaskEntry, TaskId, ToolName,
};
use magnus_core::store::{HubStore, StoreError, TaskPage, TaskQuery};

use crate::columns::each;
use crate::error::{failed, patiently};
use crate::{PostgresStore, history, projects, tasks};

#[async_trait]
impl HubStore for PostgresStore {
    async fn projects(&self) -> Result<Vec<Project>, StoreError> {
        let rows = patiently!(
            "read projects",
            sqlx::query(self.sql("SELECT * FROM {hub}.magnus_projects ORDER BY name COLLATE \"C\", id"))
                .fetch_all(self.pool())
        )?;
        rows.iter().map(projects::from_row).collect()
    }

    async fn project(&self, id: ProjectId) -> Result<Option<Project>, StoreError> {
        let row = patiently!(
            "read project",
            sqlx::query(self.sql("SELECT * FROM {hub}.magnus_projects WHERE id = $1"))
                .bind(id.as_uuid())
                .fetch_optional(self.pool())
        )?;
        row.as_ref().map(projects::from_row).transpose()
    }

    async fn tasks_of_project(&self, project: ProjectId) -> Result<Vec<Task>, StoreError> {
        let rows = patiently!(
            "read tasks",
            sqlx::query(self.sql("SELECT * FROM {hub}.magnus_tasks WHERE project_id = $1 ORDER BY id"))
                .bind(project.as_uuid())
                .fetch_all(self.pool())
        )?;
        rows.iter().map(tasks::from_row).collect()
    }

    async fn task_index(&self, project: ProjectId) -> Result<Vec<TaskEntry>, StoreError> {
        let rows = patiently!(
            "read tasks",
            sqlx::query(self.sql(
                "SELECT id, project_id, title, parent_task_id, archived_at, deleted_at, version
                 FROM {hub}.magnus_tasks WHERE project_id = $1 ORDER BY id"
            ))
            .bind(project.as_uuid())
            .fetch_all(self.pool())
        )?;
        rows.iter().map(tasks::entry_from_row).collect()
    }

    async fn tasks(&self, ids: Vec<TaskId>) -> Result<Vec<Task>, StoreError> {
        let rows = patiently!(
            "read tasks",
            sqlx::query(self.sql("SELECT * FROM {hub}.magnus_tasks WHERE id = ANY($1) ORDER BY id"))
                .bind(each(&ids, |id| id.as_uuid()))
                .fetch_all(self.pool())
        )?;
        rows.iter().map(tasks::from_row).collect()
    }

    async fn query_tasks(&self, query: TaskQuery) -> Result<TaskPage, StoreError> {
        const OPERATION: &str = "query tasks";
        const MATCHING: &str = "
            FROM {hub}.magnus_tasks
            WHERE (deleted_at IS NOT NULL) = $1 AND ($2::text IS NULL OR status = $2)
              AND ($3::text IS NULL OR priority = $3) AND ($4::text IS NULL OR source_tool = $4)
              AND ($5::uuid IS NULL OR project_id = $5)";
        let status = query.status.map(Status::as_str);
        let priority = query.priority.map(Priority::as_str);
        let source = query.source.as_ref().map(ToolName::as_str);
        let project = query.project_id.map(ProjectId::as_uuid);
        let limit = query.effective_limit();

        // Both statements see one state of the database: the total belongs to the page.
        let mut transaction = self
            .pool()
            .begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            .await
            .map_err(failed(OPERATION))?;
        let total: i64 = sqlx::query_scalar(self.sql(&format!("SELECT count(*) {MATCHING}")))
            .bind(query.deleted)
            .bind(status)
            .bind(priority)
            .bind(source)
            .bind(project)
            .fetch_one(&mut *transaction)
            .await
            .map_err(failed(OPERATION))?;
        let page = format!("SELECT * {MATCHING} AND ($6::uuid IS NULL OR id < $6) ORDER BY id DESC LIMIT $7");
        let rows = sqlx::query(self.sql(&page))
            .bind(query.deleted)
            .bind(status)
            .bind(priority)
            .bind(source)
            .bind(project)
            .bind(query.after.map(TaskId::as_uuid))
            // One more than asked for tells whether there is a next page.
            .bind(i64::try_from(limit + 1).unwrap_or(i64::MAX))
            .fetch_all(&mut *transaction)
            .await
            .map_err(failed(OPERATION))?;
        transaction.rollback().await.map_err(failed(OPERATION))?;

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
        let rows = patiently!(
            "read history",
            sqlx::query(self.sql("SELECT * FROM {hub}.magnus_history WHERE magnus_task_id = $1 ORDER BY at, sequence"))
                .bind(task.as_uuid())
                .fetch_all(self.pool())
        )?;
        rows.iter().map(history::from_row).collect()
    }

    async fn history_of_run(&self, run: RunId) -> Result<Vec<HistoryEntry>, StoreError> {
        let rows = sqlx::query(self.sql("SELECT * FROM {hub}.magnus_history WHERE run_id = $1 ORDER BY at, sequence"))
            .bind(run.as_uuid())
            .fetch_all(self.pool())
            .await
            .map_err(failed("read history"))?;
        rows.iter().map(history::from_row).collect()
    }
}
