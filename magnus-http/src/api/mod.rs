//! The endpoints, one file per thing that is asked about.

pub(crate) mod breakdowns;
pub(crate) mod conflicts;
pub(crate) mod connections;
pub(crate) mod cursor;
pub(crate) mod health;
pub(crate) mod mapping;
pub(crate) mod matches;
pub(crate) mod once;
pub(crate) mod projects;
pub(crate) mod runs;
pub(crate) mod sync;
mod tag;
pub(crate) mod tasks;
pub(crate) mod uncertain;
pub(crate) mod unified;
pub(crate) mod webhooks;
