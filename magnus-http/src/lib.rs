#![doc = include_str!("../README.md")]

mod access;
mod api;
mod dashboard;
mod events;
mod examples;
mod extract;
mod histogram;
mod metrics;
mod openapi;
mod options;
mod problem;
mod prose;
mod remote_calls;
mod router;
mod server;
mod shape;
mod state;
mod webhook;

pub use access::token::{new_token, token_hash};
pub use options::ServiceOptions;
pub use remote_calls::RemoteCalls;
pub use router::{router, unavailable};
pub use server::{ServerLimits, serve};
