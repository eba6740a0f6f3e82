//! One case: a hub, its tools, and what happens to them.

use std::cell::{RefCell, RefMut};
use std::sync::Arc;
use std::time::Duration;

use magnus_core::clock::Clock;
use magnus_core::engine::{Engine, RunContext, RunEnd, RunError, SyncEngine};
use magnus_core::model::{
    ConnectionId, DeletionPolicy, IntentState, ProjectId, ProjectPolicy, RunRequest, RunState, Task, TaskId,
};
use magnus_core::store::{Fence, LeaseAnswer, TaskStore};
use magnus_postgres::{PostgresOptions, PostgresStore};
use magnus_testkit::clock::SetClock;
use magnus_testkit::crash::CrashPoint;
use magnus_testkit::postgres::Database;
use magnus_testkit::sim::{CallMatcher, Fault, FaultRule, Gate};

use crate::book::Book;
use crate::house::House;
use crate::instance::{Instance, Tool};
use crate::step::{Deed, Step};
use crate::support::{Setup, World};

const LEASE: Duration = Duration::from_secs(30);
/// More than a lease and the wait before a lost create is believed lost.
const PAUSE: i64 = 120;
/// From one thing to the next: more than what two edits must be apart to tell which is newer.
const MOMENT: i64 = 5;

/// Two projects that all have in common, and one that is mapped nowhere.
pub(crate) const PROJECTS: [&str; 3] = ["Common", "Other", "Attic"];

pub(crate) struct Play {
    pub(crate) world: World,
    pub(crate) house: House,
    /// The hub's projects, in the order of [`PROJECTS`].
    pub(crate) hub: [ProjectId; 3],
    pub(crate) tools: Vec<(Instance, ConnectionId)>,
    book: RefCell<Book>,
    clock: Arc<SetClock>,
}

impl Play {
    pub(crate) async fn new(house: House, tools: &[Tool], database: Option<&Database>) -> Self {
        let clock = SetClock::at("2026-03-02T08:00:00Z".parse().unwrap());
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
        let world = World::with(Setup {
            openproject: Instance::options(&house, &clock),
            leantime: house.leantime(),
            store,
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            ..Setup::default()
        })
        .await;
        let mut hub = Vec::new();
        for name in PROJECTS {
            hub.push(world.hub_project(name).await);
        }
        let hub: [ProjectId; 3] = hub.try_into().unwrap();
        let mut seats: Vec<(Instance, ConnectionId)> = Vec::new();
        for (number, tool) in tools.iter().enumerate() {
            let another = tools[..number].contains(tool);
            let (instance, id) = if another {
                let instance = Instance::another(*tool, &house, &clock);
                let id = instance.connect(&world, &format!("number{number}")).await;
                (instance, id)
            } else {
                Instance::first(*tool, &world, &house)
            };
            for (project, name) in PROJECTS.iter().enumerate().take(2) {
                world.map(id, &instance.project(project), name, hub[project]).await;
            }
            let mut settings = world.store.connection(id).await.unwrap().unwrap();
            settings.options.projects = ProjectPolicy::Mapped;
            settings.options.conflicts = house.policy;
            settings.options.deletions = match (house.deletions, tool) {
                // Work packages have no archive.
                (DeletionPolicy::Archive, Tool::OpenProject) => DeletionPolicy::Delete,
                (policy, _) => policy,
            };
            world.store.save_connection(settings).await.unwrap();
            seats.push((instance, id));
        }
        Self {
            world,
            house,
            hub,
            tools: seats,
            book: RefCell::default(),
            clock,
        }
    }

    pub(crate) fn book(&self) -> RefMut<'_, Book> {
        self.book.borrow_mut()
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
        let state = if self.waiting(id).await.is_empty() {
            RunState::Completed
        } else {
            RunState::Partial
        };
        assert_eq!(end.state, state, "{end:#?}");
    }

    /// The tasks of which a person has to say whether they are in this connection's tool already.
    pub(crate) async fn waiting(&self, id: ConnectionId) -> Vec<TaskId> {
        let unsettled = self.world.store.unsettled_intents(id).await.unwrap();
        unsettled
            .iter()
            .filter(|intent| matches!(intent.state, IntentState::Uncertain { .. }))
            .map(|intent| intent.task_id)
            .collect()
    }

    pub(crate) async fn writes(&self) -> (usize, u64) {
        let tools = self.tools.iter().map(|(instance, _)| instance.writes()).sum();
        (tools, self.world.store.changed_rows().total())
    }

    /// The tasks of all projects, tombstones too, by id.
    pub(crate) async fn tasks(&self) -> Vec<Task> {
        let mut tasks = Vec::new();
        for project in self.hub {
            tasks.extend(self.world.tasks(project).await.into_values());
        }
        tasks.sort_by_key(|task| task.id);
        tasks
    }

    pub(crate) async fn play(&self, step: Step) {
        self.clock.advance(MOMENT);
        match step {
            Step::Do(deed) => self.perform(&deed).await,
            Step::Sync { who } => drop(self.sync(who).await),
            Step::Amid {
                who,
                call,
                writes,
                deeds,
            } => self.sync_amid(who, call, writes, &deeds).await,
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

    /// A run of which a call has left and does not arrive until people have done something.
    async fn sync_amid(&self, who: usize, call: usize, writes: bool, deeds: &[Deed]) {
        let (instance, _) = &self.tools[who - 1];
        let gate = Gate::default();
        let calls = if writes { instance.writing() } else { CallMatcher::any() };
        let held = FaultRule::new(calls, Fault::Hold(gate.clone())).after(call);
        instance.faults().inject(held);
        let run = self.sync(who);
        tokio::pin!(run);
        tokio::select! {
            biased;
            _ = &mut run => {}
            () = gate.reached(1) => {
                self.clock.advance(MOMENT);
                self.book().in_danger = self.house.deletions != DeletionPolicy::Keep;
                for deed in deeds {
                    self.perform(deed).await;
                }
                self.book().in_danger = false;
                gate.open();
                drop(run.await);
            }
        }
        instance.faults().clear();
    }
}
