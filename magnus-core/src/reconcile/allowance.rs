//! How much a run may do, as its guard has let it begin.

use std::collections::{HashMap, HashSet};

use super::guard::{Extent, Risk, guard};
use super::mapping::{Entry, MappingPlan, Push};
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

impl Allowance {
    /// Counts one mapping's plan, with the number of items that the tool has. What a person has confirmed is allowed and
    /// does not count.
    pub fn add(&mut self, plan: &MappingPlan, in_tool: u64, confirmed: impl Fn(&Entry) -> bool) {
        self.linked += plan.linked;
        self.in_tool += in_tool;
        for entry in &plan.entries {
            let (Some(risk), Some(task)) = (risk(entry), entry.task_id) else {
                continue;
            };
            if confirmed(entry) {
                self.confirmed.entry(risk).or_default().insert(task);
            } else {
                self.counted.entry(risk).or_default().insert(task);
            }
        }
    }

    /// Why a person should look first; empty: go on.
    #[must_use]
    pub fn halts(&self, limits: &GuardLimits) -> Vec<String> {
        guard(&self.extent(), limits)
    }

    /// Takes out of a later plan what came up since, if it exceeds a limit together with all before. Answers why.
    pub fn hold_back(&mut self, plan: &mut MappingPlan, limits: &GuardLimits) -> Vec<String> {
        Risk::ALL
            .into_iter()
            .filter_map(|kind| self.hold_back_kind(kind, plan, limits))
            .collect()
    }

    fn hold_back_kind(&mut self, kind: Risk, plan: &mut MappingPlan, limits: &GuardLimits) -> Option<String> {
        let before = self.counted.get(&kind).cloned().unwrap_or_default();
        let is_new = |entry: &Entry| {
            let confirmed = self.confirmed.get(&kind);
            let known = |task| before.contains(&task) || confirmed.is_some_and(|tasks| tasks.contains(&task));
            risk(entry) == Some(kind) && entry.task_id.is_some_and(|task| !known(task))
        };
        let new: HashSet<TaskId> = plan
            .entries
            .iter()
            .filter(|entry| is_new(entry))
            .filter_map(|entry| entry.task_id)
            .collect();
        if new.is_empty() {
            return None;
        }
        self.counted.insert(kind, before.union(&new).copied().collect());
        let exceeded = kind.exceeds(&self.extent(), limits)?;
        self.counted.insert(kind, before);
        for entry in &mut plan.entries {
            if risk(entry) == Some(kind) && entry.task_id.is_some_and(|task| new.contains(&task)) {
                if kind == Risk::Deletion {
                    entry.unit = Unit::default();
                }
                leave_alone(entry, SkipReason::Guard.because(&exceeded));
            }
        }
        Some(exceeded)
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

    fn deletions(tasks: &[TaskId]) -> MappingPlan {
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
        MappingPlan {
            entries: tasks.iter().map(entry).collect(),
            linked: 100,
            ..MappingPlan::default()
        }
    }

    fn tasks(count: usize) -> Vec<TaskId> {
        (0..count).map(|_| TaskId::generate()).collect()
    }

    fn skipped(plan: &MappingPlan) -> usize {
        let guarded = |entry: &&Entry| {
            entry
                .reason
                .as_ref()
                .is_some_and(|reason| reason.code == SkipReason::Guard)
        };
        plan.entries.iter().filter(guarded).count()
    }

    #[test]
    fn what_comes_up_after_the_guard_counts_on_top_of_what_it_saw() {
        let limits = GuardLimits::default();
        let all = tasks(40);
        let mut allowance = Allowance::default();
        allowance.add(&deletions(&all[..20]), 100, |_| false);
        assert!(allowance.halts(&limits).is_empty(), "20 of 100 is within the limits");
        let mut again = deletions(&all[..25]);
        assert!(
            allowance.hold_back(&mut again, &limits).is_empty(),
            "five more are, too"
        );
        assert_eq!(skipped(&again), 0);
        let mut later = deletions(&all);
        let why = allowance.hold_back(&mut later, &limits);
        assert!(why[0].contains("40 deletions (of 100)"), "{why:?}");
        assert_eq!(skipped(&later), 15, "what was let through before goes on");
        assert!(
            later.entries[25..]
                .iter()
                .all(|entry| entry.action == Some(PlannedAction::Skip))
        );
    }

    #[test]
    fn what_a_person_has_confirmed_does_not_count() {
        let limits = GuardLimits::default();
        let all = tasks(60);
        let mut allowance = Allowance::default();
        allowance.add(&deletions(&all), 100, |_| true);
        assert!(allowance.halts(&limits).is_empty());
        let mut again = deletions(&all);
        assert!(allowance.hold_back(&mut again, &limits).is_empty());
    }
}
