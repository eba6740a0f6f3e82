//! Counts what is asked of the tools.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use magnus_http::RemoteCalls;
use magnus_transport::{Transport, TransportError};

/// A transport whose requests are counted.
pub(crate) struct Metered {
    inner: Arc<dyn Transport>,
    calls: RemoteCalls,
}

impl Metered {
    pub(crate) fn new(inner: Arc<dyn Transport>, calls: RemoteCalls) -> Self {
        Self { inner, calls }
    }
}

impl fmt::Debug for Metered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metered").field("inner", &self.inner).finish()
    }
}

#[async_trait]
impl Transport for Metered {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let host = request.uri().host().unwrap_or_default().to_owned();
        let begun = Instant::now();
        let answer = self.inner.send(request).await;
        let status = answer.as_ref().ok().map(|answer| answer.status().as_u16());
        self.calls.record(&host, status, begun.elapsed());
        answer
    }
}
