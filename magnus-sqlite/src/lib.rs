//! Magnus.
