//! How much one client may ask, how much may be in work at once, and how long a request may take.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use crate::options::ServiceOptions;
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

/// What a request does, as far as limits go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    /// It asks whether the service lives, which is answered whatever else goes on.
    SignOfLife,
    /// It listens to live events.
    Listens,
    /// It waits for a run, or for a long answer of a language model.
    Waits,
    /// It asks a tool, which may be slow.
    AsksTool,
    /// It is answered as fast as that can be done.
    Quick,
}

impl Work {
    fn of(request: &Request) -> Self {
        let path = request.uri().path();
        let ends = |ends: &[&str]| ends.iter().any(|end| path.ends_with(end));
        let wants_to_wait = || {
            let mut pairs = request.uri().query().unwrap_or_default().split('&');
            pairs.any(|pair| matches!(pair, "wait=true" | "dry_run=true"))
        };
        if ends(&["/health"]) {
            Self::SignOfLife
        } else if ends(&["/sync/events"]) {
            Self::Listens
        } else if ends(&["/ai/breakdown"]) || (ends(&["/sync", "/sync/all", "/confirm", "/undo"]) && wants_to_wait()) {
            Self::Waits
        } else if path.contains("/connections/") && ends(&["/test", "/projects", "/matches"]) {
            Self::AsksTool
        } else {
            Self::Quick
        }
    }
}

/// Places for what is in work.
#[derive(Debug)]
pub(crate) struct Places {
    quick: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    listening: Arc<Semaphore>,
}

impl Places {
    pub(crate) fn new(options: &ServiceOptions) -> Self {
        let places = |count: usize| Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS)));
        Self {
            quick: places(options.requests_at_once),
            waiting: places(options.waiting_at_once),
            listening: places(options.listeners_at_once),
        }
    }

    /// A place for a listener, as long as it keeps it.
    pub(crate) fn listen(&self) -> Result<OwnedSemaphorePermit, Problem> {
        take(
            &self.listening,
            "as many clients listen to live events as may; come back in a moment",
        )
    }

    fn take(&self, work: Work) -> Result<Option<OwnedSemaphorePermit>, Problem> {
        match work {
            // A listener takes its place when it is let in: it keeps it for longer than its answer takes to begin.
            Work::SignOfLife | Work::Listens => Ok(None),
            Work::Waits | Work::AsksTool => take(
                &self.waiting,
                "as many requests wait for runs and tools as may; ask again later",
            )
            .map(Some),
            Work::Quick => take(&self.quick, "too many requests are in work; ask again in a moment").map(Some),
        }
    }
}

fn take(places: &Arc<Semaphore>, full: &str) -> Result<OwnedSemaphorePermit, Problem> {
    let place = Arc::clone(places).try_acquire_owned();
    place.map_err(|_| Problem::new(Kind::Busy, full).retry_after(1))
}

/// Refuses what comes while as much is in work as may be: what would wait here would be kept in memory, and be answered
/// when nobody waits for it any more.
pub(crate) async fn work(State(app): State<App>, request: Request, next: Next) -> Response {
    match app.places.take(Work::of(&request)) {
        Ok(_place) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

/// Ends requests that take too long, except those that wait for a run or listen.
pub(crate) async fn time(State(app): State<App>, request: Request, next: Next) -> Response {
    if matches!(Work::of(&request), Work::Waits | Work::Listens) {
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

    #[test]
    fn only_what_asks_for_a_run_may_wait() {
        for (path, work) in [
            ("/health", Work::SignOfLife),
            ("/magnus/sync/events?last_event_id=3", Work::Listens),
            ("/connections/1/sync?wait=true", Work::Waits),
            ("/connections/1/sync?direction=pull&dry_run=true", Work::Waits),
            ("/sync/all?wait=true", Work::Waits),
            ("/sync/runs/1/undo?wait=true", Work::Waits),
            ("/ai/breakdown?task_id=1", Work::Waits),
            ("/connections/1/projects", Work::AsksTool),
            ("/connections/test", Work::AsksTool),
            ("/projects", Work::Quick),
            ("/connections/1/sync", Work::Quick),
            ("/connections/1/sync?wait=false", Work::Quick),
            ("/tasks?wait=true", Work::Quick),
            ("/sync/status", Work::Quick),
        ] {
            let request = Request::builder().uri(path).body(axum::body::Body::empty()).unwrap();
            assert_eq!(Work::of(&request), work, "{path}");
        }
    }

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
