//! JSON-RPC over a transport: batches, ids, and errors that say whether something was written.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use chrono::Utc;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use magnus_core::connection::{ConnectionError, ConnectionErrorKind as Kind, Outcome};
use magnus_transport::{Sent, Transport, TransportError, TransportErrorKind, server_date};
use serde_json::{Value, json};
use tokio::time::Instant;
use url::Url;

use crate::allowance::Allowance;
use crate::answer::{Answer, Text, split};
use crate::gate::Gate;

/// How long to wait when the tool does not say: its windows are a minute long.
const LOCK_OUT: Duration = Duration::from_secs(60);
/// A key that worked a moment ago is refused while the tool's database is away; it is asked once more after this.
const SECOND_ASKING: Duration = Duration::from_secs(2);
/// A longer pause than this is not waited for but reported.
const LONGEST_PAUSE: Duration = Duration::from_secs(120);
/// How often a request is sent again after the instance said that it came too early.
const TOO_EARLY: usize = 2;

/// One call of a batch.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: &'static str,
    pub(crate) params: Value,
}

impl Call {
    pub(crate) fn new(method: &'static str, params: Value) -> Self {
        Self { method, params }
    }
}

/// The error of one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) code: i64,
    pub(crate) message: String,
}

impl Fault {
    pub(crate) const NO_SUCH_METHOD: i64 = -32601;
    pub(crate) const NOT_ALLOWED: i64 = -32001;
    pub(crate) const NO_SUCH_TICKET: i64 = -32002;

    /// The error for the caller. A server error inside the tool may have come after the write.
    pub(crate) fn into_error(self, operation: &'static str, effect: Effect) -> ConnectionError {
        let (kind, outcome) = match self.code {
            Self::NOT_ALLOWED => (Kind::Forbidden, Outcome::NotApplied),
            Self::NO_SUCH_TICKET => (Kind::NotFound, Outcome::NotApplied),
            Self::NO_SUCH_METHOD | -32004 => (Kind::Unsupported, Outcome::NotApplied),
            -32602 => (Kind::Rejected, Outcome::NotApplied),
            _ => (Kind::Protocol, effect.outcome_when_lost()),
        };
        ConnectionError::new(kind, operation, self.message)
            .with_outcome(outcome)
            .with_context("code", self.code)
    }
}

/// Whether a batch writes: what its failure says of the outcome depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    Read,
    Write,
}

impl Effect {
    pub(crate) const fn outcome_when_lost(self) -> Outcome {
        match self {
            Self::Read => Outcome::NotApplied,
            Self::Write => Outcome::Unknown,
        }
    }
}

/// The credential, as a header.
pub(crate) struct Credential {
    name: HeaderName,
    value: HeaderValue,
}

impl Credential {
    /// A company API key (`lt_…`) or, of any other shape, a personal token. `None` if it cannot be sent in a header.
    pub(crate) fn new(secret: &str) -> Option<Self> {
        let secret = secret.trim();
        if secret.is_empty() {
            return None;
        }
        let (name, text) = if secret.starts_with("lt_") {
            (HeaderName::from_static("x-api-key"), secret.to_owned())
        } else {
            (AUTHORIZATION, format!("Bearer {secret}"))
        };
        let mut value = HeaderValue::from_str(&text).ok()?;
        value.set_sensitive(true);
        Some(Self { name, value })
    }
}

/// A client of one instance.
pub(crate) struct Rpc {
    transport: Arc<dyn Transport>,
    endpoint: Url,
    credential: Credential,
    allowance: Allowance,
    gate: Gate,
    worked_before: AtomicBool,
    /// Nanoseconds spent waiting for answers.
    spent: AtomicU64,
    requests: AtomicU64,
    /// Seconds by which the server's clock is ahead of ours.
    ahead: AtomicI64,
}

impl std::fmt::Debug for Rpc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rpc")
            .field("endpoint", &self.endpoint.as_str())
            .finish_non_exhaustive()
    }
}

impl Rpc {
    pub(crate) fn new(
        transport: Arc<dyn Transport>,
        endpoint: Url,
        credential: Credential,
        allowance: Allowance,
        gate: Gate,
    ) -> Self {
        Self {
            transport,
            endpoint,
            credential,
            allowance,
            gate,
            worked_before: AtomicBool::new(false),
            spent: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            ahead: AtomicI64::new(0),
        }
    }

    /// Seconds by which the server's clock was ahead of ours in the last answer; up to two are taken for the way.
    pub(crate) fn seconds_ahead(&self) -> i64 {
        let ahead = self.ahead.load(Ordering::Relaxed);
        if ahead.abs() <= 2 { 0 } else { ahead }
    }

    pub(crate) const fn allowance(&self) -> &Allowance {
        &self.allowance
    }

    /// The requests so far, and how long they took to be answered. The wait for their turns is left out.
    pub(crate) fn spent(&self) -> (u64, Duration) {
        let nanos = self.spent.load(Ordering::Relaxed);
        (self.requests.load(Ordering::Relaxed), Duration::from_nanos(nanos))
    }

    /// One call that reads.
    pub(crate) async fn read(&self, operation: &'static str, call: Call) -> Result<Answer, ConnectionError> {
        let mut answers = self.batch(operation, Effect::Read, vec![call]).await?;
        Ok(answers.pop().unwrap_or_else(|| {
            Err(Fault {
                code: 0,
                message: "no answer".to_owned(),
            })
        }))
    }

    /// Several calls in one request, carried out in order; one answer each, in order.
    pub(crate) async fn batch(
        &self,
        operation: &'static str,
        effect: Effect,
        calls: Vec<Call>,
    ) -> Result<Vec<Answer>, ConnectionError> {
        let texts = self.texts(operation, effect, calls).await?;
        texts.into_iter().map(|text| text.parsed(operation, effect)).collect()
    }

    /// As [`Rpc::batch`], with answers that are not taken apart yet.
    pub(crate) async fn texts(
        &self,
        operation: &'static str,
        effect: Effect,
        calls: Vec<Call>,
    ) -> Result<Vec<Text>, ConnectionError> {
        if calls.is_empty() {
            return Ok(Vec::new());
        }
        let body: Vec<Value> = calls
            .iter()
            .enumerate()
            .map(|(at, call)| {
                let method = format!("leantime.rpc.{}", call.method);
                json!({"jsonrpc": "2.0", "id": at + 1, "method": method, "params": call.params})
            })
            .collect();
        let body = Bytes::from(Value::Array(body).to_string());
        let mut response = self.exchange(operation, effect, body.clone()).await?;
        for _ in 0..TOO_EARLY {
            // Nothing was carried out here either. The turn of the next try comes after the pause.
            let Some(pause) = pause(&response).filter(|pause| *pause <= LONGEST_PAUSE) else {
                break;
            };
            tracing::debug!(operation, ?pause, "the limit of requests per minute was exceeded");
            response = self.exchange(operation, effect, body.clone()).await?;
        }
        if response.status() == StatusCode::UNAUTHORIZED && self.worked_before.load(Ordering::Relaxed) {
            // Nothing was carried out, so asking again is safe for a write too.
            tokio::time::sleep(SECOND_ASKING).await;
            response = self.exchange(operation, effect, body).await?;
        }
        if let Some(error) = http_error(operation, effect, &response) {
            return Err(error);
        }
        let answers = split(operation, effect, response.body(), calls.len())?;
        self.worked_before.store(true, Ordering::Relaxed);
        Ok(answers)
    }

    async fn exchange(
        &self,
        operation: &'static str,
        effect: Effect,
        body: Bytes,
    ) -> Result<Response<Bytes>, ConnectionError> {
        if let Some(wait) = self.gate.closed_for(operation == "check") {
            let message = format!(
                "Leantime refused the key several times; it is left alone for another {} s, for it locks out whoever \
                 goes on asking",
                wait.as_secs()
            );
            return Err(ConnectionError::new(Kind::Unauthorized, operation, message));
        }
        let request = Request::post(self.endpoint.as_str())
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "application/json")
            .header(self.credential.name.clone(), self.credential.value.clone())
            .body(body)
            .map_err(|error| {
                ConnectionError::new(Kind::InvalidSettings, operation, "the instance URL cannot be asked")
                    .with_source(error)
            })?;
        let turn = self.allowance.turn().await;
        let begun = Instant::now();
        let response = self.transport.send(request).await;
        let took = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        drop(turn);
        self.spent.fetch_add(took, Ordering::Relaxed);
        self.requests.fetch_add(1, Ordering::Relaxed);
        let response = response.map_err(|error| transport_error(operation, effect, error))?;
        match response.status() {
            StatusCode::UNAUTHORIZED => self.gate.note(false),
            StatusCode::TOO_MANY_REQUESTS => {
                let pause = pause(&response).unwrap_or(LOCK_OUT);
                self.allowance
                    .learn_refusal(header_number(&response, "x-ratelimit-limit"), pause);
            }
            _ => self.gate.note(true),
        }
        if let Some(date) = server_date(&response) {
            self.ahead.store((date - Utc::now()).num_seconds(), Ordering::Relaxed);
        }
        Ok(response)
    }
}

fn transport_error(operation: &'static str, effect: Effect, error: TransportError) -> ConnectionError {
    let (kind, advice) = match error.kind() {
        TransportErrorKind::Timeout => (Kind::Timeout, "Leantime did not answer in time"),
        TransportErrorKind::BodyTooLarge => (Kind::Protocol, "the answer is larger than allowed"),
        TransportErrorKind::Setup | TransportErrorKind::InvalidUrl => {
            (Kind::InvalidSettings, "the instance URL cannot be asked")
        }
        TransportErrorKind::Redirect => (Kind::InvalidSettings, "the instance URL redirects; give the final one"),
        _ => (
            Kind::Unavailable,
            "Leantime cannot be reached; is it running, and is the URL right?",
        ),
    };
    let outcome = match error.sent() {
        Sent::No => Outcome::NotApplied,
        Sent::Maybe => effect.outcome_when_lost(),
    };
    ConnectionError::new(kind, operation, advice)
        .with_outcome(outcome)
        .with_source(error)
}

/// How long the instance wants no further request, if it said so.
fn pause(response: &Response<Bytes>) -> Option<Duration> {
    (response.status() == StatusCode::TOO_MANY_REQUESTS)
        .then(|| header_number(response, RETRY_AFTER.as_str()))?
        .map(|seconds| Duration::from_secs(u64::from(seconds)))
}

fn header_number(response: &Response<Bytes>, name: &str) -> Option<u32> {
    response.headers().get(name)?.to_str().ok()?.trim().parse().ok()
}

/// What an HTTP status means. Before the application runs (401, 429, 404) nothing was written.
fn http_error(operation: &'static str, effect: Effect, response: &Response<Bytes>) -> Option<ConnectionError> {
    let status = response.status();
    let error =
        |kind, message: &str| ConnectionError::new(kind, operation, message).with_context("status", status.as_u16());
    Some(match status.as_u16() {
        200..=299 => return None,
        401 => error(
            Kind::Unauthorized,
            "Leantime does not accept the key. It answers the same while its database is down, so try once more \
             before making a new key",
        ),
        403 => error(Kind::Forbidden, "the server in front of Leantime refuses the request"),
        404 | 405 => error(
            Kind::InvalidSettings,
            "there is no Leantime API at this address; is the URL complete?",
        ),
        413 => error(
            Kind::Protocol,
            "the web server refuses a request of this size; raise its limit",
        ),
        429 => match pause(response) {
            Some(pause) => error(
                Kind::RateLimited,
                "Leantime allows fewer requests per minute (LEAN_RATELIMIT_API)",
            )
            .with_retry_after(Some(pause)),
            // The lock-out after too many refused keys, from whomever at this address, does not say how long it lasts.
            None => error(
                Kind::RateLimited,
                "Leantime refuses this address for a while, maybe for wrong keys that were sent from it",
            )
            .with_retry_after(Some(LOCK_OUT)),
        },
        500..=599 => {
            error(Kind::Unavailable, "the web server reports an error").with_outcome(effect.outcome_when_lost())
        }
        _ => error(Kind::Protocol, "an answer that Leantime does not give").with_outcome(effect.outcome_when_lost()),
    })
}
