//! The one atomic commit.

use async_trait::async_trait;

use super::MemoryStore;
use super::tables::Tables;
use crate::model::{
    Conflict, ConflictId, ConflictState, ConnectionId, Intent, IntentId, ItemFailure, Link, LinkId, ProjectId,
    RowVersion, Task, TaskId,
};
use crate::store::{
    ChangedRows, Changeset, CommitOutcome, ConflictWrite, FailureWrite, Fence, LinkWrite, MappingWrite, MatchGuard,
    ProjectWrite, StaleReason, StaleUnit, StoreError, TaskStore, TaskWrite, Unit,
};

const FIRST: RowVersion = RowVersion(1);

/// How many changesets are known again when they are sent twice.
const REMEMBERED: usize = 10_000;

#[async_trait]
impl TaskStore for MemoryStore {
    async fn commit(&self, fence: Fence, changeset: Changeset) -> Result<CommitOutcome, StoreError> {
        let now = self.now();
        let mut tables = self.tables();
        // Before the fence: what was committed stays committed, whoever has the lease by now.
        if let Some(outcome) = tables.changesets.get(&changeset.id) {
            return Ok(outcome.clone());
        }
        tables.check_fence(&fence, now, "commit")?;
        let outcome = Commit::new(&mut tables, fence.connection()).apply(&changeset);
        tables.changesets.insert(changeset.id, outcome.clone());
        // Ids rise with time: the first is the oldest, and its answer has long arrived.
        if tables.changesets.len() > REMEMBERED {
            tables.changesets.pop_first();
        }
        Ok(outcome)
    }

    fn changed_rows(&self) -> ChangedRows {
        self.tables().changed
    }
}

/// A commit under way, with what it takes to take back the unit that is being applied.
struct Commit<'a> {
    tables: &'a mut Tables,
    connection: Option<ConnectionId>,
    undo: Vec<Undo>,
    touched: Vec<ProjectId>,
    changed: ChangedRows,
}

/// The row before.
enum Undo {
    Task(TaskId, Option<Box<Task>>),
    Link(LinkId, Option<Box<Link>>),
    Conflict(ConflictId, Option<Box<Conflict>>),
    Intent(IntentId, Option<Box<Intent>>),
    History(TaskId),
    Failure((ConnectionId, TaskId), Option<Box<ItemFailure>>),
}

impl<'a> Commit<'a> {
    fn new(tables: &'a mut Tables, connection: Option<ConnectionId>) -> Self {
        Self {
            tables,
            connection,
            undo: Vec::new(),
            touched: Vec::new(),
            changed: ChangedRows::default(),
        }
    }

    fn apply(mut self, changeset: &Changeset) -> CommitOutcome {
        let mut outcome = CommitOutcome::default();
        for write in &changeset.projects {
            outcome.stale_rows += u64::from(!self.write_project(write));
        }
        for write in &changeset.mappings {
            outcome.stale_rows += u64::from(!self.write_mapping(write));
        }
        for (index, unit) in changeset.units.iter().enumerate() {
            let before = (self.changed, self.touched.len());
            match self.write_unit(unit) {
                Ok(()) => self.undo.clear(),
                Err(reason) => {
                    self.take_back();
                    self.changed = before.0;
                    self.touched.truncate(before.1);
                    outcome.stale.push(StaleUnit { index, reason });
                }
            }
        }
        self.mark_due();
        let total = &mut self.tables.changed;
        total.projects += self.changed.projects;
        total.tasks += self.changed.tasks;
        total.links += self.changed.links;
        total.conflicts += self.changed.conflicts;
        outcome
    }

    fn write_project(&mut self, write: &ProjectWrite) -> bool {
        let stored = self
            .tables
            .projects
            .get(&write.project.id)
            .map(|project| project.version);
        if stored != write.expected {
            return false;
        }
        let mut project = write.project.clone();
        project.version = write.expected.map_or(FIRST, RowVersion::next);
        self.tables.projects.insert(project.id, project);
        self.changed.projects += 1;
        true
    }

    fn write_mapping(&mut self, write: &MappingWrite) -> bool {
        let mapping = &write.mapping;
        let stored = self.tables.mappings.get(&mapping.id).map(|mapping| mapping.version);
        let taken = self.tables.mappings.values().any(|other| {
            other.id != mapping.id
                && other.connection_id == mapping.connection_id
                && other.external_id == mapping.external_id
        });
        let known = self.tables.projects.contains_key(&mapping.project_id)
            && self.tables.connections.contains_key(&mapping.connection_id);
        if stored != write.expected || taken || !known {
            return false;
        }
        let mut mapping = mapping.clone();
        mapping.version = write.expected.map_or(FIRST, RowVersion::next);
        self.tables.mappings.insert(mapping.id, mapping);
        true
    }

    fn write_unit(&mut self, unit: &Unit) -> Result<(), StaleReason> {
        unit.tasks.iter().try_for_each(|write| self.write_task(write))?;
        unit.links.iter().try_for_each(|write| self.write_link(write))?;
        unit.intents.iter().try_for_each(|intent| self.write_intent(intent))?;
        unit.conflicts.iter().try_for_each(|write| self.write_conflict(write))?;
        for entry in &unit.history {
            require(self.tables.task(entry.task_id).is_some())?;
            self.tables
                .history
                .entry(entry.task_id)
                .or_default()
                .push(entry.clone());
            self.undo.push(Undo::History(entry.task_id));
        }
        unit.failures.iter().try_for_each(|write| self.write_failure(write))
    }

    fn write_failure(&mut self, write: &FailureWrite) -> Result<(), StaleReason> {
        let key = write.key();
        require(self.tables.connections.contains_key(&key.0))?;
        require(self.tables.task(key.1).is_some())?;
        let before = match write {
            FailureWrite::Record(failure) => self.tables.failures.insert(key, (**failure).clone()),
            FailureWrite::Clear { .. } => self.tables.failures.remove(&key),
        };
        self.undo.push(Undo::Failure(key, before.map(Box::new)));
        Ok(())
    }

    fn write_task(&mut self, write: &TaskWrite) -> Result<(), StaleReason> {
        let (task, expected) = match write {
            TaskWrite::Insert { task, .. } => (task, None),
            TaskWrite::Update { task, expected } => (task, Some(*expected)),
        };
        let stored = self.tables.task(task.id);
        unmoved(stored.map(|task| task.version), expected)?;
        if let TaskWrite::Insert { guard: Some(guard), .. } = write
            && self.match_appeared(guard, task.id)
        {
            return Err(StaleReason::MatchAppeared);
        }
        self.touched.extend(stored.map(|task| task.project_id));
        self.touched.push(task.project_id);
        require(self.tables.projects.contains_key(&task.project_id))?;
        require(
            task.parent_id
                .is_none_or(|parent| parent == task.id || self.tables.task(parent).is_some()),
        )?;

        let mut task = (**task).clone();
        task.version = expected.map_or(FIRST, RowVersion::next);
        let id = task.id;
        let before = self.tables.set_task(id, Some(task));
        self.undo.push(Undo::Task(id, before.map(Box::new)));
        self.changed.tasks += 1;
        Ok(())
    }

    fn match_appeared(&self, guard: &MatchGuard, new: TaskId) -> bool {
        self.tables
            .tasks_with_title(guard.project_id, &guard.title_key)
            .any(|task| {
                let linked = self
                    .connection
                    .is_some_and(|here| self.tables.link_of_task(task.id, here).is_some());
                task.id != new && !task.is_deleted() && !linked && !guard.known.contains(&task.id)
            })
    }

    fn write_link(&mut self, write: &LinkWrite) -> Result<(), StaleReason> {
        let link = &write.link;
        unmoved(self.tables.link(link.id).map(|link| link.version), write.expected)?;
        let same_external = self.tables.link_by_external(link.connection_id, &link.external_id);
        let same_task = self.tables.link_of_task(link.task_id, link.connection_id);
        if same_external
            .into_iter()
            .chain(same_task)
            .any(|other| other.id != link.id)
        {
            return Err(StaleReason::RowMoved);
        }
        require(self.tables.connections.contains_key(&link.connection_id))?;
        require(self.tables.mappings.contains_key(&link.mapping_id))?;
        require(self.tables.task(link.task_id).is_some())?;

        let mut link = (**link).clone();
        link.version = write.expected.map_or(FIRST, RowVersion::next);
        let id = link.id;
        let before = self.tables.set_link(id, Some(link));
        self.undo.push(Undo::Link(id, before.map(Box::new)));
        self.changed.links += 1;
        Ok(())
    }

    fn write_intent(&mut self, intent: &Intent) -> Result<(), StaleReason> {
        require(self.tables.connections.contains_key(&intent.connection_id))?;
        require(self.tables.mappings.contains_key(&intent.mapping_id))?;
        require(self.tables.task(intent.task_id).is_some())?;
        let before = self.tables.intents.insert(intent.id, intent.clone());
        self.undo.push(Undo::Intent(intent.id, before.map(Box::new)));
        Ok(())
    }

    fn write_conflict(&mut self, write: &ConflictWrite) -> Result<(), StaleReason> {
        let conflict = &write.conflict;
        unmoved(
            self.tables.conflict(conflict.id).map(|conflict| conflict.version),
            write.expected,
        )?;
        let is_there = |is_same: &dyn Fn(&Conflict) -> bool| {
            let mut others = self.tables.conflicts_of_field(conflict.link_id, conflict.field);
            others.any(|other| other.id != conflict.id && is_same(other))
        };
        let is_decided_alike = |other: &Conflict| {
            other.state == ConflictState::Decided && other.local == conflict.local && other.remote == conflict.remote
        };
        match (conflict.state, write.expected) {
            (ConflictState::Open, _) if is_there(&|other| other.state == ConflictState::Open) => {
                return Err(StaleReason::RowMoved);
            }
            (ConflictState::Decided, None) if is_there(&is_decided_alike) => return Ok(()),
            _ => {}
        }
        require(self.tables.connections.contains_key(&conflict.connection_id))?;
        require(self.tables.link(conflict.link_id).is_some())?;
        require(self.tables.task(conflict.task_id).is_some())?;

        let mut conflict = (**conflict).clone();
        conflict.version = write.expected.map_or(FIRST, RowVersion::next);
        let id = conflict.id;
        let before = self.tables.set_conflict(id, Some(conflict));
        self.undo.push(Undo::Conflict(id, before.map(Box::new)));
        self.changed.conflicts += 1;
        Ok(())
    }

    fn take_back(&mut self) {
        while let Some(undo) = self.undo.pop() {
            match undo {
                Undo::Task(id, row) => drop(self.tables.set_task(id, row.map(|row| *row))),
                Undo::Link(id, row) => drop(self.tables.set_link(id, row.map(|row| *row))),
                Undo::Conflict(id, row) => drop(self.tables.set_conflict(id, row.map(|row| *row))),
                Undo::Intent(id, Some(row)) => drop(self.tables.intents.insert(id, *row)),
                Undo::Intent(id, None) => drop(self.tables.intents.remove(&id)),
                Undo::Failure(key, Some(row)) => drop(self.tables.failures.insert(key, *row)),
                Undo::Failure(key, None) => drop(self.tables.failures.remove(&key)),
                Undo::History(id) => {
                    self.tables.history.get_mut(&id).and_then(Vec::pop);
                }
            }
        }
    }

    /// The projects touched include those that a task left: a connection mapped there must see that it went.
    fn mark_due(&mut self) {
        let due = self.tables.mappings.values().filter(|mapping| {
            mapping.enabled
                && Some(mapping.connection_id) != self.connection
                && self.touched.contains(&mapping.project_id)
        });
        let due: Vec<ConnectionId> = due.map(|mapping| mapping.connection_id).collect();
        self.tables.due.extend(due);
    }
}

fn unmoved(stored: Option<RowVersion>, expected: Option<RowVersion>) -> Result<(), StaleReason> {
    if stored == expected {
        Ok(())
    } else {
        Err(StaleReason::RowMoved)
    }
}

fn require(present: bool) -> Result<(), StaleReason> {
    if present {
        Ok(())
    } else {
        Err(StaleReason::MissingReference)
    }
}
