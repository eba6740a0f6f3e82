//! The link of an item that a lost create has made.

use crate::model::{Base, ExternalId, Intent, Link, Mapping, Timestamp};

/// Joins a task with the item that its create has made. What was sent is what the sides agree on: anything else that
/// stands there was put there since.
#[must_use]
pub fn adopted(intent: &Intent, mapping: &Mapping, external: ExternalId, now: Timestamp) -> Link {
    let mut link = Link::new(mapping, intent.task_id, external, now);
    for (field, sent) in &intent.fields {
        link.bases
            .insert(*field, Base::agreed(sent.local.clone(), sent.sent.clone()));
    }
    link
}
