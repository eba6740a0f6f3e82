//! Items whose writes fail again and again.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod support;

use std::sync::Arc;

use magnus_core::engine::RunEnd;
use magnus_core::hub::Hub;
use magnus_core::model::{Field, ItemFailure, RunRequest, RunState, Status, TaskId, Trigger, Value};
use magnus_core::store::LinkStore;
use support::bench::Bench;
use support::toy::{Habits, Toy};

/// Two new tasks in the hub, one of which the tool will not take.
async fn refusing() -> (Bench, Toy, TaskId) {
    let toy = Toy::new("toy", Habits::exact());
    let bench = Bench::new(vec![toy.clone()]).await;
    let poison = bench.add("poison").await;
    bench.add("other").await;
    toy.state().poison = Some("poison".to_owned());
    (bench, toy, poison)
}

async fn failures(bench: &Bench) -> Vec<ItemFailure> {
    bench.store.item_failures(None).await.unwrap()
}

async fn scheduled(bench: &Bench) -> RunEnd {
    let request = RunRequest::new(bench.toys[0].1).trigger(Trigger::Schedule);
    bench.try_request(request).await.unwrap()
}

fn detail(end: &RunEnd, title: &str) -> String {
    let item = end.report.items.iter().find(|item| item.title == title);
    item.map(|item| format!("{}: {}", item.outcome, item.detail))
        .unwrap_or_default()
}

#[tokio::test]
async fn an_item_that_fails_is_remembered_and_the_others_go_on() {
    let (bench, toy, poison) = refusing().await;
    let end = bench.sync(0).await;
    assert_eq!(end.state, RunState::Partial, "{end:?}");
    assert_eq!(toy.find("other").len(), 1);
    let known = failures(&bench).await;
    assert_eq!(known.len(), 1);
    assert_eq!((known[0].task_id, known[0].failures), (poison, 1));
    assert!(!known[0].is_quarantined());
    assert_eq!(known[0].next_try_at - known[0].failed_at, chrono::TimeDelta::minutes(1));
}

#[tokio::test]
async fn a_schedule_waits_longer_each_time_and_a_person_does_not_wait() {
    let (bench, toy, _) = refusing().await;
    scheduled(&bench).await;
    // The clock of the bench goes on by two minutes with each run: the first wait of one minute is over.
    scheduled(&bench).await;
    assert_eq!(failures(&bench).await[0].failures, 2);
    bench.sync(0).await;
    assert_eq!(failures(&bench).await[0].failures, 3, "a person's run tries at once");
    let creates = toy.state().creates;
    let end = scheduled(&bench).await;
    assert!(detail(&end, "poison").starts_with("skipped: backoff: "), "{end:?}");
    assert_eq!(toy.state().creates, creates);
    assert_eq!(end.state, RunState::Completed, "what waits has not failed: {end:?}");
    assert_eq!(failures(&bench).await[0].failures, 3);
}

#[tokio::test]
async fn after_five_failures_an_item_is_quarantined_until_it_changes_or_a_person_says_so() {
    let (bench, toy, poison) = refusing().await;
    for failure in 1..=5 {
        let end = bench.sync(0).await;
        assert!(detail(&end, "poison").starts_with("failed: "), "{end:?}");
        assert_eq!(failures(&bench).await[0].failures, failure);
    }
    let end = bench.sync(0).await;
    assert!(detail(&end, "poison").starts_with("skipped: quarantined: "), "{end:?}");
    let counts = end.report.counts.tasks;
    assert_eq!(
        (counts.skipped, counts.unchanged, counts.total()),
        (1, 1, 2),
        "{counts:?}"
    );

    // It changes: another attempt, counted anew.
    bench.edit(poison, Field::Status, Value::Status(Status::Review)).await;
    let end = bench.sync(0).await;
    assert!(detail(&end, "poison").starts_with("failed: "), "{end:?}");
    assert_eq!(failures(&bench).await[0].failures, 1);

    // A person says so.
    for _ in 2..=5 {
        bench.sync(0).await;
    }
    assert!(failures(&bench).await[0].is_quarantined());
    let hub = Hub::new(Arc::new(bench.store.clone()));
    assert_eq!(hub.retry(poison).await.unwrap().len(), 1);
    toy.state().poison = None;
    let end = bench.sync(0).await;
    assert_eq!(end.state, RunState::Completed, "{end:?}");
    assert_eq!(toy.find("poison").len(), 1);
    assert!(failures(&bench).await.is_empty());
    assert!(hub.retry(poison).await.is_err(), "there is nothing to try again");
}

#[tokio::test]
async fn what_comes_through_is_forgotten() {
    let (bench, toy, _) = refusing().await;
    bench.sync(0).await;
    assert_eq!(failures(&bench).await.len(), 1);
    toy.state().poison = None;
    bench.sync(0).await;
    assert!(failures(&bench).await.is_empty());
    let before = bench.writes();
    bench.sync(0).await;
    assert_eq!(bench.writes(), before);
}

#[tokio::test]
async fn a_tool_that_is_down_quarantines_nobody() {
    let toy = Toy::new("toy", Habits::exact());
    let bench = Bench::new(vec![toy.clone()]).await;
    for number in 0..6 {
        bench.add(&format!("task {number}")).await;
    }
    for _ in 0..6 {
        toy.state().mishaps = vec![support::toy::Mishap::Refused; 6];
        let error = bench.try_sync(0).await.unwrap_err();
        assert!(error.to_string().contains("500"), "{error}");
        assert!(failures(&bench).await.is_empty());
    }
    toy.state().mishaps.clear();
    assert_eq!(bench.sync(0).await.state, RunState::Completed);
    assert_eq!(toy.state().items.len(), 6);
}
