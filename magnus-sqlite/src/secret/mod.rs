//! API keys sealed in the hub's own database.

mod master_key;
mod sealed;

pub use master_key::{MasterKey, MasterKeyError};
pub use sealed::SealedSecretStore;
