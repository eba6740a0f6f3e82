//! Which way data may move.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::status::named_enum;

named_enum! {
    /// Which way data may move between a tool and the hub.
    Direction, "direction", {
        /// From the tool to the hub only.
        Pull = "pull",
        /// From the hub to the tool only.
        Push = "push",
        /// Both ways.
        Bidirectional = "bidirectional",
    }
}

impl Direction {
    /// Whether the hub may be changed.
    #[must_use]
    pub const fn pulls(self) -> bool {
        matches!(self, Self::Pull | Self::Bidirectional)
    }

    /// Whether the tool may be changed.
    #[must_use]
    pub const fn pushes(self) -> bool {
        matches!(self, Self::Push | Self::Bidirectional)
    }

    /// What both allow; `None` if they have nothing in common.
    #[must_use]
    pub const fn intersect(self, other: Self) -> Option<Self> {
        match (self.pulls() && other.pulls(), self.pushes() && other.pushes()) {
            (true, true) => Some(Self::Bidirectional),
            (true, false) => Some(Self::Pull),
            (false, true) => Some(Self::Push),
            (false, false) => None,
        }
    }

    /// Whether `self` allows everything that `other` allows.
    #[must_use]
    pub const fn covers(self, other: Self) -> bool {
        (self.pulls() || !other.pulls()) && (self.pushes() || !other.pushes())
    }

    /// What either allows; used when two queued requests are merged.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        match (self, other) {
            (Self::Pull, Self::Pull) => Self::Pull,
            (Self::Push, Self::Push) => Self::Push,
            _ => Self::Bidirectional,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Direction::{Bidirectional, Pull, Push};

    #[test]
    fn a_run_may_do_only_what_all_sides_allow() {
        assert_eq!(Bidirectional.intersect(Pull), Some(Pull));
        assert_eq!(Push.intersect(Pull), None);
        assert!(Bidirectional.covers(Push) && !Pull.covers(Bidirectional) && !Push.covers(Pull));
    }

    #[test]
    fn a_misspelt_direction_is_an_error_and_names_the_known_ones() {
        let error = "bidirectonal".parse::<super::Direction>().unwrap_err();
        assert!(error.to_string().contains("pull, push, bidirectional"), "{error}");
    }
}
