#![doc = include_str!("../README.md")]

pub mod conformance;
pub mod replay;
pub mod sim;
pub mod transport;
