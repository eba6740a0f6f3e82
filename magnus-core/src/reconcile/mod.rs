//! The hard decisions, as pure functions over values: no async, no clock, no I/O.
//!
//! Data flows through the modules in this order: what a tool showed ([`Observation`]), how its values look from the hub
//! ([`Lens`]), what happens to one field ([`decide`]), to one linked item ([`merge_item`]), to unlinked ones
//! ([`match_items`]), to a whole mapping ([`Planning`]), and whether a person should look first ([`guard`]).

mod adopt;
mod allowance;
mod decide;
mod decision;
mod guard;
mod hierarchy;
mod item;
mod lens;
mod lost_create;
mod lost_update;
mod mapping;
mod matching;
mod metadata;
mod observation;
mod plan;
mod poison;
mod proposals;
mod replaced;
mod sightings;
mod still_wanted;
mod swing;
mod undo;
mod waiting;

pub use adopt::adopted;
pub use allowance::{Allowance, Coming, Withheld};
pub use decide::decide;
pub use decision::{FieldDecision, FieldInput, Hold};
pub use guard::{Extent, guard};
pub use hierarchy::Parents;
pub use item::{Item, ItemMerge, Outgoing, Setting, merge_item};
pub use lens::{Lens, References, Sendable};
pub(crate) use lost_create::{candidates, has_title, sent_title, sure_match};
pub use lost_update::{Fate, fates, untouched_since_creation};
pub use mapping::{Entry, MappingInput, MappingPlan, Planning, Push};
pub use matching::{Candidate, Matches, match_items};
pub use observation::{Absence, Observation};
pub use plan::{FieldChange, Plan, PlannedAction, PlannedItem, PlannedMapping};
pub use poison::{FailedAttempt, attempt, failed_again, held_back, hold_back};
pub use proposals::{Proposal, proposals};
pub(crate) use replaced::{is_replaced, refers};
pub use sightings::{Brief, Sightings};
pub use still_wanted::still_wanted;
pub use undo::{UndoInput, plan_undo};
pub use waiting::needs_reading;
