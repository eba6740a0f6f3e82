//! Records of conflicts say who changed each side, and when, as far as that is known.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod support;

use std::sync::Arc;

use magnus_core::hub::Hub;
use magnus_core::model::{
    Conflict, ConflictPolicy, ConflictState, Field, LastChange, TaskId, TaskPatch, Timestamp, Value,
};
use support::bench::Bench;
use support::toy::{Habits, Toy};

fn instant(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A task that two tools have, renamed in the first and in the hub.
async fn both_renamed(policy: ConflictPolicy) -> (Bench, Toy, TaskId) {
    let toys = vec![Toy::new("left", Habits::exact()), Toy::new("right", Habits::exact())];
    let bench = Bench::with(toys.clone(), |settings| settings.options.conflicts = policy).await;
    let task = bench.add("shared").await;
    bench.settle().await;
    let toy = toys[0].clone();
    let item = toy.find("shared")[0];
    toy.edit(item, Field::Title, &Value::text("renamed there"));
    let ada = LastChange {
        at: Some(instant("2026-03-04T05:06:07Z")),
        by: Some("Ada Byron".to_owned()),
    };
    toy.state().changed_by.insert(item, ada);
    (bench, toy, task)
}

async fn rename(bench: &Bench, task: TaskId, title: &str) -> Timestamp {
    let hub =
        Hub::new(Arc::new(bench.store.clone())).with_clock(Arc::<magnus_testkit::clock::SetClock>::clone(&bench.clock));
    let patch: TaskPatch = [(Field::Title, Value::text(title))].into_iter().collect();
    hub.edit_task(task, patch).await.unwrap().field_times[&Field::Title]
}

async fn the_one(bench: &Bench, state: ConflictState) -> Conflict {
    let mut found = bench.conflicts().await;
    found.retain(|conflict| conflict.state == state);
    assert_eq!(found.len(), 1, "{found:#?}");
    found.remove(0)
}

#[tokio::test]
async fn a_held_conflict_says_who_and_when_on_both_sides() {
    let (bench, toy, task) = both_renamed(ConflictPolicy::Manual).await;
    let at = rename(&bench, task, "renamed here").await;
    bench.sync(0).await;
    let held = the_one(&bench, ConflictState::Open).await;
    assert_eq!(held.remote_change.by.as_deref(), Some("Ada Byron"));
    assert_eq!(held.remote_change.at, Some(instant("2026-03-04T05:06:07Z")));
    assert_eq!(held.local_change, LastChange::at(Some(at)), "an edit of the hub itself");
    // Other values bring who gave them; the same ones write nothing.
    let before = bench.writes();
    bench.sync(0).await;
    assert_eq!(bench.writes(), before);
    let item = toy.find("renamed there")[0];
    toy.edit(item, Field::Title, &Value::text("once more"));
    let grace = LastChange {
        at: None,
        by: Some("Grace Hopper".to_owned()),
    };
    toy.state().changed_by.insert(item, grace);
    bench.sync(0).await;
    let held = the_one(&bench, ConflictState::Open).await;
    assert_eq!(held.remote_change.by.as_deref(), Some("Grace Hopper"));
}

#[tokio::test]
async fn of_a_value_that_another_tool_brought_it_is_said_which() {
    let (bench, _, task) = both_renamed(ConflictPolicy::Manual).await;
    let right = bench.toys[1].0.clone();
    let item = right.find("shared")[0];
    right.edit(item, Field::Title, &Value::text("renamed on the right"));
    bench.sync(1).await;
    assert_eq!(bench.store_task(task).await.title, "renamed on the right");
    bench.sync(0).await;
    let held = the_one(&bench, ConflictState::Open).await;
    assert_eq!(held.local_change.by.as_deref(), Some("right"));
    assert!(held.local_change.at.is_some());
}

#[tokio::test]
async fn a_value_that_lost_to_a_policy_says_so_too() {
    for policy in [ConflictPolicy::HubWins, ConflictPolicy::ExternalWins] {
        let (bench, _, task) = both_renamed(policy).await;
        let at = rename(&bench, task, "renamed here").await;
        bench.sync(0).await;
        let decided = the_one(&bench, ConflictState::Decided).await;
        assert_eq!(decided.remote_change.by.as_deref(), Some("Ada Byron"), "{policy}");
        assert_eq!(decided.local_change.at, Some(at), "{policy}");
    }
}

#[tokio::test]
async fn a_tool_that_does_not_tell_leaves_it_open() {
    let (bench, toy, task) = both_renamed(ConflictPolicy::Manual).await;
    toy.state().changed_by.clear();
    rename(&bench, task, "renamed here").await;
    bench.sync(0).await;
    let held = the_one(&bench, ConflictState::Open).await;
    assert!(held.remote_change.is_unknown(), "{held:#?}");
}
