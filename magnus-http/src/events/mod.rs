//! Live events: what happens to runs, told to whoever listens.

pub(crate) mod feed;
pub(crate) mod rate;
pub(crate) mod stream;
