//! Items that are on both sides: merged, moved, revived.

use super::planner::Planner;
use super::planning::Step;
use crate::model::{
    DeletionPolicy, Direction, HistoryEntry, Link, LinkState, Mapping, ProjectId, RemoteTask, RowVersion, Rule, Side,
    SkipReason, Task, Value,
};
use crate::reconcile::item::Item;
use crate::reconcile::observation::Absence;
use crate::reconcile::plan::PlannedAction;
use crate::store::{LinkWrite, TaskWrite, Unit};

impl<'a> Planner<'a> {
    pub(super) fn merges(&self) -> Vec<Step<'a>> {
        let mut links: Vec<&'a Link> = self.input.links.iter().filter(|link| self.concerns(link)).collect();
        // What is above an item in the tool is decided before it: where parent and child change places there, the one is free
        // before the other is put beneath it.
        let depths = self.depths_in_tool();
        links.sort_by_key(|link| depths.get(&&link.external_id).copied().unwrap_or_default());
        links.into_iter().map(Step::Merge).collect()
    }

    pub(super) fn merge_link(&mut self, link: &'a Link) {
        if link.state == LinkState::Live {
            self.plan.linked += 1;
        }
        let Some(task) = self.input.tasks.get(&link.task_id) else {
            return self.plan.unchanged.push(link.task_id);
        };
        let (Some(task), Some(link)) = (&self.task(task), &self.link(link)) else {
            return;
        };
        let remote = &self.input.observation.tasks.get(&link.external_id);
        let unsettled = self
            .input
            .blocked
            .get(&task.id)
            .filter(|reason| reason.code == SkipReason::Unsettled);
        if let (Some(_), Some(reason)) = (remote, unsettled) {
            // What stands there may be ours: it is no edit of the tool's, and no agreement either.
            let reason = reason.clone();
            return self.leave(task, link, reason);
        }
        match (link.state, remote) {
            (LinkState::Uncertain, None) => self.named_and_not_seen(task, link),
            (LinkState::GoneLocal, _) if task.is_deleted() => self.plan.unchanged.push(link.task_id),
            // It is made in the tool anew.
            (LinkState::Restored | LinkState::GoneLocal, None) if self.free.contains_key(&task.id) => {}
            // Its task went with it, and comes back with it: in a run that may change the hub. A live link beside it would
            // mean that a person has deleted the task.
            (LinkState::GoneRemote, Some(_)) if self.went_along(task) && !self.setting().direction.pulls() => {
                let words = "it is in the tool again; this run may not bring its task back";
                self.leave(task, link, SkipReason::Direction.because(words));
            }
            // The tombstone was made since the item was gone; under `keep` only a person makes one.
            (LinkState::GoneRemote, Some(remote)) if self.input.options.deletions != DeletionPolicy::Keep => {
                self.merge_present(task, link, remote);
            }
            (_, Some(remote)) if !task.is_deleted() => self.merge_present(task, link, remote),
            (LinkState::Live | LinkState::Uncertain, Some(remote)) => self.deleted_in_hub(task, link, Some(remote)),
            (LinkState::Live, None) => self.not_observed(task, link),
            // It was brought back; whether the tool still has it decides whether it is made there anew.
            (LinkState::GoneLocal, None) => match self.input.observation.absent.get(&link.external_id) {
                Some(Absence::Unsure(reason)) => {
                    let reason = SkipReason::AbsenceUnproven.because(reason.clone());
                    self.leave(task, link, reason);
                }
                _ => self.plan.unchanged.push(link.task_id),
            },
            _ => self.plan.unchanged.push(link.task_id),
        }
    }

    /// A person has named an item that is not there. From now on another one may be named.
    fn named_and_not_seen(&mut self, task: &Task, link: &Link) {
        let words = format!("item {} was named for it and is not seen in the tool", link.external_id);
        self.leave(task, link, SkipReason::Uncertain.because(words));
        if let (None, Some(entry)) = (link.absent_since, self.plan.entries.last_mut()) {
            let mut seen = link.clone();
            seen.absent_since = Some(self.input.setting.run_id);
            entry.unit.links.push(LinkWrite {
                link: Box::new(seen),
                expected: Some(link.version),
            });
        }
    }

    /// A link concerns this mapping if it was made here, or if its external task shows up here.
    pub(super) fn concerns(&self, link: &Link) -> bool {
        let shown = self.input.observation.tasks.brief(&link.external_id);
        match shown {
            Some(remote) => remote.project == self.input.mapping.external_id,
            None => link.mapping_id == self.input.mapping.id,
        }
    }

    pub(super) fn merge_present(&mut self, task: &Task, link: &Link, remote: &RemoteTask) {
        let mapping = self.input.mapping;
        let mut after = link.clone();
        after.state = LinkState::Live;
        after.absent_since = None;
        let mut task_after = task.clone();
        let mut move_to = None;
        let mut moved_apart = None;
        if self.setting().direction.pulls() && link.state == LinkState::GoneRemote {
            task_after.deleted_at = None;
            if self.input.options.deletions == DeletionPolicy::Archive {
                task_after.archived_at = None;
            }
        }
        if link.mapping_id != mapping.id {
            // The tool moved it here; the hub follows unless somebody moved it in the hub too.
            let from = self.input.mappings.iter().find(|other| other.id == link.mapping_id);
            let moved_in_hub = from.is_some_and(|from| from.project_id != task.project_id);
            if moved_in_hub && task.project_id != mapping.project_id {
                let words = format!(
                    "moved to {:?} in the tool and to another project in the hub; move either to where the other is",
                    mapping.external_name
                );
                moved_apart = Some(SkipReason::Conflict.because(words));
            } else {
                if self.setting().direction.pulls() {
                    task_after.project_id = mapping.project_id;
                }
                if task_after.project_id == mapping.project_id {
                    after.mapping_id = mapping.id;
                } else {
                    let words = format!(
                        "moved to {:?} in the tool; this run may not change the hub",
                        mapping.external_name
                    );
                    moved_apart = Some(SkipReason::Direction.because(words));
                }
            }
        } else if task.project_id != mapping.project_id {
            match self.target(task.project_id) {
                Some(_) if !self.setting().direction.pushes() => {}
                Some((target, Some(direction))) if direction.pushes() => move_to = Some(Box::new(target.clone())),
                Some((target, direction)) => {
                    let name = &target.external_name;
                    moved_apart = Some(match direction {
                        Some(_) => SkipReason::Direction.because(format!(
                            "moved in the hub to the project of {name:?}, in which this run may not write"
                        )),
                        None => SkipReason::IncompleteListing.because(format!(
                            "moved in the hub; it is moved to {name:?} in the tool once that takes part in a run"
                        )),
                    });
                }
                None => after.state = LinkState::OutOfScope,
            }
        }
        if after.state == LinkState::OutOfScope {
            return self.relink(
                task,
                link,
                after,
                SkipReason::OutOfScope.because("moved to a hub project that is not mapped here"),
            );
        }
        let item = Item {
            task: &task_after,
            link,
            link_after: &after,
            remote,
        };
        let mut merge = self.merge(item, move_to.as_deref());
        self.note_parent(&merge);
        if task_after.project_id != task.project_id {
            let before = self.input.mappings.iter().find(|other| other.id == link.mapping_id);
            let before = before.map_or("", |before| before.external_name.as_str());
            let after = Value::text(mapping.external_name.as_str());
            let told = self.told(task, Value::text(before), after, Rule::Moved);
            merge.unit.history.push(told);
        }
        if task_after.deleted_at != task.deleted_at || task_after.archived_at != task.archived_at {
            let told = self.told(task, Value::Empty, Value::text(task.title.as_str()), Rule::CameBack);
            merge.unit.history.push(told);
        }
        if task_after != *task {
            ensure_task_write(&mut merge.unit, &task_after, task.version);
            merge.pulls = true;
        }
        let mut entry = self.entry(PlannedAction::Update, task, link, remote, merge, move_to);
        if let Some(reason) = moved_apart {
            entry.action = entry.action.or(Some(PlannedAction::Skip));
            entry.reason = Some(reason);
        }
        if entry.action.is_none() && entry.unit.is_empty() {
            self.plan.unchanged.push(link.task_id);
        } else {
            self.plan.entries.push(entry);
        }
    }
}

impl Planner<'_> {
    /// The mapping of a hub project that an item may be moved to, with the ways that data may go there in this run; best one
    /// in which the run may write.
    fn target(&self, project: ProjectId) -> Option<(&Mapping, Option<Direction>)> {
        let of_project = self
            .input
            .mappings
            .iter()
            .filter(|other| other.project_id == project && other.enabled);
        of_project
            .map(|other| (other, self.input.taking_part.get(&other.id).copied()))
            .max_by_key(|(_, direction)| direction.map(Direction::pushes))
    }

    /// Whether a task is gone as a run leaves it that carries a deletion over into the hub.
    const fn went_along(&self, task: &Task) -> bool {
        match self.input.options.deletions {
            DeletionPolicy::Keep => false,
            DeletionPolicy::Archive => task.is_deleted() || task.archived_at.is_some(),
            DeletionPolicy::Delete => task.is_deleted(),
        }
    }

    /// What befell a hub task as a whole.
    fn told(&self, task: &Task, before: Value, after: Value, rule: Rule) -> HistoryEntry {
        let setting = self.setting();
        HistoryEntry {
            task_id: task.id,
            run_id: Some(setting.run_id),
            connection_id: Some(self.input.mapping.connection_id),
            field: None,
            before,
            after,
            side: Side::Hub,
            rule,
            at: setting.now,
        }
    }
}

/// Puts the task's project into the unit's write, or adds a write.
fn ensure_task_write(unit: &mut Unit, after: &Task, expected: RowVersion) {
    if unit.tasks.is_empty() {
        unit.tasks.push(TaskWrite::Update {
            task: Box::new(after.clone()),
            expected,
        });
    }
}
