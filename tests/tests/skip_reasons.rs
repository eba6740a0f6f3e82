//! Each reason for which an item is left alone, provoked on the real adapters. The last test sees to it that none is
//! missing here.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod support;

use std::collections::BTreeSet;

use magnus_core::model::{
    ConnectionId, ConnectionSettings, DeletionPolicy, Direction, Field, ProjectPolicy, Run, RunRequest, SkipReason,
    ToolName, Trigger, Value,
};
use magnus_core::secret::SecretStore;
use magnus_testkit::sim::{CallMatcher, Fault, FaultRule, Gate};
use secrecy::SecretString;
use support::{Common, Setup, World};

async fn world(settings: fn(&mut ConnectionSettings)) -> (World, Common) {
    let world = World::with(Setup {
        settings,
        ..Setup::default()
    })
    .await;
    let common = world.common_project("Common").await;
    (world, common)
}

/// A world with one item that is linked with OpenProject, by its id there.
async fn linked(settings: fn(&mut ConnectionSettings)) -> (World, Common, u64) {
    let (world, common) = world(settings).await;
    let id = world.openproject.create_work_package(common.op, "task");
    world.complete(world.op).await;
    (world, common, id)
}

#[track_caller]
fn says(run: &Run, code: SkipReason) {
    let codes: BTreeSet<SkipReason> = run.report.items.iter().filter_map(|item| item.reason).collect();
    assert!(codes.contains(&code), "{code} is not among {codes:?} of {run:#?}");
    let told =
        |item: &magnus_core::model::ItemOutcome| item.reason == Some(code) && item.detail.contains(code.as_str());
    assert!(run.report.items.iter().any(told), "{:#?}", run.report.items);
}

fn patch_is_refused(fields: &str) -> FaultRule {
    let body = format!(
        r#"{{"_type":"Error","errorIdentifier":"urn:openproject-org:api:v3:errors:PropertyConstraintViolation",
            "message":"No.","_embedded":{{"details":{{{fields}}}}}}}"#
    );
    FaultRule::new(CallMatcher::any().method("PATCH"), Fault::status(422, body))
}

async fn run(world: &World, request: RunRequest) -> Run {
    world.orchestrator.start(request).await.unwrap().wait().await.unwrap()
}

async fn sync_by(world: &World, trigger: Trigger) -> Run {
    run(world, RunRequest::new(world.op).trigger(trigger)).await
}

#[tokio::test]
async fn direction() {
    let (world, common) = world(|settings| settings.direction = Direction::Pull).await;
    world.add(common.hub, "only here").await;
    says(&world.sync(world.op).await, SkipReason::Direction);
}

#[tokio::test]
async fn ambiguous_match() {
    let (world, common) = world(|_| {}).await;
    world.add(common.hub, "twin").await;
    world.add(common.hub, "twin").await;
    world.openproject.create_work_package(common.op, "twin");
    says(&world.sync(world.op).await, SkipReason::AmbiguousMatch);
}

#[tokio::test]
async fn incomplete_listing() {
    let (world, common) = world(|_| {}).await;
    let other = world.common_project("Other").await;
    world.add(common.hub, "new").await;
    let listing = CallMatcher::any().method("GET").when(move |call| {
        call.path.contains("work_packages") && (call.path.clone() + &call.query).contains(&other.op.to_string())
    });
    world
        .openproject
        .faults()
        .inject(FaultRule::new(listing, Fault::status(500, "broken")).always());
    says(&world.sync(world.op).await, SkipReason::IncompleteListing);
}

#[tokio::test]
async fn unsettled_and_create_unsettled() {
    let (world, common) = world(|_| {}).await;
    world.add(common.hub, "sent").await;
    let create = CallMatcher::any().method("POST").path_ends_with("/work_packages");
    world
        .openproject
        .faults()
        .inject(FaultRule::new(create, Fault::LoseRequest).always());
    world.sync(world.op).await;
    world.openproject.faults().clear();
    world.openproject.create_work_package(common.op, "new there");
    let run = world.sync(world.op).await;
    says(&run, SkipReason::Unsettled);
    says(&run, SkipReason::CreateUnsettled);
}

#[tokio::test]
async fn uncertain() {
    let (world, common) = world(|_| {}).await;
    world.add(common.hub, "sent").await;
    let create = CallMatcher::any().method("POST").path_ends_with("/work_packages");
    world
        .openproject
        .faults()
        .inject(FaultRule::new(create, Fault::LoseAnswer));
    world.sync(world.op).await;
    let made = world.openproject.work_packages()[0].id;
    world
        .openproject
        .edit_work_package(made, |item| item.subject = "renamed".to_owned());
    says(&world.sync(world.op).await, SkipReason::Uncertain);
    says(&world.sync(world.op).await, SkipReason::Uncertain);
}

#[tokio::test]
async fn absence_unproven() {
    let (world, common, id) = linked(|_| {}).await;
    world.openproject.delete_work_package(id);
    let body = r#"{"_type":"Error","errorIdentifier":"urn:openproject-org:api:v3:errors:NotFound","message":"?"}"#;
    let project = CallMatcher::any()
        .method("GET")
        .path_ends_with(&format!("/projects/{}", common.op));
    world
        .openproject
        .faults()
        .inject(FaultRule::new(project, Fault::status(404, body)).always());
    says(&world.sync(world.op).await, SkipReason::AbsenceUnproven);
}

#[tokio::test]
async fn unholdable() {
    let (world, common, _) = linked(|_| {}).await;
    let task = world.task(common.hub, "task").await;
    world.edit(task.id, Field::Title, Value::text("é".repeat(300))).await;
    says(&world.sync(world.op).await, SkipReason::Unholdable);
}

#[tokio::test]
async fn unresolved() {
    let (world, _, id) = linked(|settings| settings.options.projects = ProjectPolicy::Mapped).await;
    let elsewhere = world.openproject.create_project("Elsewhere", "elsewhere");
    let parent = world.openproject.create_work_package(elsewhere, "parent");
    world
        .openproject
        .edit_work_package(id, |item| item.parent_id = Some(parent));
    says(&world.sync(world.op).await, SkipReason::Unresolved);
}

#[tokio::test]
async fn refused() {
    let (world, common, _) = linked(|_| {}).await;
    let task = world.task(common.hub, "task").await;
    world.edit(task.id, Field::Title, Value::text("refused")).await;
    world
        .openproject
        .faults()
        .inject(patch_is_refused(r#""attribute":"subject""#).always());
    says(&world.sync(world.op).await, SkipReason::Refused);
}

#[tokio::test]
async fn computed_by_tool() {
    let (world, common, parent) = linked(|_| {}).await;
    world
        .openproject
        .create_work_package_with(common.op, "child", |item| item.parent_id = Some(parent));
    world
        .openproject
        .edit_work_package(parent, |item| item.schedule_manually = false);
    world.complete(world.op).await;
    let task = world.task(common.hub, "task").await;
    let due = "2026-12-24".parse().unwrap();
    world.edit(task.id, Field::DueDate, Value::Date(due)).await;
    says(&world.sync(world.op).await, SkipReason::ComputedByTool);
}

#[tokio::test]
async fn conflict() {
    let (world, common, id) = linked(|_| {}).await;
    let task = world.task(common.hub, "task").await;
    world.edit(task.id, Field::Title, Value::text("of the hub")).await;
    world
        .openproject
        .edit_work_package(id, |item| item.subject = "of the tool".to_owned());
    world.sync(world.op).await;
    says(&world.sync(world.op).await, SkipReason::Conflict);
}

#[tokio::test]
async fn oscillating() {
    let (world, common, id) = linked(|_| {}).await;
    let task = world.task(common.hub, "task").await.id;
    let ours = Value::text("ours");
    for _ in 0..2 {
        world.edit(task, Field::Title, ours.clone()).await;
        world.complete(world.op).await;
        world
            .openproject
            .edit_work_package(id, |item| item.subject = "theirs".to_owned());
        world.complete(world.op).await;
    }
    world.edit(task, Field::Title, ours).await;
    says(&world.sync(world.op).await, SkipReason::Oscillating);
    says(&world.complete(world.op).await, SkipReason::Oscillating);
    assert_eq!(world.openproject.work_package(id).unwrap().subject, "theirs");
}

#[tokio::test]
async fn milestone() {
    let (world, common) = world(|_| {}).await;
    world
        .leantime
        .create_ticket_with(common.lt, "goal", |ticket| ticket.kind = "milestone".to_owned());
    says(&world.sync(world.lt).await, SkipReason::Milestone);
}

#[tokio::test]
async fn children_in_tool() {
    let (world, common, parent) = linked(|settings| settings.options.deletions = DeletionPolicy::Delete).await;
    let task = world.task(common.hub, "task").await;
    world.delete(task.id).await;
    world
        .openproject
        .create_work_package_with(common.op, "child", |item| item.parent_id = Some(parent));
    says(&world.sync(world.op).await, SkipReason::ChildrenInTool);
    assert_eq!(world.openproject.work_packages().len(), 2);
}

/// A task whose every write is refused as a whole.
async fn poisoned() -> World {
    let (world, common, _) = linked(|_| {}).await;
    let task = world.task(common.hub, "task").await;
    world.edit(task.id, Field::Title, Value::text("refused")).await;
    world.openproject.faults().inject(patch_is_refused("").always());
    world
}

#[tokio::test]
async fn backoff() {
    let world = poisoned().await;
    sync_by(&world, Trigger::Schedule).await;
    says(&sync_by(&world, Trigger::Schedule).await, SkipReason::Backoff);
}

#[tokio::test]
async fn quarantined() {
    let world = poisoned().await;
    for _ in 0..5 {
        world.sync(world.op).await;
    }
    says(&world.sync(world.op).await, SkipReason::Quarantined);
}

#[tokio::test]
async fn gone_in_tool() {
    let (world, _, id) = linked(|_| {}).await;
    world.openproject.delete_work_package(id);
    says(&world.sync(world.op).await, SkipReason::GoneInTool);
}

#[tokio::test]
async fn gone_in_hub() {
    let (world, common, _) = linked(|_| {}).await;
    world.delete(world.task(common.hub, "task").await.id).await;
    says(&world.sync(world.op).await, SkipReason::GoneInHub);
}

#[tokio::test]
async fn out_of_scope() {
    let (world, _, id) = linked(|settings| settings.options.projects = ProjectPolicy::Mapped).await;
    let elsewhere = world.openproject.create_project("Elsewhere", "elsewhere");
    world.openproject.move_work_package(id, elsewhere);
    says(&world.sync(world.op).await, SkipReason::OutOfScope);
}

#[tokio::test]
async fn changed_since() {
    let (world, common) = world(|_| {}).await;
    world.openproject.create_work_package(common.op, "task");
    let pulled = world.complete(world.op).await;
    let task = world.task(common.hub, "task").await;
    world.edit(task.id, Field::Title, Value::text("worked on")).await;
    let undone = run(&world, RunRequest::undoing(world.op, pulled.id)).await;
    says(&undone, SkipReason::ChangedSince);
}

#[tokio::test]
async fn cannot_undo() {
    let (world, common, _) = linked(|settings| settings.options.deletions = DeletionPolicy::Delete).await;
    world.delete(world.task(common.hub, "task").await.id).await;
    let deleted = world.complete(world.op).await;
    let undone = run(&world, RunRequest::undoing(world.op, deleted.id)).await;
    says(&undone, SkipReason::CannotUndo);
}

#[tokio::test]
async fn not_mapped() {
    let (world, _) = world(|settings| settings.options.projects = ProjectPolicy::Mapped).await;
    world.openproject.create_project("Elsewhere", "elsewhere");
    says(&world.sync(world.op).await, SkipReason::NotMapped);
}

#[tokio::test]
async fn project_closed() {
    let (world, _) = world(|_| {}).await;
    let closed = world.leantime.create_project("Closed");
    world.leantime.edit_project(closed, |project| project.state = Some(-1));
    says(&world.sync(world.lt).await, SkipReason::ProjectClosed);
}

#[tokio::test]
async fn synced_elsewhere() {
    let (world, _) = world(|_| {}).await;
    let second = second_connection(&world).await;
    says(&world.sync(second).await, SkipReason::SyncedElsewhere);
}

async fn second_connection(world: &World) -> ConnectionId {
    let now = magnus_core::clock::Clock::now(&magnus_core::clock::SystemClock);
    let settings = ConnectionSettings::new(ToolName::new("openproject"), "again", "https://openproject.test/", now);
    let settings = world.store.save_connection(settings).await.unwrap();
    let key = SecretString::from(world.openproject.api_key());
    world.keys.put(settings.id, key).await.unwrap();
    settings.id
}

/// Many tasks are deleted in the hub while a run goes on that was looked at before.
#[tokio::test]
async fn guard() {
    let (world, common) = world(|settings| settings.options.deletions = DeletionPolicy::Delete).await;
    for number in 0..30 {
        let title = format!("task {number}");
        world.openproject.create_work_package(common.op, &title);
    }
    world.complete(world.op).await;
    let edited = world.task(common.hub, "task 29").await.id;
    world.edit(edited, Field::Description, Value::text("new")).await;
    let gate = Gate::default();
    let held = FaultRule::new(CallMatcher::any().method("PATCH"), Fault::Hold(gate.clone()));
    world.openproject.faults().inject(held);
    let run = world.orchestrator.start(RunRequest::new(world.op)).await.unwrap();
    gate.reached(1).await;
    for number in 0..26 {
        world
            .delete(world.task(common.hub, &format!("task {number}")).await.id)
            .await;
    }
    gate.open();
    says(&run.wait().await.unwrap(), SkipReason::Guard);
    assert_eq!(world.openproject.work_packages().len(), 30);
}

#[test]
fn every_reason_is_provoked_here() {
    let tests = include_str!("skip_reasons.rs");
    for code in SkipReason::ALL {
        let named = tests.lines().any(|line| {
            line.starts_with("async fn ")
                && line
                    .trim_start_matches("async fn ")
                    .split("()")
                    .next()
                    .is_some_and(|name| {
                        name == code.as_str()
                            || name.ends_with(&format!("_and_{code}"))
                            || name.starts_with(&format!("{code}_and"))
                    })
        });
        assert!(named, "no test is named for {code}");
        assert!(
            tests.contains(&format!("SkipReason::{code:?}")),
            "{code} is not asked for"
        );
    }
}
