#![doc = include_str!("../README.md")]

mod client;
mod failure;
mod model;
mod prompt;
mod retry;
mod schema;
mod settings;

pub use model::LanguageModel;
pub use prompt::PROMPT_VERSION;
pub use retry::Retries;
pub use settings::{ModelSettings, Provider, UnknownProvider};
