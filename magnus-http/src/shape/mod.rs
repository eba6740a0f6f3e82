//! The shapes that clients rely on: what goes in and out as JSON.

pub(crate) mod breakdown;
pub(crate) mod conflict;
pub(crate) mod connection;
pub(crate) mod project;
pub(crate) mod run;
pub(crate) mod task;
pub(crate) mod value;

use magnus_core::model::Timestamp;

/// An instant as it is written: RFC 3339, UTC.
pub(crate) fn instant(at: Timestamp) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true)
}
