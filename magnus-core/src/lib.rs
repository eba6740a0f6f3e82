#![doc = include_str!("../README.md")]

pub mod clock;
pub mod connection;
pub mod engine;
pub mod event;
pub mod model;
pub mod reconcile;
pub mod secret;
pub mod store;
