//! What went wrong with a change to the hub.

use std::error::Error as StdError;
use std::fmt;

use crate::model::WrongValueType;
use crate::secret::SecretError;
use crate::store::{StoreError, StoreErrorKind};

/// What kind of thing went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HubErrorKind {
    /// There is no such project, task, conflict or connection.
    NotFound,
    /// The change makes no sense: a blank title, a value the field does not take, a cycle of parents.
    Invalid,
    /// It clashes with what is there: a name that is taken, a project that is mapped already, a conflict that is settled.
    Conflict,
    /// What was to be changed is no longer as it was seen.
    Moved,
    /// The store.
    Store,
    /// The secret store.
    Secret,
}

/// What went wrong with a change to the hub; nothing was changed. The message says what to do about it.
#[derive(Debug)]
pub struct HubError {
    kind: HubErrorKind,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl HubError {
    /// An error of this kind.
    #[must_use]
    pub fn new(kind: HubErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    /// What caused it.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> HubErrorKind {
        self.kind
    }

    pub(super) fn not_found(what: &str, id: impl fmt::Display) -> Self {
        Self::new(HubErrorKind::NotFound, format!("there is no {what} {id}"))
    }

    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(HubErrorKind::Invalid, message)
    }
}

impl fmt::Display for HubError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for HubError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

impl From<StoreError> for HubError {
    fn from(error: StoreError) -> Self {
        let kind = match error.kind() {
            StoreErrorKind::Conflict => HubErrorKind::Conflict,
            _ => HubErrorKind::Store,
        };
        Self::new(kind, error.to_string()).with_source(error)
    }
}

impl From<WrongValueType> for HubError {
    fn from(error: WrongValueType) -> Self {
        Self::invalid(error.to_string()).with_source(error)
    }
}

impl From<SecretError> for HubError {
    fn from(error: SecretError) -> Self {
        Self::new(HubErrorKind::Secret, error.to_string()).with_source(error)
    }
}
