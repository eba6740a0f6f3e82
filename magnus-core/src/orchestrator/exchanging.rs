//! What happens to runs here is told to other processes, and what happens there is told here.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

use super::shared::Shared;
use crate::event::Event;
use crate::exchange::EventExchange;
use crate::model::RunId;

/// How often the progress of a run is passed on: often enough to watch, seldom enough for a database.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// The pause before an exchange that failed is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(3);

/// Passes on what happens here, until the orchestrator is gone.
pub(super) async fn pass_on(exchange: Arc<dyn EventExchange>, mut outgoing: mpsc::UnboundedReceiver<Event>) {
    let mut progress: HashMap<RunId, Event> = HashMap::new();
    let mut next_progress = Instant::now();
    let mut news = Vec::new();
    loop {
        let received = tokio::select! {
            received = outgoing.recv_many(&mut news, 100) => received,
            () = sleep_until(next_progress), if !progress.is_empty() => {
                next_progress = Instant::now() + PROGRESS_EVERY;
                tell(exchange.as_ref(), progress.drain().map(|(_, event)| event).collect()).await;
                continue;
            }
        };
        if received == 0 {
            return;
        }
        let mut at_once = Vec::new();
        for event in news.drain(..) {
            match &event {
                Event::RunProgress { run_id, .. } => {
                    progress.insert(*run_id, event);
                }
                Event::RunFinished { run_id, .. } => {
                    progress.remove(run_id);
                    at_once.push(event);
                }
                _ => at_once.push(event),
            }
        }
        if !at_once.is_empty() {
            tell(exchange.as_ref(), at_once).await;
        }
    }
}

async fn tell(exchange: &dyn EventExchange, events: Vec<Event>) {
    if let Err(error) = exchange.tell(events).await {
        tracing::debug!(%error, "other processes learn of this by looking at the run log");
    }
}

/// Hears what happens elsewhere, until the orchestrator shuts down.
pub(super) async fn hear(shared: Arc<Shared>, exchange: Arc<dyn EventExchange>) {
    let closed = shared.stopping.closed.clone();
    let listening = async {
        loop {
            match exchange.listen().await {
                Ok(mut heard) => {
                    while let Some(event) = heard.next().await {
                        shared.hear(event).await;
                    }
                }
                Err(error) => tracing::warn!(%error, "what other processes tell cannot be heard at present"),
            }
            sleep(TRY_AGAIN).await;
        }
    };
    tokio::select! {
        () = listening => {}
        () = closed.cancelled() => {}
    }
}

impl Shared {
    /// Heeds what another process tells, and tells it to those who listen here.
    async fn hear(&self, event: Event) {
        match &event {
            Event::CancelRequested { run_id, .. } => self.registry.cancel(*run_id),
            Event::RunProgress { run_id, progress, .. } => self.registry.note_elsewhere(*run_id, *progress),
            Event::RunFinished {
                run_id, connection_id, ..
            } => {
                self.registry.forget_elsewhere(*run_id);
                if self.registry.waiting(*connection_id).contains(run_id) {
                    match self.store.run(*run_id).await {
                        Ok(Some(run)) if run.state.is_final() => return self.tell_end_here(run),
                        Ok(_) => {}
                        // Its lane looks by itself.
                        Err(error) => tracing::debug!(run = %run_id, %error, "the run log could not be read"),
                    }
                }
            }
            _ => {}
        }
        self.tell_here(event);
    }
}
