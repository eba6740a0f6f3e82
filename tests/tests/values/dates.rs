//! Calendar dates in every zone, over changes of the clock.

use chrono::{NaiveDate, NaiveDateTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use magnus_core::model::{Field, Value};
use magnus_testkit::sim::leantime::LeantimeOptions;

use crate::support::{Setup, World};

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
        let test = "dates::a_date_is_the_same_calendar_date_on_all_sides_in_every_zone_over_clock_changes";
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
