//! The plan of one mapping, slice by slice.

use std::collections::VecDeque;

use super::planner::Planner;
use super::{Entry, MappingInput, MappingPlan};
use crate::model::{ExternalId, Link, Reason, Task, TaskEntry, TaskId};
use crate::reconcile::matching::Matches;

/// What is to be looked at.
#[derive(Debug)]
pub(super) enum Step<'a> {
    /// An item of the tool that is left alone.
    LeaveRemote(&'a ExternalId, Reason),
    /// A hub task that is left alone.
    LeaveTask(&'a TaskEntry, Reason),
    /// A new hub task, with its parent.
    Import(TaskId, &'a ExternalId, Option<TaskId>),
    /// Two that are the same.
    Join(&'a TaskEntry, &'a ExternalId),
    /// Two that are linked.
    Merge(&'a Link),
    /// A new item of the tool, and how many of its ancestors are new, too.
    Export(&'a TaskEntry, usize),
}

/// How many items are looked at before what happens to them is handed out.
const SLICE: usize = 256;

/// Plans one mapping, slice by slice. All tasks, links and entries together are many times as large as what must be known of
/// all of them at once, so nobody holds them all: [`Planning::upcoming`] tells which are wanted whole, and
/// [`Planning::slice`] takes them for what happens next.
///
/// Pure and total. Another one of the same input plans the same, but for the ids of new hub tasks.
pub struct Planning<'a> {
    planner: Planner<'a>,
    matches: Matches,
    steps: VecDeque<Step<'a>>,
    /// Whether what the tool lacks is among the steps: that is known once all else is decided.
    with_exports: bool,
}

impl std::fmt::Debug for Planning<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Planning")
            .field("steps", &self.steps.len())
            .finish_non_exhaustive()
    }
}

impl<'a> Planning<'a> {
    /// Begins a plan.
    #[must_use]
    pub fn new(input: &'a MappingInput<'a>) -> Self {
        let mut planner = Planner::new(input);
        let matches = planner.match_unlinked();
        planner.join_new(&matches);
        let mut steps = VecDeque::from(planner.imports(&matches));
        steps.extend(planner.joins(&matches));
        steps.extend(planner.merges());
        Self {
            planner,
            matches,
            steps,
            with_exports: false,
        }
    }

    /// The hub tasks that the next slice decides on, with their links; `None` once all is planned.
    pub fn upcoming(&mut self) -> Option<Vec<TaskId>> {
        if self.steps.is_empty() && !self.with_exports {
            self.with_exports = true;
            self.steps = self.planner.exports(&self.matches).into();
        }
        if self.steps.is_empty() {
            return None;
        }
        let next = self.steps.iter().take(SLICE);
        let wanted = next.filter_map(|step| match step {
            Step::Merge(link) => Some(link.task_id),
            Step::Join(task, _) | Step::Export(task, _) => Some(task.id),
            Step::LeaveRemote(..) | Step::LeaveTask(..) | Step::Import(..) => None,
        });
        Some(wanted.collect())
    }

    /// What happens to the next items, with the tasks of [`Planning::upcoming`] and their links on the connection, whole. An
    /// item of which they are not among these, or are others by now, is left to another round.
    pub fn slice(&mut self, tasks: Vec<Task>, links: Vec<Link>) -> Vec<Entry> {
        self.planner.tasks = tasks.into_iter().map(|task| (task.id, task)).collect();
        self.planner.links = links.into_iter().map(|link| (link.id, link)).collect();
        for step in self.steps.drain(..self.steps.len().min(SLICE)) {
            self.planner.take(step);
        }
        std::mem::take(&mut self.planner.plan.entries)
    }

    /// What the plan says besides its entries; whole once nothing is upcoming.
    #[must_use]
    pub fn rest(self) -> MappingPlan {
        self.planner.plan
    }
}

impl<'a> Planner<'a> {
    fn take(&mut self, step: Step<'a>) {
        let shown = &self.input.observation.tasks;
        match step {
            Step::LeaveRemote(remote, reason) => {
                let title = shown.brief(remote).map(|brief| brief.title.clone());
                self.skip(title.unwrap_or_default(), None, Some(remote.clone()), reason);
            }
            Step::LeaveTask(task, reason) => self.skip(task.title.clone(), Some(task.id), None, reason),
            Step::Import(task, remote, parent) => {
                let Some(remote) = shown.get(remote) else { return };
                let entry = self.import(task, &remote, parent);
                self.parents.plan(task, parent);
                self.plan.entries.push(entry);
            }
            Step::Join(task, remote) => {
                if let (Some(task), Some(remote)) = (self.task(task), shown.get(remote)) {
                    self.join(&task, &remote);
                }
            }
            Step::Merge(link) => self.merge_link(link),
            Step::Export(task, depth) => {
                if let Some(task) = self.task(task) {
                    self.export(&task, depth);
                }
            }
        }
    }
}
