//! A transport that calls an [`axum::Router`] in this process.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, to_bytes};
use bytes::Bytes;
use http::{Request, Response, Uri};
use magnus_transport::{Sent, Transport, TransportError, TransportErrorKind};
use tower::ServiceExt;

/// Answers every request from a router, whatever its host. No socket is opened, so it works under paused time.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(async {
/// use axum::{Router, routing::get};
/// use magnus_testkit::transport::RouterTransport;
/// use magnus_transport::Transport;
///
/// let tool = RouterTransport::new(Router::new().route("/ping", get(|| async { "pong" })));
/// let request = http::Request::get("http://tool.test/ping").body(bytes::Bytes::new())?;
/// assert_eq!(tool.send(request).await?.body(), "pong");
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).expect("pong");
/// ```
#[derive(Clone)]
pub struct RouterTransport {
    router: Router,
}

impl RouterTransport {
    /// A transport that answers from `router`.
    pub fn new(router: Router) -> Self {
        Self { router }
    }
}

impl fmt::Debug for RouterTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RouterTransport").finish_non_exhaustive()
    }
}

#[async_trait]
impl Transport for RouterTransport {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let (mut parts, body) = request.into_parts();
        let context = format!("{} {}", parts.method, parts.uri.path());
        let Some(authority) = parts.uri.authority().cloned() else {
            return Err(TransportError::new(TransportErrorKind::InvalidUrl, Sent::No, context));
        };
        // As on the wire: the host is a header, and the target is a path with its query.
        if let Ok(host) = authority.as_str().parse() {
            parts.headers.entry(http::header::HOST).or_insert(host);
        }
        let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
        parts.uri = target.parse::<Uri>().map_err(|error| {
            TransportError::new(TransportErrorKind::InvalidUrl, Sent::No, context.clone()).with_source(error)
        })?;
        let answer = match self
            .router
            .clone()
            .oneshot(Request::from_parts(parts, Body::from(body)))
            .await
        {
            Ok(answer) => answer,
            Err(never) => match never {},
        };
        let (parts, body) = answer.into_parts();
        let body = to_bytes(body, usize::MAX).await.map_err(|error| {
            TransportError::new(TransportErrorKind::Interrupted, Sent::Maybe, context).with_source(error)
        })?;
        Ok(Response::from_parts(parts, body))
    }
}

/// Answers each host from a router of its own, as a network with several instances of one tool does. Clones share their
/// hosts; a request to a host that is not there fails before it is sent.
#[derive(Debug, Clone, Default)]
pub struct HostsTransport(Arc<RwLock<BTreeMap<String, RouterTransport>>>);

impl HostsTransport {
    /// From now on `host` answers from `router`.
    pub fn add(&self, host: &str, router: Router) {
        let mut hosts = self.0.write().unwrap_or_else(PoisonError::into_inner);
        hosts.insert(host.to_owned(), RouterTransport::new(router));
    }
}

#[async_trait]
impl Transport for HostsTransport {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let host = request.uri().host().unwrap_or_default().to_owned();
        let router = {
            let hosts = self.0.read().unwrap_or_else(PoisonError::into_inner);
            hosts.get(&host).cloned()
        };
        match router {
            Some(router) => router.send(request).await,
            None => Err(TransportError::new(
                TransportErrorKind::Dns,
                Sent::No,
                format!("no host {host}"),
            )),
        }
    }
}
