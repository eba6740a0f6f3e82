//! What the tool does without a word, met by the adapter.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::support::{Listening, bench, change, create, fields, id, open, settings, simple};
use http::Method;
use magnus_core::connection::{
    ConnectionErrorKind, ConnectionExt as _, Connector as _, FindCreated, ListTasks, Outcome, ProjectReading, ReadTask,
    RemoteWrite,
};
use magnus_core::model::{ExternalId, Field, RemoteValue};
use magnus_openproject::OpenProjectConnector;
use magnus_testkit::sim::openproject::{OpenProjectOptions, OpenProjectSimulator, Progress};
use magnus_testkit::sim::{CallMatcher, Fault, FaultRule};
use magnus_testkit::transport::RouterTransport;
use serde_json::{Value, json};

fn error_body(name: &str, message: &str, attribute: Option<&str>) -> String {
    let mut body = json!({
        "_type": "Error", "errorIdentifier": format!("urn:openproject-org:api:v3:errors:{name}"), "message": message,
    });
    if let Some(attribute) = attribute {
        body["_embedded"] = json!({ "details": { "attribute": attribute } });
    }
    body.to_string()
}

fn patches(tool: &OpenProjectSimulator) -> usize {
    let counted = tool.requests();
    counted
        .iter()
        .filter(|((method, _), _)| method == "PATCH")
        .map(|(_, count)| count)
        .sum()
}

#[tokio::test]
async fn basic_and_bearer_present_the_same_key() {
    let tool = simple().await.tool;
    let mut bearer = settings("https://openproject.test");
    bearer.options.tool.insert("auth".to_owned(), json!("bearer"));
    for (basic_auth, settings, works) in [
        (true, settings("https://openproject.test"), true),
        (true, bearer.clone(), true),
        (false, settings("https://openproject.test"), false),
        (false, bearer, true),
    ] {
        tool.configure(|options| options.basic_auth = basic_auth);
        let connection = open(&tool, settings).await.expect("valid settings");
        match connection.check().await {
            Ok(identity) => assert!(works && identity.id == id(tool.sync_user())),
            Err(error) => assert!(!works && error.kind() == ConnectionErrorKind::Unauthorized, "{error}"),
        }
    }
}

#[tokio::test]
async fn a_message_in_any_language_means_the_same() {
    let bench = simple().await;
    let task = bench.tool.create_work_package(bench.project, "Übersetzt");
    let seen = bench.read(task).await;
    let write = || change(&seen, fields(&[(Field::Title, "Neu"), (Field::Status, "7")]));
    let patch = || CallMatcher::any().method("PATCH");
    for (status, name, attribute, kind) in [
        (409, "UpdateConflict", None, ConnectionErrorKind::VersionConflict),
        (
            422,
            "PropertyConstraintViolation",
            Some("status"),
            ConnectionErrorKind::Rejected,
        ),
        (403, "MissingPermission", None, ConnectionErrorKind::Forbidden),
        (401, "Unauthenticated", None, ConnectionErrorKind::Unauthorized),
        (404, "NotFound", None, ConnectionErrorKind::NotFound),
    ] {
        let body = error_body(name, "状态无效", attribute);
        bench.tool.faults().fail_next(1, patch(), status, body);
        let error = bench.write(write()).await.expect_err("refused");
        assert_eq!((error.kind(), error.outcome()), (kind, Outcome::NotApplied));
        let named: Vec<Field> = error.rejected().iter().map(|rejected| rejected.field).collect();
        assert_eq!(named.is_empty(), attribute.is_none());
        assert!(named.iter().all(|field| *field == Field::Status));
    }
}

#[tokio::test]
async fn every_write_says_its_content_type_and_none_is_without_a_body() {
    let mut bench = simple().await;
    let heard = Arc::default();
    let listening = Listening {
        tool: RouterTransport::new(bench.tool.router()),
        heard: Arc::clone(&heard),
    };
    bench.connection = OpenProjectConnector::new(Arc::new(listening))
        .open(settings("https://openproject.test"), bench.tool.api_key().into())
        .await
        .expect("valid settings");
    let made = bench
        .written(create(bench.project, &[(Field::Title, "New")]))
        .await
        .task;
    bench.written(change(&made, fields(&[(Field::Title, "Changed")]))).await;
    let delete = magnus_core::connection::DeleteTask {
        id: made.id,
        project: made.project,
    };
    bench.write(RemoteWrite::Delete(delete)).await.expect("deleted");
    // The simulated instance answers 406 and 415 as the real one does.
    assert_eq!(bench.tool.writes(), 3);
    for call in bench.tool.recorder().calls() {
        assert!(!matches!(call.status, Some(406 | 415)), "{call:?}");
    }
    let mut methods = Vec::new();
    for request in heard.lock().expect("nobody panicked").iter() {
        if request.method() == Method::GET {
            continue;
        }
        // Old versions want the type of a DELETE as well, which has nothing to say.
        assert_eq!(request.headers()["content-type"], "application/json", "{request:?}");
        assert_eq!(
            request.body().is_empty(),
            request.method() == Method::DELETE,
            "{request:?}"
        );
        methods.push(request.method().clone());
    }
    assert_eq!(methods, [Method::POST, Method::PATCH, Method::DELETE]);
}

#[tokio::test]
async fn a_readable_identifier_is_never_taken_for_the_id() {
    let mut options = OpenProjectOptions::default();
    options.semantic_ids = true;
    let bench = bench(options).await;
    let task = bench.tool.create_work_package(bench.project, "Readable");
    let read = bench.read(task).await;
    assert_eq!(read.id, id(task));
    assert!(
        read.url
            .is_some_and(|url| url.ends_with(&format!("/work_packages/{task}")))
    );
    let (listed, _) = bench
        .connection
        .all_tasks(ListTasks::new(id(bench.project)))
        .await
        .expect("a list");
    assert_eq!(
        listed.iter().map(|task| task.id.clone()).collect::<Vec<_>>(),
        [id(task)]
    );
    let readable = ReadTask {
        id: ExternalId::new("GARDEN-3").expect("an id"),
        project: id(bench.project),
    };
    let reading = bench
        .connection
        .read(vec![readable])
        .await
        .expect("an answer")
        .remove(0);
    assert!(reading.into_task().is_none());
}

#[tokio::test]
async fn a_project_is_known_by_its_id_whatever_its_name_and_identifier() {
    let bench = simple().await;
    let above = bench.tool.create_project("Above", "above");
    bench.tool.edit_project(bench.project, |project| {
        project.identifier = "renamed".to_owned();
        project.name = "Renamed".to_owned();
        project.parent_id = Some(above);
    });
    let task = bench.tool.create_work_package(bench.project, "Still here");
    let project = bench
        .connection
        .read_project(id(bench.project))
        .await
        .expect("an answer");
    assert!(matches!(project, ProjectReading::Open(project) if project.name == "Renamed"));
    assert_eq!(
        bench.connection.all_ids(id(bench.project)).await.expect("ids"),
        [id(task)].into()
    );
    assert!(bench.connection.all_ids(id(above)).await.expect("ids").is_empty());
}

#[tokio::test]
async fn custom_fields_are_read_and_never_written() {
    let options = OpenProjectOptions::default()
        .custom_field("customField1")
        .custom_field("customField2");
    let bench = bench(options).await;
    let task = bench.tool.create_work_package_with(bench.project, "Custom", |item| {
        item.custom_fields
            .insert("customField1".to_owned(), json!({ "raw": "*blue*", "html": "" }));
        item.custom_fields.insert("customField2".to_owned(), json!(7));
    });
    let seen = bench.read(task).await;
    assert_eq!(seen.metadata.get("customField1"), Some(&json!("*blue*")));
    assert_eq!(seen.metadata.get("customField2"), Some(&json!(7)));
    let written = bench.written(change(&seen, fields(&[(Field::Title, "Changed")]))).await;
    assert_eq!(written.task.metadata, seen.metadata);
    let sent = bench.tool.accepted_writes().remove(0).body;
    assert!(!sent.to_string().contains("customField"), "{sent}");
}

#[tokio::test]
async fn a_change_time_means_the_same_instant_in_every_time_zone() {
    let bench = simple().await;
    let task = bench.tool.create_work_package(bench.project, "When");
    bench
        .tool
        .set_updated_at(task, "2026-03-29T00:30:00.250Z".parse().expect("a time"));
    let list = || bench.connection.all_tasks(ListTasks::new(id(bench.project)));
    let (plain, cursor) = list().await.expect("a list");
    for zone in [
        "2026-03-29T14:30:00.250+14:00",
        "2026-03-28T17:30:00.250-07:00",
        "2026-03-29T06:00:00.250+05:30",
    ] {
        let shown = Fault::transform(move |mut page| {
            page["_embedded"]["elements"][0]["updatedAt"] = json!(zone);
            page
        });
        bench.tool.faults().inject(FaultRule::new(
            CallMatcher::any().path_ends_with("/work_packages"),
            shown,
        ));
        let (there, moved) = list().await.expect("a list");
        assert_eq!((there[0].updated_at, &moved), (plain[0].updated_at, &cursor), "{zone}");
    }
}

#[tokio::test]
async fn a_list_that_ignores_the_page_size_ends() {
    let bench = simple().await;
    (0..4).for_each(|number| {
        bench.tool.create_project(&format!("P{number}"), &format!("p{number}"));
    });
    let all_at_once = Fault::transform(|mut page| {
        page["pageSize"] = json!(2);
        page
    });
    let list = CallMatcher::any().path_ends_with("/projects");
    bench.tool.faults().inject(FaultRule::new(list, all_at_once).always());
    assert_eq!(bench.connection.all_projects().await.expect("projects").len(), 5);
}

#[tokio::test]
async fn a_dead_id_in_a_filter_is_no_dead_end() {
    let bench = simple().await;
    let top = bench.tool.create_work_package(bench.project, "Top");
    let below = |parent: u64, title: &str| {
        bench
            .tool
            .create_work_package_with(bench.project, title, |item| item.parent_id = Some(parent))
    };
    let (kept, lost) = (below(top, "Kept"), below(top, "Lost"));
    let (leaf, _) = (below(kept, "Leaf"), below(lost, "Lost too"));
    // Once the first level is read, somebody deletes one of it: a filter that names it is 400.
    let (tool, gone) = (bench.tool.clone(), lost);
    let delete = Fault::transform(move |page| {
        tool.delete_work_package(gone);
        page
    });
    bench.tool.faults().inject(FaultRule::new(
        CallMatcher::any().path_ends_with("/work_packages"),
        delete,
    ));
    let request = ReadTask {
        id: id(top),
        project: id(bench.project),
    };
    let found = bench.connection.list_descendants(request).await.expect("complete");
    let found: Vec<ExternalId> = found.into_iter().map(|task| task.id).collect();
    assert!(found.contains(&id(kept)) && found.contains(&id(leaf)), "{found:?}");
    assert!(
        bench
            .tool
            .recorder()
            .calls()
            .iter()
            .any(|call| call.status == Some(400)),
        "the trap was met"
    );
}

#[tokio::test]
async fn a_parent_that_can_not_be_one_is_refused_by_name() {
    let bench = simple().await;
    let hidden = bench.tool.create_project("Hidden", "hidden");
    bench.tool.remove_membership(hidden, bench.tool.sync_user());
    let milestone = bench
        .tool
        .create_work_package_with(bench.project, "Opening", |item| item.type_id = 2);
    let unseen = bench.tool.create_work_package(hidden, "Unseen");
    let task = bench.tool.create_work_package(bench.project, "Child");
    let child = bench
        .tool
        .create_work_package_with(bench.project, "Grandchild", |item| item.parent_id = Some(task));
    let seen = bench.read(task).await;
    for parent in [milestone, unseen, task, child, 99_999] {
        let error = bench
            .write(change(&seen, fields(&[(Field::Parent, &parent.to_string())])))
            .await
            .expect_err("refused");
        let named: Vec<Field> = error.rejected().iter().map(|rejected| rejected.field).collect();
        assert_eq!(named, [Field::Parent], "{parent}");
    }
}

#[tokio::test]
async fn a_status_that_freezes_an_item_refuses_by_field() {
    let bench = simple().await;
    let mut statuses = bench.tool.statuses();
    statuses[13].is_readonly = true;
    let frozen = statuses[13].id;
    bench.tool.set_statuses(statuses);
    let task = bench
        .tool
        .create_work_package_with(bench.project, "Frozen", |item| item.status_id = frozen);
    let seen = bench.read(task).await;
    let error = bench
        .write(change(
            &seen,
            fields(&[
                (Field::Title, "No"),
                (Field::Description, "No"),
                (Field::DueDate, "2026-05-04"),
            ]),
        ))
        .await
        .expect_err("frozen");
    let mut named: Vec<Field> = error.rejected().iter().map(|rejected| rejected.field).collect();
    named.sort();
    assert_eq!(named, [Field::Title, Field::Description, Field::DueDate]);
    let thawed = bench.written(change(&seen, fields(&[(Field::Status, "1")]))).await;
    assert_eq!(thawed.task.value(Field::Status), Some(&RemoteValue::text("1")));
}

#[tokio::test]
async fn a_refusal_of_what_was_not_sent_names_what_was() {
    let bench = bench(OpenProjectOptions::strict()).await;
    let task = bench
        .tool
        .create_work_package_with(bench.project, "Checked together", |item| {
            item.due_date = "2026-05-08".parse().ok();
            item.estimated_minutes = Some(60);
            item.remaining_minutes = Some(60);
        });
    let seen = bench.read(task).await;
    let refused = |field: Field, value: Value| {
        let write = change(&seen, BTreeMap::from([(field, RemoteValue(value))]));
        let bench = &bench;
        async move {
            let error = bench.write(write).await.expect_err("refused");
            let named: Vec<Field> = error.rejected().iter().map(|rejected| rejected.field).collect();
            assert_eq!(named, [field], "{error}");
        }
    };
    refused(Field::StartDate, json!("2026-06-01")).await;
    refused(Field::RemainingHours, json!(120)).await;
}

#[tokio::test]
async fn a_known_milestone_takes_its_date_in_one_request() {
    let bench = simple().await;
    let milestone = bench.tool.create_work_package_with(bench.project, "Opening", |item| {
        item.type_id = 2;
        item.start_date = "2026-05-04".parse().ok();
        item.due_date = item.start_date;
    });
    let seen = bench.read(milestone).await;
    bench.tool.reset_counts();
    let due = |day: &str| fields(&[(Field::DueDate, day)]);
    let written = bench.written(change(&seen, due("2026-06-01"))).await;
    assert_eq!(bench.tool.recorder().total(), 1);
    assert_eq!(
        written.task.value(Field::DueDate),
        Some(&RemoteValue::text("2026-06-01"))
    );
    // Another type since: the version says so before anything is lost.
    bench.tool.edit_work_package(milestone, |item| item.type_id = 1);
    let error = bench
        .write(change(&written.task, due("2026-07-01")))
        .await
        .expect_err("stale");
    assert_eq!(error.kind(), ConnectionErrorKind::VersionConflict);
    let seen = bench.read(milestone).await;
    let written = bench.written(change(&seen, due("2026-07-01"))).await;
    assert_eq!(
        written.task.value(Field::DueDate),
        Some(&RemoteValue::text("2026-07-01"))
    );
}

#[tokio::test]
async fn a_milestone_is_created_with_its_one_date() {
    let tool = simple().await.tool;
    let project = tool.create_project("Typed", "typed");
    let mut typed = settings("https://openproject.test");
    typed.options.tool.insert("type".to_owned(), json!("Milestone"));
    let connection = open(&tool, typed).await.expect("valid");
    let write = create(project, &[(Field::Title, "Opening"), (Field::DueDate, "2026-05-04")]);
    connection.write(vec![write]).await.remove(0).expect("created");
    let made = tool.work_packages().pop().expect("there");
    assert_eq!(
        (made.start_date, made.due_date),
        ("2026-05-04".parse().ok(), "2026-05-04".parse().ok())
    );
}

#[tokio::test]
async fn a_percentage_that_the_tool_computes_is_refused_once_and_then_known() {
    let bench = bench(OpenProjectOptions::default().progress(Progress::StatusBased)).await;
    let percent = || BTreeMap::from([(Field::PercentageDone, RemoteValue(json!(30)))]);
    let made = ["One", "Two"].map(|title| bench.tool.create_work_package(bench.project, title));
    let first = bench.read(made[0]).await;
    assert!(
        !first.fields.get(&Field::PercentageDone).expect("the field").derived,
        "not known yet"
    );
    bench.tool.reset_counts();
    for task in made {
        let mut seen = bench.read(task).await;
        seen.version = first.version.clone();
        let error = bench.write(change(&seen, percent())).await.expect_err("computed");
        let named: Vec<Field> = error.rejected().iter().map(|rejected| rejected.field).collect();
        assert_eq!(named, [Field::PercentageDone]);
    }
    assert_eq!(patches(&bench.tool), 1, "{:?}", bench.tool.requests());
    assert!(
        bench
            .read(made[1])
            .await
            .fields
            .get(&Field::PercentageDone)
            .expect("the field")
            .derived
    );
}

#[tokio::test]
async fn a_frozen_item_teaches_nothing_about_percentages() {
    let bench = simple().await;
    let mut statuses = bench.tool.statuses();
    statuses[13].is_readonly = true;
    let frozen = statuses[13].id;
    bench.tool.set_statuses(statuses);
    let task = bench
        .tool
        .create_work_package_with(bench.project, "Frozen", |item| item.status_id = frozen);
    let body = error_body("PropertyIsReadOnly", "Frozen.", Some("percentageDone"));
    bench
        .tool
        .faults()
        .fail_next(1, CallMatcher::any().method("PATCH"), 422, body);
    let seen = bench.read(task).await;
    let percent = BTreeMap::from([(Field::PercentageDone, RemoteValue(json!(30)))]);
    bench.write(change(&seen, percent)).await.expect_err("frozen");
    assert!(
        !bench
            .read(task)
            .await
            .fields
            .get(&Field::PercentageDone)
            .expect("the field")
            .derived
    );
}

#[tokio::test]
async fn time_logged_moves_no_stamp_and_is_seen_when_read() {
    let bench = simple().await;
    let task = bench.tool.create_work_package(bench.project, "Worked on");
    let old = bench.tool.create_work_package(bench.project, "Later");
    bench
        .tool
        .set_updated_at(task, "2026-01-01T00:00:00Z".parse().expect("a time"));
    bench
        .tool
        .set_updated_at(old, "2026-02-01T00:00:00Z".parse().expect("a time"));
    let list = ListTasks::new(id(bench.project));
    let (_, cursor) = bench.connection.all_tasks(list.clone()).await.expect("a list");
    bench.tool.log_time(task, 90);
    let (changed, _) = bench
        .connection
        .all_tasks(list.clone().changed_since(cursor))
        .await
        .expect("a list");
    assert!(changed.iter().all(|changed| changed.id != id(task)));
    let (all, _) = bench.connection.all_tasks(list).await.expect("a list");
    let seen = all.iter().find(|seen| seen.id == id(task)).expect("listed");
    assert_eq!(seen.value(Field::ActualHours), Some(&RemoteValue(json!(90))));
}

#[tokio::test]
async fn a_required_custom_field_is_named_and_nothing_is_made() {
    let bench = simple().await;
    let body = error_body(
        "PropertyConstraintViolation",
        "Cost centre can't be blank.",
        Some("customField3"),
    );
    bench
        .tool
        .faults()
        .fail_next(1, CallMatcher::any().method("POST"), 422, body);
    let error = bench
        .write(create(bench.project, &[(Field::Title, "New")]))
        .await
        .expect_err("refused");
    assert_eq!(
        (error.kind(), error.outcome()),
        (ConnectionErrorKind::Rejected, Outcome::NotApplied)
    );
    assert!(error.to_string().contains("Cost centre can't be blank."), "{error}");
    let request = FindCreated {
        project: id(bench.project),
        after: None,
        markers: Vec::new(),
    };
    assert!(
        bench
            .connection
            .find_created(request)
            .await
            .expect("complete")
            .is_empty()
    );
}

#[tokio::test]
async fn durations_survive_days_and_fractions_without_drift() {
    let bench = simple().await;
    let made = bench
        .written(create(bench.project, &[(Field::Title, "Long")]))
        .await
        .task;
    let mut seen = made;
    for minutes in [1, 59, 60, 90, 1439, 1440, 2161, 100_000] {
        let values = BTreeMap::from([(Field::EstimatedHours, RemoteValue(json!(minutes)))]);
        seen = bench.written(change(&seen, values)).await.task;
        assert_eq!(seen.value(Field::EstimatedHours), Some(&RemoteValue(json!(minutes))));
    }
}
