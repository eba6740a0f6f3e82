//! All tools at the same time, asserted on paused time: no machine is too slow for it.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod support;

use std::time::Duration;

use magnus_core::model::{RunRequest, RunState};
use magnus_testkit::sim::faults::{CallMatcher, Fault, FaultRule};
use support::World;
use tokio::time::Instant;

const DELAY: Duration = Duration::from_millis(300);

async fn slow_world() -> World {
    let world = World::new().await;
    for name in ["One", "Two"] {
        let common = world.common_project(name).await;
        for number in 0..20 {
            world
                .openproject
                .create_work_package(common.op, &format!("task {number}"));
            world.leantime.create_ticket(common.lt, &format!("task {number}"));
        }
    }
    world.settle().await;
    world.openproject.faults().delay_all(Some(DELAY));
    world.leantime.faults().delay_all(Some(DELAY));
    world
}

#[tokio::test(start_paused = true)]
async fn syncing_all_takes_as_long_as_the_slower_tool_alone() {
    let world = slow_world().await;
    let mut alone = Vec::new();
    for id in [world.op, world.lt] {
        let start = Instant::now();
        world.complete(id).await;
        alone.push(start.elapsed());
    }
    let slower = alone.iter().max().copied().unwrap();
    assert!(
        alone.iter().all(|time| *time >= DELAY * 4),
        "the delay was not felt: {alone:?}"
    );
    let start = Instant::now();
    let all = world.orchestrator.sync_all(None).await.unwrap();
    let together = start.elapsed();
    assert!(all.runs.iter().all(|run| run.state == RunState::Completed));
    assert!(together < slower.mul_f64(1.2), "{together:?} together, {alone:?} alone");
}

#[tokio::test(start_paused = true)]
async fn a_hanging_tool_does_not_delay_another() {
    let world = slow_world().await;
    let start = Instant::now();
    world.complete(world.lt).await;
    let alone = start.elapsed();
    world
        .openproject
        .faults()
        .inject(FaultRule::new(CallMatcher::any(), Fault::Hang).always());
    let hanging = world.orchestrator.start(RunRequest::new(world.op)).await.unwrap();
    let start = Instant::now();
    world.complete(world.lt).await;
    assert!(
        start.elapsed() < alone.mul_f64(1.2),
        "{:?}, alone {alone:?}",
        start.elapsed()
    );
    let status = world.orchestrator.status(10).await.unwrap();
    assert_eq!(
        status.in_progress.len(),
        1,
        "the hanging run is still going on, and the status says so"
    );
    hanging.cancel().await.unwrap();
}
