//! How much a run may do, as its guard has let it begin.

use std::collections::{HashMap, HashSet};

use super::guard::{Extent, Risk, guard};
use super::mapping::{Entry, Push};
use super::plan::PlannedAction;
use super::poison::leave_alone;
use crate::model::{GuardLimits, SkipReason, TaskId};
use crate::store::Unit;

/// What the plans would do that a guard looked at. A run plans its later rounds anew, on a hub that people go on editing:
/// what comes up meanwhile counts on top.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allowance {
    linked: u64,
    in_tool: u64,
    counted: HashMap<Risk, HashSet<TaskId>>,
    /// What a person has agreed to: this, and nothing else that may befall the same task.
    confirmed: HashMap<Risk, HashSet<TaskId>>,
}

/// What befalls tasks that a guard counts, and was not looked at before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coming {
    tasks: HashMap<Risk, HashSet<TaskId>>,
}

/// What is taken out of a later plan, by what befalls whom, with the reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Withheld {
    tasks: HashMap<Risk, (String, HashSet<TaskId>)>,
}

impl Allowance {
    /// Counts what the sides of one mapping have: the live links, and the items that the tool has.
    pub const fn add_sides(&mut self, linked: u64, in_tool: u64) {
        self.linked += linked;
        self.in_tool += in_tool;
    }

    /// Counts an entry of a first plan. What a person has confirmed is allowed and does not count.
    pub fn add(&mut self, entry: &Entry, confirmed: bool) {
        if let (Some(risk), Some(task)) = (risk(entry), entry.task_id) {
            let counted = if confirmed {
                &mut self.confirmed
            } else {
                &mut self.counted
            };
            counted.entry(risk).or_default().insert(task);
        }
    }

    /// Why a person should look first; empty: go on.
    #[must_use]
    pub fn halts(&self, limits: &GuardLimits) -> Vec<String> {
        guard(&self.extent(), limits)
    }

    /// Looks at an entry of a later plan, before any of that is carried out.
    pub fn look(&self, entry: &Entry, coming: &mut Coming) {
        let (Some(risk), Some(task)) = (risk(entry), entry.task_id) else {
            return;
        };
        let known =
            |tasks: &HashMap<Risk, HashSet<TaskId>>| tasks.get(&risk).is_some_and(|tasks| tasks.contains(&task));
        if !known(&self.counted) && !known(&self.confirmed) {
            coming.tasks.entry(risk).or_default().insert(task);
        }
    }

    /// Counts what came up since, too. What exceeds a limit together with all before is to be taken out of the plan.
    #[must_use]
    pub fn admit(&mut self, mut coming: Coming, limits: &GuardLimits) -> Withheld {
        let mut withheld = Withheld::default();
        for kind in Risk::ALL {
            let Some(new) = coming.tasks.remove(&kind) else {
                continue;
            };
            self.counted.entry(kind).or_default().extend(&new);
            if let Some(exceeded) = kind.exceeds(&self.extent(), limits) {
                if let Some(counted) = self.counted.get_mut(&kind) {
                    counted.retain(|task| !new.contains(task));
                }
                withheld.tasks.insert(kind, (exceeded, new));
            }
        }
        withheld
    }

    fn extent(&self) -> Extent {
        let count = |risk| {
            let tasks = self.counted.get(&risk).map_or(0, HashSet::len);
            u64::try_from(tasks).unwrap_or(u64::MAX)
        };
        Extent {
            linked: self.linked,
            in_tool: self.in_tool,
            deletions: count(Risk::Deletion),
            overwrites: count(Risk::Overwrite),
            creations: count(Risk::Creation),
        }
    }
}

impl Withheld {
    /// Why something is taken out, once for each kind of risk; empty: nothing is.
    pub fn reasons(&self) -> impl Iterator<Item = &str> {
        let kinds = Risk::ALL.into_iter().filter_map(|kind| self.tasks.get(&kind));
        kinds.map(|(exceeded, _)| exceeded.as_str())
    }

    /// Leaves an entry of that plan alone if it is taken out.
    pub fn take_out(&self, entry: &mut Entry) {
        let (Some(risk), Some(task)) = (risk(entry), entry.task_id) else {
            return;
        };
        let Some((exceeded, _)) = self.tasks.get(&risk).filter(|(_, tasks)| tasks.contains(&task)) else {
            return;
        };
        if risk == Risk::Deletion {
            entry.unit = Unit::default();
        }
        leave_alone(entry, SkipReason::Guard.because(exceeded));
    }
}

fn risk(entry: &Entry) -> Option<Risk> {
    match (entry.action, &entry.push) {
        (Some(PlannedAction::DeleteInHub | PlannedAction::DeleteInTool), _) => Some(Risk::Deletion),
        (Some(PlannedAction::CreateInTool), _) => Some(Risk::Creation),
        (_, Some(Push::Update { .. })) => Some(Risk::Overwrite),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deletions(tasks: &[TaskId]) -> Vec<Entry> {
        let entry = |task: &TaskId| Entry {
            action: Some(PlannedAction::DeleteInHub),
            title: "task".to_owned(),
            task_id: Some(*task),
            external_id: None,
            changes: Vec::new(),
            reason: None,
            conflicted: false,
            unit: Unit::default(),
            push: None,
        };
        tasks.iter().map(entry).collect()
    }

    fn tasks(count: usize) -> Vec<TaskId> {
        (0..count).map(|_| TaskId::generate()).collect()
    }

    fn allowed(tasks: &[TaskId], confirmed: bool) -> Allowance {
        let mut allowance = Allowance::default();
        allowance.add_sides(100, 100);
        for entry in deletions(tasks) {
            allowance.add(&entry, confirmed);
        }
        allowance
    }

    /// What is taken out of a later plan, and why.
    fn withheld(allowance: &mut Allowance, later: &mut [Entry]) -> Vec<String> {
        let mut coming = Coming::default();
        for entry in &*later {
            allowance.look(entry, &mut coming);
        }
        let withheld = allowance.admit(coming, &GuardLimits::default());
        for entry in later {
            withheld.take_out(entry);
        }
        withheld.reasons().map(str::to_owned).collect()
    }

    fn skipped(plan: &[Entry]) -> usize {
        let guarded = |entry: &&Entry| {
            let reason = entry.reason.as_ref();
            reason.is_some_and(|reason| reason.code == SkipReason::Guard)
        };
        plan.iter().filter(guarded).count()
    }

    #[test]
    fn what_comes_up_after_the_guard_counts_on_top_of_what_it_saw() {
        let all = tasks(40);
        let mut allowance = allowed(&all[..20], false);
        let halts = allowance.halts(&GuardLimits::default());
        assert!(halts.is_empty(), "20 of 100 is within the limits");
        let mut again = deletions(&all[..25]);
        assert!(withheld(&mut allowance, &mut again).is_empty(), "five more are, too");
        assert_eq!(skipped(&again), 0);
        for _ in 0..2 {
            let mut later = deletions(&all);
            let why = withheld(&mut allowance, &mut later);
            assert!(why[0].contains("40 deletions (of 100)"), "{why:?}");
            assert_eq!(skipped(&later), 15, "what was let through before goes on");
            let skips = |entry: &Entry| entry.action == Some(PlannedAction::Skip);
            assert!(later[25..].iter().all(skips));
        }
    }

    #[test]
    fn what_a_person_has_confirmed_does_not_count() {
        let all = tasks(60);
        let mut allowance = allowed(&all, true);
        assert!(allowance.halts(&GuardLimits::default()).is_empty());
        assert!(withheld(&mut allowance, &mut deletions(&all)).is_empty());
    }
}
