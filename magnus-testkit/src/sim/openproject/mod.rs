//! A simulated OpenProject (API v3), as far as a sync meets it.
//!
//! What the real tool does silently, this does too: the default filter that hides closed items, page sizes that are
//! cut, attributes that are dropped, dates that are inherited or moved, 404 for what may not be seen, parents that
//! change with their children. The stricter traits are options, off by default.
//!
//! Everything a test does through [`OpenProjectSimulator`]'s methods is done as another user and does not count as a
//! call.

mod auth;
mod error;
mod filter;
mod hal;
mod hierarchy;
mod options;
mod page;
mod progress;
mod request;
mod routes;
mod schedule;
mod seeding;
mod select;
mod simulator;
mod sort;
mod state;
mod types;
mod visibility;
mod write;

#[cfg(test)]
mod tests;

pub use options::{Clock, OpenProjectOptions, Progress, Workflow};
pub use simulator::OpenProjectSimulator;
pub use types::{AcceptedWrite, Priority, Project, Role, Status, User, WorkPackage, WorkPackageType};
