//! Items that are gone on one side.

use super::planner::Planner;
use super::{Entry, Push};
use crate::model::{
    DeletionPolicy, Field, HistoryEntry, Link, LinkState, RemoteTask, Rule, Side, SkipReason, Status, Task, Value,
};
use crate::reconcile::lens::{Lens, Sendable};
use crate::reconcile::observation::Absence;
use crate::reconcile::plan::PlannedAction;
use crate::store::{TaskWrite, Unit};

impl Planner<'_> {
    pub(super) fn not_observed(&mut self, task: &Task, link: &Link) {
        match self.input.observation.absent.get(&link.external_id) {
            Some(Absence::Gone) if task.is_deleted() => {
                let after = Link {
                    state: LinkState::GoneLocal,
                    ..link.clone()
                };
                self.relink(task, link, after, SkipReason::GoneInTool.because("gone on both sides"));
            }
            Some(Absence::Gone) => self.gone_in_tool(task, link),
            Some(Absence::MovedTo(project)) => {
                let mapped = self
                    .input
                    .mappings
                    .iter()
                    .find(|other| other.external_id == *project && other.enabled);
                if let Some(mapped) = mapped {
                    if self.input.taking_part.contains_key(&mapped.id) {
                        // The mapping of its new project takes it up.
                        return self.plan.unchanged.push(link.task_id);
                    }
                    let words = format!(
                        "moved to {:?} in the tool; it goes on once that takes part in a run",
                        mapped.external_name
                    );
                    self.leave(task, link, SkipReason::IncompleteListing.because(words));
                } else {
                    let after = Link {
                        state: LinkState::OutOfScope,
                        ..link.clone()
                    };
                    self.relink(
                        task,
                        link,
                        after,
                        SkipReason::OutOfScope.because("moved to a project of the tool that is not mapped"),
                    );
                }
            }
            Some(Absence::Unsure(reason)) => {
                let reason = SkipReason::AbsenceUnproven.because(reason.clone());
                self.leave(task, link, reason);
            }
            None => self.plan.unchanged.push(link.task_id),
        }
    }

    /// The tool's side is gone, with evidence. Before anything is deleted in the hub it must be seen so in two runs.
    pub(super) fn gone_in_tool(&mut self, task: &Task, link: &Link) {
        let run = self.setting().run_id;
        let gone = Link {
            state: LinkState::GoneRemote,
            absent_since: Some(run),
            ..link.clone()
        };
        let policy = self.input.options.deletions;
        if policy == DeletionPolicy::Keep || !self.setting().direction.pulls() {
            return self.relink(
                task,
                link,
                gone,
                SkipReason::GoneInTool.because("gone in the tool; kept in the hub"),
            );
        }
        let undecided = self.open.contains_key(&link.id);
        if undecided || link.edited_in_hub(task) || task.project_id != self.input.mapping.project_id {
            return self.relink(
                task,
                link,
                gone,
                SkipReason::GoneInTool.because("gone in the tool; kept in the hub, where it was edited since"),
            );
        }
        if link.absent_since.is_none_or(|seen| seen == run) {
            let after = Link {
                absent_since: Some(run),
                ..link.clone()
            };
            return self.relink(
                task,
                link,
                after,
                SkipReason::GoneInTool.because("gone in the tool; believed if the next run finds it so too"),
            );
        }
        let now = self.setting().now;
        let mut after = task.clone();
        after.updated_at = now;
        match policy {
            DeletionPolicy::Archive => after.archived_at = Some(now),
            _ => after.deleted_at = Some(now),
        }
        self.relink(task, link, gone, SkipReason::GoneInTool.because("gone in the tool"));
        if let Some(entry) = self.plan.entries.last_mut() {
            entry.action = Some(PlannedAction::DeleteInHub);
            entry.unit.tasks.push(TaskWrite::Update {
                task: Box::new(after),
                expected: task.version,
            });
            entry.unit.history.push(HistoryEntry {
                task_id: task.id,
                run_id: Some(run),
                connection_id: Some(link.connection_id),
                field: None,
                before: Value::text(task.title.clone()),
                after: Value::Empty,
                side: Side::Hub,
                rule: Rule::Deleted,
                at: now,
            });
        }
    }

    pub(super) fn deleted_in_hub(&mut self, task: &Task, link: &Link, remote: Option<&RemoteTask>) {
        let kept = Link {
            state: LinkState::GoneLocal,
            ..link.clone()
        };
        if self.input.options.deletions == DeletionPolicy::Keep {
            return self.relink(
                task,
                link,
                kept,
                SkipReason::GoneInHub.because("deleted in the hub; kept in the tool"),
            );
        }
        if !self.setting().direction.pushes() {
            let reason = SkipReason::Direction.because("deleted in the hub; this run may not change the tool");
            return self.leave(task, link, reason);
        }
        if let Some(reason) = self.input.blocked.get(&task.id) {
            let reason = reason.clone();
            return self.leave(task, link, reason);
        }
        let undecided = self.open.contains_key(&link.id);
        if undecided || remote.is_some_and(|remote| self.edited_in_tool(link, remote)) {
            return self.relink(
                task,
                link,
                kept,
                SkipReason::GoneInHub.because("deleted in the hub; kept in the tool, where it was edited since"),
            );
        }
        let push = if self.input.options.deletions == DeletionPolicy::Archive {
            let Some(remote) = remote else { return };
            let lens = Lens::new(self.input.translator, &self.input.mapping.external_id, &self.references);
            match lens.encode(Field::Status, &Value::Status(Status::Cancelled)) {
                Sendable::Now(status) => Push::Archive {
                    link_id: link.id,
                    task_id: task.id,
                    remote: Box::new(remote.clone()),
                    status,
                },
                _ => {
                    return self.relink(
                        task,
                        link,
                        kept,
                        SkipReason::GoneInHub.because("deleted in the hub; the tool has no status for archived"),
                    );
                }
            }
        } else {
            Push::Delete {
                link_id: link.id,
                task_id: task.id,
                external_id: link.external_id.clone(),
                undoes: false,
            }
        };
        self.plan.entries.push(Entry {
            action: Some(PlannedAction::DeleteInTool),
            title: task.title.clone(),
            task_id: Some(task.id),
            external_id: Some(link.external_id.clone()),
            changes: Vec::new(),
            reason: None,
            conflicted: false,
            unit: Unit::default(),
            push: Some(push),
        });
    }
}
