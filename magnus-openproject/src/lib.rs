#![doc = include_str!("../README.md")]

mod activities;
mod blame;
mod choices;
mod client;
mod connection;
mod connector;
mod duration;
mod learned;
mod listing;
mod lookup;
mod marker;
mod names;
mod options;
mod payload;
mod people;
mod refusal;
mod tables;
mod task;
mod translator;
mod walk;
mod wire;
mod writing;

pub use connector::OpenProjectConnector;
