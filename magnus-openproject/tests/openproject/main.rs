//! The adapter against a simulated instance, in the process and over a socket.

mod marker;
mod reading;
mod support;
mod synced_traps;
mod syncing;
mod traps;
mod traps_table;
mod trouble;
mod writing;
