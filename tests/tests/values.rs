//! Texts, dates, hours, people, statuses and priorities between two tools: what arrives, and what nobody touches.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod support;

use chrono::{NaiveDate, NaiveDateTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use magnus_core::model::{ConnectionId, Field, Person, Priority, Run, Status, Value};
use magnus_testkit::sim::leantime::{LeantimeOptions, StatusLabel};
use magnus_testkit::sim::openproject::{Role, Status as OpenProjectStatus};
use proptest::prelude::*;
use support::{Setup, World};

/// The texts of a corpus, without their expected results.
fn corpus(file: &str) -> Vec<String> {
    let hidden = [
        ("⟦CR⟧", "\r"),
        ("⟦NBSP⟧", "\u{a0}"),
        ("⟦TAB⟧", "\t"),
        ("⟦SP⟧", " "),
        ("⟦NUL⟧", ""),
    ];
    let sections = file.split("\n=== ").skip(1);
    sections
        .map(|section| {
            let (_, body) = section.split_once('\n').unwrap();
            let text = body.split("\n--> ").next().unwrap().trim_end_matches('\n');
            hidden
                .iter()
                .fold(text.to_owned(), |text, (mark, hidden)| text.replace(mark, hidden))
        })
        .collect()
}

#[tokio::test]
async fn a_text_that_nobody_edited_is_never_written_in_any_tool() {
    let world = World::with(Setup {
        settings: |settings| settings.options.guard.overwrites.count = 10_000,
        ..Setup::default()
    })
    .await;
    let common = world.common_project("Common").await;
    let markdown = corpus(include_str!("../../magnus-leantime/tests/corpus/from_markdown.txt"));
    let html = corpus(include_str!("../../magnus-leantime/tests/corpus/from_html.txt"));
    assert!(markdown.len() + html.len() >= 120);
    let items: Vec<u64> = (0..)
        .zip(&markdown)
        .map(|(number, text): (usize, _)| {
            let title = format!("from OpenProject {number}");
            world
                .openproject
                .create_work_package_with(common.op, &title, |item| item.description.clone_from(text))
        })
        .collect();
    let tickets: Vec<i64> = (0..)
        .zip(&html)
        .map(|(number, text): (usize, _)| {
            let title = format!("from Leantime {number}");
            world
                .leantime
                .create_ticket_with(common.lt, &title, |ticket| ticket.description = Some(text.clone()))
        })
        .collect();
    world.settle().await;
    let copies = |world: &World| -> (Vec<String>, Vec<Option<String>>) {
        let items = world.openproject.work_packages();
        let tickets = world.leantime.tickets();
        (
            items.into_iter().map(|item| item.description).collect(),
            tickets.into_iter().map(|ticket| ticket.description).collect(),
        )
    };
    let settled = copies(&world);
    // Everything else is edited, everywhere.
    for item in world.openproject.work_packages() {
        world
            .openproject
            .edit_work_package(item.id, |item| item.due_date = "2026-12-24".parse().ok());
    }
    for ticket in world.leantime.tickets() {
        world
            .leantime
            .edit_ticket(ticket.id, |ticket| ticket.tags = Some("seen".to_owned()));
    }
    for task in world.tasks(common.hub).await.into_values() {
        world
            .edit(task.id, Field::Title, Value::text(format!("{}, renamed", task.title)))
            .await;
    }
    world.settle().await;
    assert_eq!(copies(&world), settled, "only what was edited is written");
    for (id, text) in items.iter().zip(&markdown) {
        assert_eq!(&world.openproject.work_package(*id).unwrap().description, text);
    }
    for (id, text) in tickets.iter().zip(&html) {
        assert_eq!(world.leantime.ticket(*id).unwrap().description.as_ref(), Some(text));
    }
    assert!(world.conflicts().await.is_empty());
}

async fn zoned(zone: Tz) -> World {
    let world = World::with(Setup {
        leantime: LeantimeOptions::default().time_zone(zone),
        ..Setup::default()
    })
    .await;
    let mut settings = world.store.connection(world.lt).await.unwrap().unwrap();
    settings.options.time_zone = Some(zone.name().to_owned());
    world.store.save_connection(settings).await.unwrap();
    world
}

/// What the web page stores for a due date: the last second of the local day; where midnight is skipped or the day
/// ends twice, the last one there is.
fn web_due(day: NaiveDate, zone: Tz) -> String {
    let mut local = day.and_hms_opt(23, 59, 59).unwrap();
    let instant = loop {
        if let Some(instant) = zone.from_local_datetime(&local).latest() {
            break instant;
        }
        local -= TimeDelta::minutes(30);
    };
    instant.with_timezone(&Utc).format("%Y-%m-%d %H:%M:%S").to_string()
}

/// The day that the web page shows for a stored instant.
fn web_day(stored: &str, zone: Tz) -> NaiveDate {
    let instant = NaiveDateTime::parse_from_str(stored, "%Y-%m-%d %H:%M:%S").unwrap();
    instant.and_utc().with_timezone(&zone).date_naive()
}

/// Days around both changes of the clock, year's end and leap day.
fn days(zone: Tz) -> Vec<NaiveDate> {
    let mut days: Vec<NaiveDate> = ["2026-12-31", "2027-01-01", "2028-02-29"]
        .iter()
        .map(|day| day.parse().unwrap())
        .collect();
    let offset = |day: NaiveDate| {
        use chrono::Offset;
        zone.offset_from_utc_datetime(&day.and_hms_opt(12, 0, 0).unwrap())
            .fix()
            .local_minus_utc()
    };
    let mut day: NaiveDate = "2026-01-01".parse().unwrap();
    while day < "2027-01-01".parse().unwrap() {
        let next = day.succ_opt().unwrap();
        if offset(day) != offset(next) {
            days.extend([day.pred_opt().unwrap(), day, next, next.succ_opt().unwrap()]);
        }
        day = next;
    }
    days.sort_unstable();
    days.dedup();
    days
}

/// Every day, set in the hub, in OpenProject and on Leantime's web page, is the same day everywhere.
async fn every_day_is_the_same_everywhere(zone: Tz) {
    let world = zoned(zone).await;
    let common = world.common_project("Common").await;
    let days = days(zone);
    for day in &days {
        world
            .openproject
            .create_work_package_with(common.op, &format!("{day} op"), |item| {
                item.start_date = Some(*day);
                item.due_date = Some(*day);
            });
        world
            .leantime
            .create_ticket_with(common.lt, &format!("{day} web"), |ticket| {
                ticket.date_to_finish = Some(web_due(*day, zone));
            });
        world
            .leantime
            .create_ticket_with(common.lt, &format!("{day} api"), |ticket| {
                ticket.date_to_finish = Some(format!("{day} 00:00:00"));
            });
        let id = world.add(common.hub, &format!("{day} hub")).await;
        world.edit(id, Field::DueDate, Value::Date(*day)).await;
        world.edit(id, Field::StartDate, Value::Date(*day)).await;
    }
    world.settle().await;
    assert_dates(&world, common.hub, zone, 0).await;
    // Everybody moves some by a day: each task is edited in one place.
    for task in world.tasks(common.hub).await.into_values() {
        let next = task.due_date.unwrap().succ_opt().unwrap();
        let item = world
            .openproject
            .work_packages()
            .into_iter()
            .find(|item| item.subject == task.title)
            .unwrap();
        let ticket = world.leantime.tickets().into_iter();
        let ticket = ticket
            .into_iter()
            .find(|ticket| ticket.headline.as_ref() == Some(&task.title))
            .unwrap();
        match task.title.rsplit_once(' ').unwrap().1 {
            "op" => world
                .leantime
                .edit_ticket(ticket.id, |ticket| ticket.date_to_finish = Some(web_due(next, zone))),
            "hub" => world
                .openproject
                .edit_work_package(item.id, |item| item.due_date = Some(next)),
            _ => {
                world.edit(task.id, Field::DueDate, Value::Date(next)).await;
            }
        }
    }
    world.settle().await;
    assert_dates(&world, common.hub, zone, 1).await;
    let before = world.writes();
    world.settle().await;
    assert_eq!(world.writes(), before, "{zone}");
}

async fn assert_dates(world: &World, hub: magnus_core::model::ProjectId, zone: Tz, later: i64) {
    let tasks = world.tasks(hub).await;
    let items = world.openproject.work_packages();
    let tickets = world.leantime.tickets();
    assert_eq!((items.len(), tickets.len()), (tasks.len(), tasks.len()));
    for task in tasks.values() {
        let day: NaiveDate = task.title.split(' ').next().unwrap().parse().unwrap();
        let due = day + TimeDelta::days(later);
        let item = items.iter().find(|item| item.subject == task.title).unwrap();
        let ticket = tickets
            .iter()
            .find(|ticket| ticket.headline.as_ref() == Some(&task.title))
            .unwrap();
        let stored = ticket.date_to_finish.as_deref().unwrap();
        let shown = if stored.ends_with("00:00:00") && task.title.ends_with("api") && later == 0 {
            stored[..10].parse().unwrap()
        } else {
            web_day(stored, zone)
        };
        assert_eq!(
            (task.due_date, item.due_date, shown),
            (Some(due), Some(due), due),
            "{} in {zone}: {stored}",
            task.title
        );
        assert_eq!(task.start_date, item.start_date, "{} in {zone}", task.title);
        if let Some(start) = task.start_date {
            assert_eq!(
                web_day(ticket.edit_from.as_deref().unwrap(), zone),
                start,
                "{} in {zone}",
                task.title
            );
        }
    }
}

const ZONES: [Tz; 9] = [
    chrono_tz::Pacific::Kiritimati,
    chrono_tz::America::Los_Angeles,
    chrono_tz::Asia::Kolkata,
    chrono_tz::UTC,
    // The clock jumps over midnight, or falls back onto it.
    chrono_tz::America::Havana,
    chrono_tz::America::Santiago,
    chrono_tz::Africa::Cairo,
    chrono_tz::Asia::Beirut,
    chrono_tz::Australia::Lord_Howe,
];

#[tokio::test]
async fn a_date_is_the_same_calendar_date_on_all_sides_in_every_zone_over_clock_changes() {
    for zone in ZONES {
        every_day_is_the_same_everywhere(zone).await;
    }
}

#[test]
fn dates_do_not_depend_on_the_zone_of_the_machine() {
    let program = std::env::current_exe().unwrap();
    for zone in ["Pacific/Apia", "America/Los_Angeles", "Asia/Kathmandu"] {
        let test = "a_date_is_the_same_calendar_date_on_all_sides_in_every_zone_over_clock_changes";
        let output = std::process::Command::new(&program)
            .args(["--exact", test])
            .env("TZ", zone)
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && told.contains("1 passed"), "{zone}: {told}");
    }
}

#[test]
fn no_crate_reads_the_local_time_of_the_machine() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut folders: Vec<_> = ["core", "sqlite", "transport", "openproject", "leantime"]
        .iter()
        .map(|name| root.join(format!("magnus-{name}")).join("src"))
        .collect();
    let mut read = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for local in ["chrono::Local", "Local::now", "offset::Local", "Local,", "Local}"] {
                let imported = text.lines().any(|line| line.contains("chrono") && line.contains(local));
                assert!(!imported && !text.contains("Local::now"), "{}: {local}", path.display());
            }
            read += 1;
        }
    }
    assert!(read > 50, "{read} files");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 6, ..ProptestConfig::default() })]

    #[test]
    fn minutes_come_back_from_both_tools_as_they_went_trip_after_trip(
        minutes in prop::collection::vec(0_u32..300_000, 12..30),
        hundredths in prop::collection::vec(1_u32..20_000, 5..12),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(hours_do_not_drift(&minutes, &hundredths));
    }
}

async fn hours_do_not_drift(minutes: &[u32], hundredths: &[u32]) {
    let world = World::new().await;
    let common = world.common_project("Common").await;
    for (number, minutes) in minutes.iter().enumerate() {
        let id = world.add(common.hub, &format!("hub {number}")).await;
        world.edit(id, Field::EstimatedHours, Value::Minutes(*minutes)).await;
        world.edit(id, Field::RemainingHours, Value::Minutes(*minutes)).await;
        world
            .openproject
            .create_work_package_with(common.op, &format!("op {number}"), |item| {
                item.estimated_minutes = Some(i64::from(*minutes));
            });
    }
    // People type hours with two decimals, which are no whole minutes.
    for (number, hundredths) in hundredths.iter().enumerate() {
        world
            .leantime
            .create_ticket_with(common.lt, &format!("lt {number}"), |ticket| {
                ticket.plan_hours = Some(f64::from(*hundredths) / 100.0);
            });
    }
    world.settle().await;
    let first: Vec<_> = world
        .tasks(common.hub)
        .await
        .into_values()
        .map(|task| (task.id, task.estimated_minutes))
        .collect();
    for round in 0..3 {
        for item in world.openproject.work_packages() {
            let base = item.subject.split(" #").next().unwrap().to_owned();
            world
                .openproject
                .edit_work_package(item.id, |item| item.subject = format!("{base} #{round}"));
        }
        for ticket in world.leantime.tickets() {
            world
                .leantime
                .edit_ticket(ticket.id, |ticket| ticket.tags = Some(format!("round {round}")));
        }
        world.settle().await;
    }
    let tasks = world.tasks(common.hub).await;
    for (id, before) in &first {
        assert_eq!(tasks[id].estimated_minutes, *before, "{}", tasks[id].title);
    }
    let (items, tickets) = (world.openproject.work_packages(), world.leantime.tickets());
    for task in tasks.values() {
        let (kind, number) = task.title.split(" #").next().unwrap().split_once(' ').unwrap();
        let number: usize = number.parse().unwrap();
        let item = items.iter().find(|item| item.subject == task.title).unwrap();
        let ticket = tickets
            .iter()
            .find(|ticket| ticket.headline.as_ref() == Some(&task.title))
            .unwrap();
        let hours = ticket.plan_hours.unwrap_or_default();
        if kind == "lt" {
            let typed = f64::from(hundredths[number]) / 100.0;
            assert!(
                (hours - typed).abs() < f64::EPSILON,
                "what was typed stays: {hours} for {typed}"
            );
            let nearest = (typed * 60.0).round() as u32;
            assert_eq!(task.estimated_minutes, (nearest > 0).then_some(nearest));
        } else {
            assert_eq!(task.estimated_minutes, Some(minutes[number]), "{}", task.title);
            assert_eq!(
                item.estimated_minutes,
                Some(i64::from(minutes[number])),
                "{}",
                task.title
            );
            assert_eq!((hours * 60.0).round() as u32, minutes[number], "{}", task.title);
        }
        if kind == "hub" {
            assert_eq!(
                item.remaining_minutes,
                Some(i64::from(minutes[number])),
                "{}",
                task.title
            );
        }
    }
}

async fn options(world: &World, id: ConnectionId, change: impl FnOnce(&mut magnus_core::model::ConnectionOptions)) {
    let mut settings = world.store.connection(id).await.unwrap().unwrap();
    change(&mut settings.options);
    world.store.save_connection(settings).await.unwrap();
}

fn tells(run: &Run, title: &str, word: &str) -> bool {
    run.report
        .items
        .iter()
        .any(|item| item.title == title && item.detail.contains(word))
}

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
    let outsider = world.leantime.create_person("Not", "Assigned", "not@example.org", 20);
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
    let _ = outsider;
    // A member who left the project stays where he was assigned.
    world.openproject.set_role(common.op, other, Role::Reader);
    let before = world.writes();
    world.complete(world.op).await;
    world.complete(world.lt).await;
    assert_eq!(world.writes().0, before.0);
    assert_eq!(world.openproject.work_package(item).unwrap().assignee_id, Some(other));
}

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
