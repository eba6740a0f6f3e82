//! Every scenario, broken at every effect in every way, and resumed: all sides end as in the undisturbed run, nothing is
//! doubled, nothing is lost, and one more run writes nothing.
//!
//! `MAGNUS_CRASH_ONLY` picks scenarios by a part of their names.

mod crash;

use std::panic::AssertUnwindSafe;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use crash::scenario::{SCENARIOS, Scenario};
use crash::state::State;
use crash::world::{Hub, World};
use futures::FutureExt;
use magnus_core::model::{ConnectionId, RunState};
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
    Undisturbed {
        state: State::of(&world).await,
        ends,
        effects: crash.effects(),
    }
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
        return None;
    }
    if ended.is_none() {
        drop(process);
        world.reopen().await;
        let interrupted = world.leased().await;
        let process = world.process("second", CrashPoint::counting());
        ended = world.settle(&process, interrupted, scenario.at_once).await;
    }
    Some(world.amiss(ended.unwrap_or_default(), expected).await)
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

/// On disk a death after a reading finds the same file as a death after the change before it, which is what differs from
/// the hub in memory; those steps are left to the hub in memory unless `MAGNUS_CRASH_FULL` is set.
fn skips(hub: Hub, effect: &str) -> bool {
    let changes = matches!(effect, "create" | "update" | "delete" | "commit" | "a later one");
    hub == Hub::Sqlite && !changes && std::env::var_os("MAGNUS_CRASH_FULL").is_none()
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
            if skips(hub, effect) {
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
    found
}

fn all(hub: Hub) {
    let only = std::env::var("MAGNUS_CRASH_ONLY").unwrap_or_default();
    let chosen: Vec<&Scenario> = SCENARIOS
        .iter()
        .filter(|scenario| scenario.name.contains(&only))
        .collect();
    let began = Instant::now();
    let next = AtomicUsize::new(0);
    let findings = Mutex::new(Vec::new());
    let ran = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(scenario) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let began = Instant::now();
                    let found = runtime().block_on(every_step(scenario, hub));
                    println!(
                        "{hub:?} {:?}: {} runs, {} findings, {:.1?}",
                        scenario.name,
                        found.ran,
                        found.findings.len(),
                        began.elapsed()
                    );
                    ran.fetch_add(found.ran, Ordering::Relaxed);
                    findings.lock().unwrap().extend(found.findings);
                }
            });
        }
    });
    let findings = findings.into_inner().unwrap();
    println!(
        "{hub:?}: {} scenarios, {} (scenario, step, mode), {:.1?}",
        chosen.len(),
        ran.load(Ordering::Relaxed),
        began.elapsed()
    );
    assert!(
        findings.is_empty(),
        "{} findings:\n{}",
        findings.len(),
        findings.join("\n")
    );
}

#[test]
fn a_crash_or_a_lost_answer_at_any_step_ends_as_the_undisturbed_run_in_memory() {
    all(Hub::Memory);
}

#[test]
fn a_crash_or_a_lost_answer_at_any_step_ends_as_the_undisturbed_run_on_sqlite() {
    all(Hub::Sqlite);
}
