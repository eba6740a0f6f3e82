//! Simulators of the tools, and what they have in common: [`Faults`] on demand, a
//! [`Recorder`] of the calls, seed data, and serving over a socket.
//!
//! A simulator builds a plain router and wraps it with [`instrument`], so that every simulator takes faults and
//! counts requests in the same way.

pub mod faults;
pub mod gate;
mod instrument;
pub mod leantime;
pub mod openproject;
pub mod record;
pub mod seed;
mod serve;

pub use faults::{CallMatcher, Fault, FaultRule, Faults};
pub use gate::Gate;
pub use instrument::instrument;
pub use record::{Call, Recorded, Recorder};
pub use serve::{Served, serve_router};
