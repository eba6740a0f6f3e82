//! Hours, which are minutes on their way.

use magnus_core::model::{Field, Value};
use proptest::prelude::*;

use crate::support::World;

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
