//! The inverse of a run: fields that still hold what the run wrote get back what stood there before, what the run made is
//! removed, and what people changed since is left alone and said so.
//!
//! Both bases move along, so that what is undone is no edit of either side: the next sync leaves it as it is.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};

use super::hierarchy::depths;
use super::item::{Outgoing, Setting};
use super::lens::Sendable;
use super::mapping::{Entry, MappingPlan, Push};
use super::observation::Observation;
use super::plan::{FieldChange, PlannedAction};
use crate::model::{
    ExternalId, Field, HistoryEntry, Intent, IntentOperation, IntentState, Link, LinkState, LocalBase, Mapping, Reason,
    RemoteBase, RemoteTask, RemoteValue, Rule, RunId, Side, SkipReason, Task, TaskId, TaskPatch, Value,
};
use crate::store::{LinkWrite, TaskWrite, Unit};

/// Everything that the undoing of one run in one mapping depends on.
#[derive(Debug, Clone, Copy)]
pub struct UndoInput<'a> {
    /// The run to be undone.
    pub undone: RunId,
    /// The mapping.
    pub mapping: &'a Mapping,
    /// The tasks that the run touched in this mapping.
    pub touched: &'a HashSet<TaskId>,
    /// The tasks of the hub project, and those touched.
    pub tasks: &'a HashMap<TaskId, Task>,
    /// All that was ever changed on each task touched, oldest first.
    pub history: &'a HashMap<TaskId, Vec<HistoryEntry>>,
    /// The journal of the run, oldest first.
    pub intents: &'a [Intent],
    /// All links of the connection.
    pub links: &'a [Link],
    /// The external tasks of those links, read now.
    pub observation: &'a Observation,
    /// What is the same for all items.
    pub setting: Setting<'a>,
}

/// Plans the inverse of a run in one mapping. Pure and total.
#[must_use]
pub fn plan_undo(input: &UndoInput<'_>) -> MappingPlan {
    let mut plan = MappingPlan::default();
    let links: HashMap<TaskId, &Link> = input.links.iter().map(|link| (link.task_id, link)).collect();
    let live = |link: &&&Link| link.mapping_id == input.mapping.id && link.state == LinkState::Live;
    plan.linked = u64::try_from(links.values().filter(live).count()).unwrap_or(u64::MAX);
    let mut touched: Vec<&Task> = input.touched.iter().filter_map(|id| input.tasks.get(id)).collect();
    let ids: Vec<TaskId> = touched.iter().map(|task| task.id).collect();
    let parents: HashMap<TaskId, TaskId> = input
        .tasks
        .values()
        .filter_map(|task| Some((task.id, task.parent_id?)))
        .collect();
    let depths = depths(&ids, &parents);
    // Children first: a parent goes only if all of them go.
    touched.sort_by_key(|task| (Reverse(depths.get(&task.id).copied()), task.id));
    let mut removed = HashSet::new();
    for task in touched {
        let item = Undoing {
            input,
            task,
            link: links.get(&task.id).copied(),
            history: input.history.get(&task.id).map_or(&[], Vec::as_slice),
            removed: &removed,
            left: Vec::new(),
        };
        let entry = item.entries();
        if entry
            .as_ref()
            .is_some_and(|entry| entry.action == Some(PlannedAction::DeleteInHub))
        {
            removed.insert(task.id);
        }
        plan.entries.extend(entry);
    }
    plan
}

/// One item whose changes are taken back.
struct Undoing<'a> {
    input: &'a UndoInput<'a>,
    task: &'a Task,
    link: Option<&'a Link>,
    history: &'a [HistoryEntry],
    /// Tasks that go from the hub.
    removed: &'a HashSet<TaskId>,
    /// What is left alone, with the reasons.
    left: Vec<Reason>,
}

impl<'a> Undoing<'a> {
    fn entries(mut self) -> Option<Entry> {
        if self.was_made_in_hub() {
            return self.remove_from_hub();
        }
        match self.whole_item() {
            Some(IntentOperation::Create { .. }) => return self.remove_from_tool(),
            Some(_) => {
                let detail = "the tool has deleted or archived it, and Magnus does not make it anew";
                self.left.push(SkipReason::CannotUndo.because(detail));
            }
            None => {}
        }
        self.restore()
    }

    fn ours(&self, entry: &HistoryEntry) -> bool {
        entry.run_id == Some(self.input.undone)
    }

    fn was_made_in_hub(&self) -> bool {
        self.history
            .iter()
            .any(|entry| self.ours(entry) && entry.side == Side::Hub && entry.rule == Rule::Created)
    }

    /// The applied intents of the run for this task.
    fn intents(&self) -> impl Iterator<Item = &'a Intent> {
        let task = self.task.id;
        let applied = |intent: &&Intent| matches!(intent.state, IntentState::Settled { applied: true, .. });
        self.input
            .intents
            .iter()
            .filter(move |intent| intent.task_id == task)
            .filter(applied)
    }

    /// A creation or a deletion in the tool, if the run did that.
    fn whole_item(&self) -> Option<&'a IntentOperation> {
        self.intents()
            .map(|intent| &intent.operation)
            .find(|operation| !matches!(operation, IntentOperation::Update { .. }))
    }

    /// Whether anything but the run itself changed the task after it first did.
    fn changed_since(&self, is_it: impl Fn(&HistoryEntry) -> bool) -> bool {
        let last = self.history.iter().rposition(|entry| self.ours(entry) && is_it(entry));
        let after = last.map_or(0, |last| last + 1);
        self.history[after..]
            .iter()
            .any(|entry| !self.ours(entry) && is_it(entry))
    }

    fn observed(&self) -> Option<&'a RemoteTask> {
        self.input.observation.tasks.get(&self.link?.external_id)
    }

    /// Whether a field of the tool's item is as it was left.
    fn untouched_in_tool(&self, field: Field) -> bool {
        let base = self.link.and_then(|link| link.bases.get(&field));
        let now = self.observed().and_then(|remote| remote.fields.get(&field));
        match (base.map(|base| &base.remote), now) {
            (Some(RemoteBase::Agreed(value) | RemoteBase::Unseen(value)), Some(now)) => {
                now.derived || *value == now.value
            }
            _ => true,
        }
    }

    /// A hub task that the run took over from the tool goes again, unless somebody worked on it since.
    fn remove_from_hub(self) -> Option<Entry> {
        if self.task.is_deleted() {
            return None;
        }
        // That another tool has got it meanwhile is no work on it.
        let foreign = self
            .history
            .iter()
            .any(|entry| !self.ours(entry) && entry.side == Side::Hub)
            || self.link.is_some_and(|link| link.moved_in_hub(self.task));
        let has_children = self.input.tasks.values().any(|other| {
            other.parent_id == Some(self.task.id) && !other.is_deleted() && !self.removed.contains(&other.id)
        });
        if foreign || has_children {
            let reason = if foreign {
                "it was changed in the hub since"
            } else {
                "it has subtasks that stay"
            };
            return Some(self.skip(SkipReason::ChangedSince.because(reason)));
        }
        let now = self.input.setting.now;
        let mut task = self.task.clone();
        task.deleted_at = Some(now);
        task.updated_at = now;
        let mut unit = Unit {
            tasks: vec![TaskWrite::Update {
                task: Box::new(task),
                expected: self.task.version,
            }],
            history: vec![self.told(None, Value::text(self.task.title.clone()), Value::Empty)],
            ..Unit::default()
        };
        if let Some(link) = self.link {
            unit.links.push(relink(link, LinkState::GoneLocal));
        }
        Some(Entry {
            unit,
            ..self.entry(PlannedAction::DeleteInHub)
        })
    }

    /// An item of the tool that the run made goes again, unless somebody worked on it since.
    fn remove_from_tool(self) -> Option<Entry> {
        let link = self.link.filter(|link| link.state == LinkState::Live)?;
        let remote = self.observed()?;
        let ours_too = |entry: &HistoryEntry| {
            entry.side == Side::External && entry.connection_id == Some(self.input.mapping.connection_id)
        };
        if link.moved_in_tool(remote) || self.changed_since(ours_too) {
            return Some(self.skip(SkipReason::ChangedSince.because("it was changed in the tool since")));
        }
        Some(Entry {
            push: Some(Push::Delete {
                link_id: link.id,
                task_id: self.task.id,
                external_id: remote.id.clone(),
            }),
            ..self.entry(PlannedAction::DeleteInTool)
        })
    }

    /// Gives fields back what stood there before.
    fn restore(mut self) -> Option<Entry> {
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

    /// What the run changed in the hub: field, value before, value after.
    fn hub_values(&self) -> Vec<(Field, Value, Value)> {
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
    fn undelete(&self, after: &mut Task, told: &mut Vec<HistoryEntry>) {
        let deleted = self
            .history
            .iter()
            .any(|entry| self.ours(entry) && entry.side == Side::Hub && entry.rule == Rule::Deleted);
        if !deleted || self.changed_since(|entry| entry.side == Side::Hub) {
            return;
        }
        if after.deleted_at.take().is_some() || after.archived_at.take().is_some() {
            told.push(self.told(None, Value::Empty, Value::text(self.task.title.clone())));
        }
    }

    /// What goes back to the tool, in the tool's own values of then.
    fn outgoing(&mut self, after: &Task, changes: &mut Vec<FieldChange>) -> BTreeMap<Field, Outgoing> {
        let mut seen: BTreeMap<Field, RemoteValue> = BTreeMap::new();
        for intent in self.intents() {
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

    fn push(&self, fields: BTreeMap<Field, Outgoing>) -> Option<Push> {
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

    fn told(&self, field: Option<Field>, before: Value, after: Value) -> HistoryEntry {
        HistoryEntry {
            task_id: self.task.id,
            run_id: Some(self.input.setting.run_id),
            connection_id: Some(self.input.mapping.connection_id),
            field,
            before,
            after,
            side: Side::Hub,
            rule: Rule::Undone,
            at: self.input.setting.now,
        }
    }

    fn leave(&mut self, code: SkipReason, field: Field, detail: &str) {
        self.left.push(code.because(format!("{field}: {detail}")));
    }

    /// Why something is left alone: the first reason, and all of them in words.
    fn reason(&self) -> Option<Reason> {
        let code = self.left.first()?.code;
        let words: Vec<&str> = self.left.iter().map(|reason| reason.detail.as_str()).collect();
        Some(code.because(words.join("; ")))
    }

    fn skip(&self, reason: Reason) -> Entry {
        Entry {
            reason: Some(reason),
            ..self.entry(PlannedAction::Skip)
        }
    }

    fn entry(&self, action: PlannedAction) -> Entry {
        Entry {
            action: Some(action),
            title: self.task.title.clone(),
            task_id: Some(self.task.id),
            external_id: self.link.map(|link: &Link| -> ExternalId { link.external_id.clone() }),
            changes: Vec::new(),
            reason: None,
            conflicted: false,
            unit: Unit::default(),
            push: None,
        }
    }
}

fn relink(link: &Link, state: LinkState) -> LinkWrite {
    let after = Link { state, ..link.clone() };
    LinkWrite {
        link: Box::new(after),
        expected: Some(link.version),
    }
}

fn change(field: Field, side: Side, before: String, after: String) -> FieldChange {
    FieldChange {
        field,
        side: Some(side),
        before,
        after,
        note: Some(Rule::Undone.to_string()),
    }
}
