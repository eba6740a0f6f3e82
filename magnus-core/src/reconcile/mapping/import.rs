//! New hub tasks from the tool's items.

use std::collections::{HashMap, HashSet};

use super::Entry;
use super::planner::Planner;
use super::planning::Step;
use crate::connection::Decoded;
use crate::model::{
    Base, ExternalId, HistoryEntry, Link, LocalBase, MatchPolicy, RemoteBase, RemoteTask, Rule, Side, SkipReason, Task,
    TaskId, Value,
};
use crate::reconcile::decision::Hold;
use crate::reconcile::hierarchy::{closes_cycle, depths};
use crate::reconcile::lens::Lens;
use crate::reconcile::matching::Matches;
use crate::reconcile::metadata::with_told;
use crate::reconcile::plan::{FieldChange, PlannedAction};
use crate::store::{LinkWrite, MatchGuard, TaskWrite, Unit};

impl<'a> Planner<'a> {
    pub(super) fn imports(&mut self, matches: &Matches) -> Vec<Step<'a>> {
        let mut steps = Vec::new();
        for (id, remote) in self.input.observation.tasks.briefs() {
            let Some(reason) = remote.skip.clone() else { continue };
            steps.push(Step::LeaveRemote(id, reason));
        }
        let held_back = match self.input.no_import {
            Some(reason) => Some(reason.clone()),
            None if !self.setting().direction.pulls() => {
                Some(SkipReason::Direction.because("this run may not change the hub"))
            }
            None => None,
        };
        let paired: HashSet<&ExternalId> = matches.pairs.iter().map(|(_, external)| external).collect();
        for remote in self.unlinked_remotes().filter(|remote| !paired.contains(remote)) {
            let reason = match (matches.ambiguous_externals.get(remote), &held_back) {
                (Some(reason), _) => SkipReason::AmbiguousMatch.because(reason.clone()),
                (None, Some(reason)) => reason.clone(),
                (None, None) => continue,
            };
            steps.push(Step::LeaveRemote(remote, reason));
        }
        let imports = std::mem::take(&mut self.imports);
        if !imports.is_empty() {
            let (tasks, here) = (self.input.tasks, self.input.mapping.project_id);
            for task in tasks.values().filter(|task| task.project_id == here) {
                self.titles.entry(task.title_key()).or_default().insert(task.id);
            }
        }
        let ids: Vec<TaskId> = imports.iter().map(|(task, _)| *task).collect();
        let mut parents: HashMap<TaskId, TaskId> = HashMap::new();
        for (task, remote) in &imports {
            let parent = self
                .input
                .observation
                .tasks
                .brief(remote)
                .and_then(|brief| brief.parent.as_ref());
            if let Some(parent) = parent.and_then(|parent| self.references.task(parent))
                && !closes_cycle(*task, parent, &parents)
            {
                parents.insert(*task, parent);
            }
        }
        let depths = depths(&ids, &parents);
        let mut ordered = imports;
        ordered.sort_by_key(|(task, _)| depths.get(task).copied().unwrap_or_default());
        let import = |(task, remote): (TaskId, &'a ExternalId)| Step::Import(task, remote, parents.get(&task).copied());
        steps.extend(ordered.into_iter().map(import));
        steps
    }

    pub(super) fn import(&self, id: TaskId, remote: &RemoteTask, parent: Option<TaskId>) -> Entry {
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
            let taken = match decoded {
                Decoded::Exact(value) | Decoded::Approximate(value) => {
                    task.set(*field, value).map_err(|error| error.to_string())
                }
                Decoded::Unresolved(reason) => Err(reason),
            };
            let base = match taken {
                Ok(()) => Base::agreed(task.get(*field), observed.value.clone()),
                Err(reason) => {
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
        let tool = &setting.capabilities.tool;
        if let Some(metadata) = with_told(&task.metadata, tool, mapping.connection_id, &remote.metadata) {
            task.metadata = metadata;
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

    pub(super) fn match_guard(&self, task: &Task) -> MatchGuard {
        let title_key = task.title_key();
        let known = self.titles.get(&title_key).cloned().unwrap_or_default();
        MatchGuard {
            project_id: task.project_id,
            title_key,
            known,
        }
    }
}
