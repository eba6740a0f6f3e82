#![doc = include_str!("../README.md")]

pub mod breakdown;
pub mod clock;
pub mod connection;
pub mod engine;
pub mod event;
pub mod exchange;
pub mod hub;
pub mod layer;
pub mod memory;
pub mod model;
pub mod orchestrator;
pub mod queue;
pub mod reconcile;
pub mod secret;
pub mod store;
