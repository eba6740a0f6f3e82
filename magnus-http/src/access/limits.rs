//! How much one client may ask, and how long a request may take.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::time::{Instant, timeout};

use crate::problem::{Kind, Problem};
use crate::state::App;

/// Clients that asked for nothing for this long are forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60);

/// Above this many clients the quiet ones are forgotten.
const MANY: usize = 10_000;

/// What one client may still ask.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: f64,
    at: Instant,
}

/// A bucket of requests for each client, by address.
#[derive(Debug)]
pub(crate) struct Buckets {
    per_second: f64,
    clients: Mutex<HashMap<Option<IpAddr>, Bucket>>,
}

impl Buckets {
    pub(crate) fn new(per_second: u32) -> Self {
        Self {
            per_second: f64::from(per_second.max(1)),
            clients: Mutex::default(),
        }
    }

    /// Takes one request; `false`: the client has asked too much lately.
    fn take(&self, client: Option<IpAddr>) -> bool {
        let now = Instant::now();
        let most = self.per_second * 2.0;
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if clients.len() > MANY {
            clients.retain(|_, bucket| now - bucket.at < FORGOTTEN_AFTER);
        }
        let bucket = clients.entry(client).or_insert(Bucket { left: most, at: now });
        bucket.left = (bucket.left + (now - bucket.at).as_secs_f64() * self.per_second).min(most);
        bucket.at = now;
        let has = bucket.left >= 1.0;
        if has {
            bucket.left -= 1.0;
        }
        has
    }
}

/// Refuses who asks too much.
pub(crate) async fn rate(State(app): State<App>, request: Request, next: Next) -> Response {
    let client = request.extensions().get::<ConnectInfo<SocketAddr>>();
    if app.buckets.take(client.map(|client| client.0.ip())) {
        next.run(request).await
    } else {
        let detail = "too many requests from this address; wait a moment";
        Problem::new(Kind::TooMany, detail).retry_after(1).into_response()
    }
}

/// Ends requests that take too long, except those that wait for a run or listen.
pub(crate) async fn time(State(app): State<App>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let waits = request.uri().query().is_some_and(|query| {
        query
            .split('&')
            .any(|pair| matches!(pair, "wait=true" | "dry_run=true"))
    });
    if waits || path.ends_with("/sync/events") || path.ends_with("/ai/breakdown") {
        return next.run(request).await;
    }
    let limit = app.options.time_limit;
    match timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let detail = format!("there was no answer within {} s", limit.as_secs());
            Problem::new(Kind::Timeout, detail).into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_client_may_burst_and_then_goes_at_the_rate() {
        let buckets = Buckets::new(10);
        let (one, other) = (Some("192.0.2.1".parse().unwrap()), None);
        assert_eq!((0..100).filter(|_| buckets.take(one)).count(), 20);
        assert!(buckets.take(other), "each client has its own");
        tokio::time::advance(Duration::from_millis(500)).await;
        assert_eq!((0..100).filter(|_| buckets.take(one)).count(), 5);
    }
}
