//! Opens connections to OpenProject.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use magnus_core::clock::{Clock, SystemClock};
use magnus_core::connection::{Connection, ConnectionError, ConnectionErrorKind, Connector};
use magnus_core::model::{ConnectionSettings, DeletionPolicy, ToolName};
use magnus_transport::{HttpOptions, HttpTransport, InstanceUrl, Transport, TransportError};
use secrecy::{ExposeSecret, SecretString};

use crate::client::Client;
use crate::connection::OpenProjectConnection;
use crate::options::{Auth, ToolOptions};

/// Opens connections to OpenProject instances.
///
/// The secret is an API token of the user whom the sync acts as ("My account → Access tokens → API"). In the
/// settings' `tool` options, `auth` (`"basic"`, the default, or `"bearer"`) says how it is presented, `type` (a name or
/// id) which type created work packages get, and `create_marker_field` (`customField7`) which custom field of theirs
/// keeps a marker of the operation that made them.
#[derive(Clone)]
pub struct OpenProjectConnector {
    transport: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for OpenProjectConnector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("OpenProjectConnector")
            .field("transport", &self.transport)
            .finish_non_exhaustive()
    }
}

impl OpenProjectConnector {
    /// The tool's name in connection settings.
    pub const TOOL: &'static str = "openproject";

    /// A connector whose connections share this transport.
    #[must_use]
    pub fn new(transport: Arc<dyn Transport>) -> Self {
        Self {
            transport,
            clock: Arc::new(SystemClock),
        }
    }

    /// A connector over HTTP.
    ///
    /// # Errors
    /// When the HTTP client can not be set up.
    pub fn over_http(options: HttpOptions) -> Result<Self, TransportError> {
        Ok(Self::new(Arc::new(HttpTransport::new(options)?)))
    }

    /// With another clock, which the server's clock is compared with.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }
}

fn invalid(message: impl Into<String>) -> ConnectionError {
    ConnectionError::new(ConnectionErrorKind::InvalidSettings, "open", message)
}

/// The instance's address; one of its API is taken for the instance's.
fn instance(url: &str) -> Result<InstanceUrl, ConnectionError> {
    let given = InstanceUrl::parse(url).map_err(|error| invalid(error.to_string()).with_source(error))?;
    Ok(given.without_api_path("/api/v3"))
}

fn authorization(auth: Auth, secret: &SecretString) -> Result<HeaderValue, ConnectionError> {
    let key = secret.expose_secret().trim();
    if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(invalid(
            "the API key is empty or holds characters that no key has; copy it again from OpenProject",
        ));
    }
    let text = match auth {
        Auth::Basic => format!("Basic {}", STANDARD.encode(format!("apikey:{key}"))),
        Auth::Bearer => format!("Bearer {key}"),
    };
    let mut value = HeaderValue::try_from(text).map_err(|_| invalid("the API key can not be sent"))?;
    value.set_sensitive(true);
    Ok(value)
}

#[async_trait]
impl Connector for OpenProjectConnector {
    fn tool(&self) -> ToolName {
        ToolName::new(Self::TOOL)
    }

    async fn open(
        &self,
        settings: ConnectionSettings,
        secret: SecretString,
    ) -> Result<Arc<dyn Connection>, ConnectionError> {
        let options = ToolOptions::parse(&settings.options.tool)
            .map_err(|error| invalid(format!("the `tool` options are not understood: {error}")).with_source(error))?;
        if settings.options.deletions == DeletionPolicy::Archive {
            return Err(invalid(
                "OpenProject can not archive work packages; choose `keep` or `delete` for `deletions`",
            ));
        }
        let client = Client {
            transport: Arc::clone(&self.transport),
            base: instance(&settings.url)?,
            authorization: authorization(options.auth, &secret)?,
            clock: Arc::clone(&self.clock),
        };
        Ok(Arc::new(OpenProjectConnection::new(client, settings.options, options)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_the_api_is_taken_for_the_instances() {
        assert_eq!(
            instance("https://op.example/op/api/v3/").expect("valid").as_str(),
            "https://op.example/op"
        );
        assert!(instance("op.example").is_err());
    }

    #[test]
    fn the_key_is_sent_as_the_user_apikey_and_never_shown() {
        let value = authorization(Auth::Basic, &SecretString::from(" key ")).expect("valid");
        assert_eq!(value.as_bytes(), b"Basic YXBpa2V5OmtleQ==");
        assert_eq!(format!("{value:?}"), "Sensitive");
        for bad in ["", "  ", "with space", "línea", "a\nb"] {
            assert!(authorization(Auth::Basic, &SecretString::from(bad)).is_err(), "{bad:?}");
        }
    }
}
