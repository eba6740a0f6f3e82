//! What all handlers share.

use std::collections::HashMap;
use std::sync::Arc;

use magnus_core::engine::Progress;
use magnus_core::hub::Hub;
use magnus_core::model::{ConnectionId, ConnectionSettings, Run, RunId, Trigger};
use magnus_core::orchestrator::Orchestrator;
use magnus_core::store::{RunQuery, RunStanding, ServiceStore};

use crate::access::limits::{Buckets, Places};
use crate::access::token::Doorkeeper;
use crate::events::feed::Feed;
use crate::events::rate::Rates;
use crate::metrics::Metrics;
use crate::options::ServiceOptions;
use crate::problem::Problem;
use crate::shape::run::{Form, Names, ProgressOut, RunOut};
use crate::webhook::wakeups::Wakeups;

/// What all handlers share. Cheap to clone.
pub(crate) type App = Arc<Shared>;

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) orchestrator: Orchestrator,
    pub(crate) options: ServiceOptions,
    pub(crate) hub: Hub,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) rates: Arc<Rates>,
    pub(crate) feed: Feed,
    pub(crate) wakeups: Wakeups,
    pub(crate) doorkeeper: Doorkeeper,
    pub(crate) buckets: Buckets,
    pub(crate) places: Places,
}

/// What goes on, in all processes on the hub.
#[derive(Debug)]
pub(crate) struct GoingOn {
    /// How many runs go on.
    pub(crate) in_progress: u64,
    /// How many wait for their turn.
    pub(crate) queued: u64,
    /// How it stands with each connection, by name.
    pub(crate) standings: Vec<RunStanding>,
    /// The newest runs, newest first, their reports in brief.
    pub(crate) recent: Vec<Run>,
}

impl Shared {
    pub(crate) fn new(orchestrator: Orchestrator, options: ServiceOptions) -> App {
        let metrics = Arc::new(Metrics::default());
        let rates = Arc::new(Rates::default());
        let hub = Hub::new(Arc::clone(&options.store) as _).with_clock(Arc::clone(&options.clock));
        let feed = Feed::start(&orchestrator, &options, &metrics, &rates);
        let wakeups = Wakeups::start(&orchestrator, &options, &metrics);
        Arc::new(Self {
            doorkeeper: Doorkeeper::new(&options),
            buckets: Buckets::new(options.requests_per_second),
            places: Places::new(&options),
            orchestrator,
            hub,
            metrics,
            rates,
            feed,
            wakeups,
            options,
        })
    }

    pub(crate) fn store(&self) -> &dyn ServiceStore {
        self.options.store.as_ref()
    }

    /// A connection that must be there.
    pub(crate) async fn connection(&self, id: ConnectionId) -> Result<ConnectionSettings, Problem> {
        let settings = self.store().connection(id).await?;
        settings.ok_or_else(|| Problem::not_found("connection", id))
    }

    /// The connections by id.
    pub(crate) async fn names(&self) -> Result<Names, Problem> {
        names(self.store()).await
    }

    /// What goes on, with so many of the newest runs.
    pub(crate) async fn going_on(&self, recent: usize) -> Result<GoingOn, Problem> {
        // A run whose process died is not in progress.
        self.store().interrupt_abandoned().await?;
        let standings = self.store().run_standings().await?;
        let page = self.store().run_page(RunQuery::default().page(recent, None)).await?;
        let count = |is_so: fn(&RunStanding) -> bool| standings.iter().filter(|one| is_so(one)).count() as u64;
        Ok(GoingOn {
            in_progress: count(|one| one.in_progress),
            queued: count(|one| one.queued),
            standings,
            recent: page.runs,
        })
    }

    /// How far a run has come, if it goes on here.
    pub(crate) fn progress(&self, run: RunId) -> Option<(Progress, Option<ProgressOut>)> {
        let progress = *self.orchestrator.progress(run)?.borrow();
        Some((progress, self.rates.of(run, progress)))
    }

    pub(crate) fn run_out(&self, run: &Run, names: &Names, form: Form) -> RunOut {
        let progress = if run.state.is_final() {
            None
        } else {
            self.progress(run.id)
        };
        RunOut::new(run, names, progress, form)
    }

    /// After a person decided something on a connection: where it is kept in real time, the run that carries it out begins at
    /// once. A failure leaves it to the next one.
    pub(crate) async fn carry_out(&self, connection: ConnectionId) {
        if let Err(error) = self.orchestrator.nudge(self.store(), connection, Trigger::Ripple).await {
            tracing::info!(%connection, %error, "what was decided waits for the next run");
        }
    }

    /// After an edit of the hub: what is kept in real time follows at once. A failure leaves the connections due, which
    /// the schedule sees to.
    pub(crate) async fn flow_out(&self) {
        if let Err(error) = self.orchestrator.nudge_due(self.store()).await {
            tracing::info!(%error, "an edit waits for the next scheduled run");
        }
    }
}

pub(crate) async fn names(store: &dyn ServiceStore) -> Result<Names, Problem> {
    let connections = store.connections().await?;
    Ok(connections
        .into_iter()
        .map(|settings| (settings.id, settings))
        .collect::<HashMap<_, _>>())
}
