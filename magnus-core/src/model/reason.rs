//! Why an item was left alone: a fixed set of reasons, each with words for people.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::status::named_enum;

named_enum! {
    /// Why an item was left alone, or its link changed state without a change of the item.
    SkipReason, "skip reason", {
        /// The direction of the run does not allow the move.
        Direction = "direction",
        /// Several items on one side have this title.
        AmbiguousMatch = "ambiguous_match",
        /// What the tool has is not known completely, so nothing is created there.
        IncompleteListing = "incomplete_listing",
        /// An earlier create is not settled, so nothing new is taken over from the tool.
        CreateUnsettled = "create_unsettled",
        /// An earlier write of this item is not settled.
        Unsettled = "unsettled",
        /// It waits for a person to say whether the tool has it.
        Uncertain = "uncertain",
        /// It is not seen any more, and that proves nothing.
        AbsenceUnproven = "absence_unproven",
        /// The tool cannot hold the hub's value.
        Unholdable = "unholdable",
        /// The tool's value means nothing to the hub.
        Unresolved = "unresolved",
        /// The tool refused the value before.
        Refused = "refused",
        /// The tool computes the field.
        ComputedByTool = "computed_by_tool",
        /// Both sides changed a field; a person decides.
        Conflict = "conflict",
        /// Two sides keep putting different values into a field; a person decides.
        Oscillating = "oscillating",
        /// A milestone of the tool.
        Milestone = "milestone",
        /// It has children in the tool that a deletion would take along.
        ChildrenInTool = "children_in_tool",
        /// Its write failed, and the next try is not due.
        Backoff = "backoff",
        /// Its write failed again and again; set aside until it changes or a person says so.
        Quarantined = "quarantined",
        /// It came up after the plan was guarded, and exceeds the limits together with what the plan held.
        Guard = "guard",
        /// It is gone in the tool, or will be believed so.
        GoneInTool = "gone_in_tool",
        /// It is deleted in the hub.
        GoneInHub = "gone_in_hub",
        /// It is in a project that is not mapped.
        OutOfScope = "out_of_scope",
        /// What was to be undone was changed since.
        ChangedSince = "changed_since",
        /// What was done cannot be undone.
        CannotUndo = "cannot_undo",
        /// The project is not mapped.
        NotMapped = "not_mapped",
        /// The project is closed or archived in the tool.
        ProjectClosed = "project_closed",
        /// Another connection syncs the project already.
        SyncedElsewhere = "synced_elsewhere",
    }
}

impl SkipReason {
    /// This reason, with words for people.
    #[must_use]
    pub fn because(self, detail: impl Into<String>) -> Reason {
        Reason {
            code: self,
            detail: detail.into(),
        }
    }
}

/// Why an item was left alone. Displayed as `code: detail`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Reason {
    /// Which of the fixed reasons.
    pub code: SkipReason,
    /// In words for people.
    pub detail: String,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.detail.is_empty() {
            return self.code.fmt(f);
        }
        write!(f, "{}: {}", self.code, self.detail)
    }
}
