//! What the service that Magnus replaces got wrong: each defect, with the tests that fail if Magnus does the same.
//!
//! The 29th is about breaking tasks down by a language model and has no place among syncs.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use magnus_core::model::{
    ConnectionId, ConnectionSettings, Field, Priority, RunRequest, RunState, SkipReason, Status, ToolName, Value,
};
use magnus_core::secret::SecretStore;
use magnus_core::store::TaskQuery;
use magnus_sqlite::SqliteStore;
use magnus_testkit::sim::{CallMatcher, Fault, FaultRule, Gate};
use secrecy::SecretString;
use support::{Setup, World};

/// Number, what went wrong, and the tests.
const DEFECTS: [(u8, &str, &[&str]); 29] = [
    (
        1,
        "no paging: 20 of 500 tasks and 20 of 50 projects, and completed",
        &[
            "five_hundred_tasks_arrive_through_pages_of_twenty_closed_ones_too",
            "projects_come_in_pages_too",
        ],
    ),
    (
        2,
        "closed tasks were hidden, and what was closed stayed open",
        &[
            "closed_items_are_listed_too",
            "what_is_closed_on_one_side_is_closed_on_all",
        ],
    ),
    (
        3,
        "a task deleted in the tool stayed for ever",
        &["a_true_deletion_of_three_is_recognised_under_each_policy"],
    ),
    (
        4,
        "due date, assignee and estimate were not stored",
        &[
            "a_date_is_the_same_calendar_date_on_all_sides_in_every_zone_over_clock_changes",
            "people_are_told_by_the_map_else_their_address_else_a_unique_name",
            "recorded_flows_of_three_versions_reach_the_hub_as_they_were_written",
        ],
    ),
    (
        5,
        "unknown statuses became todo, unknown priorities medium",
        &[
            "an_unknown_status_is_told_by_whether_it_is_closed_and_kept_until_the_hub_moves_it",
            "an_inactive_priority_is_read_but_not_written",
        ],
    ),
    (
        6,
        "status and priority were never pushed, and a local done was undone by the next edit",
        &["what_is_closed_on_one_side_is_closed_on_all"],
    ),
    (
        7,
        "one of two edits was lost without a record",
        &[
            "edits_on_three_sides_meet_and_a_true_conflict_is_held",
            "a_change_names_the_version_it_was_decided_on_and_a_later_one_is_a_conflict",
        ],
    ),
    (
        8,
        "a cleared description was never pushed",
        &[
            "different_fields_of_one_item_merge_and_a_clear_is_carried",
            "fields_are_cleared_by_null",
        ],
    ),
    (
        9,
        "a mapped project without a description erased the tool's",
        &["projects_in_the_tools_are_never_written"],
    ),
    (
        10,
        "a local deletion was undone",
        &["a_deletion_is_kept_by_default_and_never_comes_back_as_new"],
    ),
    (
        11,
        "two pulls at once: 397 rows for 200 tasks",
        &["twenty_starts_at_once_are_one_run_or_one_and_one_queued"],
    ),
    (
        12,
        "two two-way syncs at once: 40 creates for 20 tasks",
        &[
            "twenty_starts_in_two_processes_never_run_a_connection_twice_at_once",
            "two_tools_with_150_equal_tasks_of_200_each_make_250_and_none_twice",
        ],
    ),
    (
        13,
        "a refused create stored an empty id, and each later sync made another copy",
        &["a_refused_create_links_nothing_and_is_made_once_when_it_is_accepted"],
    ),
    (
        14,
        "two connections to one instance: 10 rows for 5 tasks",
        &[
            "one_instance_connected_twice_is_held_once_even_if_both_are_synced_at_the_same_time",
            "a_connection_that_is_switched_on_again_leaves_alone_what_another_one_syncs",
        ],
    ),
    (
        15,
        "runs that died stayed in progress",
        &["a_process_that_starts_after_another_died_marks_its_run_and_resumes_it"],
    ),
    (
        16,
        "HTTP 500 on a list read as an empty list, and completed",
        &[
            "a_tool_that_answers_500_to_every_call_fails_the_run_and_nothing_stays_in_progress",
            "an_error_on_page_three_deletes_nothing",
        ],
    ),
    (
        17,
        "a dead host, and completed without an error",
        &["a_tool_that_is_down_fails_the_run_with_its_reason_and_changes_nothing"],
    ),
    (
        18,
        "a refused change counted as updated",
        &["a_refused_change_is_a_failed_item_and_never_an_updated_one"],
    ),
    (
        19,
        "an unknown connection was started",
        &[
            "names_that_nobody_has_are_answered_with_those_that_are_there",
            "an_unknown_id_is_404_and_a_malformed_one_400",
        ],
    ),
    (
        20,
        "a misspelt direction became two-way, and wrote",
        &[
            "names_that_nobody_has_are_answered_with_those_that_are_there",
            "parameters_that_make_no_sense_are_422_and_named",
        ],
    ),
    (
        21,
        "killed: 198 of 3,000 rows, an orphan, nothing resumed",
        &[
            "killed_at_random_moments_it_doubles_nothing_loses_nothing_and_goes_on_by_itself_on_sqlite",
            "a_crash_or_a_lost_answer_at_any_step_ends_as_the_undisturbed_run_on_sqlite",
        ],
    ),
    (
        22,
        "an unchanged sync wrote every row and sent two requests per task",
        &["an_unchanged_sync_of_a_thousand_tasks_writes_nothing_and_asks_little"],
    ),
    (
        23,
        "all were synced one after the other, and one that failed stopped the rest",
        &[
            "syncing_all_takes_as_long_as_the_slower_tool_alone",
            "one_connection_that_fails_does_not_stop_the_others",
        ],
    ),
    (
        24,
        "the database was held while a tool was waited for",
        &["a_tool_that_is_waited_for_does_not_hold_the_hub"],
    ),
    (
        25,
        "a changed URL or key was not seen until a restart",
        &["changed_settings_are_used_by_the_next_run"],
    ),
    (
        26,
        "switched off connections and the direction of a mapping were ignored",
        &[
            "a_wider_direction_is_refused_and_a_switched_off_connection_too",
            "a_run_does_only_what_direction_and_request_allow",
        ],
    ),
    (
        27,
        "keys in plain text, given to anyone",
        &[
            "key_stands_in_no_file_and_in_no_text",
            "a_connection_is_tested_kept_and_shown_without_its_key",
        ],
    ),
    (
        28,
        "the migration that was shipped did not fit the code",
        &[
            "old_layout_is_upgraded_in_its_place",
            "new_layout_is_upgraded_in_its_place",
        ],
    ),
    (
        30,
        "every status of Leantime mapped wrongly, every write refused and counted as done, tasks of all projects mixed",
        &[
            "recorded_flows_of_three_versions_reach_the_hub_as_they_were_written",
            "both_sides_are_equal_after_a_run_and_the_next_one_is_quiet_in_every_dialect",
            "a_real_listing_of_1010_tickets_reaches_the_hub_whole",
        ],
    ),
];

/// Names of the tests in the sources below a folder.
fn tests_below(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let (name, path) = (entry.file_name(), entry.path());
        let no_source = name == "target" || name.to_string_lossy().starts_with('.');
        if path.is_dir() {
            if !no_source {
                tests_below(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = std::fs::read_to_string(&path).unwrap();
            let mut is_test = false;
            for line in source.lines().map(str::trim) {
                if line.starts_with("#[test") || line.starts_with("#[tokio::test") {
                    is_test = true;
                } else if let Some(name) = line.trim_start_matches("async ").strip_prefix("fn ") {
                    if is_test {
                        found.extend(name.split_once('(').map(|(name, _)| name.to_owned()));
                    }
                    is_test = false;
                }
            }
        }
    }
}

#[test]
fn every_defect_of_the_predecessor_has_its_tests() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut tests = BTreeSet::new();
    tests_below(root, &mut tests);
    let numbers: Vec<u8> = DEFECTS.iter().map(|(number, _, _)| *number).collect();
    assert_eq!(numbers, (1..=28).chain([30]).collect::<Vec<u8>>());
    for (number, defect, names) in DEFECTS {
        assert!(!names.is_empty(), "{number}, {defect}: no test");
        for name in names {
            assert!(tests.contains(*name), "{number}, {defect}: there is no test {name}");
        }
    }
}

/// A connection to the simulated OpenProject, beside the one that is there.
async fn another_connection(world: &World, url: &str) -> ConnectionId {
    let now = magnus_core::clock::Clock::now(&magnus_core::clock::SystemClock);
    let settings = ConnectionSettings::new(ToolName::new("openproject"), "the other one", url, now);
    let settings = world.store.save_connection(settings).await.unwrap();
    let key = SecretString::from(world.openproject.api_key());
    world.keys.put(settings.id, key).await.unwrap();
    settings.id
}

async fn on_disk() -> (World, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hub.db");
    let store = SqliteStore::open(path.to_str().unwrap()).await.unwrap();
    let world = World::with(Setup {
        store: Some(Arc::new(store)),
        ..Setup::default()
    })
    .await;
    (world, directory)
}

async fn hub_tasks(world: &World) -> u64 {
    world.store.query_tasks(TaskQuery::default()).await.unwrap().total
}

#[tokio::test]
async fn what_is_closed_on_one_side_is_closed_on_all() {
    let world = World::new().await;
    let common = world.common_project("Common").await;
    let ours = world.openproject.create_work_package(common.op, "closed in the hub");
    let theirs = world.openproject.create_work_package(common.op, "closed in the tool");
    world.settle().await;
    let task = world.task(common.hub, "closed in the hub").await;
    world.edit(task.id, Field::Status, Value::Status(Status::Done)).await;
    world
        .edit(task.id, Field::Priority, Value::Priority(Priority::Critical))
        .await;
    // The edit that came next undid it.
    world
        .openproject
        .edit_work_package(ours, |item| item.description = "edited".to_owned());
    let closed = world.openproject.status_id("Closed").unwrap();
    world
        .openproject
        .edit_work_package(theirs, |item| item.status_id = closed);
    world.settle().await;

    let item = world.openproject.work_package(ours).unwrap();
    assert_eq!(
        (item.status_id, item.priority_id, item.description.as_str()),
        (closed, world.openproject.priority_id("Immediate").unwrap(), "edited")
    );
    for title in ["closed in the hub", "closed in the tool"] {
        assert_eq!(world.task(common.hub, title).await.status, Status::Done, "{title}");
        let tickets = world.leantime.tickets();
        let ticket = tickets
            .iter()
            .find(|ticket| ticket.headline.as_deref() == Some(title))
            .unwrap();
        assert_eq!(ticket.status, 0, "{title}");
    }
}

#[tokio::test]
async fn projects_in_the_tools_are_never_written() {
    let world = World::new().await;
    let common = world.common_project("Common").await;
    world
        .openproject
        .edit_project(common.op, |project| project.description = "**Ours**".to_owned());
    world
        .leantime
        .edit_project(common.lt, |project| project.details = "<p>Ours</p>".to_owned());
    world.add(common.hub, "task").await;
    world.settle().await;
    let projects = (world.openproject.projects(), world.leantime.projects());
    assert_eq!(
        projects
            .0
            .iter()
            .find(|found| found.id == common.op)
            .unwrap()
            .description,
        "**Ours**"
    );
    assert_eq!(
        projects.1.iter().find(|found| found.id == common.lt).unwrap().details,
        "<p>Ours</p>"
    );
    for (method, route) in world.openproject.requests().into_keys() {
        assert!(
            method == "GET" || !(route.ends_with("/projects") || route.ends_with("/projects/{id}")),
            "{method} {route} writes a project"
        );
    }
    let asked = world.leantime.requests().methods;
    assert!(asked.contains_key("Tickets.addTicket"), "{asked:?}");
    let reads = ["getAll", "getProject", "getUsersAssignedToProject"];
    for method in asked.keys().filter_map(|method| method.strip_prefix("Projects.")) {
        assert!(reads.contains(&method), "Projects.{method}");
    }
}

#[tokio::test]
async fn a_refused_create_links_nothing_and_is_made_once_when_it_is_accepted() {
    let world = World::new().await;
    let common = world.common_project("Common").await;
    world.complete(world.op).await;
    world.add(common.hub, "refused").await;
    let refusal = r#"{"_type":"Error","errorIdentifier":"urn:openproject-org:api:v3:errors:PropertyConstraintViolation",
        "message":"The cost centre can't be blank.","_embedded":{"details":{"attribute":"customField7"}}}"#;
    world.openproject.faults().inject(
        FaultRule::new(
            CallMatcher::any().method("POST").path_ends_with("/work_packages"),
            Fault::status(422, refusal),
        )
        .always(),
    );
    for _ in 0..3 {
        let run = world.sync(world.op).await;
        let counts = run.report.counts.tasks;
        assert_eq!((counts.created, counts.failed), (0, 1), "{run:#?}");
        assert_ne!(run.state, RunState::Completed);
        assert!(world.links(world.op).await.is_empty());
    }
    assert!(world.openproject.work_packages().is_empty());
    world.openproject.faults().clear();
    world.settle().await;
    world.settle().await;
    assert_eq!(world.openproject.work_packages().len(), 1);
    assert_eq!((world.links(world.op).await.len(), hub_tasks(&world).await), (1, 1));
}

#[tokio::test]
async fn one_instance_connected_twice_is_held_once_even_if_both_are_synced_at_the_same_time() {
    let (world, _directory) = on_disk().await;
    let other = another_connection(&world, "HTTPS://OpenProject.test:443/").await;
    let project = world.openproject.create_project("Garden", "garden");
    for number in 0..5 {
        world
            .openproject
            .create_work_package(project, &format!("task {number}"));
    }
    // Both have read the list of projects before either takes one over.
    let gate = Gate::default();
    world.openproject.faults().inject(
        FaultRule::new(
            CallMatcher::any().path_ends_with("/projects"),
            Fault::Hold(gate.clone()),
        )
        .times(2),
    );
    let first = world.orchestrator.start(RunRequest::new(world.op)).await.unwrap();
    let second = world.orchestrator.start(RunRequest::new(other)).await.unwrap();
    gate.reached(2).await;
    gate.open();
    let runs = [first.wait().await.unwrap(), second.wait().await.unwrap()];
    assert!(runs.iter().all(|run| run.state == RunState::Completed), "{runs:#?}");
    assert_eq!(hub_tasks(&world).await, 5, "{runs:#?}");
    let reasons = runs.iter().flat_map(|run| &run.report.items);
    assert_eq!(
        reasons
            .filter(|item| item.reason == Some(SkipReason::SyncedElsewhere))
            .count(),
        1,
        "one of them says why it does nothing: {runs:#?}"
    );
    world.shutdown().await;
}

#[tokio::test]
async fn a_connection_that_is_switched_on_again_leaves_alone_what_another_one_syncs() {
    let world = World::new().await;
    let other = another_connection(&world, "https://openproject.test/").await;
    let switch = async |enabled| {
        let mut settings = world.store.connection(world.op).await.unwrap().unwrap();
        settings.enabled = enabled;
        world.store.save_connection(settings).await.unwrap();
    };
    let project = world.openproject.create_project("Garden", "garden");
    world.openproject.create_work_package(project, "task");
    world.complete(world.op).await;
    switch(false).await;
    // Nobody syncs it now, so the other one makes it a project of its own.
    world.complete(other).await;
    assert_eq!(hub_tasks(&world).await, 2);
    switch(true).await;
    world.openproject.create_work_package(project, "a new task");
    let (first, second) = (world.complete(world.op).await, world.complete(other).await);
    assert_eq!(
        hub_tasks(&world).await,
        3,
        "the new task is taken over once: {second:#?}"
    );
    assert_eq!(
        (first.report.counts.tasks.created, second.report.counts.tasks.created),
        (1, 0)
    );
    assert!(
        second
            .report
            .items
            .iter()
            .any(|item| item.reason == Some(SkipReason::SyncedElsewhere) && item.detail.contains("the openproject")),
        "{:#?}",
        second.report.items
    );
}

#[tokio::test]
async fn a_refused_change_is_a_failed_item_and_never_an_updated_one() {
    let world = World::new().await;
    let common = world.common_project("Common").await;
    let item = world.openproject.create_work_package(common.op, "task");
    world.complete(world.op).await;
    let task = world.task(common.hub, "task").await;
    world.edit(task.id, Field::Title, Value::text("renamed")).await;
    let refusal = r#"{"_type":"Error","errorIdentifier":"urn:openproject-org:api:v3:errors:MissingPermission",
        "message":"You are not authorized to access this resource."}"#;
    world
        .openproject
        .faults()
        .inject(FaultRule::new(CallMatcher::any().method("PATCH"), Fault::status(403, refusal)).always());
    let run = world.sync(world.op).await;
    let counts = run.report.counts.tasks;
    assert_eq!((counts.updated, counts.failed), (0, 1), "{run:#?}");
    assert_eq!(run.state, RunState::Partial);
    assert_eq!(world.openproject.work_package(item).unwrap().subject, "task");
    world.openproject.faults().clear();
    assert_eq!(world.complete(world.op).await.report.counts.tasks.updated, 1);
    assert_eq!(world.openproject.work_package(item).unwrap().subject, "renamed");
}

#[tokio::test]
async fn one_connection_that_fails_does_not_stop_the_others() {
    let world = World::new().await;
    let common = world.common_project("Common").await;
    for number in 0..10 {
        world.leantime.create_ticket(common.lt, &format!("task {number}"));
    }
    world
        .openproject
        .faults()
        .inject(FaultRule::new(CallMatcher::any(), Fault::status(500, "oh no")).always());
    let all = world.orchestrator.sync_all(None).await.unwrap();
    let state = |id| {
        let mut states = all.runs.iter().filter(|run| run.connection_id == id);
        states.next().unwrap().state
    };
    assert_eq!(
        (state(world.op), state(world.lt)),
        (RunState::Failed, RunState::Completed)
    );
    assert_eq!(hub_tasks(&world).await, 10);
}

#[tokio::test]
async fn a_tool_that_is_waited_for_does_not_hold_the_hub() {
    let (world, _directory) = on_disk().await;
    let common = world.common_project("Common").await;
    world.openproject.create_work_package(common.op, "task");
    world.settle().await;
    let (gate, task) = (Gate::default(), world.task(common.hub, "task").await);
    world.edit(task.id, Field::Title, Value::text("sent")).await;
    // The write has left and is not answered.
    world.openproject.faults().inject(FaultRule::new(
        CallMatcher::any().method("PATCH"),
        Fault::Hold(gate.clone()),
    ));
    let waiting = world.orchestrator.start(RunRequest::new(world.op)).await.unwrap();
    gate.reached(1).await;
    for number in 0..20 {
        world.add(common.hub, &format!("meanwhile {number}")).await;
        world.edit(task.id, Field::PercentageDone, Value::Percent(number)).await;
    }
    assert_eq!(world.orchestrator.status(20).await.unwrap().in_progress.len(), 1);
    world.complete(world.lt).await;
    assert_eq!(world.leantime.tickets().len(), 21);
    gate.open();
    assert_eq!(waiting.wait().await.unwrap().state, RunState::Completed);
    world.settle().await;
    assert_eq!(world.task(common.hub, "sent").await.percentage_done, Some(19));
    world.shutdown().await;
}

#[tokio::test]
async fn changed_settings_are_used_by_the_next_run() {
    let world = World::new().await;
    let common = world.common_project("Common").await;
    world.openproject.create_work_package(common.op, "task");
    let move_to = async |url: &str| {
        let mut settings = world.store.connection(world.op).await.unwrap().unwrap();
        url.clone_into(&mut settings.url);
        world.store.save_connection(settings).await.unwrap();
    };
    move_to("https://openproject.test/nothing-is-here").await;
    assert_eq!(world.sync(world.op).await.state, RunState::Failed);
    move_to("https://openproject.test").await;
    world.complete(world.op).await;
    assert_eq!(hub_tasks(&world).await, 1);
}
