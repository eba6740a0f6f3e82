//! What has no link yet: matched, or to be created on the other side.

use std::collections::HashSet;

use super::planner::Planner;
use super::planning::Step;
use crate::model::{ExternalId, Link, LinkState, RemoteTask, Task, TaskId, text};
use crate::reconcile::item::Item;
use crate::reconcile::matching::{Candidate, Matches, match_items};
use crate::reconcile::plan::PlannedAction;

impl<'a> Planner<'a> {
    pub(super) fn match_unlinked(&self) -> Matches {
        let tasks: Vec<Candidate<TaskId>> = self
            .input
            .tasks
            .values()
            .filter(|task| self.is_ours(task) && !task.deleted)
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
            .briefs()
            .filter(|(_, remote)| remote.skip.is_none())
            .map(|(id, remote)| Candidate {
                key: id.clone(),
                title_key: text::canonical_title(&remote.title),
                linked: self.by_external.contains_key(id),
            });
        // A linked item that was not listed has, as far as we know, the title of its hub task.
        let unlisted = self
            .input
            .links
            .iter()
            .filter(|link| link.mapping_id == self.input.mapping.id && link.state == LinkState::Live)
            .filter(|link| !self.input.observation.tasks.contains(&link.external_id))
            .filter_map(|link| {
                let task = self.input.tasks.get(&link.task_id)?;
                Some(Candidate {
                    key: link.external_id.clone(),
                    title_key: task.title_key(),
                    linked: true,
                })
            });
        let externals: Vec<Candidate<ExternalId>> = observed.chain(unlisted).collect();
        let mut matches = match_items(self.input.options.matching, &tasks, &externals);
        // What an unsettled create has made may be another item: joined with this one, its task would be there twice.
        matches.hold_back(|task| {
            let reason = self.input.blocked.get(&task)?;
            Some(format!("the task of this title waits: {}", reason.detail))
        });
        matches
    }

    /// Gives the new items their counterparts beforehand, so that references among them resolve.
    pub(super) fn join_new(&mut self, matches: &Matches) {
        for (task, external) in &matches.pairs {
            self.references.join(*task, external.clone());
        }
        if self.input.no_import.is_some() || !self.setting().direction.pulls() {
            return;
        }
        let paired: HashSet<&ExternalId> = matches.pairs.iter().map(|(_, external)| external).collect();
        let imports: Vec<&'a ExternalId> = self
            .unlinked_remotes()
            .filter(|remote| !paired.contains(remote) && !matches.ambiguous_externals.contains_key(*remote))
            .collect();
        for remote in imports {
            let task = TaskId::generate();
            self.references.join(task, remote.clone());
            self.imports.push((task, remote));
        }
    }

    pub(super) fn joins(&self, matches: &Matches) -> Vec<Step<'a>> {
        let depths = self.depths_in_tool();
        let mut pairs: Vec<&(TaskId, ExternalId)> = matches.pairs.iter().collect();
        pairs.sort_by_key(|(_, external)| depths.get(external).copied().unwrap_or_default());
        pairs
            .into_iter()
            .filter_map(|(task, external)| {
                let task = self.input.tasks.get(task)?;
                Some(Step::Join(task, self.input.observation.tasks.key(external)?))
            })
            .collect()
    }

    pub(super) fn join(&mut self, task: &Task, remote: &RemoteTask) {
        let now = self.setting().now;
        let (link, after) = match self.free.get(&task.id).copied() {
            Some(free) => {
                let Some(free) = self.link(free) else { return };
                let after = free.turned_to(self.input.mapping, remote.id.clone(), now);
                (free, after)
            }
            None => {
                let link = Link::new(self.input.mapping, task.id, remote.id.clone(), now);
                (link.clone(), link)
            }
        };
        let item = Item {
            task,
            link: &link,
            link_after: &after,
            remote,
        };
        let merge = self.merge(item, None);
        self.note_parent(&merge);
        let entry = self.entry(PlannedAction::Link, task, &link, remote, merge, None);
        self.plan.entries.push(entry);
    }
}
