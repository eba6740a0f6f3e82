//! What the steps of planning a mapping share.

use std::collections::{BTreeSet, HashMap};

use super::{Entry, Push};
use super::{MappingInput, MappingPlan};
use crate::model::{
    Conflict, ExternalId, Field, Link, LinkId, LinkState, Mapping, Reason, RemoteBase, RemoteTask, SkipReason, Task,
    TaskEntry, TaskId,
};
use crate::reconcile::hierarchy::{Parents, depths};
use crate::reconcile::item::{Item, ItemMerge, Setting, merge_item};
use crate::reconcile::lens::{Lens, References};
use crate::reconcile::observation::Absence;
use crate::reconcile::plan::{FieldChange, PlannedAction};
use crate::reconcile::sightings::Brief;
use crate::store::{LinkWrite, TaskWrite, Unit};

pub(super) struct Planner<'a> {
    pub(super) input: &'a MappingInput<'a>,
    pub(super) references: References,
    pub(super) by_task: HashMap<TaskId, &'a Link>,
    /// Links of tasks that a person brought back after the tool's side was gone: they are matched or made there anew.
    pub(super) free: HashMap<TaskId, &'a Link>,
    pub(super) by_external: HashMap<&'a ExternalId, &'a Link>,
    /// The tasks of the items at hand.
    pub(super) tasks: HashMap<TaskId, Task>,
    /// Their links, with the bases.
    pub(super) links: HashMap<LinkId, Link>,
    pub(super) open: HashMap<LinkId, HashMap<Field, &'a Conflict>>,
    pub(super) parents: Parents,
    /// The tasks of the project by canonical title, once something is imported.
    pub(super) titles: HashMap<String, BTreeSet<TaskId>>,
    pub(super) imports: Vec<(TaskId, &'a ExternalId)>,
    pub(super) plan: MappingPlan,
}

impl<'a> Planner<'a> {
    pub(super) fn new(input: &'a MappingInput<'a>) -> Self {
        let mut references = References::default();
        let mut open: HashMap<LinkId, HashMap<Field, &Conflict>> = HashMap::new();
        // What is gone must not be referred to, and that is known before anything that may refer to it is decided.
        let is_gone = |link: &Link| matches!(input.observation.absent.get(&link.external_id), Some(Absence::Gone));
        for link in input
            .links
            .iter()
            .filter(|link| link.state == LinkState::Live && !is_gone(link))
        {
            references.join(link.task_id, link.external_id.clone());
        }
        let is_free = |link: &Link| match link.state {
            LinkState::Restored => !input.observation.tasks.contains(&link.external_id),
            LinkState::GoneLocal => {
                let task = input.tasks.get(&link.task_id);
                task.is_some_and(|task| !task.deleted) && is_gone(link)
            }
            _ => false,
        };
        let (free, bound): (Vec<&Link>, Vec<&Link>) = input.links.iter().partition(|link| is_free(link));
        for conflict in input.conflicts {
            open.entry(conflict.link_id)
                .or_default()
                .insert(conflict.field, conflict);
        }
        let parents = input
            .tasks
            .values()
            .filter_map(|task| task.parent_id.map(|parent| (task.id, parent)))
            .collect();
        Self {
            input,
            references,
            by_task: bound.into_iter().map(|link| (link.task_id, link)).collect(),
            free: free.into_iter().map(|link| (link.task_id, link)).collect(),
            by_external: input.links.iter().map(|link| (&link.external_id, link)).collect(),
            tasks: HashMap::new(),
            links: HashMap::new(),
            open,
            parents: Parents::stored(parents),
            titles: HashMap::new(),
            imports: Vec::new(),
            plan: MappingPlan::default(),
        }
    }

    pub(super) fn setting(&self) -> &Setting<'a> {
        &self.input.setting
    }

    /// A link with its bases. `None` if it was not brought, or is another one by now: then its item is for another round.
    pub(super) fn link(&mut self, link: &Link) -> Option<Link> {
        let whole = self
            .links
            .remove(&link.id)
            .filter(|whole| whole.version == link.version);
        self.plan.drifted |= whole.is_none();
        whole
    }

    /// A task, whole. `None` if it was not brought, or was changed meanwhile: then it is for another round.
    pub(super) fn task(&mut self, task: &TaskEntry) -> Option<Task> {
        let whole = self
            .tasks
            .remove(&task.id)
            .filter(|whole| whole.version == task.version);
        self.plan.drifted |= whole.is_none();
        whole
    }

    pub(super) fn is_ours(&self, task: &TaskEntry) -> bool {
        task.project_id == self.input.mapping.project_id
    }

    /// Whether somebody worked on the tool's item since the sides last agreed. A parent that it lost because the parent is
    /// gone is no such work.
    pub(super) fn edited_in_tool(&self, link: &Link, remote: &RemoteTask) -> bool {
        link.fields_moved_in_tool(remote)
            .any(|field| field != Field::Parent || !self.lost_its_parent(link, remote))
    }

    fn lost_its_parent(&self, link: &Link, remote: &RemoteTask) -> bool {
        let emptied = remote
            .value(Field::Parent)
            .is_none_or(crate::model::RemoteValue::is_null);
        let before = match link.bases.get(&Field::Parent).map(|base| &base.remote) {
            Some(RemoteBase::Agreed(value)) => value.as_external_id(),
            _ => None,
        };
        let is_there = |parent: &ExternalId| {
            let task = self
                .by_external
                .get(parent)
                .and_then(|link| self.input.tasks.get(&link.task_id));
            self.input.observation.tasks.contains(parent) && task.is_some_and(|task| !task.deleted)
        };
        emptied && before.is_some_and(|parent| !is_there(&parent))
    }

    pub(super) fn unlinked_remotes(&self) -> impl Iterator<Item = &'a ExternalId> {
        let shown = self.input.observation.tasks.briefs();
        shown
            .filter(|(id, remote)| !self.by_external.contains_key(id) && remote.skip.is_none())
            .map(|(id, _)| id)
    }

    pub(super) fn skip(&mut self, title: String, task: Option<TaskId>, external: Option<ExternalId>, reason: Reason) {
        self.plan.entries.push(Entry {
            action: Some(PlannedAction::Skip),
            title,
            task_id: task,
            external_id: external,
            changes: Vec::new(),
            reason: Some(reason),
            conflicted: false,
            unit: Unit::default(),
            push: None,
        });
    }

    /// A linked item is left as it is on both sides in this round.
    pub(super) fn leave(&mut self, task: &Task, link: &Link, reason: Reason) {
        let (title, id) = (task.title.clone(), link.external_id.clone());
        self.skip(title, Some(task.id), Some(id), reason);
    }

    pub(super) fn merge(&self, item: Item<'_>, destination: Option<&Mapping>) -> ItemMerge {
        let here = &self.input.mapping.external_id;
        let there = destination.map_or(here, |mapping| &mapping.external_id);
        let lens = Lens::new(self.input.translator, here, &self.references).towards(there);
        let none = HashMap::new();
        let open = self.open.get(&item.link.id).unwrap_or(&none);
        merge_item(item, open, &self.parents, &lens, self.setting())
    }

    /// What is decided on a later item knows the parents that earlier ones get: taken over one by one, they must not close a
    /// circle together.
    pub(super) fn note_parent(&mut self, merge: &ItemMerge) {
        for write in &merge.unit.tasks {
            let (TaskWrite::Insert { task, .. } | TaskWrite::Update { task, .. }) = write;
            self.parents.plan(task.id, task.parent_id);
        }
        self.plan.waits |= merge.waits;
    }

    /// How deep each item that the tool showed lies there.
    pub(super) fn depths_in_tool(&self) -> HashMap<&'a ExternalId, usize> {
        let shown = &self.input.observation.tasks;
        let keys: Vec<&ExternalId> = shown.ids().collect();
        let above = |brief: &'a Brief| brief.parent.as_ref().filter(|parent| shown.contains(parent));
        let parents = shown
            .briefs()
            .filter_map(|(id, brief)| Some((id, above(brief)?)))
            .collect();
        depths(&keys, &parents)
    }

    pub(super) fn entry(
        &self,
        action: PlannedAction,
        task: &Task,
        link: &Link,
        remote: &RemoteTask,
        merge: ItemMerge,
        move_to: Option<Box<Mapping>>,
    ) -> Entry {
        let held = held(&merge);
        let blocked = self.input.blocked.get(&task.id);
        let wanted = !merge.pushes.is_empty() || move_to.is_some();
        let push = (wanted && blocked.is_none()).then(|| Push::Update {
            link_id: link.id,
            task_id: task.id,
            remote: Box::new(remote.clone()),
            fields: merge.pushes,
            move_to,
        });
        let changes_something = merge.pulls || push.is_some() || action != PlannedAction::Update;
        let action = match (changes_something, held.is_none() && !(wanted && blocked.is_some())) {
            (true, _) => Some(action),
            (false, false) => Some(PlannedAction::Skip),
            (false, true) => None,
        };
        let reason = match blocked {
            Some(reason) if wanted => Some(reason.clone()),
            _ => held,
        };
        Entry {
            action,
            title: task.title.clone(),
            task_id: Some(task.id),
            external_id: Some(link.external_id.clone()),
            changes: merge.changes,
            reason,
            conflicted: merge.new_conflict,
            unit: merge.unit,
            push,
        }
    }

    pub(super) fn relink(&mut self, task: &Task, link: &Link, after: Link, reason: Reason) {
        if after == *link {
            self.plan.unchanged.push(link.task_id);
            return;
        }
        // Of what is gone there is nothing left to decide.
        let open = self.open.get(&link.id).into_iter().flatten();
        let ends = !matches!(after.state, LinkState::Live | LinkState::Uncertain);
        let closed = open
            .filter(|_| ends)
            .map(|(_, conflict)| conflict.closed(self.setting().now).into());
        let conflicts = closed.collect();
        let write = LinkWrite {
            link: Box::new(after),
            expected: Some(link.version),
        };
        self.plan.entries.push(Entry {
            action: Some(PlannedAction::Unlink),
            title: task.title.clone(),
            task_id: Some(task.id),
            external_id: Some(link.external_id.clone()),
            changes: Vec::new(),
            reason: Some(reason),
            conflicted: false,
            unit: Unit {
                links: vec![write],
                conflicts,
                ..Unit::default()
            },
            push: None,
        });
    }
}

/// Why fields are held: the reason of the first, and all of them in words.
fn held(merge: &ItemMerge) -> Option<Reason> {
    let held = merge.changes.iter().filter(|change| change.side.is_none());
    let notes: Vec<(&FieldChange, &str)> = held
        .filter_map(|change| Some((change, change.note.as_deref()?)))
        .collect();
    let code = notes
        .first()?
        .1
        .split(':')
        .next()?
        .parse()
        .unwrap_or(SkipReason::Conflict);
    // The code stands before all words.
    let once = |note: &str| match note.split_once(": ") {
        Some((of_note, words)) if of_note == code.as_str() => words.to_owned(),
        _ => note.to_owned(),
    };
    let words: Vec<String> = notes
        .iter()
        .map(|(change, note)| format!("{}: {}", change.field, once(note)))
        .collect();
    Some(code.because(words.join("; ")))
}
