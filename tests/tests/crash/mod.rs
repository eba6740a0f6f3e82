//! Processes that die over both simulators, the real adapters and a hub.

pub(crate) mod act;
pub(crate) mod scenario;
pub(crate) mod state;
pub(crate) mod world;
