//! Nothing is deleted because it was not seen. Every way in which items can seem to vanish, on both tools, under the
//! policy that would carry a deletion over.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod support;

use magnus_core::model::{
    ConnectionId, DeletionPolicy, Field, LinkState, Run, RunRequest, RunState, SkipReason, Status, Value,
};
use magnus_core::secret::SecretStore;
use magnus_testkit::sim::Gate;
use magnus_testkit::sim::faults::{CallMatcher, Fault, FaultRule};
use magnus_testkit::sim::openproject::OpenProjectOptions;
use secrecy::SecretString;
use serde_json::Value as Json;
use support::{Common, Setup, World};

const ITEMS: usize = 30;

/// Both tools hold the same items, everything is linked, and deletions would be carried over.
async fn synced(openproject: OpenProjectOptions) -> (World, Common) {
    synced_with(openproject, ITEMS).await
}

async fn synced_with(openproject: OpenProjectOptions, items: usize) -> (World, Common) {
    let world = World::with(Setup {
        openproject,
        settings: |settings| settings.options.deletions = DeletionPolicy::Delete,
        ..Setup::default()
    })
    .await;
    let common = world.common_project("Common").await;
    // An owner's key sees everything in Leantime; an editor's is bound to its projects, as most keys are.
    let key = world.leantime.create_api_key(20);
    world
        .leantime
        .assign(world.leantime.user_of_key(&key).unwrap(), common.lt);
    world.keys.put(world.lt, SecretString::from(key)).await.unwrap();
    for number in 0..items {
        world
            .openproject
            .create_work_package(common.op, &format!("task {number}"));
    }
    world.settle().await;
    assert_eq!(world.leantime.tickets().len(), items);
    (world, common)
}

/// Three runs of the connection delete nothing anywhere, and the last says why it did not see what it missed.
async fn nothing_is_deleted(world: &World, common: Common, connection: ConnectionId, reasons: &[&str]) {
    let mut said = String::new();
    for _ in 0..3 {
        let run = world.sync(connection).await;
        said = words(&run);
    }
    world.openproject.faults().clear();
    world.leantime.faults().clear();
    let tasks = world.tasks(common.hub).await;
    assert_eq!(
        tasks.values().filter(|task| !task.is_deleted()).count(),
        ITEMS,
        "{said}"
    );
    assert_eq!(world.openproject.work_packages().len(), ITEMS, "{said}");
    assert_eq!(world.leantime.tickets().len(), ITEMS, "{said}");
    for reason in reasons {
        assert!(said.contains(reason), "{reason:?} is missing in: {said}");
    }
}

fn words(run: &Run) -> String {
    let items: Vec<&str> = run.report.items.iter().map(|item| item.detail.as_str()).collect();
    format!(
        "{}: {} {}",
        run.state,
        run.error_message.as_deref().unwrap_or_default(),
        items.join("; ")
    )
}

async fn use_key(world: &World, connection: ConnectionId, key: String) {
    world.keys.put(connection, SecretString::from(key)).await.unwrap();
    let settings = world.store.connection(connection).await.unwrap().unwrap();
    world.store.save_connection(settings).await.unwrap();
}

#[tokio::test]
async fn losing_membership_deletes_nothing() {
    let (world, common) = synced(OpenProjectOptions::default()).await;
    world
        .openproject
        .remove_membership(common.op, world.openproject.sync_user());
    nothing_is_deleted(&world, common, world.op, &["suspended", "access"]).await;

    let (world, common) = synced(OpenProjectOptions::default()).await;
    let users = world.leantime.users();
    for user in users {
        world.leantime.unassign(user.id, common.lt);
    }
    nothing_is_deleted(&world, common, world.lt, &["suspended", "access"]).await;
}

#[tokio::test]
async fn archiving_or_closing_a_project_deletes_nothing() {
    let (world, common) = synced(OpenProjectOptions::default()).await;
    world.openproject.archive_project(common.op);
    nothing_is_deleted(&world, common, world.op, &["suspended"]).await;
    world.openproject.unarchive_project(common.op);
    let run = world.complete(world.op).await;
    assert_eq!(run.report.counts.tasks.unchanged, ITEMS as u64, "it wakes by itself");

    let (world, common) = synced(OpenProjectOptions::default()).await;
    world
        .leantime
        .edit_project(common.lt, |project| project.state = Some(-1));
    nothing_is_deleted(&world, common, world.lt, &["suspended"]).await;
}

#[tokio::test]
async fn the_key_of_another_user_who_sees_nothing_deletes_nothing() {
    let (world, common) = synced(OpenProjectOptions::default()).await;
    let stranger = world.openproject.create_user("stranger", "A Stranger");
    world
        .openproject
        .edit_user(stranger, |user| user.api_key = Some("opapi-stranger".to_owned()));
    use_key(&world, world.op, "opapi-stranger".to_owned()).await;
    nothing_is_deleted(&world, common, world.op, &["suspended"]).await;

    let (world, common) = synced(OpenProjectOptions::default()).await;
    let key = world.leantime.create_api_key(20);
    use_key(&world, world.lt, key).await;
    nothing_is_deleted(&world, common, world.lt, &["suspended"]).await;
}

#[tokio::test]
async fn a_wrong_url_deletes_nothing() {
    let (world, common) = synced(OpenProjectOptions::default()).await;
    for id in [world.op, world.lt] {
        let mut settings = world.store.connection(id).await.unwrap().unwrap();
        settings.url.push_str("/elsewhere");
        world.store.save_connection(settings).await.unwrap();
        nothing_is_deleted(&world, common, id, &["failed"]).await;
    }
}

/// What a run says of a list that lacks so many items that a direct reading finds.
fn lacking(items: usize) -> String {
    format!("lacks {items} items that are there")
}

/// Changes the rows of every list of items in an answer: the elements of a page, or the tickets of each answer of a batch.
fn listing(change: impl Fn(&mut Vec<Json>) + Send + Sync + 'static) -> Fault {
    Fault::transform(move |mut answer: Json| {
        if let Some(elements) = answer.pointer_mut("/_embedded/elements").and_then(Json::as_array_mut) {
            change(elements);
            let left = elements.len();
            answer["total"] = left.into();
            answer["count"] = left.into();
        }
        for answer in answer.as_array_mut().into_iter().flatten() {
            if let Some(rows) = answer.get_mut("result").and_then(Json::as_array_mut)
                && rows.first().is_some_and(|row| row.get("headline").is_some())
            {
                change(rows);
            }
        }
        answer
    })
}

/// The listing answers with fewer rows than there are, and says that this is all.
fn shorten(keep: usize) -> Fault {
    listing(move |rows| rows.truncate(keep))
}

/// The listing answers without these items, and says that this is all.
fn without(hidden: Vec<i64>) -> Fault {
    let is_hidden = move |row: &Json| {
        let id = row
            .get("id")
            .and_then(|id| id.as_i64().or_else(|| id.as_str()?.parse().ok()));
        id.is_some_and(|id| hidden.contains(&id))
    };
    listing(move |rows| rows.retain(|row| !is_hidden(row)))
}

#[tokio::test]
async fn an_empty_page_or_half_a_listing_deletes_nothing() {
    for keep in [0, ITEMS / 2] {
        let (world, common) = synced(OpenProjectOptions::default()).await;
        let listing = CallMatcher::any().method("GET").path_ends_with("/work_packages");
        world
            .openproject
            .faults()
            .inject(FaultRule::new(listing, shorten(keep)).always());
        nothing_is_deleted(&world, common, world.op, &[&lacking(ITEMS - keep)]).await;

        let (world, common) = synced(OpenProjectOptions::default()).await;
        let listing = CallMatcher::any().rpc("leantime.rpc.Tickets.getAll");
        world
            .leantime
            .faults()
            .inject(FaultRule::new(listing, shorten(keep)).always());
        nothing_is_deleted(&world, common, world.lt, &[&lacking(ITEMS - keep)]).await;
    }
}

/// As where a filter of the tool stands between it and us.
#[tokio::test]
async fn a_listing_of_open_items_only_deletes_nothing() {
    for tool in ["openproject", "leantime"] {
        let (world, common) = synced(OpenProjectOptions::default()).await;
        for task in world.tasks(common.hub).await.into_values().take(10) {
            world.edit(task.id, Field::Status, Value::Status(Status::Done)).await;
        }
        world.settle().await;
        if tool == "openproject" {
            let closed = world.openproject.status_id("Closed").unwrap();
            let items = world.openproject.work_packages().into_iter();
            let closed = items.filter(|item| item.status_id == closed);
            let closed: Vec<i64> = closed.map(|item| i64::try_from(item.id).unwrap()).collect();
            let listing = CallMatcher::any().method("GET").path_ends_with("/work_packages");
            let rule = FaultRule::new(listing, without(closed)).always();
            world.openproject.faults().inject(rule);
            nothing_is_deleted(&world, common, world.op, &[&lacking(10)]).await;
        } else {
            let tickets = world.leantime.tickets().into_iter();
            let done = tickets.filter(|row| row.status == 0).map(|row| row.id).collect();
            let listing = CallMatcher::any().rpc("leantime.rpc.Tickets.getAll");
            let rule = FaultRule::new(listing, without(done)).always();
            world.leantime.faults().inject(rule);
            nothing_is_deleted(&world, common, world.lt, &[&lacking(10)]).await;
        }
    }
}

#[tokio::test]
async fn an_error_on_page_three_deletes_nothing() {
    let (world, common) = synced(OpenProjectOptions::default().page_size_max(7)).await;
    let pages = CallMatcher::any().method("GET").path_ends_with("/work_packages");
    world
        .openproject
        .faults()
        .inject(FaultRule::new(pages, Fault::status(500, "oh no")).after(2).always());
    nothing_is_deleted(&world, common, world.op, &["500"]).await;

    let (world, common) = synced(OpenProjectOptions::default()).await;
    let listing = CallMatcher::any().rpc("leantime.rpc.Tickets.getAll");
    world
        .leantime
        .faults()
        .inject(FaultRule::new(listing, Fault::status(500, "oh no")).always());
    nothing_is_deleted(&world, common, world.lt, &["500"]).await;
}

#[tokio::test]
async fn a_true_deletion_of_three_is_recognised_under_each_policy() {
    for policy in [DeletionPolicy::Keep, DeletionPolicy::Archive, DeletionPolicy::Delete] {
        for tool in ["openproject", "leantime"] {
            if (tool, policy) == ("openproject", DeletionPolicy::Archive) {
                continue; // refused in the settings: OpenProject has no archive for work packages
            }
            let (world, common) = synced(OpenProjectOptions::default()).await;
            let connection = if tool == "openproject" { world.op } else { world.lt };
            let mut settings = world.store.connection(connection).await.unwrap().unwrap();
            settings.options.deletions = policy;
            world.store.save_connection(settings).await.unwrap();
            if tool == "openproject" {
                for item in world.openproject.work_packages().iter().take(3) {
                    world.openproject.delete_work_package(item.id);
                }
            } else {
                for ticket in world.leantime.tickets().iter().take(3) {
                    world.leantime.delete_ticket(ticket.id);
                }
            }
            for _ in 0..2 {
                let run = world.sync(connection).await;
                assert_eq!(run.state, RunState::Completed, "{run:?}");
            }
            let tasks = world.tasks(common.hub).await;
            let deleted = tasks.values().filter(|task| task.is_deleted()).count();
            let archived = tasks.values().filter(|task| task.archived_at.is_some()).count();
            let expected = match policy {
                DeletionPolicy::Keep => (0, 0),
                DeletionPolicy::Archive => (0, 3),
                DeletionPolicy::Delete => (3, 0),
            };
            assert_eq!((deleted, archived), expected, "{tool} {policy}");
            let links = world.store.links(connection).await.unwrap();
            let gone = links.iter().filter(|link| link.state == LinkState::GoneRemote).count();
            assert_eq!(gone, 3, "{tool} {policy}");
        }
    }
}

/// Sixty of two hundred vanish in the tool: the run that would believe it halts, and what is looked at is what is done.
#[tokio::test]
async fn sixty_of_two_hundred_halt_and_what_changed_since_is_spared() {
    for tool in ["openproject", "leantime"] {
        let (world, common) = synced_with(OpenProjectOptions::default(), 200).await;
        let connection = if tool == "openproject" { world.op } else { world.lt };
        let links = world.links(connection).await;
        let (deleted, spared) = (&links[..60], links[0].task_id);
        for link in deleted {
            let id: u64 = link.external_id.as_str().parse().unwrap();
            if tool == "openproject" {
                world.openproject.delete_work_package(id);
            } else {
                world.leantime.delete_ticket(i64::try_from(id).unwrap());
            }
        }
        let first = world.sync(connection).await;
        assert_eq!(
            first.state,
            RunState::Completed,
            "seen once, not yet believed: {first:?}"
        );
        let before = world.writes();
        let halted = world.sync(connection).await;
        assert_eq!(halted.state, RunState::Halted, "{tool}: {halted:?}");
        assert!(words(&halted).contains("60 deletions"), "{}", words(&halted));
        assert_eq!(world.writes(), before, "{tool}: nothing was written");

        world
            .edit(spared, Field::Description, Value::text("still needed"))
            .await;
        let confirmed = world.orchestrator.start(halted.confirmation()).await.unwrap();
        let confirmed = confirmed.wait().await.unwrap();
        assert_eq!(confirmed.state, RunState::Completed, "{tool}: {confirmed:?}");
        let tasks = world.tasks(common.hub).await;
        let gone = tasks.values().filter(|task| task.is_deleted()).count();
        assert_eq!(gone, 59, "{tool}: the one that was edited stays");
        assert!(!tasks[&spared].is_deleted(), "{tool}");
    }
}

/// A run carries out a small plan. While its one write is on its way, somebody deletes sixty of two hundred tasks in the
/// hub: the run leaves them alone, says so, and the next one halts with the plan.
#[tokio::test]
async fn sixty_that_are_deleted_while_a_run_goes_on_are_not_deleted_unseen() {
    let (world, common) = synced_with(OpenProjectOptions::default(), 200).await;
    let edited = world.task(common.hub, "task 199").await.id;
    world.edit(edited, Field::Description, Value::text("new")).await;
    let gate = Gate::default();
    let held = FaultRule::new(CallMatcher::any().method("PATCH"), Fault::Hold(gate.clone()));
    world.openproject.faults().inject(held);
    let request = RunRequest::new(world.op);
    let run = world.orchestrator.start(request).await.unwrap();
    gate.reached(1).await;
    for number in 0..60 {
        let task = world.task(common.hub, &format!("task {number}")).await;
        world.delete(task.id).await;
    }
    gate.open();
    let run = run.wait().await.unwrap();
    assert_eq!(run.state, RunState::Partial, "{run:#?}");
    assert_eq!(world.openproject.work_packages().len(), 200);
    let left: Vec<_> = run
        .report
        .items
        .iter()
        .filter(|item| item.reason == Some(SkipReason::Guard))
        .collect();
    assert_eq!(left.len(), 60);
    assert!(words(&run).contains("60 deletions (of 200)"), "{}", words(&run));
    let next = world.sync(world.op).await;
    assert_eq!(next.state, RunState::Halted, "{next:#?}");
    assert_eq!(world.openproject.work_packages().len(), 200);
}
