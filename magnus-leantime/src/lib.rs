#![doc = include_str!("../README.md")]

mod allowance;
mod answer;
mod connection;
mod connector;
mod dates;
mod gate;
mod remote;
mod rpc;
mod tempo;
pub mod text;
mod translate;
mod wire;
mod write;

pub use connector::LeantimeConnector;
pub use translate::{LeantimeTranslator, StatusLabel, StatusType, User};
