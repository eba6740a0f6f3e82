//! Rules of a run whose stories need a real tool, and the table of all 25.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod support;

use std::path::Path;

use magnus_core::model::{DeletionPolicy, Field, RunRequest, RunState, SkipReason, Status, TaskId, Value};
use magnus_core::store::{Changeset, Fence, TaskWrite, Unit};
use magnus_testkit::sim::leantime::StatusLabel;
use magnus_testkit::sim::openproject::{OpenProjectOptions, Progress};
use magnus_testkit::sim::{CallMatcher, Fault, FaultRule, Gate};
use support::{Setup, World};

async fn move_to(world: &World, task: TaskId, project: magnus_core::model::ProjectId) {
    let mut task = world.store.tasks(vec![task]).await.unwrap().remove(0);
    let expected = task.version;
    task.project_id = project;
    let unit = Unit {
        tasks: vec![TaskWrite::Update {
            task: Box::new(task),
            expected,
        }],
        ..Unit::default()
    };
    let outcome = world.store.commit(Fence::Hub, Changeset::of(vec![unit])).await.unwrap();
    assert!(outcome.stale.is_empty(), "{outcome:?}");
}

/// A task is blocked in the hub and moved to a project whose Leantime board knows no such status: the number that stands
/// for it where it came from is not sent, the hub keeps its value, and it is reported.
#[tokio::test]
async fn rule_8_values_are_mapped_with_the_tables_of_the_destination() {
    let world = World::new().await;
    let from = world.common_project("From").await;
    let to = world.common_project("To").await;
    let labels: Vec<StatusLabel> = world
        .leantime
        .status_labels(to.lt)
        .into_iter()
        .filter(|label| [0, 3].contains(&label.id))
        .collect();
    assert_eq!(labels.len(), 2);
    world.leantime.set_status_labels(to.lt, labels);
    let ticket = world.leantime.create_ticket(from.lt, "task");
    world.complete(world.lt).await;
    let task = world.task(from.hub, "task").await;
    world.edit(task.id, Field::Status, Value::Status(Status::Blocked)).await;
    move_to(&world, task.id, to.hub).await;
    world.complete(world.lt).await;
    let run = world.complete(world.lt).await;
    let moved = world.leantime.ticket(ticket).unwrap();
    assert_eq!((moved.project_id, moved.status), (Some(to.lt), 3));
    assert_eq!(
        world.task(to.hub, "task").await.status,
        Status::Blocked,
        "the hub keeps its own"
    );
    let reasons: Vec<_> = run.report.items.iter().filter_map(|item| item.reason).collect();
    assert!(reasons.contains(&SkipReason::Unholdable), "{run:#?}");
    let before = world.writes();
    world.complete(world.lt).await;
    assert_eq!(world.writes(), before, "it is reported, not sent again and again");
    world.edit(task.id, Field::Status, Value::Status(Status::Done)).await;
    world.complete(world.lt).await;
    assert_eq!(world.leantime.ticket(ticket).unwrap().status, 0);
}

/// The hub deletes a parent under which a user of OpenProject has put another item since: a DELETE there would take both.
#[tokio::test]
async fn rule_22_a_deletion_that_would_take_a_foreign_child_along_is_not_sent_and_its_task_comes_back() {
    let world = World::with(Setup {
        settings: |settings| settings.options.deletions = DeletionPolicy::Delete,
        ..Setup::default()
    })
    .await;
    let common = world.common_project("Common").await;
    let parent = world.openproject.create_work_package(common.op, "parent");
    let own = world
        .openproject
        .create_work_package_with(common.op, "own child", |item| item.parent_id = Some(parent));
    world.complete(world.op).await;
    for title in ["parent", "own child"] {
        world.delete(world.task(common.hub, title).await.id).await;
    }
    let elsewhere = world.openproject.create_project("Elsewhere", "elsewhere");
    let foreign = world
        .openproject
        .create_work_package_with(elsewhere, "foreign child", |item| item.parent_id = Some(parent));
    for _ in 0..2 {
        world.sync(world.op).await;
    }
    assert!(
        world.openproject.work_package(parent).is_some(),
        "it has a foreign child"
    );
    assert!(world.openproject.work_package(foreign).is_some());
    assert!(world.openproject.work_package(own).is_none(), "children go first");
    let back = world.task(common.hub, "parent").await;
    assert!(!back.is_deleted(), "{back:?}");
    world.openproject.delete_work_package(foreign);
    world.complete(world.op).await;
    assert!(
        world.openproject.work_package(parent).is_some(),
        "nobody wants it deleted now"
    );
    world.delete(back.id).await;
    world.complete(world.op).await;
    assert!(world.openproject.work_package(parent).is_none());
}

/// Every rule has a test that is named after it.
#[test]
fn each_of_the_25_rules_has_a_test_of_its_name() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut sources = String::new();
    read(root, &mut sources);
    for rule in 1..=25 {
        assert!(sources.contains(&format!("fn rule_{rule}_")), "rule {rule} has no test");
    }
}

fn read(directory: &Path, sources: &mut String) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            read(&path, sources);
        } else if name.ends_with(".rs") {
            sources.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
}

/// A new ticket is on its way back to us; somebody sets its first day meanwhile. The hub, which has none, takes it over.
#[tokio::test]
async fn what_is_typed_into_a_new_item_before_it_is_read_back_stays() {
    let world = World::new().await;
    let common = world.common_project("Common").await;
    let task = world.add(common.hub, "new").await;
    let gate = Gate::default();
    let reading = CallMatcher::any().rpc("Tickets.getTicket");
    let held = FaultRule::new(reading, Fault::Hold(gate.clone()));
    world.leantime.faults().inject(held);
    let run = world.orchestrator.start(RunRequest::new(world.lt)).await.unwrap();
    gate.reached(1).await;
    let ticket = world.leantime.tickets().remove(0).id;
    let stamp = Some("2026-12-24 08:00:00".to_owned());
    world
        .leantime
        .edit_ticket(ticket, |ticket| ticket.edit_from.clone_from(&stamp));
    gate.open();
    let run = run.wait().await.unwrap();
    assert_eq!(run.state, RunState::Completed, "{run:#?}");
    world.settle().await;
    assert_eq!(world.leantime.ticket(ticket).unwrap().edit_from, stamp);
    let day = Some("2026-12-24".parse().unwrap());
    assert_eq!(world.tasks(common.hub).await[&task].start_date, day);
}

/// Where work left follows from the status, another amount than the one that was sent is no form of it: the hub keeps its
/// own, which counts as refused and not as agreed.
#[tokio::test]
async fn an_amount_that_the_tool_computes_instead_is_held_as_refused() {
    let world = World::with(Setup {
        openproject: OpenProjectOptions::default().progress(Progress::StatusBased),
        ..Setup::default()
    })
    .await;
    let common = world.common_project("Common").await;
    let task = world.add(common.hub, "dig").await;
    world.edit(task, Field::EstimatedHours, Value::Minutes(60)).await;
    world.edit(task, Field::RemainingHours, Value::Minutes(45)).await;
    world.settle().await;
    let links = world.links(world.op).await;
    let refusal = &links[0].refusals[&Field::RemainingHours];
    assert_eq!(refusal.local, Value::Minutes(45), "{refusal:?}");
    assert_eq!(world.openproject.work_packages()[0].remaining_minutes, Some(60));
    assert_eq!(world.tasks(common.hub).await[&task].remaining_minutes, Some(45));
}
