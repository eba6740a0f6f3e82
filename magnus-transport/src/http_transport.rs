use std::error::Error as StdError;
use std::net::IpAddr;
use std::time::Instant;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http::{Method, Request, Response, StatusCode, header::LOCATION};
use reqwest::{Certificate, Client, redirect};
use url::{Host, Url};

use crate::{HttpOptions, Sent, Transport, TransportError, TransportErrorKind as Kind};

const MAX_REDIRECTS: usize = 5;

/// [`Transport`] over HTTP/1.1 and HTTP/2, with pooled connections.
///
/// Answers may be compressed with gzip. Proxies are taken from the environment, but loopback addresses are always
/// reached directly. A redirect is followed for `GET` and `HEAD` only, and only within the origin.
#[derive(Clone, Debug)]
pub struct HttpTransport {
    // Two clients, as a proxy is a property of a client and loopback must not go through one.
    through_environment: Client,
    direct: Client,
    options: HttpOptions,
}

impl HttpTransport {
    /// A transport with `options`. Reads the system's trusted roots, so make one and share it.
    ///
    /// Installs ring as the process's default provider of cryptography unless the host application has installed
    /// another.
    ///
    /// # Errors
    ///
    /// [`TransportErrorKind::Setup`](Kind::Setup) if a trusted root or the user agent cannot be used.
    pub fn new(options: HttpOptions) -> Result<Self, TransportError> {
        // Fails only when a provider is installed already, and then that one is used.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let roots = trusted_roots(&options)?;
        Ok(Self {
            through_environment: client(&options, &roots, false)?,
            direct: client(&options, &roots, true)?,
            options,
        })
    }

    async fn exchange(&self, request: reqwest::Request, context: &str) -> Result<Response<Bytes>, TransportError> {
        let client = if is_loopback(request.url()) {
            &self.direct
        } else {
            &self.through_environment
        };
        let answer = client
            .execute(request)
            .await
            .map_err(|error| from_reqwest(error, context))?;
        collect(answer, self.options.max_body_bytes, context).await
    }
}

#[async_trait]
impl Transport for HttpTransport {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let (parts, body) = request.into_parts();
        let mut url = target(&parts.method, &parts.uri.to_string())?;
        let is_read = parts.method == Method::GET || parts.method == Method::HEAD;
        let deadline = Instant::now() + self.options.request_timeout;

        for _ in 0..=MAX_REDIRECTS {
            let context = describe(&parts.method, &url);
            let mut hop = reqwest::Request::new(parts.method.clone(), url.clone());
            *hop.headers_mut() = parts.headers.clone();
            *hop.timeout_mut() = Some(deadline.saturating_duration_since(Instant::now()));
            if !body.is_empty() {
                *hop.body_mut() = Some(body.clone().into());
            }
            let answer = self.exchange(hop, &context).await?;
            if !is_redirect(answer.status()) {
                return Ok(answer);
            }
            let refused = |why: &str| TransportError::new(Kind::Redirect, Sent::Maybe, format!("{context} ({why})"));
            if !is_read {
                return Err(refused("the request is not a read; is the instance URL the final one?"));
            }
            let location = answer.headers().get(LOCATION).and_then(|value| value.to_str().ok());
            let next = location
                .and_then(|location| url.join(location).ok())
                .ok_or_else(|| refused("no location"))?;
            if next.origin() != url.origin() {
                return Err(refused(
                    "it leads to another origin; is the instance URL the final one?",
                ));
            }
            url = next;
        }
        Err(TransportError::new(
            Kind::Redirect,
            Sent::Maybe,
            describe(&parts.method, &url) + " (too many)",
        ))
    }
}

fn trusted_roots(options: &HttpOptions) -> Result<Vec<Certificate>, TransportError> {
    let setup = |error| TransportError::new(Kind::Setup, Sent::No, "reading a trusted root").with_source(error);
    let mut roots = Vec::new();
    for pem in &options.trusted_roots {
        let bundle = Certificate::from_pem_bundle(pem).map_err(setup)?;
        if bundle.is_empty() {
            return Err(TransportError::new(
                Kind::Setup,
                Sent::No,
                "reading a trusted root: no certificate in it",
            ));
        }
        roots.extend(bundle);
    }
    Ok(roots)
}

fn client(options: &HttpOptions, roots: &[Certificate], direct: bool) -> Result<Client, TransportError> {
    let builder = || {
        let builder = Client::builder()
            .user_agent(options.user_agent.as_str())
            .connect_timeout(options.connect_timeout)
            .redirect(redirect::Policy::none())
            .gzip(true);
        if direct { builder.no_proxy() } else { builder }
    };
    match builder().tls_certs_merge(roots.iter().cloned()).build() {
        Ok(client) => Ok(client),
        // A machine without any trusted root (a bare container) can still speak plain HTTP; every https request
        // then fails with a TLS error of its own.
        Err(error) if roots.is_empty() => {
            tracing::warn!(%error, "no trusted roots on this system: https will not work");
            builder().tls_certs_only([]).build().map_err(setup_failed)
        }
        Err(error) => Err(setup_failed(error)),
    }
}

fn setup_failed(error: reqwest::Error) -> TransportError {
    TransportError::new(Kind::Setup, Sent::No, "setting up the HTTP client").with_source(error)
}

fn target(method: &Method, uri: &str) -> Result<Url, TransportError> {
    let invalid = |why: &str| TransportError::new(Kind::InvalidUrl, Sent::No, format!("{method} ({why})"));
    let url = Url::parse(uri).map_err(|_| invalid("not an absolute URL"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(invalid("not an http or https URL with a host"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(invalid("credentials in the URL"));
    }
    Ok(url)
}

/// Method and address without query, for errors.
fn describe(method: &Method, url: &Url) -> String {
    format!("{method} {}{}", url.origin().ascii_serialization(), url.path())
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

async fn collect(
    mut answer: reqwest::Response,
    limit: usize,
    context: &str,
) -> Result<Response<Bytes>, TransportError> {
    let too_large = || {
        TransportError::new(
            Kind::BodyTooLarge,
            Sent::Maybe,
            format!("{context} (more than {limit} bytes)"),
        )
    };
    if answer.content_length().is_some_and(|length| length > limit as u64) {
        return Err(too_large());
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| from_reqwest(error, context))? {
        if body.len() + chunk.len() > limit {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    let mut response = Response::new(body.freeze());
    *response.status_mut() = answer.status();
    *response.version_mut() = answer.version();
    *response.headers_mut() = std::mem::take(answer.headers_mut());
    Ok(response)
}

fn from_reqwest(error: reqwest::Error, context: &str) -> TransportError {
    let (kind, sent) = if error.is_builder() {
        (Kind::InvalidUrl, Sent::No)
    } else if error.is_connect() {
        // A connection is only used once it is made, handshake included: nothing was sent.
        let kind = if is_tls(&error) {
            Kind::Tls
        } else if error.is_dns() {
            Kind::Dns
        } else {
            Kind::Connect
        };
        (kind, Sent::No)
    } else if error.is_timeout() {
        (Kind::Timeout, Sent::Maybe)
    } else {
        (Kind::Interrupted, Sent::Maybe)
    };
    // The address, which may hold a query, is already in the context as far as it may be shown.
    TransportError::new(kind, sent, context).with_source(error.without_url())
}

fn is_tls(error: &(dyn StdError + 'static)) -> bool {
    if error.is::<rustls::Error>() {
        return true;
    }
    // `io::Error::source` skips the error it wraps.
    let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    wrapped
        .map(|wrapped| wrapped as &(dyn StdError + 'static))
        .or(error.source())
        .is_some_and(is_tls)
}
