//! The client of a provider, and where it goes.

use std::net::IpAddr;
use std::time::Duration;

use genai::adapter::AdapterKind;
use genai::resolver::{AuthData, Endpoint};
use genai::{Client, ModelIden, ServiceTarget};
use magnus_core::breakdown::{BreakdownError, BreakdownErrorKind as Kind};
use reqwest::redirect;
use url::{Host, Url};

use crate::failure::failed;
use crate::settings::{ModelSettings, Provider};

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(10);

/// Where requests go, always with a slash at its end: what is asked for is joined to it.
pub(crate) fn address(settings: &ModelSettings) -> Result<Url, BreakdownError> {
    let given = match (&settings.base_url, settings.provider) {
        (Some(url), _) => url.trim(),
        (None, Provider::Anthropic) => "https://api.anthropic.com/v1/",
        (None, Provider::OpenAi) => "https://api.openai.com/v1/",
        (None, Provider::Compatible) => {
            return Err(failed(
                Kind::Invalid,
                "a compatible server needs its address, such as http://127.0.0.1:11434/v1",
            ));
        }
    };
    let refused = |why: &str| {
        let message = format!("the address of the model {why}; expected one such as http://127.0.0.1:11434/v1");
        failed(Kind::Invalid, message)
    };
    let mut url = Url::parse(given).map_err(|_| refused("cannot be read"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(refused("is no http or https URL"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refused("holds credentials; give the key apart from it"));
    }
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    Ok(url)
}

/// A client whose connections are kept.
pub(crate) fn client(address: &Url) -> Result<Client, BreakdownError> {
    // Fails only when a provider of cryptography is installed already, and then that one is used.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = || {
        let builder = reqwest::Client::builder()
            .user_agent(concat!("magnus/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            // A key must not follow to wherever a server points.
            .redirect(redirect::Policy::none())
            .gzip(true);
        if is_loopback(address) {
            builder.no_proxy()
        } else {
            builder
        }
    };
    let http = match builder().build() {
        // A machine without any trusted root (a bare container) can still speak plain HTTP.
        Err(_) if address.scheme() == "http" => builder().tls_certs_only([]).build(),
        other => other,
    };
    let setup = |error: String| failed(Kind::Invalid, format!("the HTTP client cannot be set up: {error}"));
    let http = http.map_err(|error| setup(error.to_string()))?;
    let client = Client::builder().with_reqwest(http).build();
    client.map_err(|error| setup(error.to_string()))
}

/// What a request is for. Servers of one's own often take no key, but the client insists on one.
pub(crate) fn target(settings: &ModelSettings, address: &Url, key: Option<&str>) -> ServiceTarget {
    let kind = match settings.provider {
        Provider::Anthropic => AdapterKind::Anthropic,
        Provider::OpenAi | Provider::Compatible => AdapterKind::OpenAI,
    };
    ServiceTarget {
        endpoint: Endpoint::from_owned(address.as_str()),
        auth: AuthData::from_single(key.unwrap_or("none")),
        model: ModelIden::new(kind, settings.model.clone()),
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_end_with_a_slash_and_hold_no_credentials() {
        let at = |url: &str| address(&ModelSettings::new(Provider::Compatible, "x").base_url(url));
        for (given, taken) in [
            ("http://127.0.0.1:11434/v1", "http://127.0.0.1:11434/v1/"),
            (
                " https://models.example.org/openai/v1/ ",
                "https://models.example.org/openai/v1/",
            ),
            ("http://[::1]:8000", "http://[::1]:8000/"),
        ] {
            assert_eq!(at(given).unwrap().as_str(), taken);
        }
        for refused in [
            "",
            "127.0.0.1:11434",
            "file:///etc/passwd",
            "https://u:canary@example.org/v1",
        ] {
            let error = at(refused).unwrap_err();
            assert!(
                error.kind() == Kind::Invalid && !error.to_string().contains("canary"),
                "{error}"
            );
        }
        assert!(address(&ModelSettings::new(Provider::Compatible, "x")).is_err());
        assert!(address(&ModelSettings::new(Provider::Anthropic, "x")).is_ok());
    }
}
