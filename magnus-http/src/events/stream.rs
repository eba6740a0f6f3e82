//! `GET /sync/events`: one listener's stream.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream::{Stream, unfold};
use http::{HeaderMap, HeaderValue, header};
use serde::Deserialize;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use utoipa::IntoParams;

use super::feed::{AT_ONCE, Told, render};
use crate::extract::Params;
use crate::problem::Problem;
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
/// `breakdown.accepted`, `breakdown.discarded`, which are told once. Changes of a run's state carry an id; who sends the last one received as `Last-Event-ID` is told every change since, in order and
/// without a gap, also over a restart of the service. Whoever reads too slowly is dropped and may come back like that.
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
        guard: Guard {
            app: Arc::clone(&app),
            dropped: false,
        },
        live,
        after,
        catching_up: after < newest,
        closing: false,
        pending: VecDeque::new(),
    };
    let keep_alive = KeepAlive::new().interval(app.options.heartbeat).text("still here");
    let mut response = Sse::new(listener.into_stream()).keep_alive(keep_alive).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Proxies that gather answers would hold events back.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

/// Counts a listener as long as it is there.
struct Guard {
    app: App,
    dropped: bool,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.app.metrics.listener_left(self.dropped);
    }
}

struct Listener {
    guard: Guard,
    live: broadcast::Receiver<Arc<Told>>,
    /// The newest event that was told.
    after: i64,
    /// Whether the log has more to tell before live events make sense.
    catching_up: bool,
    /// Whether the service ends.
    closing: bool,
    pending: VecDeque<Arc<Told>>,
}

impl Listener {
    fn into_stream(self) -> impl Stream<Item = Result<Event, Infallible>> + Send {
        unfold(self, |mut listener| async move {
            let told = listener.next().await?;
            let event = Event::default().event(told.name).data(&told.data);
            let event = match told.sequence {
                Some(sequence) => event.id(sequence.to_string()),
                None => event,
            };
            Some((Ok(event), listener))
        })
    }

    /// The next thing to tell; `None` ends the stream.
    async fn next(&mut self) -> Option<Arc<Told>> {
        loop {
            if let Some(told) = self.pending.pop_front() {
                if let Some(sequence) = told.sequence {
                    self.after = sequence;
                }
                return Some(told);
            }
            if self.catching_up {
                if let Err(problem) = self.catch_up().await {
                    tracing::warn!(detail = problem.detail(), "a listener cannot be told what it missed");
                    return None;
                }
                continue;
            }
            if self.closing {
                return None;
            }
            let told = tokio::select! {
                () = self.guard.app.options.shutdown.cancelled() => {
                    // How the last runs ended is told before the stream ends.
                    (self.closing, self.catching_up) = (true, true);
                    continue;
                }
                told = self.live.recv() => told,
            };
            match told {
                Ok(told) if told.sequence.is_some_and(|sequence| sequence <= self.after) => {}
                Ok(told) => self.pending.push_back(told),
                Err(RecvError::Lagged(missed)) => {
                    tracing::info!(missed, "a listener reads too slowly and is dropped");
                    self.guard.dropped = true;
                    return None;
                }
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// Reads the next part of what was missed.
    async fn catch_up(&mut self) -> Result<(), Problem> {
        let store = Arc::clone(&self.guard.app.options.store);
        // What is told meanwhile stands in the log, too: a long way to catch up is not slowness.
        self.live = self.guard.app.feed.subscribe();
        let events = store.run_events(self.after, AT_ONCE).await?;
        self.catching_up = !events.is_empty();
        let names = names(store.as_ref()).await?;
        for event in events {
            let run = store.run(event.run_id).await?;
            self.pending
                .extend(render(&event, run.as_ref(), &names).into_iter().map(Arc::new));
        }
        Ok(())
    }
}
