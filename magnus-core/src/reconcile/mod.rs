//! The hard decisions, as pure functions over values: no async, no clock, no I/O.

mod plan;

pub use plan::{FieldChange, Plan, PlannedAction, PlannedItem, PlannedMapping};
