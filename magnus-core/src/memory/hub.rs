//! Reading projects and tasks.

use async_trait::async_trait;

use super::MemoryStore;
use crate::model::{HistoryEntry, Project, ProjectId, RunId, Task, TaskId};
use crate::store::{HubStore, StoreError, TaskPage, TaskQuery};

#[async_trait]
impl HubStore for MemoryStore {
    async fn projects(&self) -> Result<Vec<Project>, StoreError> {
        let mut projects: Vec<Project> = self.tables().projects.values().cloned().collect();
        projects.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
        Ok(projects)
    }

    async fn project(&self, id: ProjectId) -> Result<Option<Project>, StoreError> {
        Ok(self.tables().projects.get(&id).cloned())
    }

    async fn tasks_of_project(&self, project: ProjectId) -> Result<Vec<Task>, StoreError> {
        Ok(self.tables().tasks_of_project(project).cloned().collect())
    }

    async fn tasks(&self, mut ids: Vec<TaskId>) -> Result<Vec<Task>, StoreError> {
        ids.sort_unstable();
        ids.dedup();
        let tables = self.tables();
        Ok(ids.into_iter().filter_map(|id| tables.task(id).cloned()).collect())
    }

    async fn query_tasks(&self, query: TaskQuery) -> Result<TaskPage, StoreError> {
        let tables = self.tables();
        let mut page = TaskPage::default();
        for task in tables.all_tasks().rev().filter(|task| matches(&query, task)) {
            page.total += 1;
            if query.after.is_some_and(|after| task.id >= after) {
                continue;
            }
            if page.tasks.len() < query.effective_limit() {
                page.tasks.push(task.clone());
            } else {
                page.next = page.tasks.last().map(|task| task.id);
            }
        }
        Ok(page)
    }

    async fn history(&self, task: TaskId) -> Result<Vec<HistoryEntry>, StoreError> {
        let mut history = self.tables().history.get(&task).cloned().unwrap_or_default();
        history.sort_by_key(|entry| entry.at);
        Ok(history)
    }

    async fn history_of_run(&self, run: RunId) -> Result<Vec<HistoryEntry>, StoreError> {
        let tables = self.tables();
        let entries = tables.history.values().flatten();
        let mut history: Vec<HistoryEntry> = entries.filter(|entry| entry.run_id == Some(run)).cloned().collect();
        history.sort_by_key(|entry| entry.at);
        Ok(history)
    }
}

fn matches(query: &TaskQuery, task: &Task) -> bool {
    query.deleted == task.is_deleted()
        && query.status.is_none_or(|status| task.status == status)
        && query.priority.is_none_or(|priority| task.priority == priority)
        && query
            .source
            .as_ref()
            .is_none_or(|source| task.source_tool.as_ref() == Some(source))
        && query.project_id.is_none_or(|project| task.project_id == project)
}
