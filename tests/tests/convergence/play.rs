//! One case: a hub, its tools, and what happens to them.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use magnus_core::clock::Clock;
use magnus_core::engine::{Engine, RunContext, RunEnd, RunError, SyncEngine};
use magnus_core::model::{
    ConflictPolicy, ConnectionId, ConnectionSettings, IntentState, ProjectId, RunRequest, RunState, TaskId,
};
use magnus_core::store::{Fence, LeaseAnswer, TaskStore};
use magnus_postgres::{PostgresOptions, PostgresStore};
use magnus_testkit::clock::SetClock;
use magnus_testkit::crash::CrashPoint;
use magnus_testkit::postgres::Database;
use magnus_testkit::sim::leantime::{LeantimeOptions, LeantimeSimulator};
use magnus_testkit::sim::openproject::{self, OpenProjectOptions, OpenProjectSimulator};

use crate::step::{FIELDS, Step};
use crate::support::{Setup, World};

const LEASE: Duration = Duration::from_secs(30);
/// More than a lease and the wait before a lost create is believed lost.
const PAUSE: i64 = 120;

/// A kind of tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tool {
    OpenProject,
    Leantime,
}

/// The project of an instance that all have in common.
#[derive(Clone)]
pub(crate) enum Instance {
    OpenProject(OpenProjectSimulator, u64),
    Leantime(LeantimeSimulator, i64),
}

impl Instance {
    pub(crate) fn project(&self) -> String {
        match self {
            Self::OpenProject(_, project) => project.to_string(),
            Self::Leantime(_, project) => project.to_string(),
        }
    }

    pub(crate) fn titles(&self) -> Vec<String> {
        match self {
            Self::OpenProject(instance, _) => instance.work_packages().into_iter().map(|item| item.subject).collect(),
            Self::Leantime(instance, _) => instance.tickets().into_iter().filter_map(|row| row.headline).collect(),
        }
    }

    fn writes(&self) -> usize {
        match self {
            Self::OpenProject(instance, _) => instance.writes(),
            Self::Leantime(instance, _) => instance.writes(),
        }
    }
}

pub(crate) struct Play {
    pub(crate) world: World,
    pub(crate) hub: ProjectId,
    pub(crate) tools: Vec<(Instance, ConnectionId)>,
    pub(crate) serial: usize,
    /// Titles typed by somebody: each must be somewhere in the end, or somebody replaced it with his own hands.
    pub(crate) typed: HashSet<String>,
    pub(crate) replaced: HashSet<String>,
    clock: Arc<SetClock>,
}

impl Play {
    pub(crate) async fn new(
        policy: ConflictPolicy,
        openproject: OpenProjectOptions,
        tools: &[Tool],
        database: Option<&Database>,
    ) -> Self {
        let settings: fn(&mut ConnectionSettings) = match policy {
            ConflictPolicy::Manual => |_| {},
            ConflictPolicy::HubWins => |settings| settings.options.conflicts = ConflictPolicy::HubWins,
            ConflictPolicy::ExternalWins => |settings| settings.options.conflicts = ConflictPolicy::ExternalWins,
            ConflictPolicy::NewestWins => |settings| settings.options.conflicts = ConflictPolicy::NewestWins,
        };
        let clock = SetClock::at("2026-03-02T08:00:00Z".parse().unwrap());
        let time = Arc::clone(&clock);
        let store: Option<Arc<dyn TaskStore>> = match database {
            None => None,
            Some(database) => {
                let options = PostgresOptions::new()
                    .connections(4)
                    .clock(Arc::clone(&clock) as Arc<dyn Clock>);
                Some(Arc::new(
                    PostgresStore::open_with(database.url(), options).await.unwrap(),
                ))
            }
        };
        let openproject = openproject.clock(openproject::Clock::new(move || time.now()));
        let world = World::with(Setup {
            settings,
            openproject: openproject.clone(),
            store,
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            ..Setup::default()
        })
        .await;
        let common = world.common_project("Common").await;
        let mut seats: Vec<(Instance, ConnectionId)> = Vec::new();
        for (number, tool) in tools.iter().enumerate() {
            let another = tools[..number].contains(tool);
            let name = format!("number{number}");
            let seat = match tool {
                Tool::OpenProject if another => {
                    let instance = OpenProjectSimulator::new(openproject.clone());
                    let id = world.connect_openproject(&name, &instance).await;
                    let project = instance.create_project("Common", "common");
                    (Instance::OpenProject(instance, project), id)
                }
                Tool::Leantime if another => {
                    let instance = LeantimeSimulator::new(LeantimeOptions::default());
                    let id = world.connect_leantime(&name, &instance).await;
                    let project = instance.create_project("Common");
                    (Instance::Leantime(instance, project), id)
                }
                Tool::OpenProject => (Instance::OpenProject(world.openproject.clone(), common.op), world.op),
                Tool::Leantime => (Instance::Leantime(world.leantime.clone(), common.lt), world.lt),
            };
            if another {
                world.map(seat.1, &seat.0.project(), "Common", common.hub).await;
            }
            seats.push(seat);
        }
        Self {
            world,
            hub: common.hub,
            tools: seats,
            serial: 0,
            typed: HashSet::new(),
            replaced: HashSet::new(),
            clock,
        }
    }

    pub(crate) fn unique(&mut self, pattern: &str) -> String {
        self.serial += 1;
        pattern.replace("{}", &format!("no{}", self.serial))
    }

    pub(crate) fn title(&mut self, value: usize) -> String {
        // Some titles are longer than any tool takes.
        let long = if value == 7 { "long ".repeat(60) } else { String::new() };
        let title = self.unique(&format!("title {{}}{long}")).trim_end().to_owned();
        self.typed.insert(title.clone());
        title
    }

    /// One run by hand, so that a case is the same every time. `None`: its process died.
    async fn attempt(&self, engine: &Engine, crash: &CrashPoint, id: ConnectionId) -> Option<Result<RunEnd, RunError>> {
        self.clock.advance(PAUSE);
        let answer = self.world.store.acquire_lease(id, "play".to_owned(), LEASE).await;
        let LeaseAnswer::Granted(lease) = answer.unwrap() else {
            panic!("one at a time")
        };
        let context = RunContext {
            fence: Fence::Lease(lease.clone()),
            ..RunContext::detached()
        };
        let ended = crash.until_death(engine.run(RunRequest::new(id), context)).await;
        if ended.is_some() {
            // A dead process gives nothing back: its lease runs out.
            self.world.store.release_lease(lease).await.unwrap();
        }
        ended
    }

    /// A run that ends well, but for what waits for a person.
    pub(crate) async fn run(&self, id: ConnectionId) {
        let end = self.attempt(&self.world.engine, &CrashPoint::counting(), id).await;
        let end = end.unwrap().unwrap();
        let state = if self.waits(id).await {
            RunState::Partial
        } else {
            RunState::Completed
        };
        assert_eq!(end.state, state, "{end:#?}");
    }

    /// Whether a create on this connection waits for a person to say what became of it.
    pub(crate) async fn waits(&self, id: ConnectionId) -> bool {
        let unsettled = self.world.store.unsettled_intents(id).await.unwrap();
        unsettled
            .iter()
            .any(|intent| matches!(intent.state, IntentState::Uncertain { .. }))
    }

    pub(crate) async fn writes(&self) -> (usize, u64) {
        let tools = self.tools.iter().map(|(instance, _)| instance.writes()).sum();
        (tools, self.world.store.changed_rows().total())
    }

    pub(crate) async fn hub_ids(&self) -> Vec<TaskId> {
        let tasks = self.world.tasks(self.hub).await;
        tasks
            .values()
            .filter(|task| !task.is_deleted())
            .map(|task| task.id)
            .collect()
    }

    pub(crate) async fn play(&mut self, step: Step) {
        match step {
            Step::Add { who } => self.add(who).await,
            Step::Edit {
                who,
                item,
                field,
                value,
            } => self.edit(who, item, FIELDS[field], value).await,
            Step::Delete { who, item } => self.delete(who, item).await,
            Step::Comment { who, item } => self.comment(who, item),
            Step::Sync { who } => drop(self.sync(who).await),
            Step::Break { who, effect, mode } => {
                let crash = CrashPoint::at(effect, mode);
                let engine = self.world.breaking(&crash);
                // However it ended: the next run finds what it left behind.
                drop(self.attempt(&engine, &crash, self.tools[who - 1].1).await);
            }
        }
    }

    /// A run in the middle of a case. It may meet what a broken one left behind, and end as well as it can.
    async fn sync(&self, who: usize) -> RunEnd {
        let ended = self
            .attempt(&self.world.engine, &CrashPoint::counting(), self.tools[who - 1].1)
            .await;
        ended.unwrap().unwrap()
    }
}
