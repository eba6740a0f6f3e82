//! Which units of a changeset may be written in one go.

use std::collections::{HashMap, HashSet};

use magnus_core::model::{ConflictState, ConnectionId, Field, LinkId, ProjectId, TaskId};
use magnus_core::store::{StaleReason, StoreError, TaskWrite, Unit};
use sqlx::postgres::PgQueryResult;

use crate::error::{failed, is_missing_reference, is_taken};

/// What came of rows that were written together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    Done,
    Stale(StaleReason),
}

impl Written {
    /// Fewer rows than expected mean that a version moved or a key is taken; a refused reference or key is no failure
    /// either, but ends what goes on in the transaction since its last savepoint.
    pub(crate) fn from_result(
        result: Result<PgQueryResult, sqlx::Error>,
        expected: usize,
        operation: &'static str,
    ) -> Result<Self, StoreError> {
        match result {
            Ok(done) if usize::try_from(done.rows_affected()) == Ok(expected) => Ok(Self::Done),
            Ok(_) => Ok(Self::Stale(StaleReason::RowMoved)),
            Err(error) if is_missing_reference(&error) => Ok(Self::Stale(StaleReason::MissingReference)),
            Err(error) if is_taken(&error) => Ok(Self::Stale(StaleReason::RowMoved)),
            Err(error) => Err(failed(operation)(error)),
        }
    }
}

/// Whether writing these units all at once comes to the same as writing one after the other. What this cannot see (what
/// stands in the database) shows when they are written: then something is stale.
pub(crate) fn goes_together(units: &[Unit], here: Option<ConnectionId>) -> bool {
    units.len() < 2 || (writes_each_row_once(units) && refers_only_backwards(units) && guards_do_not_meet(units, here))
}

fn writes_each_row_once(units: &[Unit]) -> bool {
    let (mut tasks, mut links, mut intents) = (HashSet::new(), HashSet::new(), HashSet::new());
    let (mut conflicts, mut losers): (HashSet<_>, HashSet<(LinkId, Field)>) = (HashSet::new(), HashSet::new());
    let mut failures = HashSet::new();
    units.iter().all(|unit| {
        unit.failures.iter().all(|write| failures.insert(write.key()))
            && unit.tasks.iter().all(|write| tasks.insert(written(write).0))
            && unit.links.iter().all(|write| links.insert(write.link.id))
            && unit.intents.iter().all(|intent| intents.insert(intent.id))
            && unit.conflicts.iter().all(|write| {
                let conflict = &write.conflict;
                conflicts.insert(conflict.id)
                    && (conflict.state != ConflictState::Decided || losers.insert((conflict.link_id, conflict.field)))
            })
    })
}

/// Constraints are checked when a statement ends, and a statement would write a child together with its parent.
fn refers_only_backwards(units: &[Unit]) -> bool {
    let mut inserted: HashMap<TaskId, usize> = HashMap::new();
    let mut linked: HashMap<LinkId, usize> = HashMap::new();
    for (index, unit) in units.iter().enumerate() {
        for write in &unit.tasks {
            if let TaskWrite::Insert { task, .. } = write {
                inserted.insert(task.id, index);
            }
        }
        for write in unit.links.iter().filter(|write| write.expected.is_none()) {
            linked.insert(write.link.id, index);
        }
    }
    units.iter().enumerate().all(|(index, unit)| {
        let is_there = |task: TaskId| inserted.get(&task).is_none_or(|at| *at <= index);
        let is_linked = |link: LinkId| linked.get(&link).is_none_or(|at| *at <= index);
        let parents = unit.tasks.iter().filter_map(|write| match write {
            TaskWrite::Insert { task, .. } | TaskWrite::Update { task, .. } => task.parent_id,
        });
        let linked_tasks = unit.links.iter().map(|write| write.link.task_id);
        let intended = unit.intents.iter().map(|intent| intent.task_id);
        let told = unit.history.iter().map(|entry| entry.task_id);
        let failing = unit.failures.iter().map(|write| write.key().1);
        let told = told.chain(failing);
        parents.chain(linked_tasks).chain(intended).chain(told).all(is_there)
            && unit.conflicts.iter().all(|write| is_linked(write.conflict.link_id))
    })
}

/// A task that one unit writes may be what the guard of a later one looks for, unless it is linked here by the same unit.
fn guards_do_not_meet(units: &[Unit], here: Option<ConnectionId>) -> bool {
    let mut loose: HashSet<(ProjectId, String)> = HashSet::new();
    for unit in units {
        for write in &unit.tasks {
            if let TaskWrite::Insert { guard: Some(guard), .. } = write
                && !loose.is_empty()
                && loose.contains(&(guard.project_id, guard.title_key.clone()))
            {
                return false;
            }
        }
        for write in &unit.tasks {
            let (id, project, title_key) = written(write);
            let is_linked = unit
                .links
                .iter()
                .any(|write| write.link.task_id == id && Some(write.link.connection_id) == here);
            if !is_linked {
                loose.insert((project, title_key));
            }
        }
    }
    true
}

fn written(write: &TaskWrite) -> (TaskId, ProjectId, String) {
    let (TaskWrite::Insert { task, .. } | TaskWrite::Update { task, .. }) = write;
    (task.id, task.project_id, task.title_key())
}
