//! Every scenario, broken at every effect in every way, and resumed: all sides end as in the undisturbed run, nothing is
//! doubled, nothing is lost, and one more run writes nothing.
//!
//! `MAGNUS_CRASH_ONLY` picks scenarios by a part of their names, `MAGNUS_CRASH_FULL` plays every step on every hub.

#![allow(
    clippy::unwrap_used,
    clippy::clone_on_ref_ptr,
    reason = "a test stops at what it did not expect, and shares what it likes"
)]

mod crash;

use std::panic::AssertUnwindSafe;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use crash::act::{Act, Side, perform};
use crash::scenario::{SCENARIOS, Scenario};
use crash::state::State;
use crash::world::{Hub, World};
use futures::FutureExt;
use magnus_core::model::{ConnectionId, Field, RunState};
use magnus_testkit::crash::{CrashPoint, Mode};

/// Dying before an effect is dying after the one before it: between two effects nothing happens that outlives a process.
const MODES: [Mode; 3] = [Mode::StopAfter, Mode::AnswerLost, Mode::NeverArrived];

/// What an undisturbed run of a scenario comes to.
struct Undisturbed {
    state: State,
    ends: Vec<RunState>,
    effects: Vec<&'static str>,
}

async fn undisturbed(scenario: &Scenario, origin: &World, first: ConnectionId) -> Undisturbed {
    let world = origin.fork().await;
    let crash = CrashPoint::counting();
    let process = world.process("undisturbed", crash.clone());
    let mut ends = world.settle(&process, Some(first), scenario.at_once).await.unwrap();
    ends.sort_by_key(|end| format!("{end:?}"));
    let undisturbed = Undisturbed {
        state: State::of(&world).await,
        ends,
        effects: crash.effects(),
    };
    drop(process);
    world.remove().await;
    undisturbed
}

/// One broken run, resumed until a whole round writes nothing. Answers what is amiss, or `None` if the step was not reached.
async fn broken(
    scenario: &Scenario,
    origin: &World,
    step: usize,
    mode: Mode,
    expected: &[Undisturbed],
) -> Option<Vec<String>> {
    let mut world = origin.fork().await;
    let crash = CrashPoint::at(step, mode);
    let process = world.process("first", crash.clone());
    let mut ended = world.settle(&process, None, scenario.at_once).await;
    if !crash.fired() {
        drop(process);
        world.remove().await;
        return None;
    }
    if ended.is_none() {
        drop(process);
        world.reopen().await;
        let interrupted = world.leased().await;
        let process = world.process("second", CrashPoint::counting());
        ended = world.settle(&process, interrupted, scenario.at_once).await;
    }
    let amiss = world.amiss(ended.unwrap_or_default(), expected).await;
    world.remove().await;
    Some(amiss)
}

impl World {
    /// What is amiss after a disturbed run that came to rest.
    async fn amiss(&self, mut ends: Vec<RunState>, expected: &[Undisturbed]) -> Vec<String> {
        ends.sort_by_key(|end| format!("{end:?}"));
        let state = State::of(self).await;
        let mut least: Option<Vec<String>> = None;
        for expected in expected {
            let mut amiss = state.differences(&expected.state);
            if ends != expected.ends {
                amiss.push(format!("the last runs ended {ends:?} instead of {:?}", expected.ends));
            }
            if least.as_ref().is_none_or(|least| amiss.len() < least.len()) {
                least = Some(amiss);
            }
        }
        least.unwrap_or_default()
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// Runs something that may panic; a panic is a finding like any other.
async fn caught<T>(work: impl Future<Output = T>) -> Result<T, String> {
    AssertUnwindSafe(work).catch_unwind().await.map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_else(|| "panicked".to_owned())
    })
}

/// In memory every step is played. On the other hubs a death after a reading is left out, which leaves exactly the same
/// behind as the death after the change before it, and a reading whose answer is lost, in which the hub has no part;
/// `MAGNUS_CRASH_FULL` plays them there, too.
fn skips(effect: &str, hub: Hub) -> bool {
    let changes = matches!(effect, "create" | "update" | "delete" | "commit" | "a later one");
    hub != Hub::Memory && !changes && std::env::var_os("MAGNUS_CRASH_FULL").is_none()
}

struct Found {
    ran: usize,
    findings: Vec<String>,
}

async fn every_step(scenario: &Scenario, hub: Hub) -> Found {
    let mut found = Found {
        ran: 0,
        findings: Vec::new(),
    };
    let begun = caught(async {
        let origin = World::of(scenario, hub).await;
        // Where three sides edited one field, whose run comes first decides; a failed run lets the other go first.
        let expected = [
            undisturbed(scenario, &origin, origin.op).await,
            undisturbed(scenario, &origin, origin.lt).await,
        ];
        (origin, expected)
    });
    let (origin, expected) = match begun.await {
        Ok(begun) => begun,
        Err(panic) => {
            found.findings.push(format!("{:?} undisturbed: {panic}", scenario.name));
            return found;
        }
    };
    for mode in MODES {
        for step in 1.. {
            let effect = expected[0].effects.get(step - 1).copied().unwrap_or("a later one");
            if skips(effect, hub) {
                continue;
            }
            if mode == Mode::NeverArrived && !matches!(effect, "create" | "update" | "delete" | "a later one") {
                // A question that never arrived is an answer that was lost.
                continue;
            }
            let amiss = match caught(broken(scenario, &origin, step, mode, &expected)).await {
                Ok(None) => break,
                Ok(Some(amiss)) => amiss,
                Err(panic) => vec![panic],
            };
            found.ran += 1;
            if !amiss.is_empty() {
                found.findings.push(format!(
                    "{:?}, step {step} of {} ({effect}), {mode:?}:\n    {}",
                    scenario.name,
                    expected[0].effects.len(),
                    amiss.join("\n    ")
                ));
            }
        }
    }
    origin.remove().await;
    found
}

/// Numbers that look random and are the same for the same seed (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % u64::try_from(limit).unwrap()).unwrap()
    }

    fn mode(&mut self) -> Mode {
        Mode::ALL[self.below(Mode::ALL.len())]
    }
}

/// Breaks a run, and then what resumes it too.
async fn broken_twice(
    scenario: &Scenario,
    origin: &World,
    points: [(usize, Mode); 2],
    expected: &[Undisturbed],
) -> Vec<String> {
    let mut world = origin.fork().await;
    let mut interrupted = None;
    for (step, mode) in points {
        let process = world.process(&format!("broken at {step}"), CrashPoint::at(step, mode));
        if world.settle(&process, interrupted, scenario.at_once).await.is_none() {
            drop(process);
            world.reopen().await;
            interrupted = world.leased().await;
        }
    }
    let process = world.process("last", CrashPoint::counting());
    let ended = world.settle(&process, interrupted, scenario.at_once).await;
    world.amiss(ended.unwrap_or_default(), expected).await
}

#[test]
fn a_crash_while_a_crash_is_recovered_from_ends_as_the_undisturbed_run() {
    let seeds: u64 = std::env::var("MAGNUS_CRASH_SEEDS").map_or(4, |seeds| seeds.parse().unwrap());
    let findings: Vec<String> = side_by_side(1, |scenario| async move {
        let origin = World::of(scenario, Hub::Memory).await;
        let expected = [
            undisturbed(scenario, &origin, origin.op).await,
            undisturbed(scenario, &origin, origin.lt).await,
        ];
        let mut findings = Vec::new();
        for seed in 0..seeds {
            let mut numbers = Numbers(seed);
            let effects = expected[0].effects.len();
            let points = [(); 2].map(|()| (1 + numbers.below(effects), numbers.mode()));
            let amiss = caught(broken_twice(scenario, &origin, points, &expected)).await;
            let amiss = amiss.unwrap_or_else(|panic| vec![panic]);
            if !amiss.is_empty() {
                let amiss = amiss.join("\n    ");
                findings.push(format!("{:?}, seed {seed}, {points:?}:\n    {amiss}", scenario.name));
            }
        }
        findings
    });
    assert!(
        findings.is_empty(),
        "{} findings:\n{}",
        findings.len(),
        findings.join("\n")
    );
}

/// Does something with every chosen scenario, on as many threads as there are cores, times `for_each_core`.
fn side_by_side<T: Send, F: Future<Output = Vec<T>>>(
    for_each_core: usize,
    work: impl Fn(&'static Scenario) -> F + Sync,
) -> Vec<T> {
    let only = std::env::var("MAGNUS_CRASH_ONLY").unwrap_or_default();
    let chosen: Vec<&'static Scenario> = SCENARIOS
        .iter()
        .filter(|scenario| scenario.name.contains(&only))
        .collect();
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads * for_each_core {
            scope.spawn(|| {
                while let Some(scenario) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let result = runtime().block_on(work(scenario));
                    results.lock().unwrap().extend(result);
                }
            });
        }
    });
    results.into_inner().unwrap()
}

fn all(hub: Hub) {
    let began = Instant::now();
    // With a server, half of the time is spent waiting for the other side to be scheduled.
    let for_each_core = if hub == Hub::Postgres { 2 } else { 1 };
    let found = side_by_side(for_each_core, |scenario| async move {
        vec![every_step(scenario, hub).await]
    });
    let played = found.len();
    let ran: usize = found.iter().map(|found| found.ran).sum();
    println!(
        "{hub:?}: {played} scenarios, {ran} (scenario, step, mode), {:.1?}",
        began.elapsed()
    );
    let findings: Vec<String> = found.into_iter().flat_map(|found| found.findings).collect();
    assert!(
        findings.is_empty(),
        "{} findings:\n{}",
        findings.len(),
        findings.join("\n")
    );
    // One that is picked by name may come to few.
    let whole = std::env::var_os("MAGNUS_CRASH_ONLY").is_none();
    let enough = played == SCENARIOS.len() && ran >= played * fewest(hub);
    assert!(!whole || enough, "only {ran} steps of {played} scenarios were played");
}

/// Steps of a scenario on the average, at least: that one comes to a few less is no failure, that most are left out is one.
const fn fewest(hub: Hub) -> usize {
    match hub {
        Hub::Memory => 80,
        Hub::Sqlite | Hub::Postgres => 30,
    }
}

#[test]
fn a_crash_or_a_lost_answer_at_any_step_ends_as_the_undisturbed_run_in_memory() {
    all(Hub::Memory);
}

#[test]
fn a_crash_or_a_lost_answer_at_any_step_ends_as_the_undisturbed_run_on_sqlite() {
    all(Hub::Sqlite);
}

#[test]
fn a_crash_or_a_lost_answer_at_any_step_ends_as_the_undisturbed_run_on_postgres() {
    all(Hub::Postgres);
}

/// A create is lost in one of many ways, among others, while somebody else adds items of his own: in the end each task is
/// in the tool once.
async fn lost_create(side: Side, seed: u64) -> Vec<String> {
    let mut numbers = Numbers(seed);
    let world = World::new(Hub::Memory, |_| {}, |_| {}).await;
    let other = if side == Side::Op { Side::Lt } else { Side::Op };
    perform(&world, Act::Map(other, "Common", |mapping| mapping.enabled = false)).await;
    let titles = &["one", "two", "three", "four", "five"][..1 + numbers.below(5)];
    if numbers.below(2) == 0 {
        perform(&world, Act::Add(side, "there before")).await;
        let process = world.process("before", CrashPoint::counting());
        world.settle(&process, None, false).await.unwrap();
    }
    for title in titles {
        perform(&world, Act::Add(Side::Hub, title)).await;
        if numbers.below(2) == 0 {
            perform(&world, Act::Set(Side::Hub, title, Field::Description, "some *words*")).await;
        }
    }
    let mode = numbers.mode();
    let crash = CrashPoint::at_named("create", 1 + numbers.below(titles.len()), mode);
    let process = world.process("first", crash.clone());
    world.clock.advance(120);
    let id = if side == Side::Op { world.op } else { world.lt };
    let ended = world.run(&process, id).await;
    let mut amiss = Vec::new();
    if !crash.fired() || ended.is_none() != mode.is_death() {
        amiss.push(format!("the create was not lost: {ended:?}"));
    }
    let strangers = ["a stranger's", "another stranger's"];
    let strangers = &strangers[..numbers.below(3)];
    for title in strangers {
        perform(&world, Act::Add(side, title)).await;
    }
    let process = world.process("second", CrashPoint::counting());
    world.settle(&process, None, false).await.unwrap();
    let in_tool: Vec<String> = match side {
        Side::Op => world
            .openproject
            .work_packages()
            .into_iter()
            .map(|row| row.subject)
            .collect(),
        _ => world
            .leantime
            .tickets()
            .into_iter()
            .filter_map(|row| row.headline)
            .collect(),
    };
    let in_hub: Vec<String> = world.tasks().await.into_iter().map(|(_, task)| task.title).collect();
    for (name, there) in [("the tool", in_tool), ("the hub", in_hub)] {
        for title in titles.iter().chain(strangers) {
            let count = there.iter().filter(|other| other == title).count();
            if count != 1 {
                amiss.push(format!("{name} has {title:?} {count} times"));
            }
        }
    }
    if world.writes().await.3 > 0 {
        amiss.push("the journal is not settled".to_owned());
    }
    amiss
}

#[test]
fn a_create_whose_answer_was_lost_is_one_item_and_one_that_never_arrived_is_sent_again_on_a_hundred_seeds() {
    for side in [Side::Op, Side::Lt] {
        for seed in 0..100 {
            let amiss = runtime().block_on(lost_create(side, seed));
            assert!(amiss.is_empty(), "{side:?}, seed {seed}: {}", amiss.join("; "));
        }
    }
}
