//! What happens in one mapping: every linked item, then what has no link yet.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::decide::Hold;
use super::hierarchy::{closes_cycle, depths};
use super::item::{Item, ItemMerge, Outgoing, Setting, merge_item};
use super::lens::{Lens, References, Sendable};
use super::matching::{Candidate, Matches, match_items};
use super::observation::{Absence, Observation};
use super::plan::{FieldChange, PlannedAction};
use crate::connection::{Decoded, FieldSupport, Translator};
use crate::model::{
    Base, Conflict, ConnectionOptions, DeletionPolicy, ExternalId, Field, HistoryEntry, Link, LinkId, LinkState,
    LocalBase, Mapping, MatchPolicy, RemoteBase, RemoteTask, RemoteValue, RowVersion, Rule, Side, Status, Task, TaskId,
    Value, text,
};
use crate::store::{LinkWrite, MatchGuard, TaskWrite, Unit};

/// Everything that the plan of one mapping depends on.
#[derive(Debug, Clone, Copy)]
pub struct MappingInput<'a> {
    /// The mapping.
    pub mapping: &'a Mapping,
    /// All mappings of the connection.
    pub mappings: &'a [Mapping],
    /// The connection's options.
    pub options: &'a ConnectionOptions,
    /// The tasks of the hub project, and those of links that point out of it.
    pub tasks: &'a HashMap<TaskId, Task>,
    /// All links of the connection.
    pub links: &'a [Link],
    /// The open conflicts of the connection.
    pub conflicts: &'a [Conflict],
    /// What the tool showed.
    pub observation: &'a Observation,
    /// The tool's tables.
    pub translator: &'a dyn Translator,
    /// Why nothing may be created in the tool now; `None`: it may.
    pub no_creation: Option<&'a str>,
    /// Why no new item of the tool may be taken over now (a create is unsettled); `None`: it may.
    pub no_import: Option<&'a str>,
    /// Tasks whose remote write is unsettled or failed in this run: nothing is sent for them.
    pub blocked: &'a HashMap<TaskId, String>,
    /// What is the same for all items.
    pub setting: Setting<'a>,
}

/// What goes to the tool for one item.
#[derive(Debug, Clone, PartialEq)]
pub enum Push {
    /// A new external task.
    Create {
        /// The hub task.
        task: Box<Task>,
        /// What is sent.
        fields: BTreeMap<Field, Outgoing>,
        /// How many of its ancestors are created by the same plan.
        depth: usize,
    },
    /// A changed external task.
    Update {
        /// The link.
        link_id: LinkId,
        /// The hub task.
        task_id: TaskId,
        /// The external task as it was decided on.
        remote: Box<RemoteTask>,
        /// What is sent.
        fields: BTreeMap<Field, Outgoing>,
        /// The mapping to move it to.
        move_to: Option<Box<Mapping>>,
    },
    /// A deleted external task.
    Delete {
        /// The link.
        link_id: LinkId,
        /// The hub task.
        task_id: TaskId,
        /// The external task.
        external_id: ExternalId,
    },
    /// An archived external task: a tool archives by a status of its own.
    Archive {
        /// The link.
        link_id: LinkId,
        /// The hub task.
        task_id: TaskId,
        /// The external task as it was decided on.
        remote: Box<RemoteTask>,
        /// The status that stands for archived.
        status: RemoteValue,
    },
}

/// What happens to one item.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// What is shown of it; `None`: only bases move, nothing that a person would call a change.
    pub action: Option<PlannedAction>,
    /// Its title.
    pub title: String,
    /// The hub task.
    pub task_id: Option<TaskId>,
    /// The external task.
    pub external_id: Option<ExternalId>,
    /// The fields that change or are held.
    pub changes: Vec<FieldChange>,
    /// Why it is left alone.
    pub reason: Option<String>,
    /// Whether a conflict was found that was not on record.
    pub conflicted: bool,
    /// What changes in the hub.
    pub unit: Unit,
    /// What goes to the tool.
    pub push: Option<Push>,
}

/// What happens in one mapping.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MappingPlan {
    /// Items for which something happens or that are skipped; parents before children.
    pub entries: Vec<Entry>,
    /// Linked items looked at and found unchanged.
    pub unchanged: Vec<TaskId>,
    /// Live links.
    pub linked: u64,
}

/// Plans one mapping. Pure and total.
#[must_use]
pub fn plan_mapping(input: &MappingInput<'_>) -> MappingPlan {
    let mut planner = Planner::new(input);
    let matches = planner.match_unlinked();
    planner.join_new(&matches);
    planner.create_in_hub(&matches);
    planner.link_matches(&matches);
    planner.merge_linked();
    planner.create_in_tool(&matches);
    planner.plan
}

struct Planner<'a> {
    input: &'a MappingInput<'a>,
    references: References,
    by_task: HashMap<TaskId, &'a Link>,
    by_external: HashMap<&'a ExternalId, &'a Link>,
    open: HashMap<LinkId, HashMap<Field, &'a Conflict>>,
    parents: HashMap<TaskId, TaskId>,
    imports: Vec<(TaskId, &'a RemoteTask)>,
    plan: MappingPlan,
}

impl<'a> Planner<'a> {
    fn new(input: &'a MappingInput<'a>) -> Self {
        let mut references = References::default();
        let mut open: HashMap<LinkId, HashMap<Field, &Conflict>> = HashMap::new();
        for link in input.links.iter().filter(|link| link.state == LinkState::Live) {
            references.join(link.task_id, link.external_id.clone());
        }
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
            by_task: input.links.iter().map(|link| (link.task_id, link)).collect(),
            by_external: input.links.iter().map(|link| (&link.external_id, link)).collect(),
            open,
            parents,
            imports: Vec::new(),
            plan: MappingPlan::default(),
        }
    }

    fn setting(&self) -> &Setting<'a> {
        &self.input.setting
    }

    fn is_ours(&self, task: &Task) -> bool {
        task.project_id == self.input.mapping.project_id
    }

    fn unlinked_remotes(&self) -> impl Iterator<Item = &'a RemoteTask> {
        self.input
            .observation
            .tasks
            .values()
            .filter(|remote| !self.by_external.contains_key(&remote.id) && remote.skip.is_none())
    }

    fn skip(&mut self, title: String, task: Option<TaskId>, external: Option<ExternalId>, reason: String) {
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

    fn match_unlinked(&self) -> Matches {
        let tasks: Vec<Candidate<TaskId>> = self
            .input
            .tasks
            .values()
            .filter(|task| self.is_ours(task) && !task.is_deleted())
            .map(|task| Candidate {
                key: task.id,
                title_key: task.title_key(),
                linked: self.by_task.contains_key(&task.id),
            })
            .collect();
        let observed = self
            .input
            .observation
            .tasks
            .values()
            .filter(|remote| remote.skip.is_none())
            .map(|remote| Candidate {
                key: remote.id.clone(),
                title_key: text::canonical_title(remote.title()),
                linked: self.by_external.contains_key(&remote.id),
            });
        // A linked item that was not listed has, as far as we know, the title of its hub task.
        let unlisted = self
            .input
            .links
            .iter()
            .filter(|link| link.mapping_id == self.input.mapping.id && link.state == LinkState::Live)
            .filter(|link| !self.input.observation.tasks.contains_key(&link.external_id))
            .filter_map(|link| {
                let task = self.input.tasks.get(&link.task_id)?;
                Some(Candidate {
                    key: link.external_id.clone(),
                    title_key: task.title_key(),
                    linked: true,
                })
            });
        let externals: Vec<Candidate<ExternalId>> = observed.chain(unlisted).collect();
        match_items(self.input.options.matching, &tasks, &externals)
    }

    /// Gives the new items their counterparts beforehand, so that references among them resolve.
    fn join_new(&mut self, matches: &Matches) {
        for (task, external) in &matches.pairs {
            self.references.join(*task, external.clone());
        }
        if self.input.no_import.is_some() || !self.setting().direction.pulls() {
            return;
        }
        let paired: HashSet<&ExternalId> = matches.pairs.iter().map(|(_, external)| external).collect();
        let imports: Vec<&'a RemoteTask> = self
            .unlinked_remotes()
            .filter(|remote| !paired.contains(&remote.id) && !matches.ambiguous_externals.contains_key(&remote.id))
            .collect();
        for remote in imports {
            let task = TaskId::generate();
            self.references.join(task, remote.id.clone());
            self.imports.push((task, remote));
        }
    }

    fn create_in_hub(&mut self, matches: &Matches) {
        let skipped: Vec<&'a RemoteTask> = self
            .input
            .observation
            .tasks
            .values()
            .filter(|remote| remote.skip.is_some())
            .collect();
        for remote in skipped {
            let reason = remote.skip.clone().unwrap_or_default();
            self.skip(remote.title().to_owned(), None, Some(remote.id.clone()), reason);
        }
        let held_back = match self.input.no_import {
            Some(reason) => Some(reason),
            None if !self.setting().direction.pulls() => Some("direction: this run may not change the hub"),
            None => None,
        };
        let paired: HashSet<&ExternalId> = matches.pairs.iter().map(|(_, external)| external).collect();
        let unmatched: Vec<&'a RemoteTask> = self
            .unlinked_remotes()
            .filter(|remote| !paired.contains(&remote.id))
            .collect();
        for remote in unmatched {
            let reason = match (matches.ambiguous_externals.get(&remote.id), held_back) {
                (Some(reason), _) => format!("ambiguous_match: {reason}"),
                (None, Some(reason)) => reason.to_owned(),
                (None, None) => continue,
            };
            self.skip(remote.title().to_owned(), None, Some(remote.id.clone()), reason);
        }
        let imports = std::mem::take(&mut self.imports);
        let ids: Vec<TaskId> = imports.iter().map(|(task, _)| *task).collect();
        let mut parents: HashMap<TaskId, TaskId> = HashMap::new();
        for (task, remote) in &imports {
            let parent = remote.value(Field::Parent).and_then(|value| value.as_external_id());
            if let Some(parent) = parent.and_then(|parent| self.references.task(&parent))
                && !closes_cycle(*task, parent, &parents)
            {
                parents.insert(*task, parent);
            }
        }
        let depths = depths(&ids, &parents);
        let mut ordered = imports;
        ordered.sort_by_key(|(task, _)| depths.get(task).copied().unwrap_or_default());
        for (task, remote) in ordered {
            let entry = self.import(task, remote, parents.get(&task).copied());
            self.parents.extend(parents.get(&task).map(|parent| (task, *parent)));
            self.plan.entries.push(entry);
        }
    }

    fn import(&self, id: TaskId, remote: &RemoteTask, parent: Option<TaskId>) -> Entry {
        let setting = self.setting();
        let mapping = self.input.mapping;
        let lens = Lens::new(self.input.translator, &mapping.external_id, &self.references);
        let mut task = Task::new(mapping.project_id, "(no title)", setting.now);
        task.id = id;
        task.source_tool = Some(setting.capabilities.tool.clone());
        let mut link = Link::new(mapping, id, remote.id.clone(), setting.now);
        link.external_url.clone_from(&remote.url);
        link.last_sync_at = Some(setting.now);
        let mut changes = Vec::new();
        for field in setting.capabilities.fields.keys() {
            let Some(observed) = remote.fields.get(field) else {
                continue;
            };
            let decoded = match lens.decode(*field, &observed.value) {
                Decoded::Exact(Value::Task(found)) if parent != Some(found) => {
                    Decoded::Unresolved("the tool's parent would close a cycle".to_owned())
                }
                decoded => decoded,
            };
            let base = match decoded {
                Decoded::Exact(value) | Decoded::Approximate(value) => match task.set(*field, value) {
                    Ok(()) => Base::agreed(task.get(*field), observed.value.clone()),
                    Err(_) => Base::agreed(task.get(*field), observed.value.clone()),
                },
                Decoded::Unresolved(reason) => {
                    changes.push(FieldChange {
                        field: *field,
                        side: None,
                        before: task.get(*field).to_string(),
                        after: observed.value.to_string(),
                        note: Some(format!("{}: {reason}", Hold::Unresolved.as_str())),
                    });
                    Base {
                        local: LocalBase::Agreed(task.get(*field)),
                        remote: RemoteBase::Unseen(observed.value.clone()),
                    }
                }
            };
            link.bases.insert(*field, base);
        }
        if !remote.metadata.is_empty() {
            let data = serde_json::Value::Object(remote.metadata.clone());
            task.metadata
                .insert(setting.capabilities.tool.as_str().to_owned(), data);
        }
        let guard = (self.input.options.matching != MatchPolicy::None).then(|| self.match_guard(&task));
        let title = task.title.clone();
        let history = HistoryEntry {
            task_id: id,
            run_id: Some(setting.run_id),
            connection_id: Some(mapping.connection_id),
            field: None,
            before: Value::Empty,
            after: Value::text(title.clone()),
            side: Side::Hub,
            rule: Rule::Created,
            at: setting.now,
        };
        Entry {
            action: Some(PlannedAction::CreateInHub),
            title,
            task_id: Some(id),
            external_id: Some(remote.id.clone()),
            changes,
            reason: None,
            conflicted: false,
            unit: Unit {
                tasks: vec![TaskWrite::Insert {
                    task: Box::new(task),
                    guard,
                }],
                links: vec![LinkWrite {
                    link: Box::new(link),
                    expected: None,
                }],
                history: vec![history],
                ..Unit::default()
            },
            push: None,
        }
    }

    fn match_guard(&self, task: &Task) -> MatchGuard {
        let title_key = task.title_key();
        let known: BTreeSet<TaskId> = self
            .input
            .tasks
            .values()
            .filter(|other| self.is_ours(other) && other.title_key() == title_key)
            .map(|other| other.id)
            .collect();
        MatchGuard {
            project_id: task.project_id,
            title_key,
            known,
        }
    }

    fn link_matches(&mut self, matches: &Matches) {
        for (task, external) in &matches.pairs {
            let (Some(task), Some(remote)) = (self.input.tasks.get(task), self.input.observation.tasks.get(external))
            else {
                continue;
            };
            let link = Link::new(self.input.mapping, task.id, external.clone(), self.setting().now);
            let merge = self.merge(Item {
                task,
                link: &link,
                link_after: &link,
                remote,
            });
            let entry = self.entry(PlannedAction::Link, task, &link, remote, merge, None);
            self.plan.entries.push(entry);
        }
    }

    fn merge(&self, item: Item<'_>) -> ItemMerge {
        let lens = Lens::new(self.input.translator, &self.input.mapping.external_id, &self.references);
        let none = HashMap::new();
        let open = self.open.get(&item.link.id).unwrap_or(&none);
        merge_item(item, open, &self.parents, &lens, self.setting())
    }

    fn entry(
        &self,
        action: PlannedAction,
        task: &Task,
        link: &Link,
        remote: &RemoteTask,
        merge: ItemMerge,
        move_to: Option<Box<Mapping>>,
    ) -> Entry {
        let held: Vec<String> = merge
            .changes
            .iter()
            .filter(|change| change.side.is_none())
            .filter_map(|change| Some(format!("{}: {}", change.field, change.note.as_deref()?)))
            .collect();
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
        let action = match (changes_something, held.is_empty() && !(wanted && blocked.is_some())) {
            (true, _) => Some(action),
            (false, false) => Some(PlannedAction::Skip),
            (false, true) => None,
        };
        let reason = match blocked {
            Some(reason) if wanted => Some(reason.clone()),
            _ => (!held.is_empty()).then(|| held.join("; ")),
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

    fn merge_linked(&mut self) {
        let links: Vec<&'a Link> = self.input.links.iter().filter(|link| self.concerns(link)).collect();
        for link in links {
            if link.state == LinkState::Live {
                self.plan.linked += 1;
            }
            let Some(task) = self.input.tasks.get(&link.task_id) else {
                self.plan.unchanged.push(link.task_id);
                continue;
            };
            let remote = self.input.observation.tasks.get(&link.external_id);
            match (link.state, remote) {
                (LinkState::Uncertain, _) => {
                    let reason = "uncertain: it is not settled whether the tool has it".to_owned();
                    self.skip(
                        task.title.clone(),
                        Some(task.id),
                        Some(link.external_id.clone()),
                        reason,
                    );
                }
                (LinkState::GoneLocal, _) if task.is_deleted() => self.plan.unchanged.push(link.task_id),
                (_, Some(remote)) if !task.is_deleted() => self.merge_present(task, link, remote),
                (LinkState::Live, Some(remote)) => self.deleted_in_hub(task, link, Some(remote)),
                (LinkState::Live, None) => self.not_observed(task, link),
                _ => self.plan.unchanged.push(link.task_id),
            }
        }
    }

    /// A link concerns this mapping if it was made here, or if its external task shows up here.
    fn concerns(&self, link: &Link) -> bool {
        let shown = self.input.observation.tasks.get(&link.external_id);
        match shown {
            Some(remote) => remote.project == self.input.mapping.external_id,
            None => link.mapping_id == self.input.mapping.id,
        }
    }

    fn merge_present(&mut self, task: &'a Task, link: &'a Link, remote: &'a RemoteTask) {
        let mapping = self.input.mapping;
        let mut after = link.clone();
        after.state = LinkState::Live;
        after.absent_since = None;
        let mut task_after = task.clone();
        let mut move_to = None;
        if link.mapping_id != mapping.id {
            // The tool moved it here; the hub follows unless somebody moved it in the hub too.
            after.mapping_id = mapping.id;
            if self.setting().direction.pulls() {
                task_after.project_id = mapping.project_id;
            }
        } else if task.project_id != mapping.project_id {
            let target = self
                .input
                .mappings
                .iter()
                .find(|other| other.project_id == task.project_id);
            match target {
                Some(target) if self.setting().direction.pushes() => move_to = Some(Box::new(target.clone())),
                Some(_) => {}
                None => after.state = LinkState::OutOfScope,
            }
        }
        if after.state == LinkState::OutOfScope {
            return self.relink(
                task,
                link,
                after,
                "out_of_scope: moved to a hub project that is not mapped here",
            );
        }
        let mut merge = self.merge(Item {
            task: &task_after,
            link,
            link_after: &after,
            remote,
        });
        if task_after.project_id != task.project_id {
            ensure_task_write(&mut merge.unit, &task_after, task.version);
            merge.pulls = true;
        }
        let entry = self.entry(PlannedAction::Update, task, link, remote, merge, move_to);
        if entry.action.is_none() && entry.unit.is_empty() {
            self.plan.unchanged.push(link.task_id);
        } else {
            self.plan.entries.push(entry);
        }
    }

    fn relink(&mut self, task: &Task, link: &Link, after: Link, reason: &str) {
        if after == *link {
            self.plan.unchanged.push(link.task_id);
            return;
        }
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
            reason: Some(reason.to_owned()),
            conflicted: false,
            unit: Unit {
                links: vec![write],
                ..Unit::default()
            },
            push: None,
        });
    }

    fn not_observed(&mut self, task: &'a Task, link: &'a Link) {
        match self.input.observation.absent.get(&link.external_id) {
            Some(Absence::Gone) if task.is_deleted() => {
                let after = Link {
                    state: LinkState::GoneLocal,
                    ..link.clone()
                };
                self.relink(task, link, after, "gone on both sides");
            }
            Some(Absence::Gone) => self.gone_in_tool(task, link),
            Some(Absence::MovedTo(project)) => {
                let mapped = self
                    .input
                    .mappings
                    .iter()
                    .any(|other| other.external_id == *project && other.enabled);
                if mapped {
                    // The mapping of its new project takes it up.
                    self.plan.unchanged.push(link.task_id);
                } else {
                    let after = Link {
                        state: LinkState::OutOfScope,
                        ..link.clone()
                    };
                    self.relink(
                        task,
                        link,
                        after,
                        "out_of_scope: moved to a project of the tool that is not mapped",
                    );
                }
            }
            Some(Absence::Unsure(reason)) => {
                let reason = format!("absence_unproven: {reason}");
                self.skip(
                    task.title.clone(),
                    Some(task.id),
                    Some(link.external_id.clone()),
                    reason,
                );
            }
            None => self.plan.unchanged.push(link.task_id),
        }
    }

    /// The tool's side is gone, with evidence. Before anything is deleted in the hub it must be seen so in two runs.
    fn gone_in_tool(&mut self, task: &'a Task, link: &'a Link) {
        let run = self.setting().run_id;
        let gone = Link {
            state: LinkState::GoneRemote,
            absent_since: Some(run),
            ..link.clone()
        };
        let policy = self.input.options.deletions;
        if policy == DeletionPolicy::Keep || !self.setting().direction.pulls() {
            return self.relink(task, link, gone, "gone in the tool; kept in the hub");
        }
        if edited_in_hub(task, link) {
            return self.relink(
                task,
                link,
                gone,
                "gone in the tool; kept in the hub, where it was edited since",
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
                "gone in the tool; believed if the next run finds it so too",
            );
        }
        let now = self.setting().now;
        let mut after = task.clone();
        after.updated_at = now;
        match policy {
            DeletionPolicy::Archive => after.archived_at = Some(now),
            _ => after.deleted_at = Some(now),
        }
        self.relink(task, link, gone, "gone in the tool");
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

    fn deleted_in_hub(&mut self, task: &'a Task, link: &'a Link, remote: Option<&'a RemoteTask>) {
        let kept = Link {
            state: LinkState::GoneLocal,
            ..link.clone()
        };
        if self.input.options.deletions == DeletionPolicy::Keep {
            return self.relink(task, link, kept, "deleted in the hub; kept in the tool");
        }
        if !self.setting().direction.pushes() {
            let reason = "direction: deleted in the hub; this run may not change the tool".to_owned();
            return self.skip(
                task.title.clone(),
                Some(task.id),
                Some(link.external_id.clone()),
                reason,
            );
        }
        if let Some(reason) = self.input.blocked.get(&task.id) {
            let reason = reason.clone();
            return self.skip(
                task.title.clone(),
                Some(task.id),
                Some(link.external_id.clone()),
                reason,
            );
        }
        if remote.is_some_and(|remote| edited_in_tool(link, remote)) {
            return self.relink(
                task,
                link,
                kept,
                "deleted in the hub; kept in the tool, where it was edited since",
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
                        "deleted in the hub; the tool has no status for archived",
                    );
                }
            }
        } else {
            Push::Delete {
                link_id: link.id,
                task_id: task.id,
                external_id: link.external_id.clone(),
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

    fn create_in_tool(&mut self, matches: &Matches) {
        let paired: HashSet<TaskId> = matches.pairs.iter().map(|(task, _)| *task).collect();
        let mut wanted: Vec<&'a Task> = self
            .input
            .tasks
            .values()
            .filter(|task| self.is_ours(task) && !task.is_deleted() && task.archived_at.is_none())
            .filter(|task| !self.by_task.contains_key(&task.id) && !paired.contains(&task.id))
            .collect();
        wanted.sort_by_key(|task| task.id);
        let mut creating = Vec::new();
        for task in wanted {
            let reason = if let Some(reason) = matches.ambiguous_tasks.get(&task.id) {
                Some(format!("ambiguous_match: {reason}"))
            } else if !self.setting().direction.pushes() {
                Some("direction: this run may not change the tool".to_owned())
            } else if let Some(reason) = self.input.blocked.get(&task.id) {
                Some(reason.clone())
            } else {
                self.input.no_creation.map(str::to_owned)
            };
            match reason {
                Some(reason) => self.skip(task.title.clone(), Some(task.id), None, reason),
                None => creating.push(task),
            }
        }
        for task in &creating {
            self.references.plan_creation(task.id);
        }
        let ids: Vec<TaskId> = creating.iter().map(|task| task.id).collect();
        let depths = depths(&ids, &self.parents);
        creating.sort_by_key(|task| (depths.get(&task.id).copied().unwrap_or_default(), task.id));
        for task in creating {
            let depth = depths.get(&task.id).copied().unwrap_or_default();
            self.export(task, depth);
        }
    }

    fn export(&mut self, task: &'a Task, depth: usize) {
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
            let reason = "unholdable: the tool cannot hold the title".to_owned();
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

/// Puts the task's project into the unit's write, or adds a write.
fn ensure_task_write(unit: &mut Unit, after: &Task, expected: RowVersion) {
    if unit.tasks.is_empty() {
        unit.tasks.push(TaskWrite::Update {
            task: Box::new(after.clone()),
            expected,
        });
    }
}

fn edited_in_hub(task: &Task, link: &Link) -> bool {
    link.bases.iter().any(|(field, base)| match &base.local {
        LocalBase::Agreed(value) => !value.is_same(&task.get(*field), *field),
        LocalBase::Unsent => false,
    })
}

fn edited_in_tool(link: &Link, remote: &RemoteTask) -> bool {
    link.bases
        .iter()
        .any(|(field, base)| match (&base.remote, remote.fields.get(field)) {
            (RemoteBase::Agreed(value), Some(now)) => !now.derived && *value != now.value,
            _ => false,
        })
}
