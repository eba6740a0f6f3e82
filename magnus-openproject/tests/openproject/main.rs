//! The adapter against a simulated instance, in the process and over a socket.

mod reading;
mod support;
mod syncing;
mod trouble;
mod writing;
