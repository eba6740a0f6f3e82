//! One test per trap of the tool that no other file covers; `TRAPS.md` lists them all.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "support/bench.rs"]
mod bench;
mod support;

use std::time::Duration;

use bench::Bench;
use magnus_core::connection::{
    ConnectionErrorKind as Kind, CreateTask, Decoded, Encoded, ListTasks, Outcome, ProjectReading, RemoteWrite,
};
use magnus_core::model::{ConnectionOptions, DeletionPolicy, Field, RemoteValue, RunState, Status, Task, Value};
use magnus_testkit::sim::leantime::{Dialect, LeantimeOptions, LeantimeSimulator, StatusLabel, Ticket};
use magnus_testkit::sim::{CallMatcher, Fault, FaultRule};
use serde_json::json;
use support::{create, id, instance, number, open, update, written};

async fn hub_task(bench: &Bench, title: &str) -> Task {
    let tasks = bench.tasks().await;
    tasks.into_iter().find(|task| task.title == title).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_refused_is_left_alone_before_the_lock_out() {
    let simulator = LeantimeSimulator::new(LeantimeOptions::default());
    let wrong = open(simulator.router(), "lt_no_no", ConnectionOptions::default()).await;
    for _ in 0..100 {
        assert_eq!(wrong.check().await.unwrap_err().kind(), Kind::Unauthorized);
    }
    assert_eq!(simulator.requests().http, 10, "then nothing is sent for a while");
    let right = open(simulator.router(), simulator.api_key(), ConnectionOptions::default()).await;
    right.check().await.unwrap();
    tokio::time::advance(Duration::from_secs(61)).await;
    simulator.reset_counts();
    wrong.check().await.unwrap_err();
    assert_eq!(simulator.requests().http, 1, "a database that was away may be back");
}

#[tokio::test(start_paused = true)]
async fn a_database_outage_during_a_run_changes_nothing_and_heals() {
    let bench = Bench::new(Dialect::V398, |settings| {
        settings.options.deletions = DeletionPolicy::Delete;
    })
    .await;
    bench.simulator.create_ticket(bench.project, "t");
    bench.sync().await;
    bench.simulator.set_database_down(true);
    bench.try_sync().await.unwrap_err();
    bench.simulator.set_database_down(false);
    tokio::time::advance(Duration::from_secs(61)).await;
    bench.is_quiet().await;
    assert_eq!(bench.tasks().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn outer_whitespace_that_the_tool_trims_is_no_edit() {
    let bench = Bench::new(Dialect::V398, |_| {}).await;
    let mut task = Task::new(bench.hub, "\u{a0} padded \u{200b}", chrono::Utc::now());
    task.description = Some("\n\n  text \n\n".to_owned());
    bench.put(task.clone(), true).await;
    bench.sync().await;
    let ticket = bench.simulator.tickets().remove(0);
    assert_eq!(ticket.headline.as_deref(), Some("padded"));
    assert_eq!(hub_task(&bench, &task.title).await.description, task.description);
    bench.is_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn clearing_a_field_sends_a_null_in_the_values_and_never_a_null_parameter() {
    for dialect in Dialect::ALL {
        let (simulator, project, connection) = instance(dialect).await;
        let task = simulator.create_ticket_with(number(&project), "t", |ticket| {
            ticket.tags = Some("a".to_owned());
            ticket.description = Some("<p>x</p>".to_owned());
            ticket.date_to_finish = Some("2026-12-24 00:00:00".to_owned());
            ticket.plan_hours = Some(2.0);
        });
        let cleared = [
            Field::Tags,
            Field::Description,
            Field::DueDate,
            Field::EstimatedHours,
            Field::Assignee,
        ];
        let values: Vec<_> = cleared.iter().map(|field| (*field, json!(null))).collect();
        let after = written(connection.write(vec![update(&project, task, &values)]).await.remove(0)).task;
        for field in cleared {
            assert_eq!(after.value(field), Some(&RemoteValue::NULL), "{field} in {dialect:?}");
        }
        connection.check().await.unwrap();
        connection.translator(vec![project.clone()]).await.unwrap();
        connection.list_tasks(ListTasks::new(project)).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn what_would_be_cut_is_refused_with_a_reason_and_the_rest_is_sent() {
    let bench = Bench::new(Dialect::V398, |_| {}).await;
    let mut task = Task::new(bench.hub, "t", chrono::Utc::now());
    task.description = Some("x".repeat(70_000));
    task.tags = (0..100).map(|n| format!("tag {n}")).collect();
    task.due_date = "2026-12-24".parse().ok();
    bench.put(task.clone(), true).await;
    let plan = bench.plan().await;
    let changes = &plan.mappings[0].items[0].changes;
    for field in [Field::Description, Field::Tags] {
        let change = changes.iter().find(|change| change.field == field).unwrap();
        assert!(
            change.side.is_none() && change.note.as_ref().is_some_and(|note| note.contains("cuts")),
            "{change:?}"
        );
    }
    bench.sync().await;
    let ticket = bench.simulator.tickets().remove(0);
    assert_eq!(ticket.description.as_deref().unwrap_or_default(), "");
    assert_eq!(ticket.tags.as_deref().unwrap_or_default(), "");
    assert!(ticket.date_to_finish.is_some_and(|due| due.starts_with("2026-12-24")));
    let kept = hub_task(&bench, "t").await;
    assert_eq!((kept.description, kept.tags), (task.description, task.tags));
}

#[tokio::test(start_paused = true)]
async fn zero_dates_are_no_dates() {
    let (simulator, project, connection) = instance(Dialect::V398).await;
    for zero in ["0000-00-00 00:00:00", "1969-12-31 00:00:00", ""] {
        simulator.create_ticket_with(number(&project), "t", |ticket| {
            ticket.date_to_finish = Some(zero.to_owned());
        });
    }
    let listed = connection.list_tasks(ListTasks::new(project)).await.unwrap();
    for task in listed.items {
        assert_eq!(task.value(Field::DueDate), Some(&RemoteValue::NULL));
    }
}

#[tokio::test(start_paused = true)]
async fn dates_are_sent_with_their_zone_and_without_a_fraction() {
    for zone in [
        chrono_tz::America::Los_Angeles,
        chrono_tz::Pacific::Kiritimati,
        chrono_tz::UTC,
    ] {
        let simulator = LeantimeSimulator::new(LeantimeOptions::default().time_zone(zone));
        let project = id(simulator.create_project("Alpha"));
        let connection = open(simulator.router(), simulator.api_key(), ConnectionOptions::default()).await;
        let values = [
            (Field::Title, json!("t")),
            (Field::DueDate, json!("2026-12-25 07:59:59")),
            (Field::StartDate, json!("2026-12-24 08:00:00")),
        ];
        let made = written(connection.write(vec![create(&project, &values)]).await.remove(0)).task;
        let ticket = simulator.ticket(number(&made.id)).unwrap();
        assert_eq!(ticket.date_to_finish.as_deref(), Some("2026-12-25 07:59:59"), "{zone}");
        assert_eq!(ticket.edit_from.as_deref(), Some("2026-12-24 08:00:00"), "{zone}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_date_that_nobody_edits_is_not_written_back_and_stays_where_it_is() {
    let bench = Bench::new(Dialect::V398, |_| {}).await;
    let ticket = bench.simulator.create_ticket_with(bench.project, "t", |ticket| {
        ticket.date_to_finish = Some("2026-12-25 07:59:59".to_owned());
        ticket.edit_from = Some("2026-12-24 00:00:00".to_owned());
    });
    bench.sync().await;
    let mut task = hub_task(&bench, "t").await;
    assert_eq!(
        task.start_date,
        "2026-12-24".parse().ok(),
        "midnight UTC is the day itself"
    );
    task.tags = ["new".to_owned()].into();
    bench.put(task, false).await;
    bench.sync().await;
    let ticket = bench.simulator.ticket(ticket).unwrap();
    assert_eq!(ticket.date_to_finish.as_deref(), Some("2026-12-25 07:59:59"));
    assert_eq!(ticket.edit_from.as_deref(), Some("2026-12-24 00:00:00"));
}

#[tokio::test(start_paused = true)]
async fn a_projects_local_stamp_moves_nothing() {
    let bench = Bench::new(Dialect::V398, |_| {}).await;
    bench.simulator.create_ticket(bench.project, "t");
    bench.sync().await;
    bench.simulator.edit_project(bench.project, |_| {});
    bench.is_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn garbage_in_columns_is_shown_as_it_is_and_not_written_back() {
    let bench = Bench::new(Dialect::V398, |_| {}).await;
    let garbage = |ticket: &mut Ticket| {
        ticket.editor_id = Some("nobody".to_owned());
        ticket.priority = Some("High and mighty".to_owned());
        ticket.status = 77;
        ticket.kind = "weird".to_owned();
    };
    let number = bench.simulator.create_ticket_with(bench.project, "t", garbage);
    let end = bench.sync().await;
    assert_eq!(end.state, RunState::Completed, "{:?}", end.message);
    let task = hub_task(&bench, "t").await;
    assert_eq!((task.status, task.assignee.as_ref()), (Status::Todo, None));
    bench.is_quiet().await;
    let ticket = bench.simulator.ticket(number).unwrap();
    assert_eq!(
        (
            ticket.status,
            ticket.priority.as_deref(),
            ticket.editor_id.as_deref(),
            ticket.kind.as_str()
        ),
        (77, Some("High and mighty"), Some("nobody"), "weird")
    );
}

#[tokio::test(start_paused = true)]
async fn one_number_means_different_things_in_two_projects() {
    let (simulator, project, connection) = instance(Dialect::V398).await;
    let other = id(simulator.create_project("Beta"));
    let own = vec![
        StatusLabel::new(0, "Open", "NEW"),
        StatusLabel::new(1, "Shipped", "DONE"),
    ];
    simulator.set_status_labels(number(&other), own);
    let tables = connection
        .translator(vec![project.clone(), other.clone()])
        .await
        .unwrap();
    let decode = |project, number: i64| tables.decode(project, Field::Status, &RemoteValue(json!(number)));
    assert_eq!(decode(&project, 0), Decoded::Exact(Value::Status(Status::Done)));
    assert_eq!(decode(&other, 0), Decoded::Exact(Value::Status(Status::Todo)));
    assert_eq!(decode(&project, 1), Decoded::Exact(Value::Status(Status::Blocked)));
    assert_eq!(decode(&other, 1), Decoded::Exact(Value::Status(Status::Done)));
    let encode = |project| tables.encode(project, Field::Status, &Value::Status(Status::Done));
    assert_eq!(encode(&project), Encoded::Value(RemoteValue(json!(0))));
    assert_eq!(encode(&other), Encoded::Value(RemoteValue(json!(1))));
}

#[tokio::test(start_paused = true)]
async fn milestones_are_skipped_and_their_children_are_not_theirs() {
    let bench = Bench::new(Dialect::V398, |_| {}).await;
    let milestone = bench
        .simulator
        .create_ticket_with(bench.project, "m", |ticket| "milestone".clone_into(&mut ticket.kind));
    bench
        .simulator
        .create_ticket_with(bench.project, "t", |ticket| ticket.milestone_id = Some(milestone));
    let end = bench.sync().await;
    let reasons: Vec<&str> = end.report.items.iter().map(|item| item.detail.as_str()).collect();
    assert!(reasons.iter().any(|reason| reason.contains("milestone")), "{reasons:?}");
    assert_eq!(end.report.counts.tasks.skipped, 1);
    assert_eq!(hub_task(&bench, "t").await.parent_id, None);
    bench.is_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_parent_that_vanished_leaves_its_children_whole() {
    let bench = Bench::new(Dialect::V398, |_| {}).await;
    let parent = bench.simulator.create_ticket(bench.project, "parent");
    let child = bench.simulator.create_ticket_with(bench.project, "child", |ticket| {
        ticket.depending_ticket_id = Some(parent);
        "subtask".clone_into(&mut ticket.kind);
    });
    bench.sync().await;
    bench.simulator.delete_ticket(parent);
    for _ in 0..3 {
        let end = bench.sync().await;
        assert_eq!(end.state, RunState::Completed, "{:?}", end.message);
    }
    hub_task(&bench, "child").await;
    assert!(bench.simulator.ticket(child).is_some());
    bench.is_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn an_orphan_without_a_project_is_read_by_nobody_and_breaks_nothing() {
    let bench = Bench::new(Dialect::V398, |_| {}).await;
    let ticket = bench.simulator.create_ticket(bench.project, "t");
    bench.sync().await;
    bench.simulator.edit_ticket(ticket, |ticket| ticket.project_id = None);
    for _ in 0..3 {
        bench.sync().await;
    }
    hub_task(&bench, "t").await;
    assert!(bench.simulator.ticket(ticket).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_deleted_project_is_told_from_one_without_tickets() {
    let (simulator, project, connection) = instance(Dialect::V398).await;
    assert!(
        connection
            .list_tasks(ListTasks::new(project.clone()))
            .await
            .unwrap()
            .items
            .is_empty()
    );
    simulator.delete_project(number(&project));
    let error = connection
        .list_tasks(ListTasks::new(project.clone()))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    assert_eq!(connection.read_project(project).await.unwrap(), ProjectReading::Absent);
}

#[tokio::test(start_paused = true)]
async fn only_writes_that_mail_people_are_counted_in_the_plan() {
    let bench = Bench::new(Dialect::V398, |_| {}).await;
    for title in ["a", "b", "c"] {
        bench.simulator.create_ticket(bench.project, title);
    }
    bench.sync().await;
    let tasks = bench.tasks().await;
    let (mut retagged, mut finished) = (tasks[0].clone(), tasks[1].clone());
    retagged.tags = ["x".to_owned()].into();
    finished.status = Status::Done;
    bench.put(retagged, false).await;
    bench.put(finished, false).await;
    bench.put(Task::new(bench.hub, "new", chrono::Utc::now()), true).await;
    assert_eq!(bench.plan().await.notifying_writes, 2, "a new ticket and a status");
    bench.simulator.reset_counts();
    bench.sync().await;
    assert_eq!(bench.simulator.notices(), 2, "one member each");
    assert_eq!(bench.plan().await.notifying_writes, 0);
}

#[tokio::test(start_paused = true)]
async fn a_script_in_a_description_is_data_and_never_reaches_the_hub() {
    let bench = Bench::new(Dialect::V398, |_| {}).await;
    let html = "<p>before</p><script>alert(1)</script><img src=x onerror=alert(2)><p>after</p>";
    let number = bench
        .simulator
        .create_ticket_with(bench.project, "t", |ticket| ticket.description = Some(html.to_owned()));
    bench.sync().await;
    let text = hub_task(&bench, "t").await.description.unwrap();
    assert!(text.contains("before") && text.contains("after"), "{text}");
    assert!(!text.contains("alert") && !text.contains("<script"), "{text}");
    bench.is_quiet().await;
    assert_eq!(
        bench.simulator.ticket(number).unwrap().description.as_deref(),
        Some(html)
    );
}

#[tokio::test(start_paused = true)]
async fn a_ticket_that_gets_a_parent_becomes_a_subtask_and_back() {
    for dialect in Dialect::ALL {
        let (simulator, project, connection) = instance(dialect).await;
        let parent = simulator.create_ticket(number(&project), "parent");
        let child = simulator.create_ticket(number(&project), "child");
        let bug = simulator.create_ticket_with(number(&project), "bug", |ticket| "bug".clone_into(&mut ticket.kind));
        let set = |task, parent: serde_json::Value| update(&project, task, &[(Field::Parent, parent)]);
        let kind = |task| simulator.ticket(task).unwrap().kind;
        let writes = vec![
            set(child, json!(parent.to_string())),
            set(bug, json!(parent.to_string())),
        ];
        for result in connection.write(writes).await {
            written(result);
        }
        assert_eq!(
            (kind(child).as_str(), kind(bug).as_str()),
            ("subtask", "bug"),
            "{dialect:?}"
        );
        for result in connection.write(vec![set(child, json!(null))]).await {
            written(result);
        }
        assert_eq!(kind(child), "task");
    }
}

#[tokio::test(start_paused = true)]
async fn numbers_may_be_texts_and_whole_floats() {
    let (simulator, project, connection) = instance(Dialect::V398).await;
    simulator.create_ticket_with(number(&project), "t", |ticket| {
        ticket.plan_hours = Some(3.0);
        ticket.booked_hours = 1.25;
    });
    let task = connection
        .list_tasks(ListTasks::new(project))
        .await
        .unwrap()
        .items
        .remove(0);
    assert_eq!(task.value(Field::EstimatedHours), Some(&RemoteValue(json!(180))));
    assert_eq!(task.value(Field::ActualHours), Some(&RemoteValue(json!(75))));
}

#[tokio::test(start_paused = true)]
async fn a_create_names_its_project_and_is_assigned_to_nobody_else() {
    let (simulator, project, connection) = instance(Dialect::V398).await;
    let made = written(
        connection
            .write(vec![create(&project, &[(Field::Title, json!("t"))])])
            .await
            .remove(0),
    )
    .task;
    let ticket = simulator.ticket(number(&made.id)).unwrap();
    assert_eq!(ticket.project_id, Some(number(&project)));
    assert_eq!(made.value(Field::Assignee), Some(&RemoteValue::NULL));
    assert_eq!(simulator.requests().methods.get("Tickets.quickAddTicket"), None);
    let nameless = RemoteWrite::Create(CreateTask {
        project,
        fields: std::collections::BTreeMap::new(),
        marker: None,
    });
    let refused = connection.write(vec![nameless]).await.remove(0).unwrap_err();
    assert_eq!(
        (refused.kind(), refused.outcome()),
        (Kind::Rejected, Outcome::NotApplied)
    );
}

#[tokio::test(start_paused = true)]
async fn an_edit_between_our_reads_is_reported() {
    let bench = Bench::new(Dialect::V398, |_| {}).await;
    let number = bench.simulator.create_ticket(bench.project, "t");
    bench.sync().await;
    let mut task = hub_task(&bench, "t").await;
    task.title = "ours".to_owned();
    bench.put(task, false).await;
    let simulator = bench.simulator.clone();
    let meanwhile = Fault::transform(move |answer| {
        simulator.edit_ticket(number, |ticket| ticket.headline = Some("theirs".to_owned()));
        answer
    });
    bench
        .simulator
        .faults()
        .inject(FaultRule::new(CallMatcher::any().rpc("Tickets.getAll"), meanwhile));
    let end = bench.sync().await;
    assert_eq!(end.report.counts.tasks.conflicted, 1, "{:?}", end.report);
}

#[tokio::test(start_paused = true)]
async fn full_updates_are_never_used() {
    let bench = Bench::new(Dialect::V398, |_| {}).await;
    bench.simulator.create_ticket(bench.project, "t");
    bench.sync().await;
    let mut task = hub_task(&bench, "t").await;
    task.description = Some("new".to_owned());
    bench.put(task, false).await;
    bench.simulator.reset_counts();
    bench.sync().await;
    let methods = bench.simulator.requests().methods;
    assert!(methods.contains_key("Tickets.patchTicket"), "{methods:?}");
    // Nor whatever else does harm: of deleteMilestone, editProject, quickAddTicket, moveTicket nothing is heard.
    let harmless = [
        "Api.Config.getSystemInfo",
        "Projects.getAll",
        "Projects.getProject",
        "Projects.getUsersAssignedToProject",
        "Tickets.addTicket",
        "Tickets.delete",
        "Tickets.getAll",
        "Tickets.getStatusLabels",
        "Tickets.getTicket",
        "Tickets.patchTicket",
        "Users.getAll",
        "Users.getUser",
    ];
    for method in methods.keys() {
        assert!(harmless.contains(&method.as_str()), "{method}");
    }
}
