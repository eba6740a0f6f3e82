//! What every implementation of a trait of Magnus must do, as tests that an implementor runs.

pub mod connection;
pub mod exchange;
pub mod pace;
pub mod queue;
pub mod store;
