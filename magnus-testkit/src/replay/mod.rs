//! Recorded conversations with real Leantime instances, served again.
//!
//! A recording is a flow: it lists, writes and lists again. [`Replay::in_order`] answers a repeated request with its
//! recorded answers one after the other, and stays on the last. [`Replay::at_end`] answers every request with the
//! state at the end of the flow, so that an adapter can pull it as if it met the instance then.
//!
//! An adapter asks a little more than a flow holds. At the end, these answers are **derived** from recorded ones, and
//! listed by [`Replay::derived`]:
//!
//! - `Projects.getAll`: the recorded rows and `getProject` objects of the projects whose complete listing was recorded;
//! - `Projects.getProject` from such a row; `Projects.getUsersAssignedToProject` as nobody, if it was not recorded;
//! - `Tickets.getStatusLabels` of a project without recorded labels: those of another one (both have the default set);
//! - `Tickets.getTicket`: the recorded object with the columns of the last complete listing, and `false`, in the
//!   flow's own spelling, for a ticket that is not in it.
//!
//! Everything else that was not recorded is answered with the error -32099 and kept in [`Replay::misses`].

mod derive;

use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, Response, header};
use axum::{Router, routing::post};
use bytes::Bytes;
use serde_json::{Value, json};

use crate::sim::{Faults, Recorder, Served, instrument, serve_router};

/// The recorded flow of a real instance of 3.7.3.
pub const FLOW_3_7_3: &str = include_str!("../../fixtures/leantime/flow-3.7.3.json");
/// The recorded flow of a real instance of 3.9.8.
pub const FLOW_3_9_8: &str = include_str!("../../fixtures/leantime/flow-3.9.8.json");
/// The recorded flow of a real instance of the development state of August 2026.
pub const FLOW_MASTER: &str = include_str!("../../fixtures/leantime/flow-master-2026-08.json");
/// The complete listing of a project with 1,010 tickets, from the instance of [`FLOW_3_9_8`].
pub const LISTING_1000: &str = include_str!("../../fixtures/leantime/listing-1000-tickets-3.9.8.json");

/// A recording that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("not a recording")]
pub struct BadRecording(#[from] serde_json::Error);

/// A request that was not recorded.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Miss {
    /// The JSON-RPC method.
    pub method: String,
    /// Its parameters.
    pub params: Value,
}

/// What was recorded as the answer of a call: `result` or `error` of the envelope.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Recording {
    method: String,
    params: Value,
    answers: Vec<Value>,
    served: usize,
}

#[derive(Debug, Default)]
struct Book {
    recordings: Vec<Recording>,
    at_end: bool,
    misses: Vec<Miss>,
    derived: Vec<Miss>,
}

/// A server that answers from recordings. Clones share it.
#[derive(Debug, Clone)]
pub struct Replay {
    book: Arc<Mutex<Book>>,
    recorder: Recorder,
    faults: Faults,
}

impl Replay {
    /// Answers repeated requests in the order in which they were recorded.
    ///
    /// # Errors
    /// When a recording is not JSON.
    pub fn in_order(recordings: &[&str]) -> Result<Self, BadRecording> {
        Self::new(recordings, false)
    }

    /// Answers every request with the state at the end of the recordings.
    ///
    /// # Errors
    /// When a recording is not JSON.
    pub fn at_end(recordings: &[&str]) -> Result<Self, BadRecording> {
        Self::new(recordings, true)
    }

    fn new(recordings: &[&str], at_end: bool) -> Result<Self, BadRecording> {
        let mut book = Book {
            at_end,
            ..Book::default()
        };
        for recording in recordings {
            let recording: Value = serde_json::from_str(recording)?;
            match recording.get("calls").and_then(Value::as_array) {
                Some(calls) => calls.iter().for_each(|call| book.record(call)),
                None => book.record(&recording),
            }
        }
        Ok(Self {
            book: Arc::new(Mutex::new(book)),
            recorder: Recorder::default(),
            faults: Faults::default(),
        })
    }

    /// The server as a router, to be called in the process. Any credential is accepted.
    pub fn router(&self) -> Router {
        let routes = Router::new()
            .route("/api/jsonrpc", post(handle))
            .with_state(Arc::clone(&self.book));
        instrument(routes, self.recorder.clone(), self.faults.clone())
    }

    /// Serves the recordings on a free port of the loopback address.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn serve(&self) -> std::io::Result<Served> {
        serve_router(self.router()).await
    }

    /// Everything that was called.
    pub fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// Faults of the server.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// The requests that no recording answers.
    #[must_use]
    pub fn misses(&self) -> Vec<Miss> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner).misses.clone()
    }

    /// The requests whose answer was derived from recorded ones.
    #[must_use]
    pub fn derived(&self) -> Vec<Miss> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner).derived.clone()
    }
}

impl Book {
    fn record(&mut self, call: &Value) {
        match (&call["request"], &call["response"]) {
            (Value::Array(requests), Value::Array(responses)) => {
                requests
                    .iter()
                    .zip(responses)
                    .for_each(|(request, response)| self.record_one(request, response));
            }
            (request, response) => self.record_one(request, response),
        }
    }

    fn record_one(&mut self, request: &Value, response: &Value) {
        let Some(method) = request.get("method").and_then(Value::as_str) else {
            return;
        };
        let params = request.get("params").cloned().unwrap_or(json!({}));
        let known = self
            .recordings
            .iter_mut()
            .find(|known| known.method == method && known.params == params);
        match known {
            Some(known) => known.answers.push(response.clone()),
            None => self.recordings.push(Recording {
                method: method.to_owned(),
                params,
                answers: vec![response.clone()],
                served: 0,
            }),
        }
    }

    /// The envelope for one call, with the caller's id.
    fn answer(&mut self, call: &Value) -> Value {
        let method = call
            .get("method")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        let params = call.get("params").cloned().unwrap_or(json!({}));
        let mut envelope = self.find(&method, &params);
        envelope["id"] = call.get("id").cloned().unwrap_or(Value::Null);
        envelope
    }

    fn find(&mut self, method: &str, params: &Value) -> Value {
        let asked = Miss {
            method: method.to_owned(),
            params: params.clone(),
        };
        if self.at_end
            && let Some(result) = derive::answer(&self.recordings, method, params)
        {
            self.derived.push(asked);
            return json!({"jsonrpc": "2.0", "result": result});
        }
        if let Some(found) = self
            .recordings
            .iter_mut()
            .find(|known| known.method == method && known.params == *params)
        {
            let at = if self.at_end {
                found.answers.len() - 1
            } else {
                found.served.min(found.answers.len() - 1)
            };
            found.served += 1;
            return found.answers[at].clone();
        }
        self.misses.push(asked);
        json!({"jsonrpc": "2.0", "error": {"code": -32099, "message": "Not recorded", "data": {"method": method, "params": params}}})
    }
}

async fn handle(State(book): State<Arc<Mutex<Book>>>, body: Bytes) -> Response<Body> {
    let answer = match serde_json::from_slice(&body) {
        Ok(Value::Array(batch)) => {
            let mut book = book.lock().unwrap_or_else(PoisonError::into_inner);
            batch.iter().map(|call| book.answer(call)).collect()
        }
        Ok(call) => book.lock().unwrap_or_else(PoisonError::into_inner).answer(&call),
        Err(_) => json!({"jsonrpc": "2.0", "id": 0, "error": {"code": -32700, "message": "Parse error", "data": null}}),
    };
    let mut response = Response::new(Body::from(answer.to_string()));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
