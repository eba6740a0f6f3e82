//! Which of the items that were made since may be the one of a create whose answer was lost.

use std::collections::{BTreeMap, HashSet};

use crate::model::{ExternalId, Field, Intent, IntentField, IntentOperation, Mapping, RemoteTask, text};

/// What may be the item of a create: newer than all that was seen before the send, nobody else's, and without the
/// marker of another create.
pub(crate) fn candidates<'a>(
    intent: &Intent,
    found: &'a BTreeMap<ExternalId, RemoteTask>,
    taken: &HashSet<ExternalId>,
) -> Vec<&'a RemoteTask> {
    let IntentOperation::Create { greatest_seen, .. } = &intent.operation else {
        return Vec::new();
    };
    let newer = |id: &ExternalId| {
        greatest_seen
            .as_ref()
            .is_none_or(|seen| id.compare_by_age(seen).is_gt())
    };
    let mut candidates: Vec<&RemoteTask> = found
        .values()
        .filter(|item| newer(&item.id) && !taken.contains(&item.id) && item.marker.is_none())
        .collect();
    candidates.sort_by(|a, b| a.id.compare_by_age(&b.id));
    candidates
}

/// The item that surely is the one: alone with its title, or one of several that were sent alike and are not more than
/// the creates that wait for them.
pub(crate) fn sure_match<'a>(
    intent: &Intent,
    mapping: &Mapping,
    candidates: &[&'a RemoteTask],
    rivals: &[&Intent],
) -> Option<&'a RemoteTask> {
    let matching: Vec<&RemoteTask> = candidates
        .iter()
        .copied()
        .filter(|item| has_title(item, intent))
        .collect();
    let in_place = matching.iter().all(|item| item.project == mapping.external_id);
    let alike = rivals
        .iter()
        .all(|rival| rival.mapping_id == intent.mapping_id && rival.fields == intent.fields);
    let first = matching.first()?;
    (in_place && alike && matching.len() <= rivals.len() + 1).then_some(*first)
}

pub(crate) fn has_title(item: &RemoteTask, intent: &Intent) -> bool {
    text::canonical_title(item.title()) == sent_title(intent)
}

pub(crate) fn sent_title(intent: &Intent) -> String {
    let title = intent.fields.get(&Field::Title).map(|field: &IntentField| &field.sent);
    text::canonical_title(title.and_then(|title| title.as_text()).unwrap_or_default())
}
