//! What `magnus serve` is made of besides the router.

pub(crate) mod metered;
pub(crate) mod switch;
