//! Webhooks of the tools: a hint to sync, never data.

pub(crate) mod signature;
pub(crate) mod wakeups;
