//! API keys from the environment.

use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;
use secrecy::SecretString;

use super::{SecretError, SecretStore};
use crate::model::ConnectionId;

type Lookup = dyn Fn(&str) -> Option<SecretString> + Send + Sync;

/// Reads API keys from environment variables; it can keep none.
///
/// The variable of a connection is [`variable`](Self::variable), unless [`named`](Self::named) gives it another.
///
/// ```
/// use magnus_core::model::ConnectionId;
/// use magnus_core::secret::EnvSecretStore;
///
/// let id: ConnectionId = "01920000-0000-7000-8000-000000000001".parse()?;
/// assert_eq!(EnvSecretStore::new().variable(id), "MAGNUS_API_KEY_01920000_0000_7000_8000_000000000001");
/// assert_eq!(EnvSecretStore::new().named(id, "BOARD_KEY").variable(id), "BOARD_KEY");
/// # Ok::<(), uuid::Error>(())
/// ```
pub struct EnvSecretStore {
    names: BTreeMap<ConnectionId, String>,
    lookup: Box<Lookup>,
}

impl EnvSecretStore {
    /// Reads the environment of this process, anew at each use.
    #[must_use]
    pub fn new() -> Self {
        Self::from_lookup(|name| std::env::var(name).ok().map(SecretString::from))
    }

    /// Reads variables by `lookup`.
    #[must_use]
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<SecretString> + Send + Sync + 'static) -> Self {
        Self {
            names: BTreeMap::new(),
            lookup: Box::new(lookup),
        }
    }

    /// Takes the key of `connection` from the variable `name`.
    #[must_use]
    pub fn named(mut self, connection: ConnectionId, name: impl Into<String>) -> Self {
        self.names.insert(connection, name.into());
        self
    }

    /// The variable in which the key of `connection` is looked for: `MAGNUS_API_KEY_` and its id in capitals with
    /// underscores, if it was not named otherwise.
    #[must_use]
    pub fn variable(&self, connection: ConnectionId) -> String {
        self.names.get(&connection).cloned().unwrap_or_else(|| {
            format!(
                "MAGNUS_API_KEY_{}",
                connection.to_string().to_uppercase().replace('-', "_")
            )
        })
    }

    fn refused(&self, operation: &'static str, connection_id: ConnectionId) -> SecretError {
        let message = format!(
            "the environment cannot be changed from here: set or unset {}",
            self.variable(connection_id)
        );
        SecretError {
            operation,
            connection_id,
            message,
            source: None,
        }
    }
}

impl Default for EnvSecretStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for EnvSecretStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnvSecretStore")
            .field("names", &self.names)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl SecretStore for EnvSecretStore {
    async fn get(&self, connection: ConnectionId) -> Result<Option<SecretString>, SecretError> {
        Ok((self.lookup)(&self.variable(connection)))
    }

    async fn put(&self, connection: ConnectionId, _secret: SecretString) -> Result<(), SecretError> {
        Err(self.refused("put", connection))
    }

    async fn delete(&self, connection: ConnectionId) -> Result<(), SecretError> {
        match (self.lookup)(&self.variable(connection)) {
            None => Ok(()),
            Some(_) => Err(self.refused("delete", connection)),
        }
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[tokio::test]
    async fn environment_is_read_and_never_written() {
        let id = ConnectionId::generate();
        let other = ConnectionId::generate();
        let secrets =
            EnvSecretStore::from_lookup(|name| (name == "BOARD_KEY").then(|| "hidden".into())).named(id, "BOARD_KEY");
        assert_eq!(secrets.get(id).await.unwrap().unwrap().expose_secret(), "hidden");
        assert!(secrets.get(other).await.unwrap().is_none());
        assert!(secrets.delete(other).await.is_ok());
        for refused in [secrets.put(id, "new".into()).await, secrets.delete(id).await] {
            assert!(refused.unwrap_err().to_string().contains("BOARD_KEY"));
        }
        assert!(!format!("{secrets:?}").contains("hidden"));
    }
}
