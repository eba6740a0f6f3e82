//! Magnus.
fn main() {}
