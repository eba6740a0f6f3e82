#![doc = include_str!("../README.md")]

pub mod clock;
pub mod conformance;
pub mod crash;
pub mod model;
#[cfg(feature = "postgres")]
pub mod postgres;
pub mod replay;
pub mod sim;
pub mod transport;
pub mod watched;
