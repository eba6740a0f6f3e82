//! The hub's own statuses and priorities.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A name that is none of the known ones.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown {what} {name:?}; known are: {known}")]
pub struct UnknownName {
    /// What was looked for: `status`, `priority`, ...
    pub what: &'static str,
    /// The name that was given.
    pub name: String,
    /// The known names, separated by commas.
    pub known: String,
}

macro_rules! named_enum {
    ($(#[$doc:meta])* $name:ident, $what:literal, { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name {
            $($(#[$vdoc])* $variant,)+
        }

        impl $name {
            /// All of them, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The name as written in JSON, SQL and on the command line.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = $crate::model::UnknownName;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err($crate::model::UnknownName {
                        what: $what,
                        name: text.to_owned(),
                        known: [$($text,)+].join(", "),
                    }),
                }
            }
        }
    };
}
pub(crate) use named_enum;

named_enum! {
    /// Where a task stands.
    Status, "status", {
        /// Not begun. The default.
        Todo = "todo",
        /// Being worked on.
        InProgress = "in_progress",
        /// Cannot go on.
        Blocked = "blocked",
        /// Waiting for somebody's approval.
        Review = "review",
        /// Finished.
        Done = "done",
        /// Given up.
        Cancelled = "cancelled",
    }
}

named_enum! {
    /// How pressing a task is.
    Priority, "priority", {
        /// Before everything else.
        Critical = "critical",
        /// Soon.
        High = "high",
        /// The default.
        Medium = "medium",
        /// When there is time.
        Low = "low",
    }
}
