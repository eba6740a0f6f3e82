//! Fields get back what stood there before, as far as they still hold what the run wrote.

use std::collections::BTreeMap;

use super::{Undoing, change};
use crate::model::{
    Field, HistoryEntry, Intent, IntentOperation, LocalBase, RemoteValue, Rule, Side, SkipReason, Task, TaskPatch,
    Value,
};
use crate::reconcile::hierarchy::closes_cycle;
use crate::reconcile::item::Outgoing;
use crate::reconcile::lens::Sendable;
use crate::reconcile::mapping::{Entry, Push};
use crate::reconcile::plan::{FieldChange, PlannedAction};
use crate::store::{LinkWrite, TaskWrite, Unit};

impl Undoing<'_> {
    /// Gives fields back what stood there before.
    pub(super) fn restore(mut self) -> Option<Entry> {
        let mut after = self.task.clone();
        let mut told = Vec::new();
        let mut changes = Vec::new();
        let mut link = self.link.cloned();
        for (field, before, value) in self.hub_values() {
            let moved_on = self.changed_since(|entry| entry.side == Side::Hub && entry.field == Some(field))
                || !value.is_same(&self.task.get(field), field)
                || !self.untouched_in_tool(field);
            if moved_on {
                self.leave(SkipReason::ChangedSince, field, "it holds another value now");
                continue;
            }
            if let Some(words) = self.held_by_direction(Side::Hub) {
                self.leave(SkipReason::Direction, field, words);
                continue;
            }
            if let Some(words) = self.unfit_parent(&before) {
                self.leave(SkipReason::CannotUndo, field, words);
                continue;
            }
            let patch: TaskPatch = [(field, before.clone())].into_iter().collect();
            if patch.apply(&mut after, self.input.setting.now).is_err() {
                self.leave(SkipReason::CannotUndo, field, "its value of then is none that it takes");
                continue;
            }
            changes.push(change(field, Side::Hub, value.to_string(), before.to_string()));
            told.push(self.told(Some(field), value, before.clone()));
            if let Some(base) = link.as_mut().and_then(|link| link.bases.get_mut(&field)) {
                base.local = LocalBase::Agreed(before);
            }
        }
        if self
            .history
            .iter()
            .any(|entry| self.ours(entry) && entry.rule == Rule::Moved)
        {
            let detail = "it was moved to another project, and Magnus does not move it back";
            self.left.push(SkipReason::CannotUndo.because(detail));
        }
        self.undelete(&mut after, &mut told);
        let fields = self.outgoing(&after, &mut changes);
        let mut unit = Unit::default();
        if !told.is_empty() {
            after.updated_at = self.input.setting.now;
            unit.tasks.push(TaskWrite::Update {
                task: Box::new(after),
                expected: self.task.version,
            });
            unit.history = told;
        }
        if let (Some(after), Some(before)) = (link, self.link)
            && after != *before
        {
            unit.links.push(LinkWrite {
                link: Box::new(after),
                expected: Some(before.version),
            });
        }
        let push = self.push(fields);
        let reason = self.reason();
        let action = match (&push, unit.is_empty(), &reason) {
            (None, true, None) => return None,
            (None, true, Some(_)) => PlannedAction::Skip,
            _ => PlannedAction::Update,
        };
        Some(Entry {
            changes,
            reason,
            unit,
            push,
            ..self.entry(action)
        })
    }

    /// Why a task cannot go below this one again. `None`: it can, or it is no parent.
    fn unfit_parent(&self, before: &Value) -> Option<&'static str> {
        let Value::Task(parent) = before else { return None };
        if self.input.tasks.get(parent).is_some_and(Task::is_deleted) || self.removed.contains(parent) {
            return Some("what it was below is deleted");
        }
        closes_cycle(self.task.id, *parent, self.parents).then_some("what it was below is below it by now")
    }

    /// What the run changed in the hub: field, value before, value after.
    pub(super) fn hub_values(&self) -> Vec<(Field, Value, Value)> {
        let mut values: BTreeMap<Field, (Value, Value)> = BTreeMap::new();
        for entry in self
            .history
            .iter()
            .filter(|entry| self.ours(entry) && entry.side == Side::Hub)
        {
            let Some(field) = entry.field else { continue };
            values
                .entry(field)
                .and_modify(|(_, after)| after.clone_from(&entry.after))
                .or_insert_with(|| (entry.before.clone(), entry.after.clone()));
        }
        values
            .into_iter()
            .map(|(field, (before, after))| (field, before, after))
            .collect()
    }

    /// A deletion that the run carried over into the hub is taken back; the link stays as it is, so that nothing is made
    /// anew in the tool.
    pub(super) fn undelete(&mut self, after: &mut Task, told: &mut Vec<HistoryEntry>) {
        let deleted = self
            .history
            .iter()
            .any(|entry| self.ours(entry) && entry.side == Side::Hub && entry.rule == Rule::Deleted);
        if !deleted || self.changed_since(|entry| entry.side == Side::Hub) {
            return;
        }
        if let Some(words) = self.held_by_direction(Side::Hub) {
            self.left.push(SkipReason::Direction.because(words));
            return;
        }
        if after.deleted_at.take().is_some() || after.archived_at.take().is_some() {
            told.push(self.told(None, Value::Empty, Value::text(self.task.title.clone())));
        }
    }

    /// What goes back to the tool, in the tool's own values of then.
    pub(super) fn outgoing(&mut self, after: &Task, changes: &mut Vec<FieldChange>) -> BTreeMap<Field, Outgoing> {
        let mut seen: BTreeMap<Field, RemoteValue> = BTreeMap::new();
        let updates = |intent: &&Intent| matches!(intent.operation, IntentOperation::Update { .. });
        for intent in self.intents().filter(updates) {
            for (field, sent) in &intent.fields {
                if let Some(before) = &sent.seen {
                    seen.entry(*field).or_insert_with(|| before.clone());
                }
            }
        }
        let connection = self.input.mapping.connection_id;
        let mut fields = BTreeMap::new();
        for (field, before) in seen {
            let Some(now) = self.observed().and_then(|remote| remote.fields.get(&field)) else {
                self.leave(SkipReason::CannotUndo, field, "the tool does not show it");
                continue;
            };
            if now.value == before {
                continue;
            }
            let by_later_run = self.changed_since(|entry| {
                entry.side == Side::External && entry.connection_id == Some(connection) && entry.field == Some(field)
            });
            if now.derived || by_later_run || !self.untouched_in_tool(field) {
                self.leave(SkipReason::ChangedSince, field, "the tool holds another value now");
                continue;
            }
            if let Some(words) = self.held_by_direction(Side::External) {
                self.leave(SkipReason::Direction, field, words);
                continue;
            }
            // Noted as agreed on, an edit of the hub since would never be sent.
            let base = self
                .link
                .and_then(|link| link.bases.get(&field))
                .map(|base| &base.local);
            let edited = |agreed: &Value| !agreed.is_same(&self.task.get(field), field);
            if matches!(base, Some(LocalBase::Agreed(agreed)) if edited(agreed)) {
                self.leave(
                    SkipReason::ChangedSince,
                    field,
                    "the hub holds another value now, which goes out next",
                );
                continue;
            }
            changes.push(change(field, Side::External, now.value.to_string(), before.to_string()));
            let outgoing = Outgoing {
                local: after.get(field),
                sent: Sendable::Now(before),
                seen: Some(now.value.clone()),
                loser: None,
                rule: Rule::Undone,
            };
            fields.insert(field, outgoing);
        }
        fields
    }

    pub(super) fn push(&self, fields: BTreeMap<Field, Outgoing>) -> Option<Push> {
        if fields.is_empty() {
            return None;
        }
        Some(Push::Update {
            link_id: self.link?.id,
            task_id: self.task.id,
            remote: Box::new(self.observed()?.clone()),
            fields,
            move_to: None,
        })
    }
}
