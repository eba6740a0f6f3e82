//! What went wrong, in one line that says what to do about it.

use std::error::Error as StdError;

use magnus_core::breakdown::{BreakdownError, BreakdownErrorKind};
use magnus_core::connection::{ConnectionError, ConnectionErrorKind};
use magnus_core::engine::{RunError, RunErrorKind};
use magnus_core::hub::{HubError, HubErrorKind};
use magnus_core::store::{StoreError, StoreErrorKind};
use serde_json::json;

use crate::exit::Exit;
use crate::plain;

/// What went wrong.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    message: String,
    remedy: Option<&'static str>,
    causes: Vec<String>,
}

impl Failure {
    /// The request makes no sense; the message says what would.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self {
            exit: Exit::Usage,
            message: message.into(),
            remedy: None,
            causes: Vec::new(),
        }
    }

    /// The tool or the hub cannot be reached.
    pub(crate) fn unreachable(message: impl Into<String>) -> Self {
        Self {
            exit: Exit::Unreachable,
            ..Self::usage(message)
        }
    }

    /// What was begun did not come to its end.
    pub(crate) fn not_completed(message: impl Into<String>) -> Self {
        Self {
            exit: Exit::RunNotCompleted,
            ..Self::usage(message)
        }
    }

    /// Somebody stopped it.
    pub(crate) fn stopped() -> Self {
        Self::not_completed("stopped; what is left waits in the hub, and the next sync goes on from here")
    }

    /// The arguments make no sense: what the parser says of them, without its lines on usage.
    pub(crate) fn malformed(error: &clap::Error) -> Self {
        let text = error.render().to_string();
        let said = text.split("\n\nUsage:").next().unwrap_or_default();
        let said = said.strip_prefix("error: ").unwrap_or(said);
        let message = match error.kind() {
            clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => "no command was given".to_owned(),
            _ => said.split_whitespace().collect::<Vec<_>>().join(" "),
        };
        Self {
            remedy: Some("see `magnus --help`, or `--help` after a command"),
            ..Self::usage(message)
        }
    }

    /// With what an error says, and what caused it; a cause that was told already is left out.
    fn of(exit: Exit, error: &(dyn StdError + 'static)) -> Self {
        let mut failure = Self {
            exit,
            ..Self::usage(error.to_string())
        };
        let mut source = error.source();
        while let Some(cause) = source {
            let text = cause.to_string();
            let known = failure.message.contains(&text) || failure.causes.iter().any(|told| told.contains(&text));
            if !known {
                failure.causes.push(text);
            }
            source = cause.source();
        }
        failure
    }

    /// Whether trying again cannot help.
    pub(crate) fn is_usage(&self) -> bool {
        self.exit == Exit::Usage
    }

    /// What went wrong, without the remedy.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// Names the connection it is about.
    pub(crate) fn about(mut self, connection: &str) -> Self {
        let named = [format!("{connection:?}"), format!("connection {connection}")];
        if !named.iter().any(|name| self.message.contains(name)) {
            self.message = format!("connection {connection:?}: {}", self.message);
        }
        self
    }

    /// Names the database that cannot be opened, and where its name came from.
    pub(crate) fn about_database(mut self, location: &str, place: &str) -> Self {
        self.message = format!("{} (database {location}, from {place})", self.message);
        self
    }

    pub(crate) fn print(self, json: bool) -> Exit {
        if json {
            let document = json!({
                "error": self.message,
                "remedy": self.remedy,
                "causes": self.causes,
                "exit_code": self.exit.code(),
            });
            plain::to_stderr(&format!("{document:#}"));
        } else {
            let remedy = self.remedy.map(|remedy| format!("; {remedy}")).unwrap_or_default();
            plain::to_stderr(&format!("magnus: {}{remedy}", self.message));
            for cause in &self.causes {
                plain::to_stderr(&format!("  caused by: {cause}"));
            }
        }
        self.exit
    }
}

/// What a person can do about an error of this kind, where the adapter's words may leave it open.
const fn remedy(kind: ConnectionErrorKind) -> Option<&'static str> {
    match kind {
        ConnectionErrorKind::InvalidSettings => Some("correct the setting and try again"),
        ConnectionErrorKind::Unauthorized => {
            Some("make a new API key in the tool and give it with --key-env or --key-stdin")
        }
        ConnectionErrorKind::Forbidden => Some("give the key's user the right in the tool"),
        ConnectionErrorKind::Unavailable | ConnectionErrorKind::Timeout => {
            Some("see that the server runs and that the URL is right, then try again")
        }
        ConnectionErrorKind::Protocol => {
            Some("see that the URL is the tool's own address, not that of a login page or proxy")
        }
        ConnectionErrorKind::RateLimited => Some("wait a moment and try again"),
        _ => None,
    }
}

impl From<ConnectionError> for Failure {
    fn from(error: ConnectionError) -> Self {
        let exit = match error.kind() {
            ConnectionErrorKind::InvalidSettings | ConnectionErrorKind::Unsupported => Exit::Usage,
            _ => Exit::Unreachable,
        };
        Self {
            remedy: remedy(error.kind()),
            ..Self::of(exit, &error)
        }
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        let source = StdError::source(&error).and_then(|source| source.downcast_ref::<ConnectionError>());
        let invalid = source.is_some_and(|source| source.kind() == ConnectionErrorKind::InvalidSettings);
        let exit = match error.kind() {
            RunErrorKind::UnknownConnection
            | RunErrorKind::Disabled
            | RunErrorKind::UnknownTool
            | RunErrorKind::DirectionTooWide => Exit::Usage,
            _ if invalid => Exit::Usage,
            RunErrorKind::Cancelled | RunErrorKind::Panicked | RunErrorKind::ShuttingDown => Exit::RunNotCompleted,
            _ => Exit::Unreachable,
        };
        Self {
            remedy: match error.kind() {
                RunErrorKind::Disabled => Some("run `magnus set <connection> enabled=true`"),
                RunErrorKind::NoSecret => Some("give the key again with `magnus set <connection> --key-env VAR`"),
                _ => source.and_then(|source| remedy(source.kind())),
            },
            ..Self::of(exit, &error)
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let exit = match error.kind() {
            StoreErrorKind::Usage | StoreErrorKind::NotFound | StoreErrorKind::Conflict => Exit::Usage,
            _ => Exit::Unreachable,
        };
        Self::of(exit, &error)
    }
}

impl From<HubError> for Failure {
    fn from(error: HubError) -> Self {
        let exit = match error.kind() {
            HubErrorKind::Store | HubErrorKind::Secret => Exit::Unreachable,
            _ => Exit::Usage,
        };
        Self::of(exit, &error)
    }
}

impl From<BreakdownError> for Failure {
    fn from(error: BreakdownError) -> Self {
        let exit = match error.kind() {
            BreakdownErrorKind::NotConfigured
            | BreakdownErrorKind::NotFound
            | BreakdownErrorKind::Conflict
            | BreakdownErrorKind::Invalid => Exit::Usage,
            BreakdownErrorKind::Cancelled | BreakdownErrorKind::ShuttingDown => Exit::RunNotCompleted,
            _ => Exit::Unreachable,
        };
        Self::of(exit, &error)
    }
}

impl From<magnus_seal::MasterKeyError> for Failure {
    fn from(error: magnus_seal::MasterKeyError) -> Self {
        Self::of(Exit::Unreachable, &error)
    }
}

impl From<magnus_core::secret::SecretError> for Failure {
    fn from(error: magnus_core::secret::SecretError) -> Self {
        Self::of(Exit::Unreachable, &error)
    }
}

impl From<magnus_transport::TransportError> for Failure {
    fn from(error: magnus_transport::TransportError) -> Self {
        Self::of(Exit::Unreachable, &error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_told_once() {
        let inner = ConnectionError::new(ConnectionErrorKind::Unavailable, "check", "no answer")
            .with_source(std::io::Error::other("connection refused"));
        let failure = Failure::from(RunError::from(inner)).about("Board");
        assert_eq!(failure.message, "connection \"Board\": check: unavailable: no answer");
        assert_eq!(failure.causes, ["connection refused"]);
        assert_eq!(failure.exit, Exit::Unreachable);
        assert!(failure.remedy.is_some_and(|remedy| remedy.contains("server runs")));
    }

    #[test]
    fn arguments_that_make_no_sense_are_told_in_one_line() {
        use clap::Parser as _;
        for (arguments, words) in [
            (vec!["magnus", "sync", "--direction", "sideways"], "sideways"),
            (vec!["magnus", "sink"], "sink"),
            (vec!["magnus", "--json"], "subcommand"),
        ] {
            let error = crate::arguments::Arguments::try_parse_from(arguments).unwrap_err();
            let failure = Failure::malformed(&error);
            assert_eq!(failure.exit, Exit::Usage);
            assert!(failure.message.contains(words), "{}", failure.message);
            assert!(
                !failure.message.contains('\n') && !failure.message.contains("Usage:"),
                "{}",
                failure.message
            );
        }
    }

    #[test]
    fn bad_settings_are_bad_input_and_not_an_unreachable_tool() {
        let error = ConnectionError::new(ConnectionErrorKind::InvalidSettings, "open", "no URL");
        assert_eq!(Failure::from(RunError::from(error)).exit, Exit::Usage);
    }
}
