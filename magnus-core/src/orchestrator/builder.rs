//! How an orchestrator is set up.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{broadcast, mpsc};
use uuid::Uuid;

use super::breakdowns::{BreakdownOptions, Breakdowns, Teller};
use super::limits::Limits;
use super::registry::Registry;
use super::shared::{Options, Shared, Stopping};
use super::supervisor::Supervisor;
use super::{Orchestrator, exchanging};
use crate::breakdown::TaskBreakdown;
use crate::engine::SyncEngine;
use crate::exchange::EventExchange;
use crate::queue::RunQueue;
use crate::store::{BreakdownStore, TaskStore};

/// Events that a slow listener may fall behind before it misses some.
const EVENTS_KEPT: usize = 1024;

/// What breakdowns need.
#[derive(Debug)]
struct Thinking {
    jobs: Arc<dyn BreakdownStore>,
    model: Arc<dyn TaskBreakdown>,
    options: BreakdownOptions,
}

/// Sets up an [`Orchestrator`].
#[derive(Debug)]
pub struct OrchestratorBuilder {
    store: Arc<dyn TaskStore>,
    engine: Arc<dyn SyncEngine>,
    options: Options,
    queue: Option<Arc<dyn RunQueue>>,
    exchange: Option<Arc<dyn EventExchange>>,
    breakdowns: Option<Thinking>,
    in_all: usize,
    per_host: usize,
}

impl Orchestrator {
    /// An orchestrator of this engine over this store, with limits that suit one machine.
    #[must_use]
    pub fn builder(store: Arc<dyn TaskStore>, engine: Arc<dyn SyncEngine>) -> OrchestratorBuilder {
        OrchestratorBuilder {
            store,
            engine,
            options: Options {
                // The process for people, a random part so that no two orchestrators are ever the same holder.
                holder: format!("process {} ({})", std::process::id(), Uuid::new_v4().simple()),
                lease_ttl: Duration::from_secs(30),
                lease_poll: Duration::from_secs(1),
                patience: Duration::from_secs(90),
            },
            queue: None,
            exchange: None,
            breakdowns: None,
            in_all: 16,
            per_host: 2,
        }
    }
}

impl OrchestratorBuilder {
    /// The most runs that go on at once; at least 1.
    #[must_use]
    pub const fn concurrency(mut self, runs: usize) -> Self {
        self.in_all = runs;
        self
    }

    /// The most runs that talk to one host at once; at least 1.
    #[must_use]
    pub const fn concurrency_per_host(mut self, runs: usize) -> Self {
        self.per_host = runs;
        self
    }

    /// How long a lease lasts without a heartbeat, and thus how long a connection of a dead process stays blocked.
    #[must_use]
    pub const fn lease_ttl(mut self, ttl: Duration) -> Self {
        self.options.lease_ttl = ttl;
        self
    }

    /// How often to look whether a lease that another process holds was freed.
    #[must_use]
    pub const fn lease_poll(mut self, interval: Duration) -> Self {
        self.options.lease_poll = interval;
        self
    }

    /// How long a run that was asked to stop may take to do so before it is dropped. Longer than a call to a tool may
    /// take.
    #[must_use]
    pub const fn patience(mut self, patience: Duration) -> Self {
        self.options.patience = patience;
        self
    }

    /// The name under which this process holds leases, for people. It must be unique among all processes.
    #[must_use]
    pub fn holder(mut self, name: impl Into<String>) -> Self {
        self.options.holder = name.into();
        self
    }

    /// Announces runs on this queue instead of carrying them out: whoever [works](Orchestrator::work) on it does that, this
    /// process or another one. Runs are followed here as if they went on here.
    #[must_use]
    pub fn queue(mut self, queue: Arc<dyn RunQueue>) -> Self {
        self.queue = Some(queue);
        self
    }

    /// Exchanges events with the other processes on the hub: what happens to their runs is told here as well, and the other
    /// way round. Without it, what other processes did is found by looking at the run log.
    #[must_use]
    pub fn exchange(mut self, exchange: Arc<dyn EventExchange>) -> Self {
        self.exchange = Some(exchange);
        self
    }

    /// Breaks tasks down with this model, in bounds of their own: see [`Breakdowns`]. Jobs that a process before left
    /// behind go on at once.
    #[must_use]
    pub fn breakdowns(
        mut self,
        jobs: Arc<dyn BreakdownStore>,
        model: Arc<dyn TaskBreakdown>,
        options: BreakdownOptions,
    ) -> Self {
        self.breakdowns = Some(Thinking { jobs, model, options });
        self
    }

    /// Starts the supervisor on the current runtime. Runs are carried out there, and while they compute, others on it wait:
    /// a host that answers people may build it within [`enter`](tokio::runtime::Handle::enter) of a runtime of its own.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn build(self) -> Orchestrator {
        let (commands, receiver) = mpsc::unbounded_channel();
        let outgoing = self.exchange.clone().map(|exchange| {
            let (outgoing, events) = mpsc::unbounded_channel();
            tokio::spawn(exchanging::pass_on(exchange, events));
            outgoing
        });
        let events = broadcast::channel(EVENTS_KEPT).0;
        let breakdowns = self.breakdowns.map(|Thinking { jobs, model, options }| {
            let teller = Teller {
                here: Some(events.clone()),
                elsewhere: outgoing.clone(),
            };
            Breakdowns::telling(Arc::clone(&self.store), jobs, model, options, teller)
        });
        let shared = Arc::new(Shared {
            store: self.store,
            engine: self.engine,
            options: self.options,
            limits: Limits::new(self.in_all, self.per_host),
            registry: Registry::default(),
            events,
            stopping: Stopping::default(),
            queue: self.queue,
            attending: super::attending::Attending::default(),
            outgoing,
            breakdowns,
            commands: commands.downgrade(),
        });
        if let Some(exchange) = self.exchange {
            tokio::spawn(exchanging::hear(Arc::clone(&shared), exchange));
        }
        tokio::spawn(Supervisor::new(Arc::clone(&shared), receiver).run());
        Orchestrator { shared, commands }
    }
}
