//! Plans and entries as people see them.

use super::tally::Ending;
use crate::reconcile::{Entry, PlannedAction, PlannedItem};

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

/// How an entry ends when it succeeds.
pub(super) fn ending(entry: &Entry) -> Ending {
    match entry.action {
        _ if entry.conflicted => Ending::Conflicted,
        Some(action) => Ending::of(action),
        None => Ending::Unchanged,
    }
}
