//! Typed identifiers, so that one kind of id cannot stand where another belongs.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! uuid_id {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id, ordered by time of creation (UUID version 7).
            #[must_use]
            pub fn generate() -> Self {
                Self(Uuid::now_v7())
            }

            /// The id with this UUID.
            #[must_use]
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The UUID of this id.
            #[must_use]
            pub const fn as_uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::from_str(text).map(Self)
            }
        }
    )+};
}

uuid_id! {
    /// A connection: the hub's link to one instance of a tool.
    ConnectionId;
    /// A project of the hub.
    ProjectId;
    /// A task of the hub.
    TaskId;
    /// A mapping of an external project to a hub project.
    MappingId;
    /// A link of a hub task to an external task.
    LinkId;
    /// One sync of one connection.
    RunId;
    /// A journal entry written before a remote write.
    IntentId;
    /// A recorded conflict on one field of one link.
    ConflictId;
    /// An access token of the service.
    TokenId;
    /// A task that is broken down into subtasks: the job, and its proposal.
    BreakdownId;
    /// A changeset; the store commits each id at most once.
    ChangesetId;
}

/// The version of a stored row, raised by every change; a write names the version it was decided on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RowVersion(pub i64);

impl RowVersion {
    /// The version after one more change.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// The name of a tool, by which its connector is registered: `openproject`, `leantime`, ...
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ToolName(String);

impl ToolName {
    /// The tool with this name; names are compared in lower case.
    #[must_use]
    pub fn new(name: impl AsRef<str>) -> Self {
        Self(name.as_ref().trim().to_lowercase())
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ToolName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A tool's own id of a project or task: opaque text, never empty.
///
/// An empty id or `None` once stood in people's tables after a refused create, and every later sync made another copy;
/// therefore neither can be expressed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ExternalId(String);

/// Text that cannot be an [`ExternalId`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an external id: expected 1 to 255 characters and not \"None\" or \"null\"")]
pub struct InvalidExternalId(String);

impl ExternalId {
    /// Checks and wraps a tool's id.
    ///
    /// # Errors
    /// Blank text, `None`, `null` and text of more than 255 characters are refused.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidExternalId> {
        let text = text.into();
        let refused = text.trim().is_empty()
            || text.eq_ignore_ascii_case("none")
            || text.eq_ignore_ascii_case("null")
            || text.chars().count() > 255;
        if refused {
            Err(InvalidExternalId(text))
        } else {
            Ok(Self(text))
        }
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Compares ids as the tools count them: numbers by value, anything else as text after all numbers.
    ///
    /// Used for "created later than": tools give out rising numeric ids.
    #[must_use]
    pub fn compare_by_age(&self, other: &Self) -> Ordering {
        match (self.0.parse::<u128>(), other.0.parse::<u128>()) {
            (Ok(a), Ok(b)) => a.cmp(&b),
            (Ok(_), Err(_)) => Ordering::Less,
            (Err(_), Ok(_)) => Ordering::Greater,
            (Err(_), Err(_)) => self.0.cmp(&other.0),
        }
    }
}

impl From<u64> for ExternalId {
    fn from(number: u64) -> Self {
        Self(number.to_string())
    }
}

impl TryFrom<String> for ExternalId {
    type Error = InvalidExternalId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::new(text)
    }
}

impl From<ExternalId> for String {
    fn from(id: ExternalId) -> Self {
        id.0
    }
}

impl fmt::Display for ExternalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn external_id_refuses_what_a_refused_create_once_left_behind() {
        for text in ["", "  ", "None", "none", "null"] {
            assert!(ExternalId::new(text).is_err(), "{text:?}");
        }
        assert!(serde_json::from_str::<ExternalId>("\"\"").is_err());
        assert_eq!(ExternalId::new("42").unwrap().as_str(), "42");
    }

    #[test]
    fn ids_are_compared_by_age_not_as_text() {
        let nine = ExternalId::from(9);
        let ten = ExternalId::from(10);
        assert_eq!(nine.compare_by_age(&ten), Ordering::Less);
    }
}
