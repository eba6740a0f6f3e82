//! Magnus.
pub mod text;
