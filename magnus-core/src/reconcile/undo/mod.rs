//! The inverse of a run: fields that still hold what the run wrote get back what stood there before, what the run made is
//! removed, and what people changed since is left alone and said so.
//!
//! Both bases move along, so that what is undone is no edit of either side: the next sync leaves it as it is.

mod fields;
mod whole;

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use crate::model::{
    ExternalId, Field, HistoryEntry, Intent, IntentOperation, IntentState, Link, LinkState, Mapping, Reason,
    RemoteBase, RemoteTask, Rule, RunId, Side, SkipReason, Task, TaskId, Value,
};
use crate::reconcile::hierarchy::depths;
use crate::reconcile::item::Setting;
use crate::reconcile::mapping::{Entry, MappingPlan};
use crate::reconcile::observation::Observation;
use crate::reconcile::plan::{FieldChange, PlannedAction};
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
    /// The links of the tasks touched on other connections.
    pub elsewhere: &'a [Link],
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
    let mut parents: HashMap<TaskId, TaskId> = input
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
            observed: links
                .get(&task.id)
                .and_then(|link| input.observation.tasks.get(&link.external_id)),
            removed: &removed,
            parents: &parents,
            left: Vec::new(),
        };
        let entry = item.entries();
        for write in entry.iter().flat_map(|entry| &entry.unit.tasks) {
            let (TaskWrite::Insert { task, .. } | TaskWrite::Update { task, .. }) = write;
            match task.parent_id {
                Some(parent) => drop(parents.insert(task.id, parent)),
                None => drop(parents.remove(&task.id)),
            }
        }
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
    /// The tool's item, as it is now.
    observed: Option<RemoteTask>,
    /// Tasks that go from the hub.
    removed: &'a HashSet<TaskId>,
    /// Who is below whom, with what was planned so far.
    parents: &'a HashMap<TaskId, TaskId>,
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

    /// Why a side may not be changed by this run; `None`: it may.
    const fn held_by_direction(&self, side: Side) -> Option<&'static str> {
        let direction = self.input.setting.direction;
        match side {
            Side::Hub if !direction.pulls() => Some("this run may not change the hub"),
            Side::External if !direction.pushes() => Some("this run may not change the tool"),
            _ => None,
        }
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

    const fn observed(&self) -> Option<&RemoteTask> {
        self.observed.as_ref()
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
