#![doc = include_str!("../README.md")]

mod master_key;
mod sealed;

pub use master_key::{MasterKey, MasterKeyError};
pub use sealed::{SealedSecretStore, Sealer};
