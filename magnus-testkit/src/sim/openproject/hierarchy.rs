//! What a change of one work package does to its ancestors.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, Utc};

use super::options::{OpenProjectOptions, Progress};
use super::schedule::Calendar;
use super::state::State;
use super::types::WorkPackage;

/// Sums over a work package and everything below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Totals {
    pub(super) estimated_minutes: Option<i64>,
    pub(super) remaining_minutes: Option<i64>,
    done_minutes: i64,
}

impl Totals {
    pub(super) fn percentage(self) -> Option<i64> {
        self.estimated_minutes
            .filter(|work| *work > 0)
            .map(|work| self.done_minutes * 100 / work)
    }
}

/// Who is whose child, built once for many questions.
#[derive(Debug)]
pub(super) struct Tree<'state> {
    state: &'state State,
    children: BTreeMap<u64, Vec<u64>>,
}

impl<'state> Tree<'state> {
    pub(super) fn new(state: &'state State) -> Self {
        let mut children: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        for child in state.work_packages.values() {
            if let Some(parent) = child.parent_id {
                children.entry(parent).or_default().push(child.id);
            }
        }
        Self { state, children }
    }

    pub(super) fn children(&self, id: u64) -> impl Iterator<Item = &'state WorkPackage> {
        let ids = self.children.get(&id).map(Vec::as_slice).unwrap_or_default();
        ids.iter().filter_map(|child| self.state.work_packages.get(child))
    }

    pub(super) fn totals(&self, id: u64) -> Totals {
        let mut totals = Totals::default();
        let mut open = vec![id];
        let mut seen = BTreeSet::new();
        while let Some(next) = open.pop() {
            let Some(item) = self.state.work_packages.get(&next).filter(|_| seen.insert(next)) else {
                continue;
            };
            let add = |sum: Option<i64>, part: Option<i64>| part.map_or(sum, |part| Some(sum.unwrap_or(0) + part));
            totals.estimated_minutes = add(totals.estimated_minutes, item.estimated_minutes);
            totals.remaining_minutes = add(totals.remaining_minutes, item.remaining_minutes);
            totals.done_minutes += item.estimated_minutes.unwrap_or(0) * item.percentage_done.unwrap_or(0) / 100;
            open.extend(self.children(next).map(|child| child.id));
        }
        totals
    }

    /// First and last day of the children, if any of them has one.
    pub(super) fn span(&self, id: u64) -> (Option<NaiveDate>, Option<NaiveDate>) {
        let days = || {
            self.children(id)
                .flat_map(|child| [child.start_date, child.due_date])
                .flatten()
        };
        (days().min(), days().max())
    }
}

/// Moves automatic successors to where their predecessors let them start; returns those that moved.
fn reschedule(state: &mut State, options: &OpenProjectOptions) -> BTreeSet<u64> {
    let mut moved = BTreeSet::new();
    // A chain is at most as long as there are pairs; a circle stops there too.
    for _ in 0..state.follows.len() {
        for (successor, predecessor) in state.follows.clone() {
            let Some(end) = state.work_packages.get(&predecessor).and_then(|item| item.due_date) else {
                continue;
            };
            let Some(item) = state.work_packages.get_mut(&successor) else {
                continue;
            };
            let weekends_off = options.non_working_days && !item.ignore_non_working_days;
            let calendar = Calendar { weekends_off };
            let Some(start) = calendar.day_after(end).filter(|_| !item.schedule_manually) else {
                continue;
            };
            let due = item.duration_days.and_then(|days| calendar.due_after(start, days));
            if item.start_date != Some(start) || (due.is_some() && item.due_date != due) {
                (item.start_date, item.due_date) = (Some(start), due.or(item.due_date));
                moved.insert(successor);
            }
        }
    }
    moved
}

/// The ancestors that a change may touch, as they were before it.
#[derive(Debug)]
pub(super) struct Watch {
    totals: BTreeMap<u64, Totals>,
    had_children: BTreeMap<u64, bool>,
}

impl Watch {
    /// Watches the given parents and all above them.
    pub(super) fn new(state: &State, parents: impl IntoIterator<Item = u64>) -> Self {
        let mut ids = BTreeSet::new();
        for parent in parents {
            ids.extend(state.ancestors(parent));
            ids.insert(parent);
        }
        let tree = Tree::new(state);
        Self {
            totals: ids.iter().map(|id| (*id, tree.totals(*id))).collect(),
            had_children: ids
                .iter()
                .map(|id| (*id, tree.children(*id).next().is_some()))
                .collect(),
        }
    }

    /// Brings the watched ancestors in line with the state after the change; those that change get a new version.
    pub(super) fn settle(self, state: &mut State, options: &OpenProjectOptions, now: DateTime<Utc>) {
        let mut touched = reschedule(state, options);
        let follows: BTreeSet<u64> = state.follows.keys().copied().collect();
        // From the leaves up: ids of ancestors have no order, so repeat until nothing moves.
        loop {
            let mut moved = false;
            for (id, had_children) in &self.had_children {
                let tree = Tree::new(state);
                let (has_children, span) = (tree.children(*id).next().is_some(), tree.span(*id));
                let Some(item) = state.work_packages.get_mut(id) else {
                    continue;
                };
                let before = item.clone();
                if options.parent_becomes_automatic && has_children && !had_children {
                    item.schedule_manually = false;
                }
                if !has_children && !follows.contains(id) {
                    item.schedule_manually = true;
                }
                if !item.schedule_manually && has_children {
                    (item.start_date, item.due_date) = span;
                    let weekends_off = options.non_working_days && !item.ignore_non_working_days;
                    item.duration_days = match span {
                        (Some(start), Some(due)) => Some(Calendar { weekends_off }.duration(start, due)),
                        _ => None,
                    };
                }
                if *item != before {
                    touched.insert(*id);
                    moved = true;
                }
            }
            if !moved {
                break;
            }
        }
        if options.progress != Progress::Independent {
            let tree = Tree::new(state);
            touched.extend(
                self.totals
                    .iter()
                    .filter(|(id, before)| tree.totals(**id) != **before)
                    .map(|(id, _)| *id),
            );
        }
        for id in touched {
            if let Some(item) = state.work_packages.get_mut(&id) {
                item.lock_version += 1;
                item.updated_at = now;
            }
        }
    }
}
