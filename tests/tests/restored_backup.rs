//! An older backup of the hub is restored and meets tools that went on: what happened there since comes into the hub, what the
//! hub itself had made there is taken back, and nothing is doubled, lost or undone.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::sync::Arc;

use magnus_core::model::{Field, Status, TaskId, Value};
use magnus_postgres::PostgresStore;
use magnus_testkit::postgres::Database;
use support::{Common, Setup, World};

async fn open(database: &Database) -> PostgresStore {
    PostgresStore::open(database.url()).await.unwrap()
}

/// What everybody should have, in order.
fn sorted(titles: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut titles: Vec<String> = titles.into_iter().collect();
    titles.sort();
    titles
}

async fn assert_same_everywhere(world: &World, common: Common, expected: &[&str]) {
    let expected = sorted(expected.iter().map(|title| (*title).to_owned()));
    let hub = world.tasks(common.hub).await;
    assert_eq!(sorted(hub.into_values().map(|task| task.title)), expected, "in the hub");
    let subjects = world.openproject.work_packages().into_iter().map(|row| row.subject);
    assert_eq!(sorted(subjects), expected, "in OpenProject");
    let headlines = world.leantime.tickets().into_iter().filter_map(|row| row.headline);
    assert_eq!(sorted(headlines), expected, "in Leantime");
}

async fn id_of(world: &World, common: Common, title: &str) -> TaskId {
    world.task(common.hub, title).await.id
}

#[tokio::test]
async fn an_older_backup_meets_newer_tools_without_doubling_or_undoing_anything() {
    let database = Database::new().await;
    let store = open(&database).await;
    let first = World::with(Setup {
        store: Some(Arc::new(store.clone())),
        ..Setup::default()
    })
    .await;
    let common = first.common_project("Common").await;
    first.add(common.hub, "from the hub").await;
    first.add(common.hub, "renamed later").await;
    first.openproject.create_work_package(common.op, "from OpenProject");
    first.leantime.create_ticket(common.lt, "from Leantime");
    first.settle().await;
    first.orchestrator.shutdown(std::time::Duration::from_secs(5)).await;
    store.close().await;
    let backup = database.copy().await;

    // The hub goes on after the backup.
    let store = open(&database).await;
    let went_on = first.over(Arc::new(store.clone()));
    for number in 0..10 {
        went_on.add(common.hub, &format!("newer from the hub {number}")).await;
        let (op, lt) = (
            format!("newer from OpenProject {number}"),
            format!("newer from Leantime {number}"),
        );
        went_on.openproject.create_work_package(common.op, &op);
        went_on.leantime.create_ticket(common.lt, &lt);
    }
    let id = id_of(&went_on, common, "renamed later").await;
    went_on.edit(id, Field::Title, Value::text("renamed")).await;
    let id = id_of(&went_on, common, "from the hub").await;
    went_on.edit(id, Field::Status, Value::Status(Status::Done)).await;
    went_on.settle().await;
    let mut expected = vec!["from the hub", "renamed", "from OpenProject", "from Leantime"];
    let newer: Vec<String> = ["the hub", "OpenProject", "Leantime"]
        .iter()
        .flat_map(|side| (0..10).map(move |number| format!("newer from {side} {number}")))
        .collect();
    expected.extend(newer.iter().map(String::as_str));
    assert_same_everywhere(&went_on, common, &expected).await;
    went_on.shutdown().await;
    store.close().await;

    // The disk is lost; somebody goes on working in the tools until the backup is restored.
    first
        .openproject
        .create_work_package(common.op, "meanwhile in OpenProject");
    expected.push("meanwhile in OpenProject");
    let store = open(&backup).await;
    let restored = first.over(Arc::new(store.clone()));
    restored.add(common.hub, "after the restoring").await;
    expected.push("after the restoring");
    restored.settle().await;
    assert_same_everywhere(&restored, common, &expected).await;
    assert_eq!(restored.task(common.hub, "from the hub").await.status, Status::Done);
    assert!(
        restored.conflicts().await.is_empty(),
        "{:?}",
        restored.conflicts().await
    );
    assert_eq!(restored.links(restored.op).await.len(), expected.len());
    assert_eq!(restored.links(restored.lt).await.len(), expected.len());
    restored.shutdown().await;
    store.close().await;
    database.remove().await;
    backup.remove().await;
}
