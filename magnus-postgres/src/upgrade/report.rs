//! What an upgrade found and did.

use serde::Serialize;

/// What an upgrade found and did, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Upgrade {
    /// The database holds the tables of the predecessor.
    pub predecessor: bool,
    /// There is nothing to do at all.
    pub up_to_date: bool,
    /// What is changed in which rows.
    pub changes: Vec<Change>,
    /// Single things that a person should know, or do.
    pub notes: Vec<String>,
}

/// One kind of change to rows of one table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Change {
    /// The table.
    pub table: &'static str,
    /// What is changed, and why.
    pub what: &'static str,
    /// In how many rows.
    pub rows: u64,
}

impl Upgrade {
    pub(crate) const fn new(predecessor: bool, up_to_date: bool) -> Self {
        Self {
            predecessor,
            up_to_date,
            changes: Vec::new(),
            notes: Vec::new(),
        }
    }

    pub(crate) fn changed(&mut self, table: &'static str, what: &'static str, rows: u64) {
        if rows > 0 {
            self.changes.push(Change { table, what, rows });
        }
    }
}
