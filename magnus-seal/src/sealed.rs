//! The secret store in the hub.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use magnus_core::model::ConnectionId;
use magnus_core::secret::{SecretError, SecretStore};
use magnus_core::store::TaskStore;
use secrecy::{ExposeSecret, SecretString};

use crate::MasterKey;

const NONCE_LENGTH: usize = 24;

/// What a secret is for. One that was sealed for one thing does not open for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    ApiKey,
    Webhook,
}

impl Purpose {
    /// The name under which the hub keeps it.
    const fn name(self) -> &'static str {
        match self {
            Self::ApiKey => SealedSecretStore::NAME,
            Self::Webhook => "webhook_secret",
        }
    }

    const fn prefix(self) -> &'static [u8] {
        match self {
            Self::ApiKey => b"magnus api key 1:",
            Self::Webhook => b"magnus webhook secret 1:",
        }
    }
}

/// Seals secrets with XChaCha20-Poly1305 under the master key, each bound to its connection: copied to another row it does
/// not open.
pub struct Sealer {
    cipher: XChaCha20Poly1305,
    purpose: Purpose,
}

impl Sealer {
    /// Seals under this key.
    #[must_use]
    pub fn new(key: &MasterKey) -> Self {
        Self {
            cipher: XChaCha20Poly1305::new(key.expose().into()),
            purpose: Purpose::ApiKey,
        }
    }

    /// Seals a secret of a connection.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn seal(&self, connection: ConnectionId, secret: &SecretString) -> Result<Vec<u8>, SecretError> {
        let mut nonce = [0; NONCE_LENGTH];
        getrandom::fill(&mut nonce).map_err(|error| failed("put", connection, "no random numbers", error))?;
        let bound_to = bound_to(self.purpose, connection);
        let payload = Payload {
            msg: secret.expose_secret().as_bytes(),
            aad: &bound_to,
        };
        let sealed = self
            .cipher
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| plain_failure("put", connection, "it could not be sealed"))?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    /// Opens what was sealed for this connection.
    ///
    /// # Errors
    /// It was sealed with another master key or for another connection, or was altered since.
    pub fn unseal(&self, connection: ConnectionId, sealed: &[u8]) -> Result<SecretString, SecretError> {
        let refused = || {
            plain_failure(
                "get",
                connection,
                "it was sealed with another master key, or was altered since; use the master key it was stored with, \
                 or enter the API key again",
            )
        };
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LENGTH>().ok_or_else(refused)?;
        let bound_to = bound_to(self.purpose, connection);
        let payload = Payload {
            msg: sealed,
            aad: &bound_to,
        };
        let secret = self
            .cipher
            .decrypt(&XNonce::from(*nonce), payload)
            .map_err(|_| refused())?;
        String::from_utf8(secret).map(SecretString::from).map_err(|_| refused())
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").finish_non_exhaustive()
    }
}

/// Keeps API keys in the hub, each sealed under the master key ([`Sealer`]).
///
/// Whoever has the database alone has no key; whoever has the master key too has all.
pub struct SealedSecretStore {
    hub: Arc<dyn TaskStore>,
    sealer: Sealer,
}

impl SealedSecretStore {
    /// The name under which the hub keeps the sealed key of a connection.
    pub const NAME: &'static str = "api_key";

    /// Keeps keys in `hub`, sealed under `key`.
    #[must_use]
    pub fn new(hub: Arc<dyn TaskStore>, key: &MasterKey) -> Self {
        Self {
            hub,
            sealer: Sealer::new(key),
        }
    }

    /// Keeps the secrets of webhooks there, beside the API keys.
    #[must_use]
    pub fn for_webhooks(hub: Arc<dyn TaskStore>, key: &MasterKey) -> Self {
        let mut store = Self::new(hub, key);
        store.sealer.purpose = Purpose::Webhook;
        store
    }
}

/// What a sealed key is bound to, so that a form of another kind or of another row never opens.
fn bound_to(purpose: Purpose, connection: ConnectionId) -> Vec<u8> {
    [purpose.prefix(), connection.as_uuid().as_bytes()].concat()
}

fn plain_failure(operation: &'static str, connection_id: ConnectionId, message: &str) -> SecretError {
    SecretError {
        operation,
        connection_id,
        message: message.to_owned(),
        source: None,
    }
}

fn failed(
    operation: &'static str,
    connection_id: ConnectionId,
    message: &str,
    source: impl StdError + Send + Sync + 'static,
) -> SecretError {
    SecretError {
        operation,
        connection_id,
        message: message.to_owned(),
        source: Some(Box::new(source)),
    }
}

impl fmt::Debug for SealedSecretStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedSecretStore").finish_non_exhaustive()
    }
}

#[async_trait]
impl SecretStore for SealedSecretStore {
    async fn get(&self, connection: ConnectionId) -> Result<Option<SecretString>, SecretError> {
        let sealed = self
            .hub
            .get_sealed(connection, self.sealer.purpose.name().to_owned())
            .await;
        let sealed = sealed.map_err(|error| failed("get", connection, "the hub cannot be read", error))?;
        sealed.map(|sealed| self.sealer.unseal(connection, &sealed)).transpose()
    }

    async fn put(&self, connection: ConnectionId, secret: SecretString) -> Result<(), SecretError> {
        let sealed = self.sealer.seal(connection, &secret)?;
        let put = self
            .hub
            .put_sealed(connection, self.sealer.purpose.name().to_owned(), Some(sealed))
            .await;
        put.map_err(|error| failed("put", connection, "the hub cannot be written", error))
    }

    async fn delete(&self, connection: ConnectionId) -> Result<(), SecretError> {
        let deleted = self
            .hub
            .put_sealed(connection, self.sealer.purpose.name().to_owned(), None)
            .await;
        deleted.map_err(|error| failed("delete", connection, "the hub cannot be written", error))
    }
}
