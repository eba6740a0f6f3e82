//! Which items that are on both sides already are the same.

use std::collections::HashMap;

use crate::model::{ExternalId, MatchPolicy, TaskId};

/// An item of one side, as matching sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate<K> {
    /// Its key.
    pub key: K,
    /// Its canonical title.
    pub title_key: String,
    /// Whether it has a link on this connection, in any state.
    pub linked: bool,
}

/// What matching found for the unlinked items.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Matches {
    /// Sure pairs: exactly one on each side, linked ones counted.
    pub pairs: Vec<(TaskId, ExternalId)>,
    /// Hub tasks that might be one of several, with the reason.
    pub ambiguous_tasks: HashMap<TaskId, String>,
    /// External tasks that might be one of several, with the reason.
    pub ambiguous_externals: HashMap<ExternalId, String>,
}

impl Matches {
    /// Takes back the pairs of tasks of which something else is not settled yet: the external task of such a pair waits, too.
    pub fn hold_back(&mut self, held: impl Fn(TaskId) -> Option<String>) {
        let pairs = std::mem::take(&mut self.pairs);
        for (task, external) in pairs {
            match held(task) {
                None => self.pairs.push((task, external)),
                Some(reason) => {
                    self.ambiguous_externals.insert(external, reason.clone());
                    self.ambiguous_tasks.insert(task, reason);
                }
            }
        }
    }
}

/// Matches unlinked items by their canonical title.
///
/// A title counts as sure only if it occurs exactly once on each side, **linked items included**: otherwise a crash in
/// the middle would change the answer. An item without an unlinked counterpart is not ambiguous: it is created.
#[must_use]
pub fn match_items(policy: MatchPolicy, tasks: &[Candidate<TaskId>], externals: &[Candidate<ExternalId>]) -> Matches {
    let mut matches = Matches::default();
    if policy == MatchPolicy::None {
        return matches;
    }
    let tasks_by_title = by_title(tasks);
    let externals_by_title = by_title(externals);
    for (title, tasks) in &tasks_by_title {
        let Some(externals) = externals_by_title.get(title) else {
            continue;
        };
        let open_tasks: Vec<TaskId> = tasks.iter().filter(|task| !task.linked).map(|task| task.key).collect();
        let open_externals: Vec<&ExternalId> = externals
            .iter()
            .filter(|external| !external.linked)
            .map(|external| &external.key)
            .collect();
        if open_tasks.is_empty() || open_externals.is_empty() || title.is_empty() {
            continue;
        }
        if let ([task], [external], 1, 1) = (
            open_tasks.as_slice(),
            open_externals.as_slice(),
            tasks.len(),
            externals.len(),
        ) && policy == MatchPolicy::ExactTitle
        {
            matches.pairs.push((*task, (*external).clone()));
            continue;
        }
        let reason = if policy == MatchPolicy::Ask {
            "may be the same as one on the other side; decide with `magnus match`".to_owned()
        } else {
            format!(
                "{} with this title in the hub and {} in the tool; decide with `magnus match`, or rename or delete the \
                 extra ones",
                tasks.len(),
                externals.len()
            )
        };
        matches
            .ambiguous_tasks
            .extend(open_tasks.into_iter().map(|task| (task, reason.clone())));
        matches.ambiguous_externals.extend(
            open_externals
                .into_iter()
                .map(|external| (external.clone(), reason.clone())),
        );
    }
    matches.pairs.sort();
    matches
}

fn by_title<K>(items: &[Candidate<K>]) -> HashMap<&str, Vec<&Candidate<K>>> {
    let mut by_title: HashMap<&str, Vec<&Candidate<K>>> = HashMap::new();
    for item in items {
        by_title.entry(&item.title_key).or_default().push(item);
    }
    by_title
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(title: &str, linked: bool) -> Candidate<TaskId> {
        Candidate {
            key: TaskId::generate(),
            title_key: title.to_owned(),
            linked,
        }
    }

    fn external(id: u64, title: &str, linked: bool) -> Candidate<ExternalId> {
        Candidate {
            key: ExternalId::from(id),
            title_key: title.to_owned(),
            linked,
        }
    }

    #[test]
    fn exactly_one_on_each_side_is_sure() {
        let hub = [task("a", false), task("b", false)];
        let tool = [external(1, "a", false), external(2, "c", false)];
        let matches = match_items(MatchPolicy::ExactTitle, &hub, &tool);
        assert_eq!(matches.pairs, [(hub[0].key, ExternalId::from(1))]);
        assert!(matches.ambiguous_tasks.is_empty() && matches.ambiguous_externals.is_empty());
        assert_eq!(match_items(MatchPolicy::None, &hub, &tool), Matches::default());
    }

    #[test]
    fn rule_16_exactly_one_counts_linked_items_too() {
        let hub = [task("a", true), task("a", false)];
        let tool = [external(1, "a", true), external(2, "a", false)];
        let matches = match_items(MatchPolicy::ExactTitle, &hub, &tool);
        assert!(matches.pairs.is_empty());
        assert!(matches.ambiguous_tasks.contains_key(&hub[1].key));
        assert!(matches.ambiguous_externals.contains_key(&tool[1].key));
    }

    #[test]
    fn several_on_one_side_with_no_open_counterpart_are_created_not_guessed() {
        let tool = [external(1, "one", false), external(2, "one", false)];
        assert_eq!(
            match_items(MatchPolicy::ExactTitle, &[task("one", true)], &tool),
            Matches::default()
        );
    }
}
