//! Opens connections to Leantime.

use std::sync::Arc;

use async_trait::async_trait;
use chrono_tz::Tz;
use magnus_core::connection::{Connection, ConnectionError, ConnectionErrorKind, Connector};
use magnus_core::model::{ConnectionSettings, ToolName};
use magnus_transport::{HttpOptions, HttpTransport, InstanceUrl, Transport, TransportError};
use secrecy::{ExposeSecret, SecretString};

use crate::allowance::Allowance;
use crate::connection::LeantimeConnection;
use crate::gate::{Addresses, Gate};
use crate::rpc::{Credential, Rpc};

/// The zone that Leantime ships with, taken when the settings name none.
pub(crate) const SHIPPED_ZONE: Tz = chrono_tz::America::Los_Angeles;

/// The option that says how many requests per minute the instance allows, where that is known.
const PER_MINUTE: &str = "requests_per_minute";

/// Opens connections to Leantime, tool name `leantime`.
#[derive(Debug, Clone)]
pub struct LeantimeConnector {
    transport: Arc<dyn Transport>,
    addresses: Addresses,
}

impl LeantimeConnector {
    /// A connector that talks through this transport.
    pub fn new(transport: Arc<dyn Transport>) -> Self {
        Self {
            transport,
            addresses: Addresses::default(),
        }
    }

    /// A connector that talks over the network.
    ///
    /// # Errors
    /// When the HTTP client cannot be set up.
    pub fn over_http(options: HttpOptions) -> Result<Self, TransportError> {
        Ok(Self::new(Arc::new(HttpTransport::new(options)?)))
    }
}

fn invalid(message: impl Into<String>) -> ConnectionError {
    ConnectionError::new(ConnectionErrorKind::InvalidSettings, "open", message)
}

#[async_trait]
impl Connector for LeantimeConnector {
    fn tool(&self) -> ToolName {
        ToolName::new("leantime")
    }

    async fn open(
        &self,
        settings: ConnectionSettings,
        secret: SecretString,
    ) -> Result<Arc<dyn Connection>, ConnectionError> {
        let instance = InstanceUrl::parse(&settings.url)
            .map_err(|error| invalid(error.to_string()).with_source(error))?
            .without_api_path("/api/jsonrpc");
        let endpoint = instance
            .endpoint("api/jsonrpc")
            .map_err(|error| invalid(error.to_string()).with_source(error))?;
        let credential = Credential::new(secret.expose_secret())
            .ok_or_else(|| invalid("the API key is empty or holds characters that no key has"))?;
        let mut configured = None;
        for (option, value) in &settings.options.tool {
            if option != PER_MINUTE {
                return Err(invalid(format!(
                    "unknown option tool.{option}: the only one for Leantime is tool.{PER_MINUTE}"
                )));
            }
            let limit = value.as_u64().and_then(|limit| u32::try_from(limit).ok());
            configured = Some(limit.filter(|limit| *limit > 0).ok_or_else(|| {
                invalid(format!(
                    "tool.{PER_MINUTE} is {value}; give the number that LEAN_RATELIMIT_API has"
                ))
            })?);
        }
        let zone = match &settings.options.time_zone {
            None => SHIPPED_ZONE,
            Some(name) => name.parse().map_err(|_| {
                invalid(format!(
                    "time_zone {name:?} is not known; give an IANA name such as Europe/Berlin"
                ))
            })?,
        };
        let rpc = Rpc::new(
            Arc::clone(&self.transport),
            endpoint,
            credential,
            Allowance::new(configured),
            Gate::new(self.addresses.of(instance.as_url().origin().ascii_serialization())),
        );
        Ok(Arc::new(LeantimeConnection::new(
            rpc,
            instance,
            zone,
            settings.options,
            key_name(&secret),
        )))
    }
}

/// A name for a key without its secret half: versions up to 3.7 do not tell whose key it is.
fn key_name(secret: &SecretString) -> String {
    let public = secret
        .expose_secret()
        .trim()
        .strip_prefix("lt_")
        .and_then(|key| key.split_once('_'));
    public.map_or_else(
        || "token".to_owned(),
        |(user, _)| format!("key-{}", user.chars().take(8).collect::<String>()),
    )
}
