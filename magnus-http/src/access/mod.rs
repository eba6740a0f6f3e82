//! Who may ask, under which name, from which page, how much and for how long.

pub(crate) mod address;
pub(crate) mod host;
pub(crate) mod limits;
pub(crate) mod token;
