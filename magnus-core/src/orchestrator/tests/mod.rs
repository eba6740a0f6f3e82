//! The orchestrator with engines that do as told, on the in-memory hub, in paused time.

mod faults;
mod faulty_store;
mod follow_up;
mod isolation;
mod leases;
mod sharing;
mod starting;
mod stopping;
mod stress;
mod timetable;

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::BoxFuture;
use tokio::time::Instant;

use super::{Orchestrator, OrchestratorBuilder};
use crate::clock::Clock;
use crate::engine::{RunContext, RunEnd, RunError, RunErrorKind, SyncEngine};
use crate::memory::MemoryStore;
use crate::model::{
    ConnectionId, ConnectionSettings, ExternalId, Mapping, Project, ProjectId, Run, RunReport, RunRequest, RunState,
    Task, Timestamp, ToolName,
};
use crate::reconcile::Plan;
use crate::store::{Changeset, Fence, MappingWrite, ProjectWrite, RunStore, SettingsStore, TaskStore, TaskWrite, Unit};

const SECOND: Duration = Duration::from_secs(1);

/// A clock that goes as tokio's paused time does.
#[derive(Debug)]
struct PausedClock {
    begun: Instant,
    epoch: Timestamp,
}

impl PausedClock {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            begun: Instant::now(),
            epoch: chrono::DateTime::UNIX_EPOCH,
        })
    }
}

impl Clock for PausedClock {
    fn now(&self) -> Timestamp {
        self.epoch + self.begun.elapsed()
    }
}

type Ended = Result<RunEnd, RunError>;
type Behaviour = Arc<dyn Fn(RunRequest, RunContext) -> BoxFuture<'static, Ended> + Send + Sync>;

/// An engine that does for each connection what the test says, by default: completes at once.
#[derive(Default)]
struct FakeEngine {
    behaviours: Mutex<HashMap<ConnectionId, Behaviour>>,
    refused: Mutex<HashMap<ConnectionId, RunErrorKind>>,
    calls: Mutex<Vec<RunRequest>>,
    running: Mutex<HashMap<ConnectionId, usize>>,
    in_all: AtomicUsize,
    most_at_once: AtomicUsize,
    overlaps: AtomicUsize,
}

impl fmt::Debug for FakeEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FakeEngine")
    }
}

/// Counts a run as long as it goes on, also when it is dropped or panics.
struct Going<'a>(&'a FakeEngine, ConnectionId);

impl<'a> Going<'a> {
    fn new(engine: &'a FakeEngine, connection: ConnectionId) -> Self {
        let mut running = engine.running.lock().unwrap();
        let of_this = running.entry(connection).or_default();
        *of_this += 1;
        if *of_this > 1 {
            engine.overlaps.fetch_add(1, Ordering::SeqCst);
        }
        let now = engine.in_all.fetch_add(1, Ordering::SeqCst) + 1;
        engine.most_at_once.fetch_max(now, Ordering::SeqCst);
        Self(engine, connection)
    }
}

impl Drop for Going<'_> {
    fn drop(&mut self) {
        *self.0.running.lock().unwrap().entry(self.1).or_default() -= 1;
        self.0.in_all.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl SyncEngine for FakeEngine {
    async fn validate(&self, request: RunRequest) -> Result<(), RunError> {
        match self.refused.lock().unwrap().get(&request.connection_id) {
            Some(kind) => Err(RunError::new(*kind, "refused by the test").with_connection(request.connection_id)),
            None => Ok(()),
        }
    }

    async fn plan(&self, _: RunRequest, _: RunContext) -> Result<Plan, RunError> {
        Err(RunError::new(RunErrorKind::Cancelled, "the fake engine has no plans"))
    }

    async fn run(&self, request: RunRequest, context: RunContext) -> Ended {
        let _going = Going::new(self, request.connection_id);
        self.calls.lock().unwrap().push(request.clone());
        let behaviour = self.behaviours.lock().unwrap().get(&request.connection_id).cloned();
        match behaviour {
            Some(behaviour) => behaviour(request, context).await,
            None => completed(),
        }
    }
}

fn ended(state: RunState) -> Ended {
    Ok(RunEnd {
        state,
        report: RunReport::default(),
        message: None,
    })
}

fn completed() -> Ended {
    ended(RunState::Completed)
}

/// Works in so many steps of so long, and stops between them when asked.
async fn steps(context: RunContext, count: u32, each: Duration) -> Ended {
    for _ in 0..count {
        if context.cancellation.is_cancelled() {
            return ended(RunState::Cancelled);
        }
        tokio::time::sleep(each).await;
        context.report(|progress| progress.done += 1);
    }
    completed()
}

/// A hub with an engine.
struct House {
    store: MemoryStore,
    engine: Arc<FakeEngine>,
}

impl House {
    fn new() -> Self {
        Self {
            store: MemoryStore::with_clock(PausedClock::new()),
            engine: Arc::default(),
        }
    }

    fn builder(&self) -> OrchestratorBuilder {
        let engine: Arc<dyn SyncEngine> = Arc::clone(&self.engine) as _;
        Orchestrator::builder(Arc::new(self.store.clone()), engine)
    }

    fn orchestrator(&self) -> Orchestrator {
        self.builder().build()
    }

    /// Adds a connection to a host of its own.
    async fn connection(&self, name: &str) -> ConnectionId {
        self.connection_to(name, &format!("https://{name}.example")).await
    }

    async fn connection_to(&self, name: &str, url: &str) -> ConnectionId {
        let settings = ConnectionSettings::new(ToolName::new("fake"), name, url, chrono::DateTime::UNIX_EPOCH);
        self.store.save_connection(settings).await.unwrap().id
    }

    fn behave<F, R>(&self, connection: ConnectionId, behaviour: F)
    where
        F: Fn(RunRequest, RunContext) -> R + Send + Sync + 'static,
        R: Future<Output = Ended> + Send + 'static,
    {
        let behaviour: Behaviour = Arc::new(move |request, context| Box::pin(behaviour(request, context)));
        self.engine.behaviours.lock().unwrap().insert(connection, behaviour);
    }

    /// Maps an external project on each connection onto one hub project.
    async fn shared_project(&self, connections: &[ConnectionId]) -> ProjectId {
        let project = Project::new("Shared", chrono::DateTime::UNIX_EPOCH);
        let id = project.id;
        let mappings = connections.iter().map(|connection| MappingWrite {
            mapping: Mapping::new(*connection, ExternalId::from(1), "Shared", id),
            expected: None,
        });
        let changeset = Changeset {
            projects: vec![ProjectWrite {
                project,
                expected: None,
            }],
            mappings: mappings.collect(),
            ..Changeset::new()
        };
        self.store.commit(Fence::Hub, changeset).await.unwrap();
        id
    }

    /// Lets the first `times` runs of a connection add a hub task to a project each.
    fn change_hub(&self, connection: ConnectionId, project: ProjectId, times: usize) {
        let left = Arc::new(AtomicUsize::new(times));
        let store = self.store.clone();
        self.behave(connection, move |_, context| {
            let (store, left) = (store.clone(), Arc::clone(&left));
            async move {
                // All runs of a round are under way before the first one changes the hub.
                tokio::time::sleep(SECOND).await;
                let change = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
                if change.is_ok() {
                    store.commit(context.fence, new_task(project)).await?;
                }
                completed()
            }
        });
    }

    fn calls(&self) -> Vec<RunRequest> {
        self.engine.calls.lock().unwrap().clone()
    }

    fn calls_of(&self, connection: ConnectionId) -> usize {
        self.calls()
            .iter()
            .filter(|request| request.connection_id == connection)
            .count()
    }

    async fn runs(&self) -> Vec<Run> {
        self.store.recent_runs(1000).await.unwrap()
    }
}

fn new_task(project: ProjectId) -> Changeset {
    let task = Task::new(project, "A task", chrono::DateTime::UNIX_EPOCH);
    let write = TaskWrite::Insert {
        task: Box::new(task),
        guard: None,
    };
    Changeset::of(vec![Unit {
        tasks: vec![write],
        ..Unit::default()
    }])
}
