//! Where API keys are kept.

mod env;

use std::error::Error as StdError;
use std::fmt::Debug;

use async_trait::async_trait;
use secrecy::SecretString;

use crate::model::ConnectionId;

pub use env::EnvSecretStore;

/// What went wrong with a secret. Never holds the secret.
#[derive(Debug, thiserror::Error)]
#[error("{operation} of the key of connection {connection_id}: {message}")]
pub struct SecretError {
    /// What was tried: `get`, `put`, `delete`.
    pub operation: &'static str,
    /// Whose secret.
    pub connection_id: ConnectionId,
    /// What is wrong and what to do.
    pub message: String,
    /// What caused it.
    #[source]
    pub source: Option<Box<dyn StdError + Send + Sync>>,
}

/// Keeps the API key of each connection.
#[async_trait]
pub trait SecretStore: Debug + Send + Sync + 'static {
    /// The secret of a connection; `None` if there is none.
    ///
    /// # Errors
    /// The store cannot be read, or the secret was sealed with another key.
    async fn get(&self, connection: ConnectionId) -> Result<Option<SecretString>, SecretError>;

    /// Keeps a secret, in place of an older one.
    ///
    /// # Errors
    /// The store cannot be written, or takes no secrets (the environment).
    async fn put(&self, connection: ConnectionId, secret: SecretString) -> Result<(), SecretError>;

    /// Forgets a secret; forgetting an unknown one is no error.
    ///
    /// # Errors
    /// The store cannot be written.
    async fn delete(&self, connection: ConnectionId) -> Result<(), SecretError>;
}
