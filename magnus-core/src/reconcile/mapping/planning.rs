//! The plan of one mapping, entry by entry.

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

/// The parts of a plan, in order: each knows what the ones before it have decided.
#[derive(Debug, Clone, Copy)]
enum Part {
    Imports,
    Joins,
    Merges,
    Exports,
}

/// Plans one mapping, an entry at a time: all entries together are several times as large as what they are made of, so whoever
/// can do with one after the other never holds them all. Pure and total: another one of the same input plans the same, but for
/// the ids of new hub tasks.
pub struct Planning<'a> {
    planner: Planner<'a>,
    matches: Matches,
    parts: VecDeque<Part>,
    steps: VecDeque<Step<'a>>,
    ready: VecDeque<Entry>,
}

impl std::fmt::Debug for Planning<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Planning")
            .field("parts", &self.parts)
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
        Self {
            planner,
            matches,
            parts: VecDeque::from([Part::Imports, Part::Joins, Part::Merges, Part::Exports]),
            steps: VecDeque::new(),
            ready: VecDeque::new(),
        }
    }

    /// What a plan says besides its entries; whole once all of them were taken. The entries that were not are in it.
    #[must_use]
    pub fn rest(self) -> MappingPlan {
        MappingPlan {
            entries: self.ready.into(),
            ..self.planner.plan
        }
    }
}

impl Iterator for Planning<'_> {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        loop {
            if let Some(entry) = self.ready.pop_front() {
                return Some(entry);
            }
            match self.steps.pop_front() {
                Some(step) => self.planner.take(step),
                None => {
                    self.steps = match self.parts.pop_front()? {
                        Part::Imports => self.planner.imports(&self.matches),
                        Part::Joins => self.planner.joins(&self.matches),
                        Part::Merges => self.planner.merges(),
                        Part::Exports => self.planner.exports(&self.matches),
                    }
                    .into();
                }
            }
            self.ready.extend(self.planner.plan.entries.drain(..));
        }
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
