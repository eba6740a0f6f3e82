//! Parents and children: order, and cycles that must not close.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use crate::model::TaskId;

/// Whether making `parent` the parent of `child` closes a cycle, given everybody's present parent.
#[must_use]
pub(super) fn closes_cycle<K: Copy + Eq + Hash>(child: K, parent: K, parents: &HashMap<K, K>) -> bool {
    let mut seen = HashSet::new();
    let mut next = Some(parent);
    while let Some(current) = next {
        if current == child || !seen.insert(current) {
            return true;
        }
        next = parents.get(&current).copied();
    }
    false
}

/// Who is below whom in the hub: as stored, and as an unfinished plan makes it. A plan's parts are committed one by one, and any
/// of them may turn out to be stale.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parents {
    stored: HashMap<TaskId, TaskId>,
    planned: HashMap<TaskId, TaskId>,
}

/// Whether a new parent closes a circle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Circle {
    /// Whatever becomes of the rest of the plan, it closes none.
    Open,
    /// It closes none once all is committed that was planned before it.
    OpenAfterwards,
    /// It closes one.
    Closed,
}

impl Parents {
    /// As they are stored.
    #[must_use]
    pub fn stored(parents: HashMap<TaskId, TaskId>) -> Self {
        Self {
            planned: parents.clone(),
            stored: parents,
        }
    }

    /// As they will be.
    #[must_use]
    pub const fn planned(&self) -> &HashMap<TaskId, TaskId> {
        &self.planned
    }

    /// Plans another parent, or none.
    pub fn plan(&mut self, task: TaskId, parent: Option<TaskId>) {
        match parent {
            Some(parent) => drop(self.planned.insert(task, parent)),
            None => drop(self.planned.remove(&task)),
        }
    }

    pub(super) fn circle(&self, child: TaskId, parent: TaskId) -> Circle {
        if closes_cycle(child, parent, &self.planned) {
            return Circle::Closed;
        }
        let mut seen = HashSet::new();
        let mut next = vec![parent];
        while let Some(current) = next.pop() {
            if current == child {
                return Circle::OpenAfterwards;
            }
            if seen.insert(current) {
                next.extend(self.stored.get(&current));
                next.extend(self.planned.get(&current));
            }
        }
        Circle::Open
    }
}

/// How many ancestors a key has among `keys`: 0 for one whose parent is not among them. Parents that form a cycle are
/// cut at an arbitrary but fixed place.
#[must_use]
pub(super) fn depths<K: Copy + Eq + Hash>(keys: &[K], parents: &HashMap<K, K>) -> HashMap<K, usize> {
    let among: HashSet<K> = keys.iter().copied().collect();
    let mut depths: HashMap<K, usize> = HashMap::new();
    for key in keys {
        let mut path = Vec::new();
        let mut on_path = HashSet::new();
        let mut next = Some(*key);
        let mut depth = 0;
        while let Some(current) = next.filter(|current| among.contains(current)) {
            if let Some(known) = depths.get(&current) {
                depth = known + 1;
                break;
            }
            if !on_path.insert(current) {
                break;
            }
            path.push(current);
            next = parents.get(&current).copied();
        }
        for current in path.into_iter().rev() {
            depths.insert(current, depth);
            depth += 1;
        }
    }
    depths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parent_may_close_a_circle_until_what_was_planned_before_is_committed() {
        let [above, below, other] = [TaskId::generate(), TaskId::generate(), TaskId::generate()];
        let mut parents = Parents::stored(HashMap::from([(below, above)]));
        assert_eq!(parents.circle(above, below), Circle::Closed);
        assert_eq!(parents.circle(other, below), Circle::Open);
        parents.plan(below, None);
        assert_eq!(parents.circle(above, below), Circle::OpenAfterwards);
        parents.plan(below, Some(other));
        assert_eq!(parents.circle(other, below), Circle::Closed);
        assert_eq!(parents.circle(other, above), Circle::Open);
    }

    #[test]
    fn a_parent_that_closes_a_cycle_is_seen() {
        let parents = HashMap::from([(2, 1), (3, 2)]);
        assert!(closes_cycle(1, 3, &parents));
        assert!(closes_cycle(1, 1, &parents));
        assert!(!closes_cycle(4, 3, &parents));
    }

    #[test]
    fn parents_come_before_children_and_cycles_end() {
        let parents = HashMap::from([(3, 2), (2, 1), (1, 9), (5, 6), (6, 5), (7, 7)]);
        let depths = depths(&[3, 1, 2, 5, 6, 7], &parents);
        assert_eq!((depths[&1], depths[&2], depths[&3]), (0, 1, 2));
        assert_ne!(depths[&5], depths[&6]);
        assert_eq!(depths[&7], 0);
    }
}
