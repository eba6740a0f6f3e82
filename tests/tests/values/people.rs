//! Who is who in two tools.

use magnus_core::model::{Field, Person, Value};
use magnus_testkit::sim::openproject::Role;

use crate::support::{Setup, World};
use crate::{options, tells};

#[tokio::test]
async fn people_are_told_by_the_map_else_their_address_else_a_unique_name() {
    let world = World::with(Setup {
        openproject: magnus_testkit::sim::openproject::OpenProjectOptions::default().admin(),
        ..Setup::default()
    })
    .await;
    // The same person under one address; under one name only; under names that have nothing in common.
    let by_address = world.openproject.create_user("mary", "M. Shelley");
    let by_name = world.openproject.create_user("grace", "Grace Hopper");
    let by_map = world.openproject.create_user("karen", "KSJ");
    for user in [by_name, by_map] {
        world.openproject.edit_user(user, |user| user.email = String::new());
    }
    let mary = world.leantime.create_person("Mary", "Shelley", "mary@example.org", 20);
    let grace = world.leantime.create_person("Grace", "Hopper", "grace@home.test", 20);
    let karen = world.leantime.create_person("Karen", "Jones", "karen@home.test", 20);
    let common = world.common_project("Common").await;
    for user in [mary, grace, karen] {
        world.leantime.assign(user, common.lt);
    }
    let mapped = "Karen Jones <karen@home.test>".to_owned();
    options(&world, world.op, |options| {
        options.user_map.insert("KSJ".to_owned(), mapped);
    })
    .await;
    for (title, user) in [("address", by_address), ("name", by_name), ("map", by_map)] {
        world
            .openproject
            .create_work_package_with(common.op, title, |item| item.assignee_id = Some(user));
    }
    for (title, user) in [("address back", mary), ("name back", grace), ("map back", karen)] {
        world
            .leantime
            .create_ticket_with(common.lt, title, |ticket| ticket.editor_id = Some(user.to_string()));
    }
    world.settle().await;
    let tickets = world.leantime.tickets();
    let items = world.openproject.work_packages();
    for (title, here, there) in [
        ("address", by_address, mary),
        ("name", by_name, grace),
        ("map", by_map, karen),
    ] {
        let ticket = tickets
            .iter()
            .find(|ticket| ticket.headline.as_deref() == Some(title))
            .unwrap();
        assert_eq!(ticket.editor_id.as_deref(), Some(there.to_string().as_str()), "{title}");
        let back = format!("{title} back");
        let item = items.iter().find(|item| item.subject == back).unwrap();
        assert_eq!(item.assignee_id, Some(here), "{back}");
    }
    let before = world.writes();
    world.settle().await;
    assert_eq!(world.writes(), before);
}

#[tokio::test]
async fn who_is_unknown_or_cannot_be_assigned_stays_on_his_side_and_nobody_is_cleared() {
    let world = World::new().await;
    let stranger = world.openproject.create_user("stranger", "Only Here");
    let other = world.openproject.create_user("other", "Other Here");
    let common = world.common_project("Common").await;
    world.leantime.create_person("Not", "Assigned", "not@example.org", 20);
    let item = world
        .openproject
        .create_work_package_with(common.op, "task", |item| item.assignee_id = Some(stranger));
    world.settle().await;
    let ticket = world.leantime.tickets().remove(0).id;
    world
        .leantime
        .edit_ticket(ticket, |ticket| ticket.editor_id = Some("1".to_owned()));
    let run = world.complete(world.lt).await;
    assert!(tells(&run, "task", "assignee"), "{:#?}", run.report.items);
    // Leantime's own person came in over the one it could not hold, or is held: OpenProject's stays either way.
    world.complete(world.op).await;
    assert_eq!(
        world.openproject.work_package(item).unwrap().assignee_id,
        Some(stranger)
    );
    assert_eq!(world.leantime.ticket(ticket).unwrap().editor_id.as_deref(), Some("1"));
    // Neither does a change of the unknown one, nor of one who is known and not assigned, clear anybody.
    world
        .openproject
        .edit_work_package(item, |item| item.assignee_id = Some(other));
    world.complete(world.op).await;
    world.complete(world.lt).await;
    assert_eq!(world.leantime.ticket(ticket).unwrap().editor_id.as_deref(), Some("1"));
    let task = world.task(common.hub, "task").await;
    let person = Person::parse("Not Assigned <not@example.org>").unwrap();
    world.edit(task.id, Field::Assignee, Value::Person(person)).await;
    world.complete(world.lt).await;
    world.complete(world.op).await;
    assert_eq!(world.leantime.ticket(ticket).unwrap().editor_id.as_deref(), Some("1"));
    assert_eq!(world.openproject.work_package(item).unwrap().assignee_id, Some(other));
    // A member who left the project stays where he was assigned.
    world.openproject.set_role(common.op, other, Role::Reader);
    let before = world.writes();
    world.complete(world.op).await;
    world.complete(world.lt).await;
    assert_eq!(world.writes().0, before.0);
    assert_eq!(world.openproject.work_package(item).unwrap().assignee_id, Some(other));
}
