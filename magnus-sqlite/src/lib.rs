#![doc = include_str!("../README.md")]

mod aside;
mod breakdowns;
mod columns;
mod commit;
mod conflicts;
mod error;
mod failures;
mod history;
mod hub;
mod instant;
mod intents;
mod leases;
mod links;
mod location;
mod mappings;
mod open;
mod projects;
mod rows;
mod runs;
mod search;
mod service;
mod settings;
mod standing;
mod tasks;

pub use magnus_seal::{MasterKey, MasterKeyError, SealedSecretStore};
pub use open::SqliteStore;
