//! `GET /sync/events`: one listener's stream.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream::{Stream, unfold};
use http::{HeaderMap, HeaderValue, header};
use magnus_core::store::RunEvent;
use serde::Deserialize;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use utoipa::IntoParams;

use super::feed::{AT_ONCE, Batch, MOST_BEHIND, Told, render};
use crate::extract::Params;
use crate::problem::Problem;
use crate::shape::run::Names;
use crate::state::{App, names};

/// From where to listen.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Listen {
    /// The number of the last event that was received, for those who cannot send the header `Last-Event-ID`.
    #[serde(default)]
    #[param(minimum = 0)]
    last_event_id: Option<u64>,
}

/// Live events
///
/// Server-sent events: `run.queued`, `run.started`, `run.progress`, `run.item`, `run.finished`, `run.halted`, and of tasks
/// that a model breaks down `breakdown.queued`, `breakdown.started`, `breakdown.finished`, `breakdown.interrupted`,
/// `breakdown.accepted`, `breakdown.discarded`, which are told once. Changes of a run's state carry an id; who sends the last
/// one received as `Last-Event-ID` is told every change since, in order and without a gap, also over a restart of the service:
/// those of the last week, for that long they are kept. Whoever reads too slowly is dropped and may come back like that.
#[utoipa::path(get, path = "/sync/events", tag = "sync", params(
    Listen,
    ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that was received"),
), responses((status = 200, description = "The events", body = String, content_type = "text/event-stream")))]
pub(crate) async fn listen(
    State(app): State<App>,
    Params(listen): Params<Listen>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let from_header = headers
        .get("last-event-id")
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.trim().parse::<i64>().ok());
    let from_query = listen.last_event_id.map(|id| i64::try_from(id).unwrap_or(i64::MAX));
    let place = app.places.listen()?;
    // Subscribed before the log is read: what happens in between is heard twice at most, and told once.
    let live = app.feed.subscribe();
    let newest = app.store().last_run_event().await?;
    app.feed.begin_at(newest);
    let after = match from_header.or(from_query) {
        // A number of the future is of another hub: it is told from now on.
        Some(after) => after.clamp(0, newest),
        None => newest,
    };
    app.metrics.listener_came();
    let listener = Listener {
        app: Arc::clone(&app),
        _place: place,
        live,
        after,
        catching_up: after < newest,
        closing: false,
        dropped: false,
        unnumbered: VecDeque::new(),
        missed: VecDeque::new(),
        names: Arc::default(),
        batch: Arc::default(),
        told: 0,
    };
    let keep_alive = KeepAlive::new().interval(app.options.heartbeat).text("still here");
    let mut response = Sse::new(listener.into_stream()).keep_alive(keep_alive).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Proxies that gather answers would hold events back.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

/// One client that listens. What it is yet to be told is kept as numbers, and made into words when it takes them: it holds one
/// batch, however slowly it reads.
struct Listener {
    app: App,
    /// As long as it is there, another one may be too many.
    _place: OwnedSemaphorePermit,
    live: broadcast::Receiver<Batch>,
    /// The newest event that was told.
    after: i64,
    /// Whether the log has more to tell before live events make sense.
    catching_up: bool,
    /// Whether the service ends.
    closing: bool,
    /// Whether it reads too slowly.
    dropped: bool,
    /// What was told of breakdowns meanwhile: that does not stand in the log.
    unnumbered: VecDeque<Batch>,
    /// Events of the log that it missed.
    missed: VecDeque<RunEvent>,
    /// The connections as they were called when those were read.
    names: Arc<Names>,
    /// What it is being told, and how much of that it was told.
    batch: Batch,
    told: usize,
}

/// What was told of breakdowns under a subscription that another one takes the place of, but for the newest batches, which stand
/// in that one, too. Of all else, runs stand in the log, and progress is past.
fn unnumbered(mut told: broadcast::Receiver<Batch>, newest: usize) -> Vec<Batch> {
    let mut found = Vec::new();
    while told.len() > newest {
        match told.try_recv() {
            Ok(batch) if batch.iter().all(|told| told.name.starts_with("breakdown.")) => found.push(batch),
            Ok(_) | Err(TryRecvError::Lagged(_)) => {}
            Err(TryRecvError::Empty | TryRecvError::Closed) => break,
        }
    }
    found
}

impl Drop for Listener {
    fn drop(&mut self) {
        // One that took nothing until its connection was given up never got to hear that it fell behind.
        let is_behind = self.live.len() > MOST_BEHIND;
        self.app.metrics.listener_left(self.dropped || is_behind);
    }
}

impl Listener {
    fn into_stream(self) -> impl Stream<Item = Result<Event, Infallible>> + Send {
        unfold(self, |mut listener| async move {
            let event = listener.next().await.map(|told| {
                let event = Event::default().event(told.name).data(&told.data);
                match told.sequence {
                    Some(sequence) => event.id(sequence.to_string()),
                    None => event,
                }
            })?;
            Some((Ok(event), listener))
        })
    }

    /// The next thing to tell; `None` ends the stream.
    async fn next(&mut self) -> Option<&Told> {
        while self.told >= self.batch.len() {
            self.batch = self.next_batch().await?;
            self.told = 0;
        }
        let told = self.batch.get(self.told)?;
        self.told += 1;
        self.after = told.sequence.unwrap_or(self.after);
        Some(told)
    }

    async fn next_batch(&mut self) -> Option<Batch> {
        loop {
            if self.catching_up {
                match self.catch_up().await {
                    Ok(Some(batch)) => return Some(batch),
                    Ok(None) => continue,
                    Err(problem) => {
                        tracing::warn!(detail = problem.detail(), "a listener cannot be told what it missed");
                        return None;
                    }
                }
            }
            if self.closing {
                return None;
            }
            let told = tokio::select! {
                () = self.app.options.shutdown.cancelled() => {
                    // How the last runs ended is told before the stream ends.
                    (self.closing, self.catching_up) = (true, true);
                    continue;
                }
                told = self.live.recv() => told,
            };
            match told {
                Ok(batch) => {
                    let sequence = batch.last().and_then(|told| told.sequence);
                    if sequence.is_none_or(|sequence| sequence > self.after) {
                        return Some(batch);
                    }
                }
                Err(RecvError::Lagged(missed)) => {
                    tracing::info!(missed, "a listener reads too slowly and is dropped");
                    self.dropped = true;
                    return None;
                }
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// The next event that was missed; `None` once there is none.
    async fn catch_up(&mut self) -> Result<Option<Batch>, Problem> {
        if let Some(batch) = self.unnumbered.pop_front() {
            return Ok(Some(batch));
        }
        let store = Arc::clone(&self.app.options.store);
        if self.missed.is_empty() {
            // What is told meanwhile stands in the log, too: a long way to catch up is not slowness.
            let live = std::mem::replace(&mut self.live, self.app.feed.subscribe());
            self.unnumbered.extend(unnumbered(live, self.live.len()));
            self.missed = store.run_events(self.after, AT_ONCE).await?.into();
            self.names = Arc::new(names(store.as_ref()).await?);
        }
        let Some(event) = self.missed.pop_front() else {
            self.catching_up = false;
            return Ok(None);
        };
        let run = store.run(event.run_id).await?;
        Ok(Some(render(&event, run.as_ref(), &self.names).into()))
    }
}
