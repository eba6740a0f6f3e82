//! Whether a tool took a value in a form of its own, or put another one in its place.

use crate::model::{Field, IntentField, RemoteValue};

/// Whether what stands there, though nobody else wrote, is not ours in the tool's form: another reference, as OpenProject puts
/// for a status that a type's workflow lacks, or another amount, as where work left follows from the status, or nothing, or
/// what was there before, as when an attribute is dropped without a word. Texts have forms of their own, and dates move off
/// days off; another id or amount is never a form of the one that was sent.
#[must_use]
pub(crate) fn is_replaced(field: Field, sent: &IntentField, now: &RemoteValue) -> bool {
    if *now == sent.sent {
        return false;
    }
    let counts = matches!(
        field,
        Field::EstimatedHours | Field::RemainingHours | Field::PercentageDone
    );
    let text = matches!(field, Field::Title | Field::Description | Field::Tags);
    let dropped = !text && (now.is_null() || Some(now) == sent.seen.as_ref());
    refers(field) || counts || dropped
}

/// Whether the values of a field refer to something else.
#[must_use]
pub(crate) const fn refers(field: Field) -> bool {
    matches!(field, Field::Status | Field::Priority | Field::Assignee | Field::Parent)
}
