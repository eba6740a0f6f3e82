//! Tasks of the hub, edited by people.

use std::collections::HashMap;

use super::{Hub, HubError, HubErrorKind, TRIES, busy};
use crate::model::{
    Field, HistoryEntry, Link, LinkState, ProjectId, RowVersion, Rule, Side, Task, TaskId, TaskPatch, Timestamp, Value,
};
use crate::store::{Changeset, LinkWrite, TaskWrite, Unit};

/// A task to be added.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewTask {
    /// The hub project.
    pub project_id: ProjectId,
    /// The title.
    pub title: String,
    /// Further fields; those that are not named have their defaults.
    pub fields: TaskPatch,
    /// The id it shall have, so that adding it again is noticed; without one it gets a new one.
    pub id: Option<TaskId>,
}

impl NewTask {
    /// A task with defaults everywhere but in its title.
    #[must_use]
    pub fn new(project_id: ProjectId, title: impl Into<String>) -> Self {
        Self {
            project_id,
            title: title.into(),
            fields: TaskPatch::new(),
            id: None,
        }
    }

    /// With this id. If there is a task of this id already, that one is answered and nothing is added.
    #[must_use]
    pub const fn id(mut self, id: TaskId) -> Self {
        self.id = Some(id);
        self
    }

    /// With these fields.
    #[must_use]
    pub fn fields(mut self, fields: TaskPatch) -> Self {
        self.fields = fields;
        self
    }
}

impl Hub {
    /// Adds a task.
    ///
    /// # Errors
    /// `Invalid` for a blank title or a value that does not fit, `NotFound` for an unknown project or parent, `Conflict`
    /// if the project is archived, `Store`.
    pub async fn add_task(&self, new: NewTask) -> Result<Task, HubError> {
        let project = self.project(new.project_id).await?;
        if project.archived_at.is_some() {
            let message = format!("project {:?} is archived; its tasks are not synced", project.name);
            return Err(HubError::new(HubErrorKind::Conflict, message));
        }
        let now = self.now();
        let mut task = Task::new(project.id, new.title.trim(), now);
        if let Some(id) = new.id {
            if let Some(known) = self.store.tasks(vec![id]).await?.pop() {
                return Ok(known);
            }
            task.id = id;
        }
        task.set(Field::Title, Value::text(task.title.clone()))
            .map_err(|_| HubError::invalid("a task needs a title"))?;
        new.fields.apply(&mut task, now)?;
        // A new task was never changed: its creation is the time of all its fields.
        task.field_times.clear();
        self.check_parent(&task).await?;
        let entry = entry(&task, None, Value::Empty, Value::text(task.title.clone()), now);
        let unit = Unit {
            tasks: vec![TaskWrite::Insert {
                task: Box::new(task.clone()),
                guard: None,
            }],
            history: vec![entry],
            ..Unit::default()
        };
        let is_added = self.commit(Changeset::of(vec![unit])).await?;
        match self.store.tasks(vec![task.id]).await?.pop() {
            Some(added) if is_added || new.id.is_some() => Ok(added),
            _ => Err(busy("the project or the parent")),
        }
    }

    /// Changes fields of a task. A patch that changes nothing writes nothing.
    ///
    /// # Errors
    /// `NotFound` for an unknown or deleted task or parent, `Invalid` for a value that does not fit or a cycle, `Store`.
    pub async fn edit_task(&self, id: TaskId, patch: TaskPatch) -> Result<Task, HubError> {
        self.edit_task_at(id, None, patch).await
    }

    /// As [`edit_task`](Self::edit_task), but only if the task is still at this version, if one is given.
    ///
    /// # Errors
    /// `Moved` if it is not; and those of [`edit_task`](Self::edit_task).
    pub async fn edit_task_at(
        &self,
        id: TaskId,
        expected: Option<RowVersion>,
        patch: TaskPatch,
    ) -> Result<Task, HubError> {
        for _ in 0..TRIES {
            let before = self.task(id).await?;
            refuse_if_moved(&before, expected)?;
            let now = self.now();
            let mut task = before.clone();
            let changed = patch.apply(&mut task, now)?;
            if changed.is_empty() {
                return Ok(before);
            }
            if changed.contains_key(&Field::Parent) {
                self.check_parent(&task).await?;
            }
            let links = self.forget_swings(id, changed.keys()).await?;
            let history = changed
                .into_iter()
                .map(|(field, old)| entry(&task, Some(field), old, task.get(field), now))
                .collect();
            let unit = Unit {
                tasks: vec![TaskWrite::Update {
                    task: Box::new(task),
                    expected: before.version,
                }],
                links,
                history,
                ..Unit::default()
            };
            if self.commit(Changeset::of(vec![unit])).await? {
                return self.task(id).await;
            }
        }
        Err(busy("the task"))
    }

    /// Deletes a task: it stays as a tombstone, so that each connection's deletion policy can say what becomes of the
    /// tool's side. Children stay as they are and keep pointing to it.
    ///
    /// # Errors
    /// `NotFound` for an unknown or deleted task, `Store`.
    pub async fn delete_task(&self, id: TaskId) -> Result<Task, HubError> {
        self.delete_task_at(id, None).await
    }

    /// As [`delete_task`](Self::delete_task), but only if the task is still at this version, if one is given.
    ///
    /// # Errors
    /// `Moved` if it is not; and those of [`delete_task`](Self::delete_task).
    pub async fn delete_task_at(&self, id: TaskId, expected: Option<RowVersion>) -> Result<Task, HubError> {
        for _ in 0..TRIES {
            let before = self.task(id).await?;
            refuse_if_moved(&before, expected)?;
            let now = self.now();
            let mut task = before.clone();
            task.deleted_at = Some(now);
            task.updated_at = now;
            let entry = entry(&task, None, Value::text(task.title.clone()), Value::Empty, now);
            if self.update(task, &before, vec![entry]).await? {
                let deleted = self.store.tasks(vec![id]).await?.pop();
                return deleted.ok_or_else(|| HubError::not_found("task", id));
            }
        }
        Err(busy("the task"))
    }

    /// Brings a deleted task back. What a tool still has of it is joined again by the next run, and where it is gone it is
    /// made anew.
    ///
    /// # Errors
    /// `NotFound` for an unknown task; `Conflict` if it is not deleted; `Store`.
    pub async fn restore_task(&self, id: TaskId) -> Result<Task, HubError> {
        for _ in 0..TRIES {
            let before = self.store.tasks(vec![id]).await?.pop();
            let before = before.ok_or_else(|| HubError::not_found("task", id))?;
            if !before.is_deleted() {
                let message = format!("task {:?} ({id}) is not deleted", before.title);
                return Err(HubError::new(HubErrorKind::Conflict, message));
            }
            let now = self.now();
            let mut task = before.clone();
            task.deleted_at = None;
            task.updated_at = now;
            let entry = entry(&task, None, Value::Empty, Value::text(task.title.clone()), now);
            let gone = self.store.links_of_tasks(vec![id]).await?;
            let gone = gone.into_iter().filter(|link| link.state == LinkState::GoneRemote);
            let links = gone.map(|link| LinkWrite {
                expected: Some(link.version),
                link: Box::new(Link {
                    state: LinkState::Restored,
                    absent_since: None,
                    ..link
                }),
            });
            let unit = Unit {
                tasks: vec![TaskWrite::Update {
                    task: Box::new(task),
                    expected: before.version,
                }],
                links: links.collect(),
                history: vec![entry],
                ..Unit::default()
            };
            if self.commit(Changeset::of(vec![unit])).await? {
                return self.task(id).await;
            }
        }
        Err(busy("the task"))
    }

    /// A task that is not deleted.
    pub(super) async fn task(&self, id: TaskId) -> Result<Task, HubError> {
        match self.store.tasks(vec![id]).await?.pop() {
            Some(task) if !task.is_deleted() => Ok(task),
            Some(task) => {
                let message = format!("task {:?} ({id}) was deleted", task.title);
                Err(HubError::new(HubErrorKind::NotFound, message))
            }
            None => Err(HubError::not_found("task", id)),
        }
    }

    /// What a person has edited is not the next turn of two tools that pull at the field: it is sent, and counted anew.
    pub(super) async fn forget_swings(
        &self,
        task: TaskId,
        fields: impl Iterator<Item = &Field>,
    ) -> Result<Vec<LinkWrite>, HubError> {
        let edited: Vec<&Field> = fields.collect();
        let mut writes = Vec::new();
        for mut link in self.store.links_of_tasks(vec![task]).await? {
            let before = link.swings.len();
            link.swings.retain(|field, _| !edited.contains(&field));
            if link.swings.len() < before {
                writes.push(LinkWrite {
                    expected: Some(link.version),
                    link: Box::new(link),
                });
            }
        }
        Ok(writes)
    }

    pub(super) async fn update(&self, task: Task, before: &Task, history: Vec<HistoryEntry>) -> Result<bool, HubError> {
        let unit = Unit {
            tasks: vec![TaskWrite::Update {
                task: Box::new(task),
                expected: before.version,
            }],
            history,
            ..Unit::default()
        };
        self.commit(Changeset::of(vec![unit])).await
    }

    /// A parent must be there, in the same project, and not below the task itself.
    pub(super) async fn check_parent(&self, task: &Task) -> Result<(), HubError> {
        let Some(parent) = task.parent_id else { return Ok(()) };
        let found = self.task(parent).await.map_err(|error| {
            HubError::new(error.kind(), format!("the parent cannot be used: {error}")).with_source(error)
        })?;
        if found.project_id != task.project_id {
            let message = format!("the parent {:?} is in another project", found.title);
            return Err(HubError::invalid(message));
        }
        let tasks = self.store.tasks_of_project(task.project_id).await?;
        let parents: HashMap<TaskId, TaskId> = tasks
            .iter()
            .filter_map(|other| Some((other.id, other.parent_id?)))
            .collect();
        let mut above = Some(parent);
        // As many steps as there are tasks: a cycle that is there already must not hold us.
        for _ in 0..=tasks.len() {
            match above {
                Some(id) if id == task.id => {
                    let message = format!("{:?} is below this task; that would close a cycle", found.title);
                    return Err(HubError::invalid(message));
                }
                Some(id) => above = parents.get(&id).copied(),
                None => break,
            }
        }
        Ok(())
    }
}

fn refuse_if_moved(task: &Task, expected: Option<RowVersion>) -> Result<(), HubError> {
    match expected {
        Some(expected) if expected != task.version => {
            let message = format!("task {:?} was changed since it was read; look at it again", task.title);
            Err(HubError::new(HubErrorKind::Moved, message))
        }
        _ => Ok(()),
    }
}

pub(super) fn entry(task: &Task, field: Option<Field>, before: Value, after: Value, at: Timestamp) -> HistoryEntry {
    HistoryEntry {
        task_id: task.id,
        run_id: None,
        connection_id: None,
        field,
        before,
        after,
        side: Side::Hub,
        rule: Rule::Edited,
        at,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::memory::MemoryStore;
    use crate::model::{Project, Status};

    async fn hub() -> (Hub, Project) {
        let hub = Hub::new(Arc::new(MemoryStore::new()));
        let project = hub.add_project("Garden").await.unwrap();
        (hub, project)
    }

    fn patch(field: Field, value: Value) -> TaskPatch {
        [(field, value)].into_iter().collect()
    }

    #[tokio::test]
    async fn an_edit_is_stamped_and_told_in_the_history_and_an_empty_one_writes_nothing() {
        let (hub, project) = hub().await;
        let task = hub.add_task(NewTask::new(project.id, " Water ")).await.unwrap();
        assert_eq!((task.title.as_str(), task.field_times.len()), ("Water", 0));

        let edited = hub
            .edit_task(task.id, patch(Field::Status, Value::Status(Status::Done)))
            .await
            .unwrap();
        assert!(edited.version > task.version && edited.field_times.contains_key(&Field::Status));
        let writes = hub.store().changed_rows();
        hub.edit_task(task.id, patch(Field::Status, Value::Status(Status::Done)))
            .await
            .unwrap();
        assert_eq!(hub.store().changed_rows(), writes);

        let history = hub.store().history(task.id).await.unwrap();
        let told: Vec<_> = history
            .iter()
            .map(|entry| (entry.field, entry.after.to_string(), entry.rule))
            .collect();
        let created = (None, "Water".to_owned(), Rule::Edited);
        assert_eq!(told, [created, (Some(Field::Status), "done".to_owned(), Rule::Edited)]);
    }

    #[tokio::test]
    async fn a_deleted_task_stays_as_a_tombstone_and_its_children_keep_pointing_to_it() {
        let (hub, project) = hub().await;
        let parent = hub.add_task(NewTask::new(project.id, "Parent")).await.unwrap();
        let below = patch(Field::Parent, Value::Task(parent.id));
        let child = hub
            .add_task(NewTask::new(project.id, "Child").fields(below))
            .await
            .unwrap();
        assert!(hub.delete_task(parent.id).await.unwrap().is_deleted());
        assert_eq!(hub.task(child.id).await.unwrap().parent_id, Some(parent.id));
        for refused in [
            hub.delete_task(parent.id).await,
            hub.edit_task(parent.id, TaskPatch::new()).await,
        ] {
            assert!(refused.unwrap_err().to_string().contains("was deleted"));
        }
    }

    #[tokio::test]
    async fn a_parent_below_the_task_or_in_another_project_is_refused() {
        let (hub, project) = hub().await;
        let top = hub.add_task(NewTask::new(project.id, "Top")).await.unwrap();
        let under = patch(Field::Parent, Value::Task(top.id));
        let low = hub
            .add_task(NewTask::new(project.id, "Low").fields(under.clone()))
            .await
            .unwrap();
        for parent in [low.id, top.id] {
            let error = hub.edit_task(top.id, patch(Field::Parent, Value::Task(parent))).await;
            assert!(error.unwrap_err().to_string().contains("cycle"));
        }
        let other = hub.add_project("Kitchen").await.unwrap();
        let error = hub.add_task(NewTask::new(other.id, "Far").fields(under)).await;
        assert!(error.unwrap_err().to_string().contains("another project"));
    }

    #[tokio::test]
    async fn an_edit_of_what_was_seen_is_refused_once_it_changed() {
        let (hub, project) = hub().await;
        let seen = hub.add_task(NewTask::new(project.id, "Seen")).await.unwrap();
        let done = patch(Field::Status, Value::Status(Status::Done));
        hub.edit_task_at(seen.id, Some(seen.version), done.clone())
            .await
            .unwrap();
        let edited = hub.edit_task_at(seen.id, Some(seen.version), done).await;
        let deleted = hub.delete_task_at(seen.id, Some(seen.version)).await;
        for refused in [edited, deleted] {
            assert_eq!(refused.unwrap_err().kind(), HubErrorKind::Moved);
        }
        assert!(!hub.task(seen.id).await.unwrap().is_deleted());
    }

    #[tokio::test]
    async fn a_task_with_a_given_id_is_added_once() {
        let (hub, project) = hub().await;
        let id = TaskId::generate();
        let new = || NewTask::new(project.id, "Once").id(id);
        let (one, two) = tokio::join!(hub.add_task(new()), hub.add_task(new()));
        assert_eq!((one.unwrap().id, two.unwrap().id), (id, id));
        assert_eq!(hub.store().tasks_of_project(project.id).await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn edits_of_two_people_at_once_both_stand() {
        let (hub, project) = hub().await;
        let task = hub.add_task(NewTask::new(project.id, "Shared")).await.unwrap();
        let one = hub.edit_task(task.id, patch(Field::Status, Value::Status(Status::Review)));
        let two = hub.edit_task(task.id, patch(Field::Description, Value::text("words")));
        let (one, two) = tokio::join!(one, two);
        one.unwrap();
        two.unwrap();
        let task = hub.task(task.id).await.unwrap();
        assert_eq!(
            (task.status, task.description.as_deref()),
            (Status::Review, Some("words"))
        );
    }
}
