//! What a decision on one field depends on, and what it may be.

use super::lens::Sendable;
use crate::connection::FieldSupport;
use crate::model::{Base, Field, Refusal, RemoteField, Rule, SkipReason, Timestamp, Value};

/// Everything that a decision on one field depends on.
#[derive(Debug, Clone)]
pub struct FieldInput<'a> {
    /// The field.
    pub field: Field,
    /// What the tool can do with it.
    pub support: FieldSupport,
    /// What the sides last agreed on; `None` at first contact.
    pub base: Option<&'a Base>,
    /// The hub's value.
    pub local: &'a Value,
    /// The tool's value.
    pub remote: &'a RemoteField,
    /// What the hub had when a conflict was found that is still open.
    pub held: Option<&'a Value>,
    /// A value that the tool refused before.
    pub refusal: Option<&'a Refusal>,
    /// When the hub's value was last changed, if it ever was.
    pub local_time: Option<Timestamp>,
    /// When the sides were joined; `None` if they are about to be.
    pub linked_at: Option<Timestamp>,
    /// When the tool's item was last touched, where that can be trusted.
    pub remote_time: Option<Timestamp>,
}

/// What holds a field in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hold {
    /// The direction of the run does not allow the move.
    Direction,
    /// The tool cannot hold the hub's value.
    Unholdable,
    /// The tool's value means nothing to the hub.
    Unresolved,
    /// The tool refused the value before, and neither side moved since.
    Refused,
    /// The tool computes the field.
    ComputedByTool,
}

impl Hold {
    /// The reason as a fixed word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Direction => "direction",
            Self::Unholdable => "unholdable",
            Self::Unresolved => "unresolved",
            Self::Refused => "refused",
            Self::ComputedByTool => "computed_by_tool",
        }
    }
}

/// What happens to one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldDecision {
    /// Nothing.
    Unchanged,
    /// The sides agree; only the bases move.
    Record(Base),
    /// The tool's value goes to the hub.
    Pull {
        /// The new hub value.
        value: Value,
        /// The bases afterwards.
        base: Base,
        /// Why.
        rule: Rule,
        /// The hub's value that is lost by it, if that was an edit.
        loser: Option<Value>,
    },
    /// The hub's value goes to the tool.
    Push {
        /// In the tool's form.
        sent: Sendable,
        /// Why.
        rule: Rule,
        /// The tool's value that is lost by it, if that was an edit.
        loser: Option<Value>,
    },
    /// Nothing can be done; `base` if the bases move all the same.
    Held {
        /// What holds it.
        hold: Hold,
        /// In words for people.
        reason: String,
        /// The bases afterwards.
        base: Option<Base>,
    },
    /// A person decides.
    Conflict {
        /// `Conflict`, or `Oscillating` if both sides have moved to and fro for too long.
        code: SkipReason,
        /// The tool's value in the hub's form; `Empty` if it cannot be resolved.
        remote_value: Value,
        /// In words for people.
        reason: String,
    },
}
