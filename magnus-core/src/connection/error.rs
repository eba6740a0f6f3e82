//! What went wrong while talking to a tool, and whether a write may have taken place.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::Field;

/// Whether a write took place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Surely not.
    NotApplied,
    /// Surely so, though something failed afterwards.
    Applied,
    /// It may have.
    Unknown,
}

/// What kind of thing went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ConnectionErrorKind {
    /// The settings cannot be used: a malformed URL or key, an option that the tool lacks.
    InvalidSettings,
    /// The tool does not know who we are. Never retried in a tight loop: some tools lock the address out.
    Unauthorized,
    /// The tool knows who we are and says no.
    Forbidden,
    /// The item or project is gone or hidden.
    NotFound,
    /// The item changed since the version that the write was decided on.
    VersionConflict,
    /// The tool refused values; [`ConnectionError::rejected`] names the fields where it did.
    Rejected,
    /// Too many requests; [`ConnectionError::retry_after`] says how long to wait, if the tool said so.
    RateLimited,
    /// The tool cannot be reached, or answers with a server error.
    Unavailable,
    /// No answer in time.
    Timeout,
    /// The answer cannot be understood: no JSON, wrong types, a page that repeats.
    Protocol,
    /// The tool cannot do this; see its capabilities.
    Unsupported,
    /// The right to write ran out before it was sent: another process may run this connection by now.
    LeaseLost,
}

impl ConnectionErrorKind {
    /// Whether the same request may succeed a moment later.
    #[must_use]
    pub const fn is_transient(self) -> bool {
        matches!(self, Self::RateLimited | Self::Unavailable | Self::Timeout)
    }

    /// Whether it says something of the connection as a whole rather than of one item: three of a kind in a row end a run.
    /// What is not allowed may be so in one project and not in the next: three in a row end only the writing there.
    #[must_use]
    pub const fn is_fatal(self) -> bool {
        matches!(
            self,
            Self::InvalidSettings | Self::Unauthorized | Self::Unavailable | Self::Timeout
        )
    }

    const fn words(self) -> &'static str {
        match self {
            Self::InvalidSettings => "invalid settings",
            Self::Unauthorized => "not authenticated",
            Self::Forbidden => "not allowed",
            Self::NotFound => "not found",
            Self::VersionConflict => "changed by somebody else",
            Self::Rejected => "refused",
            Self::RateLimited => "too many requests",
            Self::Unavailable => "unavailable",
            Self::Timeout => "no answer in time",
            Self::Protocol => "answer not understood",
            Self::Unsupported => "not supported",
            Self::LeaseLost => "not sent",
        }
    }
}

/// A field whose value the tool refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectedField {
    /// The field.
    pub field: Field,
    /// The tool's words, in whatever language it speaks.
    pub message: String,
}

/// What went wrong while talking to a tool.
///
/// Displayed on one line: operation, kind, message, context. Never holds a secret.
#[derive(Debug)]
pub struct ConnectionError(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ConnectionErrorKind,
    outcome: Outcome,
    operation: &'static str,
    message: String,
    context: Vec<(&'static str, String)>,
    rejected: Vec<RejectedField>,
    retry_after: Option<Duration>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl ConnectionError {
    /// An error of this kind in this operation (`list_tasks`, `write`, ...); by default nothing was applied.
    /// The message says what to do about it.
    #[must_use]
    pub fn new(kind: ConnectionErrorKind, operation: &'static str, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            outcome: Outcome::NotApplied,
            operation,
            message: message.into(),
            context: Vec::new(),
            rejected: Vec::new(),
            retry_after: None,
            source: None,
        }))
    }

    /// Whether the write took place.
    #[must_use]
    pub fn with_outcome(mut self, outcome: Outcome) -> Self {
        self.0.outcome = outcome;
        self
    }

    /// Names a thing that it is about: `connection`, `project`, `task`, `url`, `status`, ...
    #[must_use]
    pub fn with_context(mut self, key: &'static str, value: impl fmt::Display) -> Self {
        self.0.context.push((key, value.to_string()));
        self
    }

    /// The fields that were refused.
    #[must_use]
    pub fn with_rejected(mut self, rejected: Vec<RejectedField>) -> Self {
        self.0.rejected = rejected;
        self
    }

    /// How long the tool asked us to wait.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Option<Duration>) -> Self {
        self.0.retry_after = wait;
        self
    }

    /// What caused it.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> ConnectionErrorKind {
        self.0.kind
    }

    /// Whether the write took place.
    #[must_use]
    pub const fn outcome(&self) -> Outcome {
        self.0.outcome
    }

    /// The operation in which it arose.
    #[must_use]
    pub const fn operation(&self) -> &'static str {
        self.0.operation
    }

    /// The words for people.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The fields that were refused.
    #[must_use]
    pub fn rejected(&self) -> &[RejectedField] {
        &self.0.rejected
    }

    /// How long the tool asked us to wait.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// What it is about.
    #[must_use]
    pub fn context(&self) -> &[(&'static str, String)] {
        &self.0.context
    }
}

impl fmt::Display for ConnectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.operation, self.0.kind.words())?;
        if !self.0.message.is_empty() {
            write!(f, ": {}", self.0.message)?;
        }
        for rejected in &self.0.rejected {
            write!(f, "; {}: {}", rejected.field, rejected.message)?;
        }
        if !self.0.context.is_empty() {
            let context: Vec<String> = self
                .0
                .context
                .iter()
                .map(|(key, value)| format!("{key} {value}"))
                .collect();
            write!(f, " ({})", context.join(", "))?;
        }
        Ok(())
    }
}

impl StdError for ConnectionError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0
            .source
            .as_deref()
            .map(|source| source as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_reads_as_one_line_that_says_what_and_where() {
        let error = ConnectionError::new(ConnectionErrorKind::Unavailable, "list_tasks", "is the server running?")
            .with_context("project", 7)
            .with_outcome(Outcome::NotApplied);
        assert_eq!(
            error.to_string(),
            "list_tasks: unavailable: is the server running? (project 7)"
        );
    }
}
