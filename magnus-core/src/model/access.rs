//! Who may ask the service for what.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::status::named_enum;
use super::{Timestamp, TokenId};

named_enum! {
    /// What an access token allows. Each allows what those before it allow.
    AccessScope, "scope", {
        /// To look at everything but secrets.
        Read = "read",
        /// To start, stop, confirm and undo runs, to settle conflicts, and to edit projects and tasks of the hub.
        Sync = "sync",
        /// To add, change and remove connections, too.
        Admin = "admin",
    }
}

impl AccessScope {
    /// Whether what needs `needed` is allowed.
    #[must_use]
    pub fn allows(self, needed: Self) -> bool {
        self >= needed
    }
}

/// An access token as it is kept: not the token, only its hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessToken {
    /// Its id.
    pub id: TokenId,
    /// What people call it; unique among tokens.
    pub name: String,
    /// What it allows.
    pub scope: AccessScope,
    /// The SHA-256 of the token, in lower-case hexadecimal digits. A token is random, so that is enough.
    pub hash: String,
    /// When it was made.
    pub created_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::AccessScope::{Admin, Read, Sync};

    #[test]
    fn a_scope_allows_what_those_below_it_allow() {
        assert!(Admin.allows(Read) && Admin.allows(Sync) && Sync.allows(Read) && Read.allows(Read));
        assert!(!Read.allows(Sync) && !Sync.allows(Admin));
    }
}
