//! Plans and entries as people see them.

use super::session::Active;
use super::tally::Ending;
use crate::model::Counts;
use crate::reconcile::{Entry, MappingPlan, PlannedAction, PlannedItem, PlannedMapping};

/// What happened to an item, in one line.
pub(super) fn describe(entry: &Entry) -> String {
    let changes = entry
        .changes
        .iter()
        .filter_map(|change| match (change.side, &change.note) {
            (Some(_), _) => {
                let before = shorten(&change.before);
                let after = shorten(&change.after);
                Some(format!("{}: {before} → {after}", change.field))
            }
            // What a new item of the tool goes without.
            (None, Some(note)) if entry.action == Some(PlannedAction::CreateInTool) => {
                Some(format!("{}: {note}", change.field))
            }
            _ => None,
        });
    entry
        .reason
        .iter()
        .map(ToString::to_string)
        .chain(changes)
        .collect::<Vec<_>>()
        .join("; ")
}

fn shorten(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let mut short: String = line.chars().take(60).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

/// An entry as it is shown; `None` if only bases move.
pub(super) fn shown(entry: &Entry) -> Option<PlannedItem> {
    Some(PlannedItem {
        action: entry.action?,
        title: entry.title.clone(),
        // A task that the run would make has a new id in every plan.
        task_id: entry
            .task_id
            .filter(|_| entry.action != Some(PlannedAction::CreateInHub)),
        external_id: entry.external_id.clone(),
        changes: entry.changes.clone(),
        reason: entry.reason.clone(),
    })
}

/// A plan as it is shown.
pub(super) fn render(active: &Active, plan: &MappingPlan) -> PlannedMapping {
    let items = plan.entries.iter().filter_map(shown);
    let quiet = plan.entries.iter().filter(|entry| entry.action.is_none()).count();
    PlannedMapping {
        mapping_id: active.stored.then_some(active.mapping.id),
        project_id: active.mapping.project_id,
        name: active.mapping.external_name.clone(),
        items: items.collect(),
        unchanged: u64::try_from(plan.unchanged.len() + quiet).unwrap_or(u64::MAX),
        problem: None,
    }
}

/// The writes to the tool in the first plans.
pub(super) fn pushes(plans: &[(MappingPlan, usize)]) -> u64 {
    let entries = plans.iter().flat_map(|(plan, _)| &plan.entries);
    u64::try_from(entries.filter(|entry| entry.push.is_some()).count()).unwrap_or(u64::MAX)
}

/// What a plan would count.
pub(super) fn count(plan: &MappingPlan) -> Counts {
    let mut tally = super::tally::Tally::default();
    for task in &plan.unchanged {
        tally.unchanged(*task);
    }
    for entry in &plan.entries {
        let ending = match entry.action {
            _ if entry.conflicted => Ending::Conflicted,
            Some(action) => Ending::of(action),
            None => Ending::Unchanged,
        };
        tally.entry(entry, ending, String::new());
    }
    tally.counts()
}
