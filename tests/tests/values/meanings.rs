//! Statuses, priorities and tags that the tools have not in common.

use magnus_core::model::{Field, Priority, Status, Value};
use magnus_testkit::sim::leantime::StatusLabel;
use magnus_testkit::sim::openproject::Status as OpenProjectStatus;

use crate::support::World;
use crate::{options, tells};

#[tokio::test]
async fn five_priorities_go_to_four_and_back_without_swinging() {
    let world = World::new().await;
    let common = world.common_project("Common").await;
    let tickets: Vec<i64> = (1..=5)
        .map(|number| {
            world
                .leantime
                .create_ticket_with(common.lt, &format!("priority {number}"), |ticket| {
                    ticket.priority = Some(number.to_string());
                })
        })
        .collect();
    world.settle().await;
    let four = ["Immediate", "High", "Normal", "Low", "Low"];
    let item = |number: usize| {
        let items = world.openproject.work_packages();
        items
            .into_iter()
            .find(|item| item.subject == format!("priority {number}"))
            .unwrap()
    };
    for (number, name) in (1..).zip(four) {
        assert_eq!(
            Some(item(number).priority_id),
            world.openproject.priority_id(name),
            "{number}"
        );
    }
    let priority = |id: i64| world.leantime.ticket(id).unwrap().priority.unwrap();
    assert_eq!(priority(tickets[4]), "5", "the lowest stays the lowest");
    // Something else is edited: the one of two that mean the same is not replaced by the other.
    world
        .openproject
        .edit_work_package(item(5).id, |item| item.due_date = "2026-12-24".parse().ok());
    world.settle().await;
    assert_eq!(priority(tickets[4]), "5");
    // Up and down again is an edit, and comes to rest.
    for (name, number) in [("High", "2"), ("Low", "4")] {
        let id = world.openproject.priority_id(name).unwrap();
        world
            .openproject
            .edit_work_package(item(5).id, |item| item.priority_id = id);
        world.settle().await;
        assert_eq!(priority(tickets[4]), number);
    }
    // From the lower to the lowest, in the tool: nothing to tell the hub.
    world
        .leantime
        .edit_ticket(tickets[3], |ticket| ticket.priority = Some("5".to_owned()));
    let before = world.openproject.writes();
    world.settle().await;
    assert_eq!(
        (priority(tickets[3]), world.openproject.writes()),
        ("5".to_owned(), before)
    );
    let before = world.writes();
    world.settle().await;
    assert_eq!(world.writes(), before);
    assert_eq!(world.task(common.hub, "priority 4").await.priority, Priority::Low);
}

fn custom_status(id: u64, name: &str, is_closed: bool) -> OpenProjectStatus {
    let simulator = magnus_testkit::sim::openproject::OpenProjectSimulator::new(Default::default());
    let mut status = simulator.statuses().remove(0);
    status.id = id;
    status.name = name.to_owned();
    status.is_closed = is_closed;
    status.is_default = false;
    status
}

#[tokio::test]
async fn an_unknown_status_is_told_by_whether_it_is_closed_and_kept_until_the_hub_moves_it() {
    let world = World::new().await;
    let common = world.common_project("Common").await;
    let mut statuses = world.openproject.statuses();
    statuses.push(custom_status(901, "Frobnicated", false));
    statuses.push(custom_status(902, "Shelved", true));
    world.openproject.set_statuses(statuses);
    let item = |title: &str, status: u64| {
        world
            .openproject
            .create_work_package_with(common.op, title, |item| item.status_id = status)
    };
    let (open, closed) = (item("open", 901), item("closed", 902));
    let odd = world
        .leantime
        .create_ticket_with(common.lt, "odd", |ticket| ticket.status = 77);
    world.settle().await;
    assert_eq!(world.task(common.hub, "open").await.status, Status::Todo);
    assert_eq!(world.task(common.hub, "closed").await.status, Status::Done);
    assert_eq!(world.task(common.hub, "odd").await.status, Status::Todo);
    let status = |id: u64| world.openproject.work_package(id).unwrap().status_id;
    // Other edits do not turn them into what the hub took them for.
    for title in ["open", "closed", "odd"] {
        let task = world.task(common.hub, title).await;
        world
            .edit(task.id, Field::Tags, Value::tags(["x".to_owned()].into()))
            .await;
        world.edit(task.id, Field::Description, Value::text("words")).await;
    }
    world.settle().await;
    assert_eq!((status(open), status(closed)), (901, 902));
    assert_eq!(world.leantime.ticket(odd).unwrap().status, 77);
    // The hub's own value moves: now it is written.
    let task = world.task(common.hub, "open").await;
    world
        .edit(task.id, Field::Status, Value::Status(Status::InProgress))
        .await;
    let task = world.task(common.hub, "odd").await;
    world.edit(task.id, Field::Status, Value::Status(Status::Done)).await;
    world.settle().await;
    assert_eq!(Some(status(open)), world.openproject.status_id("In progress"));
    assert_eq!(world.leantime.ticket(odd).unwrap().status, 0);
    assert_eq!(status(closed), 902);
}

#[tokio::test]
async fn a_status_that_one_tool_lacks_is_reported_and_its_own_stays() {
    let world = World::new().await;
    let common = world.common_project("Common").await;
    let labels = [(3, "New", "NEW"), (4, "Doing", "INPROGRESS"), (0, "Done", "DONE")];
    let labels = labels.map(|(id, name, kind)| StatusLabel::new(id, name, kind)).to_vec();
    world.leantime.set_status_labels(common.lt, labels);
    let item = world.openproject.create_work_package(common.op, "task");
    world.settle().await;
    let ticket = world.leantime.tickets().remove(0).id;
    let hold = world.openproject.status_id("On hold").unwrap();
    world.openproject.edit_work_package(item, |item| item.status_id = hold);
    world.complete(world.op).await;
    assert_eq!(world.task(common.hub, "task").await.status, Status::Blocked);
    let run = world.complete(world.lt).await;
    assert!(tells(&run, "task", "status_map"), "{:#?}", run.report.items);
    assert_eq!(world.leantime.ticket(ticket).unwrap().status, 3);
    let before = world.writes();
    world.complete(world.lt).await;
    world.complete(world.op).await;
    assert_eq!(world.writes(), before, "a held field writes nothing again");
    // The table says what it means: it is written.
    options(&world, world.lt, |options| {
        options.status_map.insert("Doing".to_owned(), Status::Blocked);
    })
    .await;
    world.settle().await;
    assert_eq!(world.leantime.ticket(ticket).unwrap().status, 4);
    assert_eq!(world.openproject.work_package(item).unwrap().status_id, hold);
}

#[tokio::test]
async fn tags_stay_in_the_tool_that_has_them_and_in_the_hub() {
    let world = World::new().await;
    let common = world.common_project("Common").await;
    let ticket = world.leantime.create_ticket_with(common.lt, "task", |ticket| {
        ticket.tags = Some("b, a,,ü x".to_owned());
    });
    world.settle().await;
    let task = world.task(common.hub, "task").await;
    assert_eq!(
        task.tags.iter().map(String::as_str).collect::<Vec<_>>(),
        ["a", "b", "ü x"]
    );
    assert_eq!(
        world.leantime.ticket(ticket).unwrap().tags.as_deref(),
        Some("b, a,,ü x"),
        "nobody edited them"
    );
    let item = world.openproject.work_packages().remove(0).id;
    world
        .openproject
        .edit_work_package(item, |item| item.description = "words".to_owned());
    world.settle().await;
    assert_eq!(
        world.task(common.hub, "task").await.tags,
        task.tags,
        "a tool without tags clears none"
    );
    let more = ["a".to_owned(), "with, comma".to_owned()];
    world.edit(task.id, Field::Tags, Value::tags(more.into())).await;
    let run = world.complete(world.lt).await;
    assert!(tells(&run, "task", "comma"), "{:#?}", run.report.items);
    assert_eq!(
        world.leantime.ticket(ticket).unwrap().tags.as_deref(),
        Some("b, a,,ü x")
    );
}
