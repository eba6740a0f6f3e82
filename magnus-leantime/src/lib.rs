#![doc = include_str!("../README.md")]

mod connection;
mod connector;
mod dates;
mod remote;
mod rpc;
pub mod text;
mod translate;
mod wire;
mod write;

pub use connector::LeantimeConnector;
pub use translate::{LeantimeTranslator, StatusLabel, StatusType, User};
