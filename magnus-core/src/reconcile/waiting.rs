//! Which items must be looked at although nothing says that they changed.

use super::lens::{Lens, Sendable};
use crate::connection::{Capabilities, Decoded, FieldSupport};
use crate::model::{Base, Field, Link, LinkState, LocalBase, RemoteBase, Task, Value};

/// Whether an item that was not listed must be read by id all the same: something may be waiting to move, or is held.
#[must_use]
pub fn needs_reading(
    task: &Task,
    link: &Link,
    has_open_conflict: bool,
    lens: &Lens<'_>,
    capabilities: &Capabilities,
) -> bool {
    match link.state {
        // Only what is missing in two runs one after the other is believed to be gone.
        LinkState::Live if link.absent_since.is_some() => return true,
        LinkState::Live => {}
        // A person named it; it is believed once it is seen.
        LinkState::Uncertain => return true,
        // A task that was restored in the hub is joined again with what the tool still has.
        LinkState::GoneLocal => return !task.is_deleted(),
        _ => return false,
    }
    has_open_conflict
        || task.is_deleted()
        || capabilities.fields.iter().any(|(field, support)| {
            let local = task.get(*field);
            let Some(base) = link.bases.get(field) else {
                // Never compared, as after the adoption of a lost create: what the hub has set may have to go out.
                return *support == FieldSupport::ReadWrite && !local.is_hub_default();
            };
            let seen_now = match &base.remote {
                RemoteBase::Unseen(value) => !matches!(lens.decode(*field, value), Decoded::Unresolved(_)),
                RemoteBase::Agreed(_) => false,
            };
            seen_now || local_wants_out(*field, base, &local, link, lens)
        })
}

fn local_wants_out(field: Field, base: &Base, local: &Value, link: &Link, lens: &Lens<'_>) -> bool {
    let moved = match &base.local {
        LocalBase::Agreed(value) => !value.is_same(local, field),
        LocalBase::Unsent => true,
    };
    let refused = link.refusals.get(&field).is_some_and(|refusal| refusal.local == *local);
    moved && !refused && !matches!(lens.encode(field, local), Sendable::Unholdable(_))
}
