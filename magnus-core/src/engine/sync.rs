//! The engine that the traits describe: opens a connection and runs it against the hub.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Mutex;
use tracing::Instrument;

use super::failed::InARow;
use super::outlook::Look;
use super::session::Session;
use super::tally::Tally;
use super::{Phase, RunContext, RunEnd, RunError, RunErrorKind, SyncEngine};
use crate::clock::{Clock, SystemClock};
use crate::connection::{Connection, Connector};
use crate::model::{
    ConnectionId, ConnectionSettings, DeletionPolicy, ItemFailure, Reason, Run, RunReport, RunRequest, RunState, Scope,
    SkipReason, TaskId, ToolName, Trigger,
};
use crate::reconcile::Plan;
use crate::secret::SecretStore;
use crate::store::TaskStore;

/// A connection with the revision of the settings it was opened with.
type Opened = (i64, Arc<dyn Connection>);

/// How far back the log is searched for runs that came after a halted one.
const LOOK_BACK: usize = 200;

type Wrap = Arc<dyn Fn(&ConnectionSettings, Arc<dyn Connection>) -> Arc<dyn Connection> + Send + Sync>;

/// Syncs connections with the hub: the [`SyncEngine`] over a store, connectors and secrets.
pub struct Engine {
    store: Arc<dyn TaskStore>,
    secrets: Arc<dyn SecretStore>,
    clock: Arc<dyn Clock>,
    connectors: HashMap<ToolName, Arc<dyn Connector>>,
    wrap: Option<Wrap>,
    open: Mutex<HashMap<ConnectionId, Opened>>,
    taking_over: Arc<Mutex<()>>,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("store", &self.store)
            .field("tools", &self.connectors.keys())
            .finish()
    }
}

impl Engine {
    /// An engine over a store; keys come from `secrets`. Tools are added with [`Engine::with_connector`].
    #[must_use]
    pub fn new(store: Arc<dyn TaskStore>, secrets: Arc<dyn SecretStore>) -> Self {
        Self {
            store,
            secrets,
            clock: Arc::new(SystemClock),
            connectors: HashMap::new(),
            wrap: None,
            open: Mutex::new(HashMap::new()),
            taking_over: Arc::default(),
        }
    }

    /// Registers a tool. A second connector of the same name takes the first one's place.
    #[must_use]
    pub fn with_connector(mut self, connector: Arc<dyn Connector>) -> Self {
        self.connectors.insert(connector.tool(), connector);
        self
    }

    /// Tells the time by another clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Wraps every connection that is opened, in layers for example.
    #[must_use]
    pub fn with_layers(
        mut self,
        wrap: impl Fn(&ConnectionSettings, Arc<dyn Connection>) -> Arc<dyn Connection> + Send + Sync + 'static,
    ) -> Self {
        self.wrap = Some(Arc::new(wrap));
        self
    }

    /// The tools that are registered.
    pub fn tools(&self) -> impl Iterator<Item = &ToolName> {
        self.connectors.keys()
    }

    /// Opens a connection with settings and a key that need not be stored yet: to test them first.
    ///
    /// # Errors
    /// `UnknownTool`, or whatever the connector finds wrong with the settings.
    pub async fn connect(
        &self,
        settings: ConnectionSettings,
        secret: secrecy::SecretString,
    ) -> Result<Arc<dyn Connection>, RunError> {
        let id = settings.id;
        let Some(connector) = self.connectors.get(&settings.tool) else {
            let mut known: Vec<&str> = self.connectors.keys().map(ToolName::as_str).collect();
            known.sort_unstable();
            let message = format!(
                "unknown tool {:?}; known are: {}",
                settings.tool.as_str(),
                known.join(", ")
            );
            return Err(RunError::new(RunErrorKind::UnknownTool, message).with_connection(id));
        };
        let policy = settings.options.deletions;
        let name = settings.name.clone();
        let connection = connector
            .open(settings.clone(), secret)
            .await
            .map_err(|error| RunError::from(error.with_context("connection", &name)).with_connection(id))?;
        if policy == DeletionPolicy::Archive && !connection.capabilities().archive {
            let message = format!(
                "connection {name:?}: {} has no archive; set `deletions` to keep or delete",
                connection.capabilities().tool
            );
            return Err(RunError::new(RunErrorKind::Connection, message).with_connection(id));
        }
        Ok(match &self.wrap {
            Some(wrap) => wrap(&settings, connection),
            None => connection,
        })
    }

    /// The stored connection, opened; kept open until its settings change.
    ///
    /// # Errors
    /// `UnknownConnection`, `NoSecret`, and those of [`Engine::connect`].
    pub async fn open(&self, id: ConnectionId) -> Result<(ConnectionSettings, Arc<dyn Connection>), RunError> {
        let mut settings = self.settings(id).await?;
        let mut open = self.open.lock().await;
        let secret = loop {
            if let Some((revision, connection)) = open.get(&id)
                && *revision == settings.revision
            {
                return Ok((settings, Arc::clone(connection)));
            }
            let secret = self
                .secrets
                .get(id)
                .await
                .map_err(|error| RunError::from(error).with_connection(id))?;
            let now = self.settings(id).await?;
            if now.revision == settings.revision {
                break secret;
            }
            // Somebody changed the connection in between: its key may be one for another server than these settings say.
            settings = now;
        };
        let Some(secret) = secret else {
            let message = format!(
                "there is no key for connection {:?}; connect it again with a key",
                settings.name
            );
            return Err(RunError::new(RunErrorKind::NoSecret, message).with_connection(id));
        };
        let connection = self.connect(settings.clone(), secret).await?;
        open.insert(id, (settings.revision, Arc::clone(&connection)));
        Ok((settings, connection))
    }

    async fn settings(&self, id: ConnectionId) -> Result<ConnectionSettings, RunError> {
        self.store.connection(id).await?.ok_or_else(|| {
            RunError::new(RunErrorKind::UnknownConnection, format!("there is no connection {id}")).with_connection(id)
        })
    }

    async fn failures(&self, connection: ConnectionId) -> Result<HashMap<TaskId, ItemFailure>, RunError> {
        let failures = self.store.item_failures(Some(connection)).await?;
        Ok(failures.into_iter().map(|failure| (failure.task_id, failure)).collect())
    }

    async fn session(&self, request: &RunRequest, context: RunContext) -> Result<Session, RunError> {
        self.validate(request.clone()).await?;
        let (settings, connection) = self.open(request.connection_id).await?;
        let direction = request.direction.unwrap_or(settings.direction);
        let identity = connection.check().await.map_err(|error| {
            RunError::from(error.with_context("connection", &settings.name)).with_connection(settings.id)
        })?;
        Ok(Session {
            store: Arc::clone(&self.store),
            capabilities: connection.capabilities(),
            seen_as: identity.id,
            connection,
            settings,
            direction,
            context,
            clock: Arc::clone(&self.clock),
            tally: Tally::default(),
            report: RunReport::default(),
            blocked: HashMap::new(),
            no_import: None,
            greatest_seen: None,
            create_refusals: HashMap::new(),
            attempts: HashMap::new(),
            failures: Arc::new(self.failures(request.connection_id).await?),
            failed: Vec::new(),
            held_back: HashSet::new(),
            asked_by_person: request.trigger == Trigger::Manual,
            taking_over: Arc::clone(&self.taking_over),
            asked_who: 0,
            in_a_row: InARow::default(),
            ends_with: None,
        })
    }
}

#[async_trait]
impl SyncEngine for Engine {
    async fn validate(&self, request: RunRequest) -> Result<(), RunError> {
        let id = request.connection_id;
        let settings = self.settings(id).await?;
        if !settings.enabled {
            let message = format!("connection {:?} is switched off; enable it to sync", settings.name);
            return Err(RunError::new(RunErrorKind::Disabled, message).with_connection(id));
        }
        if !self.connectors.contains_key(&settings.tool) {
            let message = format!("no connector is registered for tool {:?}", settings.tool.as_str());
            return Err(RunError::new(RunErrorKind::UnknownTool, message).with_connection(id));
        }
        match request.direction {
            Some(wanted) if !settings.direction.covers(wanted) => {
                let message = format!(
                    "connection {:?} allows {} only; a run {wanted} is refused",
                    settings.name, settings.direction
                );
                Err(RunError::new(RunErrorKind::DirectionTooWide, message).with_connection(id))
            }
            _ => Ok(()),
        }
    }

    async fn plan(&self, request: RunRequest, context: RunContext) -> Result<Plan, RunError> {
        let mut session = self.session(&request, context).await?;
        if let (Some(undone), false) = (request.undo.first(), request.sync) {
            let undo = session.plan_undo(*undone).await?;
            return Ok(session.show(session.outlook_on(
                &undo,
                Look {
                    confirmed: None,
                    show: true,
                },
            )));
        }
        let mut active = session.projects(request.scope, false).await?;
        session.require_some(&active)?;
        let ids = active.iter().map(|active| active.mapping.external_id.clone()).collect();
        let tables = session.connection.translator(ids).await?;
        let all_read = session.observe_all(&mut active, request.trigger, &tables).await?;
        let no_creation = (!all_read).then(not_all_read);
        let look = Look {
            confirmed: None,
            show: true,
        };
        let outlook = session.outlook(&active, &tables, no_creation.as_ref(), look).await?;
        Ok(session.show(outlook))
    }

    async fn run(&self, request: RunRequest, context: RunContext) -> Result<RunEnd, RunError> {
        let span = tracing::info_span!("run", run = %context.run_id, connection = %request.connection_id);
        async {
            let mut session = self.session(&request, context).await?;
            let ended = session.run(&request).await;
            let ended = session.remember_failures(ended).await;
            session.tally.fill(&mut session.report);
            session.context.report(|progress| progress.phase = Phase::Finished);
            match ended {
                Ok(halted) => Ok(session.end(halted)),
                Err(error) => Err(error.with_report(session.report)),
            }
        }
        .instrument(span)
        .await
    }
}

impl Session {
    /// The run itself. Answers why a guard halted it, if one did.
    async fn run(&mut self, request: &RunRequest) -> Result<Option<Plan>, RunError> {
        self.checkpoint()?;
        let scope = if request.sync { request.scope } else { Scope::Tasks };
        let mut active = self.projects(scope, true).await?;
        self.require_some(&active)?;
        if scope == Scope::Projects {
            return Ok(None);
        }
        let mappings: Vec<_> = active.iter().map(|active| active.mapping.clone()).collect();
        let ids = mappings.iter().map(|mapping| mapping.external_id.clone()).collect();
        let tables = self.connection.translator(ids).await?;
        self.recover(&mappings, &tables).await?;
        for undone in &request.undo {
            let halted = self.undo(*undone, request, &tables).await?;
            if halted.is_some() {
                return Ok(halted);
            }
        }
        if !request.sync {
            return Ok(None);
        }
        let all_read = self.observe_all(&mut active, request.trigger, &tables).await?;
        let confirmed = self.confirmed(request).await?;
        let no_creation = (!all_read).then(not_all_read);
        let look = Look {
            confirmed: confirmed.as_ref(),
            show: false,
        };
        let outlook = self.outlook(&active, &tables, no_creation.as_ref(), look).await?;
        if !outlook.allowance.halts(&self.settings.options.guard).is_empty() {
            let look = Look { show: true, ..look };
            let shown = self.outlook(&active, &tables, no_creation.as_ref(), look).await?;
            return Ok(Some(self.show(shown)));
        }
        let mut allowance = outlook.allowance;
        for index in 0..active.len() {
            self.execute(&mut active, index, &tables, no_creation.as_ref(), &mut allowance)
                .await?;
        }
        Ok(None)
    }

    /// The plan that a person has confirmed. It can be confirmed until a newer run has planned the same anew.
    pub(super) async fn confirmed(&self, request: &RunRequest) -> Result<Option<Plan>, RunError> {
        let Some(id) = request.confirm else { return Ok(None) };
        let halted = self.store.run(id).await?;
        let halted = halted.filter(|run| run.state == RunState::Halted && run.connection_id == request.connection_id);
        let refuse = |words: String| Err(self.error(RunErrorKind::NothingToConfirm, words));
        let nothing = || {
            format!(
                "run {id} is no halted run of connection {:?} with a plan",
                self.settings.name
            )
        };
        let Some(halted) = halted else {
            return refuse(nothing());
        };
        // Newest first; this run itself is `started`.
        let recent = self.store.recent_runs_of(request.connection_id, LOOK_BACK).await?;
        let mut newer = recent.iter().take_while(|run| run.id != id);
        if let Some(newer) = newer.find(|run| supersedes(run, &halted)) {
            return refuse(format!(
                "the plan of run {id} was superseded by run {}; sync again to see what is left to do",
                newer.id
            ));
        }
        match halted.report.plan.and_then(|plan| serde_json::from_value(plan).ok()) {
            Some(plan) => Ok(Some(plan)),
            None => refuse(nothing()),
        }
    }

    fn end(&self, halted: Option<Plan>) -> RunEnd {
        let mut report = self.report.clone();
        let failed = report.counts.tasks.failed + report.counts.projects.failed;
        let (state, message) = if let Some(plan) = halted {
            report.plan = serde_json::to_value(&plan).ok();
            (
                RunState::Halted,
                Some(format!("nothing was written: {}", plan.halts.join("; "))),
            )
        } else if failed > 0 || !report.problems.is_empty() {
            let mut words = report.problems.clone();
            if report.counts.tasks.failed > 0 {
                words.push(format!("{} items failed", report.counts.tasks.failed));
            }
            (RunState::Partial, Some(words.join("; ")))
        } else {
            (RunState::Completed, None)
        };
        RunEnd { state, report, message }
    }
}

/// Whether a newer run has planned anew what a halted one had planned: with it, the plan that a person saw is past.
fn supersedes(newer: &Run, halted: &Run) -> bool {
    let planned = matches!(newer.state, RunState::Completed | RunState::Partial | RunState::Halted);
    let the_same = if halted.request.sync {
        newer.request.sync && newer.request.scope != Scope::Projects
    } else {
        newer.request.undo == halted.request.undo
    };
    newer.connection_id == halted.connection_id && planned && the_same
}

fn not_all_read() -> Reason {
    SkipReason::IncompleteListing.because("a mapped project could not be read, so nothing is created in the tool")
}
