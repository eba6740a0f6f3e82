//! The plan of one mapping, slice by slice.

use std::collections::VecDeque;

use super::planner::Planner;
use super::{Entry, MappingInput, MappingPlan};
use crate::model::{Link, Reason, RemoteTask, Task, TaskId};
use crate::reconcile::matching::Matches;

/// What is to be looked at.
#[derive(Debug)]
pub(super) enum Step<'a> {
    /// An item of the tool that is left alone.
    LeaveRemote(&'a RemoteTask, Reason),
    /// A hub task that is left alone.
    LeaveTask(&'a Task, Reason),
    /// A new hub task, with its parent.
    Import(TaskId, &'a RemoteTask, Option<TaskId>),
    /// Two that are the same.
    Join(&'a Task, &'a RemoteTask),
    /// Two that are linked.
    Merge(&'a Link),
    /// A new item of the tool, and how many of its ancestors are new, too.
    Export(&'a Task, usize),
}

/// How many items are looked at before what happens to them is handed out.
const SLICE: usize = 256;

/// Plans one mapping, slice by slice. All entries and all bases together are several times as large as what they are made
/// of, so nobody holds them all: [`Planning::upcoming`] tells whose links are wanted whole, and [`Planning::slice`] takes
/// them for what happens next.
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

    /// The hub tasks whose links the next slice is decided on; `None` once all is planned.
    pub fn upcoming(&mut self) -> Option<Vec<TaskId>> {
        if self.steps.is_empty() && !self.with_exports {
            self.with_exports = true;
            self.steps = self.planner.exports(&self.matches).into();
        }
        if self.steps.is_empty() {
            return None;
        }
        let next = self.steps.iter().take(SLICE);
        let linked = next.filter_map(|step| match step {
            Step::Merge(link) => Some(link.task_id),
            Step::Join(task, _) => self.planner.free.contains_key(&task.id).then_some(task.id),
            _ => None,
        });
        Some(linked.collect())
    }

    /// What happens to the next items, with the links of [`Planning::upcoming`], whole. An item whose link is not among them,
    /// or is another one by now, is left to another round.
    pub fn slice(&mut self, links: Vec<Link>) -> Vec<Entry> {
        self.planner.whole = links.into_iter().map(|link| (link.id, link)).collect();
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
        match step {
            Step::LeaveRemote(remote, reason) => {
                self.skip(remote.title().to_owned(), None, Some(remote.id.clone()), reason);
            }
            Step::LeaveTask(task, reason) => self.skip(task.title.clone(), Some(task.id), None, reason),
            Step::Import(task, remote, parent) => {
                let entry = self.import(task, remote, parent);
                self.parents.plan(task, parent);
                self.plan.entries.push(entry);
            }
            Step::Join(task, remote) => self.join(task, remote),
            Step::Merge(link) => self.merge_link(link),
            Step::Export(task, depth) => self.export(task, depth),
        }
    }
}
