//! A language model that is none: an HTTP server that speaks as OpenAI and Anthropic do, and answers what a script says.
//!
//! ```
//! use magnus_testkit::model::{FakeModel, Reply};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(async {
//! let model = FakeModel::scripted([Reply::Status(500), Reply::Fenced]);
//! let served = model.serve().await?;
//! // Ask it at `{served.url}/v1`: it fails, then answers in a fence, and from then on it answers well.
//! assert_eq!(model.requests().len(), 0);
//! # drop(served); Ok::<(), std::io::Error>(()) }).expect("a free port");
//! ```

mod answer;
mod reply;
mod wire;

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::post;
use futures::future::ready;
use futures::stream::{self, StreamExt as _};
use http::HeaderMap;
use serde_json::Value;
use tokio::sync::watch;

use crate::sim::{Gate, Served, serve_router};

pub use answer::good_answer;
pub use reply::Reply;
use wire::Wire;

/// The largest request that is read.
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// A request that came.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Its path.
    pub path: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Value,
}

impl Asked {
    /// All texts of its messages, the instructions of the system among them.
    #[must_use]
    pub fn text(&self) -> String {
        let mut texts = vec![self.body["system"].as_str().unwrap_or_default().to_owned()];
        for message in self.body["messages"].as_array().into_iter().flatten() {
            let content = &message["content"];
            let parts = content.as_array().into_iter().flatten();
            texts.extend(content.as_str().map(str::to_owned));
            texts.extend(parts.filter_map(|part| part["text"].as_str().map(str::to_owned)));
        }
        texts.join("\n")
    }
}

/// A model that answers what a script says, and well once the script is over. Clones are the same one.
#[derive(Debug, Clone)]
pub struct FakeModel {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    script: Mutex<VecDeque<Reply>>,
    asked: Mutex<Vec<Asked>>,
    came: watch::Sender<usize>,
    gate: Gate,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
}

impl FakeModel {
    /// One that always answers well.
    #[must_use]
    pub fn new() -> Self {
        Self::scripted([])
    }

    /// One that gives these replies, one after the other, and then answers well.
    #[must_use]
    pub fn scripted(script: impl IntoIterator<Item = Reply>) -> Self {
        Self {
            shared: Arc::new(Shared {
                script: Mutex::new(script.into_iter().collect()),
                asked: Mutex::default(),
                came: watch::Sender::new(0),
                gate: Gate::default(),
                at_once: AtomicUsize::new(0),
                most_at_once: AtomicUsize::new(0),
            }),
        }
    }

    /// Adds to the script.
    pub fn then(&self, reply: Reply) {
        lock(&self.shared.script).push_back(reply);
    }

    /// Where replies of the kind [`Reply::AtGate`] wait.
    #[must_use]
    pub fn gate(&self) -> &Gate {
        &self.shared.gate
    }

    /// The requests so far.
    #[must_use]
    pub fn requests(&self) -> Vec<Asked> {
        lock(&self.shared.asked).clone()
    }

    /// Waits until this many requests have come.
    pub async fn asked(&self, times: usize) {
        let mut came = self.shared.came.subscribe();
        // This model holds the sender, so the wait ends only with what is waited for.
        let _came = came.wait_for(|came| *came >= times).await;
    }

    /// The most requests that were answered at the same time.
    #[must_use]
    pub fn most_at_once(&self) -> usize {
        self.shared.most_at_once.load(Ordering::SeqCst)
    }

    /// The API: `/v1/chat/completions` as OpenAI has it, `/v1/messages` as Anthropic has it.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/v1/chat/completions", post(openai))
            .route("/v1/messages", post(anthropic))
            .with_state(self.clone())
    }

    /// Serves it on a free port of the loopback address.
    ///
    /// # Errors
    /// No port can be bound.
    pub async fn serve(&self) -> io::Result<Served> {
        serve_router(self.router()).await
    }

    async fn answer(&self, wire: Wire, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        let Ok(bytes) = axum::body::to_bytes(body, MOST_BYTES).await else {
            return wire.refusal(413, None);
        };
        let asked = Asked {
            path: parts.uri.path().to_owned(),
            headers: parts.headers,
            body: serde_json::from_slice(&bytes).unwrap_or_default(),
        };
        lock(&self.shared.asked).push(asked.clone());
        let now = self.shared.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        self.shared.most_at_once.fetch_max(now, Ordering::SeqCst);
        let going = Going(Arc::clone(&self.shared));
        self.shared.came.send_modify(|came| *came += 1);
        let reply = lock(&self.shared.script).pop_front().unwrap_or(Reply::Good);
        let response = reply.give(wire, &asked, &self.shared.gate).await;
        response.map(|body| going.until_the_end_of(body))
    }
}

impl Default for FakeModel {
    fn default() -> Self {
        Self::new()
    }
}

/// A request is being answered, to the last piece of the answer or until its asker has left.
struct Going(Arc<Shared>);

impl Going {
    fn until_the_end_of(self, body: Body) -> Body {
        // Over before the asker can know that the answer is.
        let over = stream::once(async move { drop(self) }).filter_map(|()| ready(None));
        Body::from_stream(body.into_data_stream().chain(over))
    }
}

impl Drop for Going {
    fn drop(&mut self) {
        self.0.at_once.fetch_sub(1, Ordering::SeqCst);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn openai(State(model): State<FakeModel>, request: Request) -> Response {
    model.answer(Wire::OpenAi, request).await
}

async fn anthropic(State(model): State<FakeModel>, request: Request) -> Response {
    model.answer(Wire::Anthropic, request).await
}
