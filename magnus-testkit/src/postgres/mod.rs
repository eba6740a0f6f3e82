//! A throwaway Postgres server for tests, and databases in it.
//!
//! `cargo xtask test` starts one [`Server`] for all test programs and names it in [`VARIABLE`]; a test program that is run
//! by itself starts its own. Needs the feature `postgres`.

mod database;
mod program;
mod rows;
mod server;
mod user;

pub use database::{Database, server_url};
pub use server::{PostgresError, Server};

/// The environment variable that names a running server: the address of its database `postgres`, as a superuser.
pub const VARIABLE: &str = "MAGNUS_TEST_POSTGRES";
