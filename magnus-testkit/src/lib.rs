//! Magnus.

pub mod transport;
