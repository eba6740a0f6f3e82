//! What went wrong in the store.

use std::error::Error as StdError;
use std::fmt;

use crate::connection::Outcome;

/// What kind of thing went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// A row that must be there is not.
    NotFound,
    /// A key is taken or a version moved.
    Conflict,
    /// The lease was taken over or has expired.
    Fenced,
    /// The database cannot be reached, is locked, full or read-only.
    Unavailable,
    /// A row cannot be read.
    Corrupt,
    /// The store was asked for something it cannot do.
    Usage,
}

/// What went wrong in the store.
#[derive(Debug)]
pub struct StoreError {
    kind: StoreErrorKind,
    outcome: Outcome,
    operation: &'static str,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl StoreError {
    /// An error of this kind in this operation; by default nothing was applied. The message says what to do about it.
    #[must_use]
    pub fn new(kind: StoreErrorKind, operation: &'static str, message: impl Into<String>) -> Self {
        Self {
            kind,
            outcome: Outcome::NotApplied,
            operation,
            message: message.into(),
            source: None,
        }
    }

    /// Whether the change took place.
    #[must_use]
    pub fn with_outcome(mut self, outcome: Outcome) -> Self {
        self.outcome = outcome;
        self
    }

    /// What caused it.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> StoreErrorKind {
        self.kind
    }

    /// Whether the change took place; `Unknown` if the answer to a COMMIT was lost.
    #[must_use]
    pub const fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// The operation in which it arose.
    #[must_use]
    pub const fn operation(&self) -> &'static str {
        self.operation
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "hub: {}: {}", self.operation, self.message)
    }
}

impl StdError for StoreError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}
