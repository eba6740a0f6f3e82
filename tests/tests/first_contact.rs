//! First contact of a hub and a tool that hold the same tasks already, where a person says which they are: on both
//! adapters.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod support;

use std::sync::Arc;

use magnus_core::hub::Hub;
use magnus_core::model::{ConnectionId, LinkState, MatchPolicy, RunRequest, SkipReason};
use magnus_core::reconcile::{Proposal, proposals};
use support::{Setup, World};

const EACH: usize = 200;
const SAME: usize = 150;

async fn asked(world: &World, connection: ConnectionId) -> Vec<Proposal> {
    let plan = world.orchestrator.plan(RunRequest::new(connection)).await.unwrap();
    proposals(&plan)
}

/// 200 tasks in the hub and 200 in the tool, 150 of them the same.
async fn decided(openproject: bool) {
    let world = World::with(Setup {
        settings: |settings| settings.options.matching = MatchPolicy::Ask,
        ..Setup::default()
    })
    .await;
    let common = world.common_project("Common").await;
    let connection = if openproject { world.op } else { world.lt };
    for number in 0..EACH {
        let there = format!("task {}", number + EACH - SAME);
        if openproject {
            world.openproject.create_work_package(common.op, &there);
        } else {
            world.leantime.create_ticket(common.lt, &there);
        }
        world.add(common.hub, &format!("task {number}")).await;
    }
    let run = world.complete(connection).await;
    let waiting = run
        .report
        .items
        .iter()
        .filter(|item| item.reason == Some(SkipReason::AmbiguousMatch));
    assert_eq!(waiting.count(), 2 * SAME, "each of them is asked about, on both sides");
    let count = || {
        if openproject {
            world.openproject.work_packages().len()
        } else {
            world.leantime.tickets().len()
        }
    };
    assert_eq!(
        (count(), world.tasks(common.hub).await.len()),
        (250, 250),
        "the rest is made at once"
    );

    let found = asked(&world, connection).await;
    assert_eq!(found.len(), SAME);
    let hub = Hub::new(Arc::clone(&world.store));
    assert_eq!(hub.accept_sure_matches(connection, &found).await.unwrap(), SAME);
    world.complete(connection).await;
    let links = world.links(connection).await;
    assert_eq!(links.len(), EACH + EACH - SAME);
    for proposal in &found {
        let (task, external) = proposal.pair().unwrap();
        let link = links.iter().find(|link| link.task_id == task).unwrap();
        assert_eq!((&link.external_id, link.state), (external, LinkState::Live));
    }
    assert_eq!((count(), world.tasks(common.hub).await.len()), (250, 250));
    assert!(asked(&world, connection).await.is_empty());
    let before = world.writes();
    world.complete(connection).await;
    assert_eq!(world.writes(), before);
}

#[tokio::test]
async fn on_openproject_150_of_200_become_150_links_once_a_person_says_so() {
    decided(true).await;
}

#[tokio::test]
async fn on_leantime_150_of_200_become_150_links_once_a_person_says_so() {
    decided(false).await;
}
