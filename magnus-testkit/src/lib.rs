//! Magnus.

pub mod conformance;
pub mod transport;
