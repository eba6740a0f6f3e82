//! What was called: every request with its route, its JSON-RPC methods and its answer's status.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::Method;
use serde_json::Value;
use tokio::sync::watch;

/// One request as a fault's matcher and a test see it.
#[derive(Debug, Clone)]
pub struct Call {
    /// The HTTP method.
    pub method: Method,
    /// The path, without the query.
    pub path: String,
    /// The raw query, still percent-encoded; empty when there is none.
    pub query: String,
    /// The path with each all-digit segment replaced by `{id}`.
    pub route: String,
    /// The JSON-RPC method names in the body, in order; empty when the body is not JSON-RPC.
    pub rpc_methods: Vec<String>,
    /// The body, when it is JSON.
    pub body: Option<Value>,
}

impl Call {
    /// Describes a request from its parts; `body` is the whole body.
    #[must_use]
    pub fn new(method: Method, path: &str, query: &str, body: &[u8]) -> Self {
        let body: Option<Value> = serde_json::from_slice(body).ok();
        Self {
            method,
            path: path.to_owned(),
            query: query.to_owned(),
            route: route_of(path),
            rpc_methods: body.as_ref().map(rpc_methods).unwrap_or_default(),
            body,
        }
    }
}

fn route_of(path: &str) -> String {
    let segments: Vec<&str> = path
        .split('/')
        .map(|segment| {
            let all_digits = !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_digit());
            if all_digits { "{id}" } else { segment }
        })
        .collect();
    segments.join("/")
}

fn rpc_methods(body: &Value) -> Vec<String> {
    let method = |entry: &Value| entry.get("method").and_then(Value::as_str).map(str::to_owned);
    match body {
        Value::Array(batch) => batch.iter().filter_map(method).collect(),
        single => method(single).into_iter().collect(),
    }
}

/// One recorded request.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// The request.
    pub call: Call,
    /// The status that was answered, or `None` while there is no answer (also: the caller went away, or a fault
    /// hangs).
    pub status: Option<u16>,
}

#[derive(Debug, Default)]
struct State {
    calls: Vec<Recorded>,
    writes: usize,
    generation: usize,
}

/// Counts requests and accepted writes. Clones share one record.
#[derive(Debug, Clone, Default)]
pub struct Recorder {
    state: Arc<Mutex<State>>,
    total: Arc<watch::Sender<usize>>,
}

/// Where a call stands in the record; given back when its answer is known.
#[derive(Debug, Clone, Copy)]
pub struct CallNumber {
    generation: usize,
    index: usize,
}

impl Recorder {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records a call whose answer is not known yet.
    pub fn begin(&self, call: Call) -> CallNumber {
        let mut state = self.lock();
        state.calls.push(Recorded { call, status: None });
        self.total.send_replace(state.calls.len());
        CallNumber {
            generation: state.generation,
            index: state.calls.len() - 1,
        }
    }

    /// Records the status answered to a call; without effect when the record was reset since.
    pub fn finish(&self, number: CallNumber, status: u16) {
        let mut state = self.lock();
        if state.generation == number.generation
            && let Some(recorded) = state.calls.get_mut(number.index)
        {
            recorded.status = Some(status);
        }
    }

    /// Counts one accepted call that changes state (called by the simulators).
    pub fn count_write(&self) {
        self.lock().writes += 1;
    }

    /// Every call since the last reset, in order of arrival.
    #[must_use]
    pub fn calls(&self) -> Vec<Recorded> {
        self.lock().calls.clone()
    }

    /// How often each (method, route) was called; a JSON-RPC call counts under its RPC method names, joined by `+`.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<(String, String), usize> {
        let mut counts = BTreeMap::new();
        for recorded in &self.lock().calls {
            let call = &recorded.call;
            let what = if call.rpc_methods.is_empty() {
                call.route.clone()
            } else {
                call.rpc_methods.join("+")
            };
            *counts.entry((call.method.to_string(), what)).or_insert(0) += 1;
        }
        counts
    }

    /// The number of requests since the last reset.
    #[must_use]
    pub fn total(&self) -> usize {
        self.lock().calls.len()
    }

    /// [`Recorder::total`], to be waited for.
    #[must_use]
    pub fn watch_total(&self) -> watch::Receiver<usize> {
        self.total.subscribe()
    }

    /// The number of accepted state-changing calls since the last reset.
    #[must_use]
    pub fn writes(&self) -> usize {
        self.lock().writes
    }

    /// Forgets everything counted so far.
    pub fn reset(&self) {
        let mut state = self.lock();
        state.calls.clear();
        state.writes = 0;
        state.generation += 1;
        self.total.send_replace(0);
    }
}
