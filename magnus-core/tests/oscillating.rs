//! Two tools that keep putting different values into one field: held after a few turns, and released by a person.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod support;

use std::sync::Arc;

use magnus_core::hub::Hub;
use magnus_core::model::{
    Conflict, ConflictPolicy, ConflictState, Field, Resolution, RunState, SkipReason, Status, TaskId, TaskPatch, Value,
};
use support::bench::Bench;
use support::toy::{Habits, Toy};

const FIELD: Field = Field::Status;

fn status(status: Status) -> Value {
    Value::Status(status)
}

/// Two tools with the same task, of which one's robot wants it in progress and the other's in review.
async fn pulled_at(policy: ConflictPolicy) -> (Bench, [Toy; 2], TaskId) {
    let toys = [Toy::new("left", Habits::exact()), Toy::new("right", Habits::exact())];
    let bench = Bench::with(toys.to_vec(), |settings| settings.options.conflicts = policy).await;
    let task = bench.add("pulled at").await;
    bench.settle().await;
    for (toy, wants) in toys.iter().zip([Status::InProgress, Status::Review]) {
        let raw = toy.raw(FIELD, &status(wants));
        toy.state().insists.insert(FIELD, raw);
    }
    (bench, toys, task)
}

/// One edit of the hub, and the robots begin: each sees the other one's value as an edit.
async fn set_off(bench: &Bench, task: TaskId) {
    bench.edit(task, FIELD, status(Status::Done)).await;
    for index in [0, 0, 1] {
        bench.sync(index).await;
    }
}

async fn open(bench: &Bench) -> Vec<Conflict> {
    let mut found = bench.conflicts().await;
    found.retain(|conflict| conflict.state == ConflictState::Open);
    found
}

fn value(toy: &Toy) -> Value {
    let item = *toy.state().items.keys().next().unwrap();
    toy.value(item, FIELD)
}

#[tokio::test]
async fn a_field_that_two_tools_pull_at_is_held_and_shown() {
    for policy in [
        ConflictPolicy::Manual,
        ConflictPolicy::HubWins,
        ConflictPolicy::ExternalWins,
    ] {
        let (bench, toys, task) = pulled_at(policy).await;
        set_off(&bench, task).await;
        let mut states = Vec::new();
        for _ in 0..8 {
            for index in 0..2 {
                states.push(bench.sync(index).await);
            }
        }
        let partial: Vec<_> = states.iter().filter(|end| end.state == RunState::Partial).collect();
        assert_eq!(
            partial.len(),
            1,
            "the run that found it, and none after it: {states:#?}"
        );
        assert!(partial[0].report.problems[0].contains("oscillating"), "{partial:#?}");
        let held = open(&bench).await;
        assert_eq!(held.len(), 1, "{held:#?}");
        assert!(held[0].reason.starts_with("oscillating: "), "{held:#?}");
        assert_eq!((held[0].task_id, held[0].field), (task, FIELD));
        // It is quiet now, and said of each run that leaves it alone.
        let before = bench.writes();
        let ends = [bench.sync(0).await, bench.sync(1).await];
        assert_eq!(bench.writes(), before);
        let said = |end: &&magnus_core::engine::RunEnd| {
            let mut items = end.report.items.iter();
            items.any(|item| item.reason == Some(SkipReason::Oscillating))
        };
        assert_eq!(ends.iter().filter(said).count(), 1, "{ends:#?}");
        assert_eq!(value(&toys[0]), status(Status::InProgress));
        assert_eq!(value(&toys[1]), status(Status::Review));
    }
}

#[tokio::test]
async fn the_other_fields_of_the_task_go_on() {
    let (bench, toys, task) = pulled_at(ConflictPolicy::Manual).await;
    set_off(&bench, task).await;
    bench.settle().await;
    bench.edit(task, Field::Title, Value::text("renamed")).await;
    bench.settle().await;
    for toy in &toys {
        assert_eq!(toy.find("renamed").len(), 1);
    }
}

#[tokio::test]
async fn another_value_of_a_person_releases_it() {
    let (bench, toys, task) = pulled_at(ConflictPolicy::Manual).await;
    set_off(&bench, task).await;
    bench.settle().await;
    // The robots are switched off, and somebody says what is right.
    for toy in &toys {
        toy.state().insists.clear();
    }
    bench.edit(task, FIELD, status(Status::Blocked)).await;
    bench.settle().await;
    assert!(open(&bench).await.is_empty());
    for toy in &toys {
        assert_eq!(value(toy), status(Status::Blocked));
    }
}

#[tokio::test]
async fn the_same_value_of_a_person_is_sent_and_counted_anew() {
    let (bench, toys, task) = pulled_at(ConflictPolicy::Manual).await;
    set_off(&bench, task).await;
    bench.settle().await;
    for toy in &toys {
        toy.state().insists.clear();
    }
    let hub = Hub::new(Arc::new(bench.store.clone()));
    let now = bench.store_task(task).await.status;
    for wanted in [Status::Blocked, now] {
        let patch: TaskPatch = [(FIELD, status(wanted))].into_iter().collect();
        hub.edit_task(task, patch).await.unwrap();
    }
    bench.settle().await;
    assert!(open(&bench).await.is_empty());
    for toy in &toys {
        assert_eq!(value(toy), status(now), "what a person put there goes out");
    }
}

#[tokio::test]
async fn a_person_decides_and_it_goes_on() {
    for resolution in [Resolution::Hub, Resolution::External] {
        let (bench, toys, task) = pulled_at(ConflictPolicy::Manual).await;
        set_off(&bench, task).await;
        bench.settle().await;
        for toy in &toys {
            toy.state().insists.clear();
        }
        let held = open(&bench).await.remove(0);
        let right = match resolution {
            Resolution::Hub => held.local.clone(),
            _ => held.remote_value.clone(),
        };
        let hub = Hub::new(Arc::new(bench.store.clone()));
        hub.resolve(held.id, resolution, "Ada").await.unwrap();
        bench.settle().await;
        assert!(open(&bench).await.is_empty());
        assert_eq!(bench.store_task(task).await.get(FIELD), right);
        for toy in &toys {
            assert_eq!(value(toy), right);
        }
    }
}

#[tokio::test]
async fn a_person_who_goes_to_and_fro_in_one_tool_is_followed() {
    let toys = vec![Toy::new("left", Habits::exact()), Toy::new("right", Habits::exact())];
    let bench = Bench::new(toys.clone()).await;
    bench.add("to and fro").await;
    bench.settle().await;
    let item = toys[0].find("to and fro")[0];
    for _ in 0..6 {
        for wanted in [Status::Done, Status::Todo] {
            toys[0].edit(item, FIELD, &status(wanted));
            bench.settle().await;
            assert_eq!(value(&toys[1]), status(wanted));
        }
    }
    assert!(bench.conflicts().await.is_empty());
}

#[tokio::test]
async fn a_person_who_puts_the_hub_back_is_followed_however_often_a_robot_answers() {
    let (bench, toys, task) = pulled_at(ConflictPolicy::Manual).await;
    toys[1].state().insists.clear();
    let hub = Hub::new(Arc::new(bench.store.clone()));
    for _ in 0..5 {
        let patch: TaskPatch = [(FIELD, status(Status::Done))].into_iter().collect();
        hub.edit_task(task, patch).await.unwrap();
        bench.settle().await;
        assert_eq!(
            value(&toys[1]),
            status(Status::InProgress),
            "the robot has the last word each time"
        );
    }
    assert!(bench.conflicts().await.is_empty());
}
