//! The rows, with the indexes that the store's rules need. Every `set_*` keeps its indexes in step.

use std::collections::{BTreeMap, BTreeSet};

use super::breakdowns::BreakdownRow;
use crate::model::{
    AccessToken, BreakdownId, ChangesetId, Conflict, ConflictId, ConnectionId, ConnectionSettings, ExternalId, Field,
    HistoryEntry, Intent, IntentId, ItemFailure, Link, LinkId, Mapping, MappingId, Project, ProjectId, Run, RunId,
    Task, TaskId, Timestamp,
};
use crate::store::{ChangedRows, CommitOutcome, OnceEntry, RunEvent};

#[derive(Clone, Default)]
pub(super) struct Tables {
    pub(super) projects: BTreeMap<ProjectId, Project>,
    pub(super) mappings: BTreeMap<MappingId, Mapping>,
    tasks: BTreeMap<TaskId, Task>,
    tasks_by_project: BTreeMap<ProjectId, BTreeSet<TaskId>>,
    tasks_by_title: BTreeMap<(ProjectId, String), BTreeSet<TaskId>>,
    links: BTreeMap<LinkId, Link>,
    links_by_external: BTreeMap<(ConnectionId, ExternalId), LinkId>,
    links_by_task: BTreeMap<(TaskId, ConnectionId), LinkId>,
    pub(super) intents: BTreeMap<IntentId, Intent>,
    conflicts: BTreeMap<ConflictId, Conflict>,
    conflicts_by_field: BTreeMap<(LinkId, Field), BTreeSet<ConflictId>>,
    pub(super) failures: BTreeMap<(ConnectionId, TaskId), ItemFailure>,
    pub(super) history: BTreeMap<TaskId, Vec<HistoryEntry>>,
    pub(super) runs: BTreeMap<RunId, Run>,
    /// Every change of a run's state, in order; the sequence number is the place, counted from 1.
    pub(super) run_events: Vec<RunEvent>,
    pub(super) tokens: Vec<AccessToken>,
    pub(super) once: BTreeMap<String, (Timestamp, OnceEntry)>,
    pub(super) leases: BTreeMap<ConnectionId, LeaseRow>,
    pub(super) connections: BTreeMap<ConnectionId, ConnectionSettings>,
    pub(super) due: BTreeSet<ConnectionId>,
    pub(super) sealed: BTreeMap<(ConnectionId, String), Vec<u8>>,
    pub(super) breakdowns: BTreeMap<BreakdownId, BreakdownRow>,
    pub(super) changesets: BTreeMap<ChangesetId, CommitOutcome>,
    pub(super) changed: ChangedRows,
}

/// A lease as it is kept: the epoch outlives every holder.
#[derive(Clone)]
pub(super) struct LeaseRow {
    pub(super) epoch: i64,
    /// Who holds it, and until when.
    pub(super) holder: Option<(String, Timestamp)>,
}

impl Tables {
    pub(super) fn task(&self, id: TaskId) -> Option<&Task> {
        self.tasks.get(&id)
    }

    pub(super) fn all_tasks(&self) -> impl DoubleEndedIterator<Item = &Task> {
        self.tasks.values()
    }

    pub(super) fn tasks_of_project(&self, project: ProjectId) -> impl Iterator<Item = &Task> {
        self.tasks_by_project
            .get(&project)
            .into_iter()
            .flatten()
            .filter_map(|id| self.tasks.get(id))
    }

    pub(super) fn tasks_with_title(&self, project: ProjectId, title_key: &str) -> impl Iterator<Item = &Task> {
        let ids = self.tasks_by_title.get(&(project, title_key.to_owned()));
        ids.into_iter().flatten().filter_map(|id| self.tasks.get(id))
    }

    /// Puts the row in place of the one with this id, or removes it; answers the row before.
    pub(super) fn set_task(&mut self, id: TaskId, row: Option<Task>) -> Option<Task> {
        let before = self.tasks.remove(&id);
        if let Some(task) = &before {
            drop_from(&mut self.tasks_by_project, &task.project_id, &id);
            drop_from(&mut self.tasks_by_title, &(task.project_id, task.title_key()), &id);
        }
        if let Some(task) = row {
            self.tasks_by_project.entry(task.project_id).or_default().insert(id);
            self.tasks_by_title
                .entry((task.project_id, task.title_key()))
                .or_default()
                .insert(id);
            self.tasks.insert(id, task);
        }
        before
    }

    pub(super) fn link(&self, id: LinkId) -> Option<&Link> {
        self.links.get(&id)
    }

    pub(super) fn all_links(&self) -> impl Iterator<Item = &Link> {
        self.links.values()
    }

    pub(super) fn link_by_external(&self, connection: ConnectionId, id: &ExternalId) -> Option<&Link> {
        self.links_by_external
            .get(&(connection, id.clone()))
            .and_then(|id| self.links.get(id))
    }

    pub(super) fn link_of_task(&self, task: TaskId, connection: ConnectionId) -> Option<&Link> {
        self.links_by_task
            .get(&(task, connection))
            .and_then(|id| self.links.get(id))
    }

    pub(super) fn links_of_task(&self, task: TaskId) -> impl Iterator<Item = &Link> {
        let least = ConnectionId::from_uuid(uuid::Uuid::nil());
        let greatest = ConnectionId::from_uuid(uuid::Uuid::max());
        self.links_by_task
            .range((task, least)..=(task, greatest))
            .filter_map(|(_, id)| self.links.get(id))
    }

    /// As [`Self::set_task`]. The keys must be free: the caller has looked.
    pub(super) fn set_link(&mut self, id: LinkId, row: Option<Link>) -> Option<Link> {
        let before = self.links.remove(&id);
        if let Some(link) = &before {
            self.links_by_external
                .remove(&(link.connection_id, link.external_id.clone()));
            self.links_by_task.remove(&(link.task_id, link.connection_id));
        }
        if let Some(link) = row {
            self.links_by_external
                .insert((link.connection_id, link.external_id.clone()), id);
            self.links_by_task.insert((link.task_id, link.connection_id), id);
            self.links.insert(id, link);
        }
        before
    }

    pub(super) fn conflict(&self, id: ConflictId) -> Option<&Conflict> {
        self.conflicts.get(&id)
    }

    pub(super) fn all_conflicts(&self) -> impl Iterator<Item = &Conflict> {
        self.conflicts.values()
    }

    pub(super) fn conflicts_of_field(&self, link: LinkId, field: Field) -> impl Iterator<Item = &Conflict> {
        let ids = self.conflicts_by_field.get(&(link, field));
        ids.into_iter().flatten().filter_map(|id| self.conflicts.get(id))
    }

    /// As [`Self::set_task`].
    pub(super) fn set_conflict(&mut self, id: ConflictId, row: Option<Conflict>) -> Option<Conflict> {
        let before = self.conflicts.remove(&id);
        if let Some(conflict) = &before {
            drop_from(&mut self.conflicts_by_field, &(conflict.link_id, conflict.field), &id);
        }
        if let Some(conflict) = row {
            self.conflicts_by_field
                .entry((conflict.link_id, conflict.field))
                .or_default()
                .insert(id);
            self.conflicts.insert(id, conflict);
        }
        before
    }
}

fn drop_from<K: Ord, V: Ord>(index: &mut BTreeMap<K, BTreeSet<V>>, key: &K, value: &V) {
    if let Some(values) = index.get_mut(key) {
        values.remove(value);
        if values.is_empty() {
            index.remove(key);
        }
    }
}
