//! Follows the run log and tells all listeners of this process what it says.
//!
//! Changes of state come from the store, numbered there: those of other processes too, and after a restart the numbers
//! go on. Progress comes from the orchestrator and is never stored.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use magnus_core::event::{BreakdownNews, Event};
use magnus_core::model::{Run, RunState};
use magnus_core::orchestrator::Orchestrator;
use magnus_core::store::{RunEvent, ServiceStore};
use serde_json::json;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::rate::Rates;
use crate::metrics::Metrics;
use crate::options::ServiceOptions;
use crate::problem::Problem;
use crate::shape::instant;
use crate::shape::run::{Form, Names, RunOut};
use crate::state::names;

/// How often the log is looked at for what other processes did.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How many events are read at once.
pub(crate) const AT_ONCE: usize = 200;

/// How many batches a listener may fall behind before it is dropped.
pub(crate) const MOST_BEHIND: usize = 256;

/// The most items of a run that are told one by one.
const MOST_ITEMS: usize = 100;

/// Something to tell.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    /// Its number, if it can be told again.
    pub(crate) sequence: Option<i64>,
    /// `run.queued`, `run.started`, ...
    pub(crate) name: &'static str,
    /// JSON.
    pub(crate) data: String,
}

/// What is told at once: a run that ended and its items belong together, and count as one for who falls behind.
pub(crate) type Batch = Arc<[Told]>;

/// The newest event that was told; `None` before the first look.
#[derive(Debug, Clone, Default)]
struct Position(Arc<Mutex<Option<i64>>>);

impl Position {
    fn lock(&self) -> MutexGuard<'_, Option<i64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where listeners find what is told.
#[derive(Debug)]
pub(crate) struct Feed {
    told: broadcast::Sender<Batch>,
    position: Position,
    // Dropped with the service: the follower ends.
    _alive: tokio_util::sync::DropGuard,
}

impl Feed {
    /// Starts to follow the log.
    pub(crate) fn start(
        orchestrator: &Orchestrator,
        options: &ServiceOptions,
        metrics: &Arc<Metrics>,
        rates: &Arc<Rates>,
    ) -> Self {
        let (told, _) = broadcast::channel(MOST_BEHIND);
        let alive = options.shutdown.child_token();
        let position = Position::default();
        let follower = Follower {
            store: Arc::clone(&options.store),
            told: told.clone(),
            metrics: Arc::clone(metrics),
            rates: Arc::clone(rates),
            position: position.clone(),
        };
        tokio::spawn(follower.follow(orchestrator.subscribe(), alive.clone()));
        Self {
            told,
            position,
            _alive: alive.drop_guard(),
        }
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Batch> {
        self.told.subscribe()
    }

    /// Whoever listens is told everything after this event: a log that was not looked at yet is followed from there.
    pub(crate) fn begin_at(&self, newest: i64) {
        self.position.lock().get_or_insert(newest);
    }
}

struct Follower {
    store: Arc<dyn ServiceStore>,
    told: broadcast::Sender<Batch>,
    metrics: Arc<Metrics>,
    rates: Arc<Rates>,
    position: Position,
}

impl Follower {
    async fn follow(self, mut events: broadcast::Receiver<Event>, end: CancellationToken) {
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut hears = true;
        loop {
            let event = tokio::select! {
                () = end.cancelled() => return,
                _ = looks.tick() => None,
                event = events.recv(), if hears => match event {
                    Ok(event) => Some(event),
                    Err(RecvError::Lagged(_)) => None,
                    Err(RecvError::Closed) => {
                        hears = false;
                        None
                    }
                },
            };
            if let Some(Event::RunProgress {
                run_id,
                connection_id,
                progress,
            }) = event
            {
                self.rates.note(run_id, progress);
                let out = self.rates.of(run_id, progress);
                let data = json!({ "run_id": run_id, "connection_id": connection_id, "progress": out });
                self.tell(vec![Told {
                    sequence: None,
                    name: "run.progress",
                    data: data.to_string(),
                }]);
                continue;
            }
            if let Some(Event::Breakdown {
                job_id,
                task_id,
                news,
                message,
            }) = event
            {
                let data = json!({ "job_id": job_id, "task_id": task_id, "status": news, "message": message });
                self.tell(vec![Told {
                    sequence: None,
                    name: breakdown_event(news),
                    data: data.to_string(),
                }]);
                continue;
            }
            if let Err(problem) = self.look().await {
                tracing::warn!(detail = problem.detail(), "the run log cannot be followed at present");
            }
        }
    }

    /// Tells what happened since the last look.
    async fn look(&self) -> Result<(), Problem> {
        let known = *self.position.lock();
        let mut after = match known {
            Some(after) => after,
            None => {
                let newest = self.store.last_run_event().await?;
                *self.position.lock().get_or_insert(newest)
            }
        };
        loop {
            let events = self.store.run_events(after, AT_ONCE).await?;
            let Some(last) = events.last() else { return Ok(()) };
            let next = last.sequence;
            let names = names(self.store.as_ref()).await?;
            for event in events {
                let run = self.store.run(event.run_id).await?;
                if let Some(run) = run
                    .as_ref()
                    .filter(|run| run.state == event.state && run.state.is_final())
                {
                    self.metrics.run(run);
                    self.rates.forget(run.id);
                }
                self.tell(render(&event, run.as_ref(), &names));
            }
            after = next;
            *self.position.lock() = Some(after);
        }
    }

    fn tell(&self, batch: Vec<Told>) {
        // Nobody listens: nobody misses it.
        let _listeners = self.told.send(batch.into()).unwrap_or_default();
    }
}

/// The name of an event of a breakdown.
const fn breakdown_event(news: BreakdownNews) -> &'static str {
    match news {
        BreakdownNews::Queued => "breakdown.queued",
        BreakdownNews::Started => "breakdown.started",
        BreakdownNews::Interrupted => "breakdown.interrupted",
        BreakdownNews::Accepted => "breakdown.accepted",
        BreakdownNews::Discarded => "breakdown.discarded",
        // Its status says how.
        _ => "breakdown.finished",
    }
}

/// What is told of a change of state: for a run that ended, its items first.
pub(crate) fn render(event: &RunEvent, run: Option<&Run>, names: &Names) -> Vec<Told> {
    let run_out = run.map(|run| RunOut::new(run, names, None, Form::InList));
    let settings = names.get(&event.connection_id);
    let name = match event.state {
        RunState::Queued => "run.queued",
        RunState::Started => "run.started",
        RunState::Halted => "run.halted",
        _ => "run.finished",
    };
    let data = json!({
        "sequence": event.sequence,
        "run_id": event.run_id,
        "connection_id": event.connection_id,
        "tool_name": settings.map(|settings| settings.tool.as_str()),
        "display_name": settings.map(|settings| settings.name.as_str()),
        "status": event.state,
        "at": instant(event.at),
        "run": run_out,
    });
    let mut told = Vec::new();
    if let Some(run) = run.filter(|_| event.state.is_final()) {
        told.extend(run.report.items.iter().take(MOST_ITEMS).map(|item| {
            let data = json!({
                "run_id": event.run_id,
                "connection_id": event.connection_id,
                "task_id": item.task_id,
                "external_task_id": item.external_id,
                "title": item.title,
                "outcome": item.outcome,
                "detail": item.detail,
            });
            Told {
                sequence: None,
                name: "run.item",
                data: data.to_string(),
            }
        }));
    }
    told.push(Told {
        sequence: Some(event.sequence),
        name,
        data: data.to_string(),
    });
    told
}
