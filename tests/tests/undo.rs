//! A run that touched hundreds of items is undone on the real adapters: the tool is as it was before, except for what
//! people changed since, which is listed.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod support;

use std::collections::BTreeMap;

use chrono::NaiveDate;
use magnus_core::model::{ConnectionId, Field, GuardLimit, Priority, Run, RunRequest, RunState, Status, TaskId, Value};
use support::{Common, Setup, World};

/// Items that both tools hold before.
const LINKED: usize = 440;
/// Items that the run makes.
const NEW: usize = 60;

/// What people see of an item, by its id.
type Snapshot = BTreeMap<String, Vec<String>>;

fn openproject(world: &World) -> Snapshot {
    let items = world.openproject.work_packages();
    let shown = items.into_iter().map(|item| {
        let values = vec![
            item.subject,
            item.description,
            item.status_id.to_string(),
            item.priority_id.to_string(),
            format!("{:?} {:?}", item.due_date, item.estimated_minutes),
        ];
        (item.id.to_string(), values)
    });
    shown.collect()
}

fn leantime(world: &World) -> Snapshot {
    let items = world.leantime.tickets();
    let shown = items.into_iter().map(|item| {
        let values = vec![
            item.headline.unwrap_or_default(),
            item.description.unwrap_or_default(),
            item.status.to_string(),
            item.priority.unwrap_or_default(),
            format!("{:?} {:?}", item.date_to_finish, item.plan_hours),
        ];
        (item.id.to_string(), values)
    });
    shown.collect()
}

/// Both tools hold the same items, and guards let large plans pass: they have tests of their own.
async fn synced() -> (World, Common) {
    let world = World::with(Setup {
        settings: |settings| {
            let large = GuardLimit {
                count: 10_000,
                percent: 100,
            };
            settings.options.guard.overwrites = large;
            settings.options.guard.creations = large;
            settings.options.guard.deletions = large;
        },
        ..Setup::default()
    })
    .await;
    let common = world.common_project("Common").await;
    for number in 0..LINKED {
        world
            .openproject
            .create_work_package_with(common.op, &format!("task {number}"), |item| {
                item.description = format!("- item *{number}*\n- <b>raw</b>");
                item.due_date = NaiveDate::from_ymd_opt(2026, 11, 2);
                item.estimated_minutes = (number % 3 == 0).then_some(90);
            });
    }
    world.settle().await;
    (world, common)
}

/// Every task is edited in the hub, and new ones are made there.
async fn edit_hub(world: &World, common: Common) -> Vec<TaskId> {
    let mut edited: Vec<TaskId> = world.tasks(common.hub).await.into_keys().collect();
    for (number, id) in edited.iter().enumerate() {
        match number % 4 {
            0 => world.edit(*id, Field::Description, Value::text("# new words")).await,
            1 => world.edit(*id, Field::Status, Value::Status(Status::InProgress)).await,
            2 => {
                world
                    .edit(*id, Field::Priority, Value::Priority(Priority::Critical))
                    .await
            }
            _ => {
                let due = NaiveDate::from_ymd_opt(2026, 12, 24).unwrap();
                world.edit(*id, Field::DueDate, Value::Date(due)).await
            }
        };
    }
    for number in 0..NEW {
        edited.push(world.add(common.hub, &format!("new task {number}")).await);
    }
    edited
}

async fn undo(world: &World, connection: ConnectionId, run: &Run) -> Run {
    let request = RunRequest::undoing(connection, run.id);
    let undone = world.orchestrator.start(request).await.unwrap().wait().await.unwrap();
    assert_eq!(undone.state, RunState::Completed, "{undone:#?}");
    world.orchestrator.idle().await;
    undone
}

async fn assert_quiet(world: &World, connection: ConnectionId) {
    world.settle().await;
    let before = world.writes();
    world.complete(connection).await;
    assert_eq!(world.writes(), before);
}

fn left_alone(run: &Run) -> Vec<&str> {
    let items = run.report.items.iter();
    items
        .filter(|item| item.detail.contains("changed_since"))
        .map(|item| item.title.as_str())
        .collect()
}

#[tokio::test]
async fn undoing_a_run_of_500_items_restores_openproject_except_for_what_people_did_since() {
    let (world, common) = synced().await;
    let mut before = openproject(&world);
    edit_hub(&world, common).await;
    let run = world.complete(world.op).await;
    assert_eq!(run.report.counts.tasks.changed(), (LINKED + NEW) as u64);
    assert_ne!(openproject(&world), before);

    // People go on: one edits a field that the run wrote, one works on an item that the run made.
    let items = world.openproject.work_packages();
    let reworded = items.iter().find(|item| item.description == "# new words").unwrap();
    world
        .openproject
        .edit_work_package(reworded.id, |item| item.description = "words of a person".to_owned());
    let continued = items.iter().find(|item| item.subject == "new task 7").unwrap();
    world
        .openproject
        .edit_work_package(continued.id, |item| item.description = "begun".to_owned());

    let undone = undo(&world, world.op, &run).await;
    let mut listed = left_alone(&undone);
    listed.sort_unstable();
    let mut expected = [reworded.subject.as_str(), "new task 7"];
    expected.sort_unstable();
    assert_eq!(listed, expected);
    let mut after = openproject(&world);
    for id in [reworded.id, continued.id].map(|id| id.to_string()) {
        let now = after.remove(&id).unwrap();
        assert!(["words of a person", "begun"].contains(&now[1].as_str()), "{now:?}");
        before.remove(&id);
    }
    assert_eq!(after, before);
    assert_quiet(&world, world.op).await;
    world.shutdown().await;
}

#[tokio::test]
async fn undoing_a_run_of_500_items_restores_leantime_except_for_what_people_did_since() {
    let (world, common) = synced().await;
    let mut before = leantime(&world);
    edit_hub(&world, common).await;
    let run = world.complete(world.lt).await;
    assert_eq!(run.report.counts.tasks.changed(), (LINKED + NEW) as u64);
    assert_ne!(leantime(&world), before);

    let items = world.leantime.tickets();
    let done = items.iter().find(|item| item.status == 4).unwrap();
    world.leantime.edit_ticket(done.id, |item| item.status = 0);
    let undone = undo(&world, world.lt, &run).await;
    assert_eq!(left_alone(&undone), [done.headline.as_deref().unwrap()]);
    let mut after = leantime(&world);
    assert_eq!(after.remove(&done.id.to_string()).unwrap()[2], "0");
    before.remove(&done.id.to_string());
    assert_eq!(after, before);
    assert_quiet(&world, world.lt).await;
    world.shutdown().await;
}

#[tokio::test]
async fn undoing_a_first_pull_empties_the_hub_and_leaves_the_tool_alone() {
    let world = World::new().await;
    let common = world.common_project("Common").await;
    for number in 0..20 {
        world
            .openproject
            .create_work_package(common.op, &format!("task {number}"));
    }
    let run = world.complete(world.op).await;
    let before = openproject(&world);
    let undone = undo(&world, world.op, &run).await;
    assert_eq!(undone.report.counts.tasks.deleted, 20, "{undone:#?}");
    assert!(
        world
            .tasks(common.hub)
            .await
            .values()
            .all(magnus_core::model::Task::is_deleted)
    );
    assert_eq!(openproject(&world), before);
    assert_quiet(&world, world.op).await;
    assert_eq!(openproject(&world), before);
    world.shutdown().await;
}
