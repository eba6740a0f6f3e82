//! Conflicts, page by page.

use crate::model::{Conflict, ConflictId};

/// A page of conflicts, newest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ConflictPage {
    /// The conflicts.
    pub conflicts: Vec<Conflict>,
    /// How many match in all.
    pub total: u64,
    /// Where the next page starts.
    pub next: Option<ConflictId>,
}
