#![doc = include_str!("../README.md")]

mod batch;
mod breakdowns;
mod columns;
mod commit;
mod conflicts;
mod error;
mod exchange;
mod failures;
mod history;
mod hub;
mod intents;
mod leases;
mod links;
mod mappings;
mod migrate;
mod open;
mod options;
mod pace;
mod projects;
#[cfg(feature = "workers")]
mod queue;
mod run_rows;
mod runs;
mod schema;
mod search;
mod service;
mod settings;
mod standing;
mod tasks;
mod upgrade;

pub use exchange::PostgresExchange;
pub use open::PostgresStore;
pub use options::PostgresOptions;
pub use pace::PostgresPaceBook;
#[cfg(feature = "workers")]
pub use queue::GraphileQueue;
pub use upgrade::{Change, Upgrade, check_upgrade, upgrade};
