//! Webhooks gathered for a moment, and then one run for all of them.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use magnus_core::model::{ConnectionId, ExternalId, Timestamp, Trigger};
use magnus_core::orchestrator::Orchestrator;
use magnus_core::store::{ServiceStore, StoreError};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::metrics::Metrics;
use crate::options::ServiceOptions;

/// The most webhooks that wait to be looked at; beyond that they are dropped, since polling sees to it all the same.
const MOST_WAITING: usize = 1024;

/// A webhook that arrives this soon after our own write to its item is the echo of it.
const ECHO: TimeDelta = TimeDelta::seconds(15);

/// The webhooks of one connection that wait are looked at after this many debounces at the latest.
const MOST_DEBOUNCES: u32 = 5;

/// A webhook that was verified.
#[derive(Debug, Clone)]
pub(crate) struct Knock {
    pub(crate) connection: ConnectionId,
    /// The item it is about, if it says so.
    pub(crate) item: Option<ExternalId>,
    pub(crate) at: Timestamp,
}

/// Takes webhooks and starts runs.
#[derive(Debug)]
pub(crate) struct Wakeups {
    knocks: mpsc::Sender<Knock>,
    // Dropped with the service: the gatherer ends.
    _alive: DropGuard,
}

impl Wakeups {
    pub(crate) fn start(orchestrator: &Orchestrator, options: &ServiceOptions, metrics: &Arc<Metrics>) -> Self {
        let (knocks, receiver) = mpsc::channel(MOST_WAITING);
        let alive = options.shutdown.child_token();
        let gatherer = Gatherer {
            orchestrator: orchestrator.clone(),
            store: Arc::clone(&options.store),
            metrics: Arc::clone(metrics),
            debounce: options.debounce,
            waiting: HashMap::new(),
        };
        tokio::spawn(gatherer.gather(receiver, alive.clone()));
        Self {
            knocks,
            _alive: alive.drop_guard(),
        }
    }

    /// Notes a webhook; a run follows soon.
    pub(crate) fn knock(&self, knock: Knock) {
        if self.knocks.try_send(knock).is_err() {
            tracing::warn!("too many webhooks at once; the next scheduled run sees to it");
        }
    }
}

/// What waits to be looked at on one connection.
#[derive(Debug)]
struct Waiting {
    /// The items, and when the first webhook on each came.
    items: HashMap<ExternalId, Timestamp>,
    /// Whether a webhook did not say what it is about.
    anything: bool,
    due: Instant,
    latest: Instant,
}

struct Gatherer {
    orchestrator: Orchestrator,
    store: Arc<dyn ServiceStore>,
    metrics: Arc<Metrics>,
    debounce: Duration,
    waiting: HashMap<ConnectionId, Waiting>,
}

impl Gatherer {
    async fn gather(mut self, mut knocks: mpsc::Receiver<Knock>, end: CancellationToken) {
        loop {
            let next = self.waiting.values().map(|waiting| waiting.due).min();
            let due = async {
                match next {
                    Some(due) => sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = end.cancelled() => return,
                knock = knocks.recv() => match knock {
                    Some(knock) => self.note(knock),
                    None => return,
                },
                () = due => self.look_at_due().await,
            }
        }
    }

    fn note(&mut self, knock: Knock) {
        let now = Instant::now();
        let waiting = self.waiting.entry(knock.connection).or_insert_with(|| Waiting {
            items: HashMap::new(),
            anything: false,
            due: now,
            latest: now + self.debounce * MOST_DEBOUNCES,
        });
        match knock.item {
            Some(item) => drop(waiting.items.insert(item, knock.at)),
            None => waiting.anything = true,
        }
        waiting.due = (now + self.debounce).min(waiting.latest);
    }

    async fn look_at_due(&mut self) {
        let now = Instant::now();
        let due: Vec<ConnectionId> = self
            .waiting
            .iter()
            .filter(|(_, waiting)| waiting.due <= now)
            .map(|(connection, _)| *connection)
            .collect();
        for connection in due {
            let Some(mut waiting) = self.waiting.remove(&connection) else {
                continue;
            };
            match self.is_busy(connection).await {
                // What our own run writes is only known once it is over.
                Ok(true) => {
                    waiting.due = now + self.debounce.max(Duration::from_millis(50));
                    self.waiting.insert(connection, waiting);
                }
                Ok(false) => self.wake(connection, &waiting).await,
                Err(error) => tracing::warn!(%connection, %error, "a webhook waits for the next scheduled run"),
            }
        }
    }

    async fn is_busy(&self, connection: ConnectionId) -> Result<bool, StoreError> {
        let unfinished = self.store.unfinished_runs().await?;
        Ok(unfinished
            .iter()
            .any(|run| run.connection_id == connection && run.state == magnus_core::model::RunState::Started))
    }

    async fn wake(&self, connection: ConnectionId, waiting: &Waiting) {
        match self.is_echo(connection, waiting).await {
            Ok(true) => {
                tracing::debug!(%connection, "a webhook tells of our own writes");
                self.metrics.webhook("echo");
                return;
            }
            Ok(false) => {}
            Err(error) => tracing::warn!(%connection, %error, "whether a webhook is our own echo is not known"),
        }
        let nudged = self
            .orchestrator
            .nudge(self.store.as_ref(), connection, Trigger::Webhook)
            .await;
        match nudged {
            Ok(Some(run)) => tracing::info!(%connection, run = %run.id(), "a webhook started a run"),
            Ok(None) => tracing::info!(%connection, "a webhook was taken, but the connection does not run by itself"),
            Err(error) => tracing::warn!(%connection, %error, "a webhook could not start a run"),
        }
    }

    /// Whether all items were written by ourselves right before their webhooks came.
    async fn is_echo(&self, connection: ConnectionId, waiting: &Waiting) -> Result<bool, StoreError> {
        if waiting.anything || waiting.items.is_empty() {
            return Ok(false);
        }
        for (item, at) in &waiting.items {
            let link = self.store.link_by_external(connection, item.clone()).await?;
            let written = link.and_then(|link| link.last_sync_at);
            if written.is_none_or(|written| written + ECHO < *at) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// The item that a payload is about: OpenProject's `work_package.id`, or `external_task_id`.
pub(crate) fn item_of(payload: &[u8]) -> Option<ExternalId> {
    let payload: serde_json::Value = serde_json::from_slice(payload).ok()?;
    // What is done to the project, or to anything but a task, is no echo of a write of ours.
    let known: BTreeSet<&str> = ["work_package:updated", "work_package:created"].into();
    if let Some(action) = payload.get("action").and_then(|action| action.as_str())
        && !known.contains(action)
    {
        return None;
    }
    let id = payload
        .get("work_package")
        .and_then(|item| item.get("id"))
        .or_else(|| payload.get("external_task_id"))?;
    match id {
        serde_json::Value::Number(number) => number.as_u64().map(ExternalId::from),
        serde_json::Value::String(text) => ExternalId::new(text.clone()).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_item_is_found_where_the_tools_name_it() {
        for (payload, item) in [
            (
                r#"{"action":"work_package:updated","work_package":{"id":12}}"#,
                Some("12"),
            ),
            (
                r#"{"action":"work_package:created","work_package":{"id":"7"}}"#,
                Some("7"),
            ),
            (r#"{"action":"project:updated","project":{"id":1}}"#, None),
            (r#"{"external_task_id":"abc"}"#, Some("abc")),
            (r#"{"work_package":{"id":null}}"#, None),
            ("[]", None),
            ("no json", None),
        ] {
            let found = item_of(payload.as_bytes());
            assert_eq!(found.as_ref().map(ExternalId::as_str), item, "{payload}");
        }
    }
}
