//! New items of the tool from hub tasks.

use std::collections::{BTreeMap, HashSet};

use super::planner::Planner;
use super::planning::Step;
use super::{Entry, Push};
use crate::connection::FieldSupport;
use crate::model::{Field, Rule, Side, SkipReason, Task, TaskEntry, TaskId};
use crate::reconcile::decision::Hold;
use crate::reconcile::hierarchy::depths;
use crate::reconcile::item::Outgoing;
use crate::reconcile::lens::{Lens, Sendable};
use crate::reconcile::matching::Matches;
use crate::reconcile::plan::{FieldChange, PlannedAction};
use crate::store::Unit;

impl<'a> Planner<'a> {
    pub(super) fn exports(&mut self, matches: &Matches) -> Vec<Step<'a>> {
        let paired: HashSet<TaskId> = matches.pairs.iter().map(|(task, _)| *task).collect();
        let mut wanted: Vec<&'a TaskEntry> = self
            .input
            .tasks
            .values()
            .filter(|task| self.is_ours(task) && !task.deleted && !task.archived)
            .filter(|task| !self.by_task.contains_key(&task.id) && !paired.contains(&task.id))
            .collect();
        wanted.sort_by_key(|task| task.id);
        let (mut steps, mut creating) = (Vec::new(), Vec::new());
        for task in wanted {
            let reason = if let Some(reason) = self.input.blocked.get(&task.id) {
                Some(reason.clone())
            } else if let Some(reason) = matches.ambiguous_tasks.get(&task.id) {
                Some(SkipReason::AmbiguousMatch.because(reason.clone()))
            } else if !self.setting().direction.pushes() {
                Some(SkipReason::Direction.because("this run may not change the tool"))
            } else {
                self.input.no_creation.cloned()
            };
            match reason {
                Some(reason) => steps.push(Step::LeaveTask(task, reason)),
                None => creating.push(task),
            }
        }
        for task in &creating {
            self.references.plan_creation(task.id);
        }
        let ids: Vec<TaskId> = creating.iter().map(|task| task.id).collect();
        let depths = depths(&ids, self.parents.planned());
        creating.sort_by_key(|task| (depths.get(&task.id).copied().unwrap_or_default(), task.id));
        let export = |task: &'a TaskEntry| Step::Export(task, depths.get(&task.id).copied().unwrap_or_default());
        steps.extend(creating.into_iter().map(export));
        steps
    }

    pub(super) fn export(&mut self, task: &Task, depth: usize) {
        let lens = Lens::new(self.input.translator, &self.input.mapping.external_id, &self.references);
        let mut fields = BTreeMap::new();
        let mut changes = Vec::new();
        for (field, support) in &self.setting().capabilities.fields {
            let local = task.get(*field);
            if *support != FieldSupport::ReadWrite || local.is_empty() {
                continue;
            }
            let sent = lens.encode(*field, &local);
            let note = match &sent {
                Sendable::Unholdable(reason) => Some(format!("{}: {reason}", Hold::Unholdable.as_str())),
                _ => None,
            };
            changes.push(FieldChange {
                field: *field,
                side: note.is_none().then_some(Side::External),
                before: String::new(),
                after: local.to_string(),
                note: note.clone(),
            });
            if note.is_none() {
                fields.insert(
                    *field,
                    Outgoing {
                        local,
                        sent,
                        seen: None,
                        loser: None,
                        rule: Rule::Created,
                    },
                );
            }
        }
        if !fields.contains_key(&Field::Title) {
            let reason = SkipReason::Unholdable.because("the tool cannot hold the title");
            return self.skip(task.title.clone(), Some(task.id), None, reason);
        }
        self.plan.entries.push(Entry {
            action: Some(PlannedAction::CreateInTool),
            title: task.title.clone(),
            task_id: Some(task.id),
            external_id: None,
            changes,
            reason: None,
            conflicted: false,
            unit: Unit::default(),
            push: Some(Push::Create {
                task: Box::new(task.clone()),
                fields,
                depth,
            }),
        });
    }
}
