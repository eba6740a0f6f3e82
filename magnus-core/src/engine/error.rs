//! What ends a run, as opposed to what fails one item.

use std::error::Error as StdError;
use std::fmt;

use crate::connection::ConnectionError;
use crate::model::{ConnectionId, RunReport};
use crate::secret::SecretError;
use crate::store::StoreError;

/// What kind of thing ended a run, or kept it from starting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RunErrorKind {
    /// There is no such connection.
    UnknownConnection,
    /// The connection is switched off.
    Disabled,
    /// No connector is registered for the tool.
    UnknownTool,
    /// The request asks for more than the connection allows.
    DirectionTooWide,
    /// There is no halted run with a plan to confirm.
    NothingToConfirm,
    /// There is no run that could be undone.
    NothingToUndo,
    /// There is no key for the connection.
    NoSecret,
    /// The tool.
    Connection,
    /// The hub.
    Store,
    /// Stopped by request.
    Cancelled,
    /// The lease was lost: somebody else runs this connection now.
    LeaseLost,
    /// The run panicked; a defect of Magnus or of an adapter.
    Panicked,
    /// The orchestrator is shutting down.
    ShuttingDown,
}

/// What ended a run. What it did before is in its report.
#[derive(Debug)]
pub struct RunError {
    kind: RunErrorKind,
    connection: Option<ConnectionId>,
    message: String,
    report: Box<RunReport>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl RunError {
    /// An error of this kind; the message says what to do about it.
    #[must_use]
    pub fn new(kind: RunErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            connection: None,
            message: message.into(),
            report: Box::default(),
            source: None,
        }
    }

    /// The connection it is about.
    #[must_use]
    pub fn with_connection(mut self, connection: ConnectionId) -> Self {
        self.connection = Some(connection);
        self
    }

    /// What was done before it arose.
    #[must_use]
    pub fn with_report(mut self, report: RunReport) -> Self {
        *self.report = report;
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
    pub const fn kind(&self) -> RunErrorKind {
        self.kind
    }

    /// What was done before it arose.
    #[must_use]
    pub const fn report(&self) -> &RunReport {
        &self.report
    }

    /// The connection it is about.
    #[must_use]
    pub const fn connection(&self) -> Option<ConnectionId> {
        self.connection
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for RunError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

impl From<StoreError> for RunError {
    fn from(error: StoreError) -> Self {
        let kind = match error.kind() {
            crate::store::StoreErrorKind::Fenced => RunErrorKind::LeaseLost,
            _ => RunErrorKind::Store,
        };
        Self::new(kind, error.to_string()).with_source(error)
    }
}

impl From<ConnectionError> for RunError {
    fn from(error: ConnectionError) -> Self {
        Self::new(RunErrorKind::Connection, error.to_string()).with_source(error)
    }
}

impl From<SecretError> for RunError {
    fn from(error: SecretError) -> Self {
        Self::new(RunErrorKind::NoSecret, error.to_string()).with_source(error)
    }
}
