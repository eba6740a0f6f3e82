//! What went wrong with a breakdown.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use crate::connection::Outcome;
use crate::hub::{HubError, HubErrorKind};
use crate::store::{StoreError, StoreErrorKind};

/// What kind of thing went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BreakdownErrorKind {
    /// No model is configured.
    NotConfigured,
    /// There is no such task, breakdown or subtask.
    NotFound,
    /// It clashes with what is there: a proposal that was discarded, or is not there yet.
    Conflict,
    /// The request makes no sense.
    Invalid,
    /// The model's provider refuses the key.
    Unauthorized,
    /// The model's provider refuses the request: an unknown model, a parameter it does not take.
    Rejected,
    /// The model's provider is overloaded, or asks to come back later.
    Overloaded,
    /// The model's provider cannot be reached, or failed.
    Unavailable,
    /// There was no answer in time.
    Timeout,
    /// It would have taken more tokens than are allowed.
    OverBudget,
    /// The answer is no breakdown, also after it was sent back.
    BadAnswer,
    /// The hub.
    Store,
    /// Somebody stopped it.
    Cancelled,
    /// Magnus is shutting down.
    ShuttingDown,
}

/// What went wrong with a breakdown. The message says what to do about it.
#[derive(Debug)]
pub struct BreakdownError {
    kind: BreakdownErrorKind,
    operation: &'static str,
    message: String,
    outcome: Outcome,
    retry_after: Option<Duration>,
    raw: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl BreakdownError {
    /// An error of this kind in this operation; by default nothing was changed.
    #[must_use]
    pub fn new(kind: BreakdownErrorKind, operation: &'static str, message: impl Into<String>) -> Self {
        Self {
            kind,
            operation,
            message: message.into(),
            outcome: Outcome::NotApplied,
            retry_after: None,
            raw: None,
            source: None,
        }
    }

    /// What caused it.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// When the provider asks to come back.
    #[must_use]
    pub const fn with_retry_after(mut self, wait: Option<Duration>) -> Self {
        self.retry_after = wait;
        self
    }

    /// What the model answered.
    #[must_use]
    pub fn with_raw(mut self, raw: impl Into<String>) -> Self {
        self.raw = Some(raw.into());
        self
    }

    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> BreakdownErrorKind {
        self.kind
    }

    /// The operation in which it arose.
    #[must_use]
    pub const fn operation(&self) -> &'static str {
        self.operation
    }

    /// Whether something was changed in the hub. Asking a model changes nothing.
    #[must_use]
    pub const fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// When the provider asks to come back.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// What the model answered, if that is the trouble.
    #[must_use]
    pub fn raw(&self) -> Option<&str> {
        self.raw.as_deref()
    }

    /// Whether the same request may be answered later.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(
            self.kind,
            BreakdownErrorKind::Overloaded | BreakdownErrorKind::Unavailable
        )
    }

    pub(crate) fn not_found(what: &str, id: impl fmt::Display) -> Self {
        Self::new(
            BreakdownErrorKind::NotFound,
            "break down",
            format!("there is no {what} {id}"),
        )
    }

    /// The error where no model is configured.
    #[must_use]
    pub fn not_configured() -> Self {
        let message = "no language model is configured; set MAGNUS_AI_PROVIDER (anthropic, openai or compatible), \
                       MAGNUS_AI_MODEL and MAGNUS_AI_KEY, and for a local or compatible one MAGNUS_AI_URL, such as \
                       http://127.0.0.1:11434/v1, and start `magnus serve` again";
        Self::new(BreakdownErrorKind::NotConfigured, "break down", message)
    }

    pub(crate) fn shutting_down() -> Self {
        let message = "Magnus is shutting down; what is not done yet goes on at the next start";
        Self::new(BreakdownErrorKind::ShuttingDown, "break down", message)
    }
}

impl fmt::Display for BreakdownError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.operation, self.message)
    }
}

impl StdError for BreakdownError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

impl From<StoreError> for BreakdownError {
    fn from(error: StoreError) -> Self {
        let kind = match error.kind() {
            StoreErrorKind::NotFound => BreakdownErrorKind::NotFound,
            StoreErrorKind::Conflict => BreakdownErrorKind::Conflict,
            _ => BreakdownErrorKind::Store,
        };
        let outcome = error.outcome();
        let mut this = Self::new(kind, error.operation(), error.to_string()).with_source(error);
        this.outcome = outcome;
        this
    }
}

impl From<HubError> for BreakdownError {
    fn from(error: HubError) -> Self {
        let kind = match error.kind() {
            HubErrorKind::NotFound => BreakdownErrorKind::NotFound,
            HubErrorKind::Invalid => BreakdownErrorKind::Invalid,
            HubErrorKind::Conflict | HubErrorKind::Moved => BreakdownErrorKind::Conflict,
            _ => BreakdownErrorKind::Store,
        };
        Self::new(kind, "change the hub", error.to_string()).with_source(error)
    }
}
