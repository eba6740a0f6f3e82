#![doc = include_str!("../README.md")]

pub mod conformance;
pub mod crash;
pub mod replay;
pub mod sim;
pub mod transport;
