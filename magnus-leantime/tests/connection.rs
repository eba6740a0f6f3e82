//! The connection against the simulated tool, in every dialect.

mod support;

use std::time::Duration;

use magnus_core::connection::{
    ConnectionErrorKind as Kind, Connector, DeleteTask, FindCreated, ListProjects, ListTasks, Outcome, ProjectReading,
    ReadTask, Reading, RemoteWrite, UpdateTask, Written,
};
use magnus_core::model::{ConnectionOptions, ConnectionSettings, ExternalId, Field, RemoteValue, SkipReason};
use magnus_leantime::LeantimeConnector;
use magnus_testkit::sim::leantime::{Dialect, LeantimeOptions, LeantimeSimulator, StatusLabel};
use magnus_testkit::sim::{CallMatcher, Fault, FaultRule};
use magnus_transport::HttpOptions;
use serde_json::json;
use support::{create, id, instance, number, open, update, written};

fn delete(project: &ExternalId, task: i64) -> RemoteWrite {
    RemoteWrite::Delete(DeleteTask {
        id: id(task),
        project: project.clone(),
    })
}

fn read(project: &ExternalId, task: i64) -> ReadTask {
    ReadTask {
        id: id(task),
        project: project.clone(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_is_created_read_back_changed_and_deleted_in_every_dialect() {
    for dialect in Dialect::ALL {
        let (simulator, project, connection) = instance(dialect).await;
        let values = [
            (Field::Title, json!("Zahlung prüfen 🚀")),
            (Field::Description, json!("<p>a &lt;server&gt;</p>")),
            (Field::Status, json!(0)),
            (Field::Priority, json!("2")),
            (Field::Assignee, json!("1")),
            (Field::StartDate, json!("2026-12-01 08:00:00")),
            (Field::DueDate, json!("2026-12-25 07:59:59")),
            (Field::EstimatedHours, json!(80)),
            (Field::RemainingHours, json!(30)),
            (Field::Parent, json!(null)),
            (Field::Tags, json!(["blau", "rot"])),
        ];
        let mut results = connection.write(vec![create(&project, &values)]).await;
        let mut made = written(results.remove(0)).task;
        assert_eq!(
            made.value(Field::ActualHours),
            Some(&RemoteValue::NULL),
            "known without being told"
        );
        made.fields.remove(&Field::ActualHours);
        for (field, value) in &values {
            assert_eq!(
                made.value(*field),
                Some(&RemoteValue(value.clone())),
                "{field} in {dialect:?}"
            );
        }
        assert_eq!(made.updated_at.is_some(), dialect == Dialect::Master);
        assert_eq!(connection.capabilities().change_times, dialect == Dialect::Master);

        let task = number(&made.id);
        let change = update(
            &project,
            task,
            &[(Field::DueDate, json!(null)), (Field::Title, json!("New"))],
        );
        let changed = written(connection.write(vec![change]).await.remove(0));
        assert_eq!(changed.before.as_ref(), Some(&made), "{dialect:?}");
        assert_eq!(
            (changed.task.title(), changed.task.value(Field::DueDate)),
            ("New", Some(&RemoteValue::NULL))
        );
        assert_eq!(
            changed.task.value(Field::Tags),
            made.value(Field::Tags),
            "what is not named stays"
        );

        let mut results = connection
            .write(vec![delete(&project, task), delete(&project, task)])
            .await;
        assert!(matches!(results.remove(0), Ok(Written::Deleted)));
        assert!(
            matches!(results.remove(0), Ok(Written::Deleted)),
            "gone already counts as deleted"
        );
        assert!(simulator.tickets().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_of_writes_is_two_requests_at_most() {
    for dialect in Dialect::ALL {
        let (simulator, project, connection) = instance(dialect).await;
        let creates = (0..40)
            .map(|n| create(&project, &[(Field::Title, json!(format!("t{n}")))]))
            .collect();
        let made: Vec<_> = connection
            .write(creates)
            .await
            .into_iter()
            .map(|result| written(result).task)
            .collect();
        assert_eq!(simulator.requests().http, 2);
        let titles: Vec<&str> = made.iter().map(|task| task.title()).collect();
        assert_eq!(titles[..3], ["t0", "t1", "t2"], "in order");
        simulator.reset_counts();
        let again: Vec<RemoteWrite> = made
            .iter()
            .map(|task| update(&project, number(&task.id), &[(Field::Priority, json!("1"))]))
            .collect();
        assert!(connection.write(again.clone()).await.iter().all(Result::is_ok));
        let first = simulator.requests().http;
        assert_eq!(
            first,
            if dialect == Dialect::V373 { 2 } else { 1 },
            "the old name of patch is learnt once"
        );
        assert!(connection.write(again).await.iter().all(Result::is_ok));
        assert_eq!(simulator.requests().http, first + 1);
    }
}

#[tokio::test(start_paused = true)]
async fn one_bad_write_does_not_spoil_the_others() {
    for dialect in Dialect::ALL {
        let (simulator, project, connection) = instance(dialect).await;
        let task = simulator.create_ticket(number(&project), "there");
        let title = [(Field::Title, json!("x"))];
        let results = connection
            .write(vec![
                update(&project, 99, &title),
                update(&project, task, &title),
                create(&project, &[]),
            ])
            .await;
        let kinds: Vec<_> = results
            .iter()
            .map(|result| result.as_ref().err().map(|error| (error.kind(), error.outcome())))
            .collect();
        let not_applied = |kind| Some((kind, Outcome::NotApplied));
        assert_eq!(
            kinds,
            [not_applied(Kind::NotFound), None, not_applied(Kind::Rejected)],
            "{dialect:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_task_gets_a_status_that_its_project_has() {
    let (simulator, project, connection) = instance(Dialect::V398).await;
    let own = vec![
        StatusLabel::new(10, "To do", "NEW"),
        StatusLabel::new(12, "Shipped", "DONE"),
    ];
    simulator.set_status_labels(number(&project), own);
    connection.translator(vec![project.clone()]).await.unwrap();
    let made = written(
        connection
            .write(vec![create(&project, &[(Field::Title, json!("t"))])])
            .await
            .remove(0),
    );
    assert_eq!(made.task.value(Field::Status), Some(&RemoteValue(json!(10))));
}

#[tokio::test(start_paused = true)]
async fn a_child_is_a_subtask_and_a_move_leaves_the_old_milestone() {
    let (simulator, project, connection) = instance(Dialect::V398).await;
    let other = id(simulator.create_project("Beta"));
    let parent = simulator.create_ticket(number(&project), "parent");
    let values = [
        (Field::Title, json!("child")),
        (Field::Parent, json!(parent.to_string())),
    ];
    let child = written(connection.write(vec![create(&project, &values)]).await.remove(0)).task;
    let ticket = simulator.ticket(number(&child.id)).unwrap();
    assert_eq!(
        (ticket.kind.as_str(), ticket.depending_ticket_id),
        ("subtask", Some(parent))
    );

    simulator.edit_ticket(ticket.id, |ticket| ticket.milestone_id = Some(77));
    let moved = UpdateTask {
        id: child.id.clone(),
        project: project.clone(),
        move_to: Some(other.clone()),
        version: None,
        fields: support::fields(&[(Field::Parent, json!(null))]),
    };
    let moved = written(connection.write(vec![RemoteWrite::Update(moved)]).await.remove(0));
    assert_eq!(
        (&moved.task.project, moved.before.map(|before| before.project)),
        (&other, Some(project))
    );
    let ticket = simulator.ticket(ticket.id).unwrap();
    assert_eq!((ticket.milestone_id, ticket.depending_ticket_id), (Some(0), Some(0)));
}

#[tokio::test(start_paused = true)]
async fn a_listing_has_every_status_and_marks_milestones() {
    for dialect in Dialect::ALL {
        let (simulator, project, connection) = instance(dialect).await;
        let number = number(&project);
        for status in [-1, 0, 3, 55] {
            simulator.create_ticket_with(number, "t", |ticket| ticket.status = status);
        }
        simulator.create_ticket_with(number, "m", |ticket| ticket.kind = "milestone".to_owned());
        let page = connection.list_tasks(ListTasks::new(project)).await.unwrap();
        assert_eq!((page.items.len(), page.total), (5, Some(5)));
        let skipped: Vec<_> = page
            .items
            .iter()
            .filter_map(|task| Some(task.skip.as_ref()?.code))
            .collect();
        assert_eq!(skipped, [SkipReason::Milestone]);
        assert_eq!(simulator.requests().http, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn lost_access_is_an_error_and_not_an_empty_list() {
    let (simulator, project, _) = instance(Dialect::V398).await;
    let key = simulator.create_api_key(20);
    let user = simulator.user_of_key(&key).unwrap();
    simulator.assign(user, number(&project));
    let task = simulator.create_ticket(number(&project), "t");
    let connection = open(simulator.router(), &key, ConnectionOptions::default()).await;
    assert_eq!(
        connection
            .list_tasks(ListTasks::new(project.clone()))
            .await
            .unwrap()
            .items
            .len(),
        1
    );
    simulator.unassign(user, number(&project));
    let error = connection
        .list_tasks(ListTasks::new(project.clone()))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Forbidden);
    assert_eq!(
        connection.read(vec![read(&project, task)]).await.unwrap(),
        [Reading::Denied]
    );
    assert_eq!(
        connection.read_project(project.clone()).await.unwrap(),
        ProjectReading::Denied
    );
    let refused = connection
        .write(vec![delete(&project, task)])
        .await
        .remove(0)
        .unwrap_err();
    assert_eq!(
        (refused.kind(), refused.outcome()),
        (Kind::Forbidden, Outcome::NotApplied)
    );
    assert!(simulator.ticket(task).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_direct_read_tells_present_moved_and_absent_apart() {
    let (simulator, project, connection) = instance(Dialect::V398).await;
    let other = simulator.create_project("Beta");
    let there = simulator.create_ticket(number(&project), "there");
    let moved = simulator.create_ticket(other, "moved");
    let requests = vec![read(&project, there), read(&project, moved), read(&project, 99)];
    let readings = connection.read(requests).await.unwrap();
    assert!(matches!(&readings[0], Reading::Present(task) if task.title() == "there"));
    assert!(matches!(&readings[1], Reading::Moved(task) if task.project == id(other)));
    assert_eq!(readings[2], Reading::Absent);
    simulator.delete_project(other);
    assert_eq!(
        connection.read_project(id(other)).await.unwrap(),
        ProjectReading::Absent
    );
    simulator.edit_project(number(&project), |project| project.state = Some(-1));
    assert_eq!(connection.read_project(project).await.unwrap(), ProjectReading::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_to_a_create_is_unknown_and_what_it_made_is_found() {
    for dialect in Dialect::ALL {
        let (simulator, project, connection) = instance(dialect).await;
        let stranger = simulator.create_ticket(number(&project), "before");
        simulator
            .faults()
            .inject(FaultRule::new(CallMatcher::any().rpc("addTicket"), Fault::LoseAnswer));
        let lost = connection
            .write(vec![create(&project, &[(Field::Title, json!("lost"))])])
            .await
            .remove(0);
        assert_eq!(lost.unwrap_err().outcome(), Outcome::Unknown);
        simulator.create_ticket(number(&project), "by somebody else");
        let request = FindCreated {
            project: project.clone(),
            after: Some(id(stranger)),
            markers: Vec::new(),
        };
        let titles: Vec<String> = connection
            .find_created(request)
            .await
            .unwrap()
            .iter()
            .map(|task| task.title().to_owned())
            .collect();
        // 3.7 does not say who we are: everything newer is a candidate there.
        let expected: &[&str] = if dialect == Dialect::V373 {
            &["lost", "by somebody else"]
        } else {
            &["lost"]
        };
        assert_eq!(titles, expected, "{dialect:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_failed_before_the_tool_saw_it_is_not_applied() {
    let (simulator, project, connection) = instance(Dialect::V398).await;
    let write = || vec![create(&project, &[(Field::Title, json!("t"))])];
    let cases = [
        (Fault::status(500, "oops"), Kind::Unavailable, Outcome::Unknown),
        (Fault::Html(200), Kind::Protocol, Outcome::Unknown),
        (Fault::TruncateJson, Kind::Protocol, Outcome::Unknown),
        (
            Fault::status(404, "nothing here"),
            Kind::InvalidSettings,
            Outcome::NotApplied,
        ),
        (Fault::status(429, "slow down"), Kind::RateLimited, Outcome::NotApplied),
    ];
    for (fault, kind, outcome) in cases {
        simulator.faults().inject(FaultRule::new(CallMatcher::any(), fault));
        let error = connection.write(write()).await.remove(0).unwrap_err();
        assert_eq!((error.kind(), error.outcome()), (kind, outcome), "{error}");
    }
    simulator.faults().inject(FaultRule::new(
        CallMatcher::any().rpc("getTicket"),
        Fault::status(503, "busy"),
    ));
    let unread = connection.write(write()).await.remove(0).unwrap_err();
    assert_eq!(unread.outcome(), Outcome::Applied, "made, but not read back");
}

#[tokio::test(start_paused = true)]
async fn wrong_types_are_read_all_the_same() {
    let (simulator, project, connection) = instance(Dialect::V398).await;
    simulator.create_ticket_with(number(&project), "t", |ticket| ticket.plan_hours = Some(1.5));
    let plain = connection.list_tasks(ListTasks::new(project.clone())).await.unwrap();
    simulator.faults().inject(FaultRule::new(
        CallMatcher::any(),
        Fault::transform(|mut answer| {
            for row in answer[1]["result"].as_array_mut().unwrap() {
                for column in ["id", "status", "projectId", "planHours", "dependingTicketId"] {
                    row[column] = json!(row[column].to_string());
                }
            }
            answer
        }),
    ));
    let typed = connection.list_tasks(ListTasks::new(project.clone())).await.unwrap();
    assert_eq!(plain.items, typed.items);
    simulator
        .faults()
        .inject(FaultRule::new(CallMatcher::any(), Fault::WrongTypes));
    assert!(connection.list_tasks(ListTasks::new(project)).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_request_that_came_too_early_is_sent_again_after_the_pause() {
    let simulator = LeantimeSimulator::new(LeantimeOptions::default().rate_limit_per_minute(1));
    let connection = open(simulator.router(), simulator.api_key(), ConnectionOptions::default()).await;
    connection.check().await.unwrap();
    tokio::time::advance(Duration::from_secs(20)).await;
    let begun = tokio::time::Instant::now();
    connection.check().await.unwrap();
    assert_eq!(begun.elapsed(), Duration::from_secs(40), "as the refusal said");
    assert_eq!(simulator.requests().http, 3);
    connection.check().await.unwrap();
    assert_eq!(simulator.requests().http, 4, "the limit is known now");
    simulator
        .faults()
        .inject(FaultRule::new(CallMatcher::any(), Fault::status(429, "locked out")));
    let error = connection.check().await.unwrap_err();
    assert_eq!(
        (error.kind(), error.retry_after()),
        (Kind::RateLimited, Some(Duration::from_secs(60)))
    );
}

#[tokio::test(start_paused = true)]
async fn a_401_is_asked_once_more_if_the_key_worked_before() {
    let (simulator, _, connection) = instance(Dialect::V398).await;
    connection.check().await.unwrap();
    simulator
        .faults()
        .fail_next(1, CallMatcher::any(), 401, "{\"error\":\"Unauthorized\"}");
    connection.check().await.unwrap();
    simulator.reset_counts();
    simulator.set_database_down(true);
    assert_eq!(connection.check().await.unwrap_err().kind(), Kind::Unauthorized);
    assert_eq!(simulator.requests().http, 2, "and not in a tight loop");
    let wrong = open(simulator.router(), "lt_no_no", ConnectionOptions::default()).await;
    assert_eq!(wrong.check().await.unwrap_err().kind(), Kind::Unauthorized);
    assert_eq!(simulator.requests().http, 3, "a key that never worked is asked once");
}

#[tokio::test(start_paused = true)]
async fn who_we_are_is_known_where_the_tool_says_it() {
    for dialect in Dialect::ALL {
        let (simulator, _, connection) = instance(dialect).await;
        let identity = connection.check().await.unwrap();
        if dialect == Dialect::V373 {
            assert_eq!((identity.id.as_str(), identity.version), ("key-00000000", None));
        } else {
            assert_eq!(
                (identity.id.as_str(), identity.version.as_deref()),
                ("2", Some("3.9.8"))
            );
        }
        assert!(identity.notes.iter().any(|note| note.contains("time_zone")));
        let token = simulator.create_token(1);
        let person = open(simulator.router(), &token, ConnectionOptions::default()).await;
        assert!(person.check().await.is_ok());
        let reader = simulator.create_api_key(5);
        let reader = open(simulator.router(), &reader, ConnectionOptions::default())
            .await
            .check()
            .await
            .unwrap();
        assert_eq!(
            reader.notes.iter().any(|note| note.contains("only read")),
            dialect != Dialect::V373
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_unchanged_sync_of_a_thousand_tasks_stays_within_its_requests() {
    for dialect in Dialect::ALL {
        let simulator = LeantimeSimulator::new(LeantimeOptions::dialect(dialect));
        let projects: Vec<i64> = ["A", "B", "C"]
            .iter()
            .map(|name| simulator.create_project(name))
            .collect();
        for n in 0..1_000 {
            simulator.create_ticket(projects[n % 3], &format!("task {n}"));
        }
        let connection = open(simulator.router(), simulator.api_key(), ConnectionOptions::default()).await;
        connection.check().await.unwrap();
        let listed = connection.list_projects(ListProjects::default()).await.unwrap().items;
        let ids: Vec<ExternalId> = listed.into_iter().map(|project| project.id).collect();
        connection.translator(ids.clone()).await.unwrap();
        let mut tasks = 0;
        for project in ids {
            tasks += connection
                .list_tasks(ListTasks::new(project))
                .await
                .unwrap()
                .items
                .len();
        }
        assert_eq!(
            (tasks, simulator.requests().http, simulator.writes()),
            (1_000, 6, 0),
            "{dialect:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn descendants_are_found_at_every_depth_and_circles_end() {
    let (simulator, project, connection) = instance(Dialect::V398).await;
    let number = number(&project);
    let top = simulator.create_ticket(number, "top");
    let child = simulator.create_ticket_with(number, "child", |ticket| ticket.depending_ticket_id = Some(top));
    let leaf = simulator.create_ticket_with(number, "leaf", |ticket| ticket.depending_ticket_id = Some(child));
    simulator.edit_ticket(top, |ticket| ticket.depending_ticket_id = Some(leaf));
    let mut titles: Vec<String> = connection
        .list_descendants(read(&project, child))
        .await
        .unwrap()
        .iter()
        .map(|task| task.title().to_owned())
        .collect();
    titles.sort();
    assert_eq!(titles, ["leaf", "top"]);
}

#[tokio::test(start_paused = true)]
async fn a_stamp_is_corrected_by_the_servers_clock() {
    let (simulator, project, connection) = instance(Dialect::Master).await;
    simulator.create_ticket(number(&project), "t");
    let task = connection
        .list_tasks(ListTasks::new(project))
        .await
        .unwrap()
        .items
        .remove(0);
    let age = chrono::Utc::now() - task.updated_at.unwrap();
    assert!(
        age.num_seconds().abs() <= 3,
        "the simulated clock shows {}, ours is not",
        simulator.now()
    );
}

#[tokio::test(start_paused = true)]
async fn no_answer_however_odd_is_taken_for_an_absence_or_makes_us_panic() {
    let (simulator, project, connection) = instance(Dialect::V398).await;
    let task = simulator.create_ticket(number(&project), "t");
    let odd = [
        json!(null),
        json!(7),
        json!("text"),
        json!([]),
        json!({}),
        json!([null, null]),
        json!([{"id": 1}]),
        json!([{"id": 1, "result": null}, {"id": 2, "result": {}}]),
        json!([{"id": 1, "result": {"id": 1}}, {"id": 2, "result": [{"id": null}]}]),
        json!([{"id": 1, "result": {"id": 1}}, {"id": 2, "result": [{"headline": "no id"}]}]),
        json!([{"id": 1, "result": {"id": 1}}, {"id": 2, "result": [[[]]]}]),
        json!([{"id": 2, "result": []}, {"id": 2, "result": []}]),
        json!([{"id": 1, "error": {"code": "many", "message": {}}}]),
        json!({"id": 0, "error": {"code": -32700, "message": "Parse error", "data": null}}),
    ];
    for answer in odd {
        let given = answer.clone();
        let fault = Fault::transform(move |_| given.clone());
        simulator
            .faults()
            .inject(FaultRule::new(CallMatcher::any(), fault).always());
        let listed = connection.list_tasks(ListTasks::new(project.clone())).await;
        assert!(listed.is_err(), "{answer} was read as {listed:?}");
        if let Ok(readings) = connection.read(vec![read(&project, task)]).await {
            assert_ne!(readings, [Reading::Absent], "{answer}");
        }
        let found = FindCreated {
            project: project.clone(),
            after: None,
            markers: Vec::new(),
        };
        assert!(connection.find_created(found).await.is_err(), "{answer}");
        assert!(connection.check().await.is_err(), "{answer}");
        let _ = connection.list_projects(ListProjects::default()).await;
        let _ = connection.translator(vec![project.clone()]).await;
        let changed = connection
            .write(vec![update(&project, task, &[(Field::Title, json!("x"))])])
            .await
            .remove(0);
        assert_ne!(
            changed.map_err(|error| error.outcome()).err(),
            Some(Outcome::NotApplied),
            "{answer}: it was applied"
        );
        simulator.faults().clear();
    }
}

#[tokio::test]
async fn it_works_over_a_socket_and_says_when_nobody_listens() {
    let simulator = LeantimeSimulator::new(LeantimeOptions::default());
    simulator.create_project("Alpha");
    let served = simulator.serve().await.unwrap();
    let connector = LeantimeConnector::over_http(HttpOptions::default()).unwrap();
    let open = async |url: &str| {
        let settings = ConnectionSettings::new(connector.tool(), "board", url, chrono::Utc::now());
        connector.open(settings, simulator.api_key().into()).await
    };
    // The address of its API is often given in place of its own.
    for url in [served.url.clone(), format!("{}/api/jsonrpc", served.url)] {
        let connection = open(&url).await.unwrap();
        assert_eq!(
            connection.list_projects(ListProjects::default()).await.unwrap().items[0].name,
            "Alpha"
        );
    }
    let silent = open("http://127.0.0.1:9").await.unwrap();
    let error = silent.check().await.unwrap_err();
    assert_eq!(
        (error.kind(), error.outcome()),
        (Kind::Unavailable, Outcome::NotApplied)
    );
}

#[tokio::test(start_paused = true)]
async fn settings_that_cannot_work_are_refused_by_name() {
    let connector = LeantimeConnector::over_http(HttpOptions::default()).unwrap();
    let refused = async |change: fn(&mut ConnectionSettings), key: &str| {
        let url = "https://leantime.test";
        let mut settings = ConnectionSettings::new(connector.tool(), "board", url, chrono::Utc::now());
        change(&mut settings);
        let error = connector.open(settings, key.into()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidSettings);
        error.to_string()
    };
    assert!(refused(|_| {}, " ").await.contains("key"));
    assert!(refused(|_| {}, "lt_a\nb").await.contains("key"));
    assert!(
        refused(|settings| settings.url = "leantime.test".to_owned(), "k")
            .await
            .contains("https://")
    );
    let zone = refused(
        |settings| settings.options.time_zone = Some("Mars/Olympus".to_owned()),
        "k",
    )
    .await;
    assert!(zone.contains("time_zone"), "{zone}");
    let option = |settings: &mut ConnectionSettings| {
        settings.options.tool.insert("colour".to_owned(), json!("red"));
    };
    assert!(refused(option, "k").await.contains("tool.colour"));
}
