//! Parents and children: order, and cycles that must not close.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

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
