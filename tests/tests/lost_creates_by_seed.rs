//! Creates whose answers never came, on both tools, with and without a marker: whatever people do meanwhile, each hub
//! task has exactly one item in the end, over many seeds.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use magnus_core::clock::{Clock, SystemClock};
use magnus_core::hub::Hub;
use magnus_core::model::{ConnectionId, ConnectionSettings, Field, LinkState, RunState, TaskId, Timestamp, Value};
use magnus_testkit::sim::openproject::OpenProjectOptions;
use magnus_testkit::sim::{CallMatcher, Fault, FaultRule};
use support::{Common, Setup, World};

const SEEDS: u64 = 100;
const FIELD: &str = "customField7";

/// More than the wait before a lost create is believed lost.
const LATER: i64 = 120;

/// The machine's time, and what the test adds to it.
#[derive(Debug, Default)]
struct Ahead(AtomicI64);

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        SystemClock.now() + chrono::TimeDelta::seconds(self.0.load(Ordering::Relaxed))
    }
}

/// Numbers that look like chance and are the same for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((z ^ (z >> 31)) % sides as u64).unwrap()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tool {
    OpenProject,
    Leantime,
}

/// How a tool keeps the marker of a create.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Marker {
    None,
    /// In a field that lists can be filtered by.
    Filterable,
    /// In one that they cannot.
    Plain,
}

fn with_field(settings: &mut ConnectionSettings) {
    if settings.tool.as_str() == "openproject" {
        let tool = &mut settings.options.tool;
        tool.insert("create_marker_field".to_owned(), FIELD.into());
    }
}

struct Case {
    world: World,
    clock: Arc<Ahead>,
    common: Common,
    tool: Tool,
    marker: Marker,
    tasks: Vec<TaskId>,
}

impl Case {
    /// A few tasks of the hub that the tool does not have yet; some are called alike.
    async fn new(tool: Tool, marker: Marker, dice: &mut Dice) -> Self {
        let options = match marker {
            Marker::None => OpenProjectOptions::default(),
            Marker::Filterable => OpenProjectOptions::default().filterable_custom_field(FIELD),
            Marker::Plain => OpenProjectOptions::default().custom_field(FIELD),
        };
        let clock = Arc::new(Ahead::default());
        let world = World::with(Setup {
            openproject: options,
            settings: if marker == Marker::None { |_| {} } else { with_field },
            clock: Arc::<Ahead>::clone(&clock),
            ..Setup::default()
        })
        .await;
        let common = world.common_project("Garden").await;
        let mut tasks = Vec::new();
        for number in 0..=dice.roll(4) {
            let title = if dice.roll(3) == 0 {
                "alike".to_owned()
            } else {
                format!("task {number}")
            };
            let task = world.add(common.hub, &title).await;
            if marker != Marker::None && dice.roll(2) == 0 {
                // Without a marker, creates that are called alike and differ otherwise are for a person to tell.
                let text = Value::text(format!("of {number}"));
                world.edit(task, Field::Description, text).await;
            }
            tasks.push(task);
        }
        Self {
            world,
            clock,
            common,
            tool,
            marker,
            tasks,
        }
    }

    fn connection(&self) -> ConnectionId {
        match self.tool {
            Tool::OpenProject => self.world.op,
            Tool::Leantime => self.world.lt,
        }
    }

    /// A run in which one of the creates meets a fault.
    async fn run_with(&self, fault: Fault, dice: &mut Dice) {
        let (create, faults) = match self.tool {
            Tool::OpenProject => (
                CallMatcher::any().method("POST").path_ends_with("/work_packages"),
                self.world.openproject.faults(),
            ),
            // All that are made at once are one call.
            Tool::Leantime => (CallMatcher::any().rpc("addTicket"), self.world.leantime.faults()),
        };
        let passing = match self.tool {
            Tool::OpenProject => dice.roll(self.tasks.len()),
            Tool::Leantime => 0,
        };
        let times = 1 + dice.roll(2);
        faults.inject(FaultRule::new(create, fault).after(passing).times(times));
        self.world.sync(self.connection()).await;
        faults.clear();
    }

    /// What people do in the tool before anybody looks.
    fn meddle(&self, alike: bool, dice: &mut Dice) -> usize {
        let mut added = 0;
        for _ in 0..dice.roll(3) {
            let title = if alike && dice.roll(2) == 0 {
                "alike"
            } else {
                "somebody's"
            };
            match self.tool {
                Tool::OpenProject => {
                    self.world.openproject.create_work_package(self.common.op, title);
                }
                Tool::Leantime => {
                    self.world.leantime.create_ticket(self.common.lt, title);
                }
            }
            added += 1;
        }
        if self.tool == Tool::OpenProject {
            let me = self.world.openproject.sync_user();
            let other = self.world.openproject.other_user();
            let items = self.world.openproject.work_packages();
            for item in items.iter().filter(|item| item.author_id == me) {
                match dice.roll(4) {
                    0 => self.world.openproject.edit_work_package(item.id, |item| {
                        item.description = "edited meanwhile".to_owned();
                    }),
                    1 if self.marker != Marker::None => self.world.openproject.edit_work_package(item.id, |item| {
                        item.subject = format!("{} renamed", item.subject);
                    }),
                    // As if the key were another user's by now.
                    2 if self.marker == Marker::Filterable => {
                        self.world
                            .openproject
                            .edit_work_package(item.id, |item| item.author_id = other);
                    }
                    _ => {}
                }
            }
        }
        added
    }

    async fn come_to_rest(&self) {
        for _ in 0..6 {
            self.clock.0.fetch_add(LATER, Ordering::Relaxed);
            let before = self.world.writes();
            self.world.sync(self.connection()).await;
            if self.world.writes() == before {
                return;
            }
        }
        panic!("it does not come to rest");
    }

    fn items(&self) -> usize {
        match self.tool {
            Tool::OpenProject => self.world.openproject.work_packages().len(),
            Tool::Leantime => self.world.leantime.tickets().len(),
        }
    }

    /// Each of the tasks has one item of its own, and nothing waits for a person.
    async fn assert_each_has_one(&self, foreign: usize, seed: u64) {
        let seen = format!("seed {seed} on {:?} with {:?}", self.tool, self.marker);
        let waiting = Hub::new(Arc::clone(&self.world.store)).uncertain(None).await.unwrap();
        assert!(waiting.is_empty(), "{seen}: {waiting:#?}");
        let links = self.world.store.links(self.connection()).await.unwrap();
        let mut items = BTreeSet::new();
        for task in &self.tasks {
            let own: Vec<_> = links.iter().filter(|link| link.task_id == *task).collect();
            assert_eq!(own.len(), 1, "{seen}: {own:#?}");
            assert_eq!(own[0].state, LinkState::Live, "{seen}");
            assert!(items.insert(own[0].external_id.as_str().to_owned()), "{seen}: shared");
        }
        assert_eq!(self.items(), self.tasks.len() + foreign, "{seen}: items in the tool");
    }
}

/// Exactly one item, on each seed, when the answers were lost.
async fn lost_answers(tool: Tool, marker: Marker) {
    for seed in 0..SEEDS {
        let mut dice = Dice(seed);
        let case = Case::new(tool, marker, &mut dice).await;
        case.run_with(Fault::LoseAnswer, &mut dice).await;
        let foreign = case.meddle(true, &mut dice);
        case.come_to_rest().await;
        case.assert_each_has_one(foreign, seed).await;
    }
}

/// Sent again, on each seed, when the creates never arrived.
async fn never_arrived(tool: Tool, marker: Marker) {
    for seed in 0..SEEDS {
        let mut dice = Dice(seed);
        let case = Case::new(tool, marker, &mut dice).await;
        case.run_with(Fault::LoseRequest, &mut dice).await;
        assert!(case.items() < case.tasks.len(), "seed {seed}: one is missing");
        let foreign = case.meddle(false, &mut dice);
        case.come_to_rest().await;
        case.assert_each_has_one(foreign, seed).await;
    }
}

macro_rules! on_each_seed {
    ($($name:ident: $tool:ident, $marker:ident;)+) => {$(
        mod $name {
            use super::*;

            #[tokio::test]
            async fn a_create_whose_answer_was_lost_makes_one_item() {
                lost_answers(Tool::$tool, Marker::$marker).await;
            }

            #[tokio::test]
            async fn a_create_that_never_arrived_is_sent_again() {
                never_arrived(Tool::$tool, Marker::$marker).await;
            }
        }
    )+};
}

on_each_seed! {
    openproject_without_a_marker: OpenProject, None;
    openproject_with_a_marker: OpenProject, Filterable;
    openproject_with_a_marker_that_lists_cannot_be_filtered_by: OpenProject, Plain;
    leantime: Leantime, None;
}

/// The list of everything that a key can see may be more than can be read at once, today and tomorrow.
#[tokio::test]
async fn a_create_that_cannot_be_looked_for_is_left_to_a_person_and_holds_up_nothing_else() {
    let mut dice = Dice(7);
    let case = Case::new(Tool::Leantime, Marker::None, &mut dice).await;
    case.run_with(Fault::LoseAnswer, &mut dice).await;
    let created = case.items();
    let search = CallMatcher::any().rpc("Users.getUser").rpc("Tickets.getAll");
    let faults = case.world.leantime.faults();
    faults.inject(FaultRule::new(search, Fault::TruncateJson));
    case.world
        .leantime
        .edit_ticket(case.world.leantime.tickets()[0].id, |_| {});
    for _ in 0..2 {
        case.clock.0.fetch_add(LATER, Ordering::Relaxed);
        let run = case.world.sync(case.connection()).await;
        assert!(
            matches!(run.state, RunState::Completed | RunState::Partial),
            "{:?}: {:?}",
            run.state,
            run.error_message
        );
    }
    let hub = Hub::new(Arc::clone(&case.world.store));
    let waiting = hub.uncertain(None).await.unwrap();
    assert_eq!(waiting.len(), case.tasks.len(), "{waiting:#?}");
    assert_eq!(case.items(), created, "nothing is sent again");
}
