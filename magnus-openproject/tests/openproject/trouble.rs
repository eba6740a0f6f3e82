//! What goes wrong on the way, and over a real socket.

use std::sync::Arc;
use std::time::Duration;

use crate::support::{Bench, change, create, fields, id, open, settings, simple};
use magnus_core::connection::{ConnectionErrorKind, ConnectionExt as _, Connector as _, ListTasks, Outcome};
use magnus_core::model::{DeletionPolicy, Field};
use magnus_openproject::OpenProjectConnector;
use magnus_testkit::sim::{CallMatcher, Fault, FaultRule};
use magnus_testkit::transport::RouterTransport;
use magnus_transport::HttpOptions;
use secrecy::SecretString;
use serde_json::json;

fn post() -> CallMatcher {
    CallMatcher::any().method("POST")
}

#[tokio::test]
async fn a_lost_answer_leaves_the_outcome_unknown_and_the_item_can_be_found() {
    let bench = simple().await;
    bench.tool.faults().inject(FaultRule::new(post(), Fault::LoseAnswer));
    let error = bench
        .write(create(bench.project, &[(Field::Title, "Lost")]))
        .await
        .expect_err("no answer");
    assert_eq!(error.outcome(), Outcome::Unknown);
    let request = magnus_core::connection::FindCreated {
        project: id(bench.project),
        after: None,
        markers: Vec::new(),
    };
    let found = bench.connection.find_created(request).await.expect("complete");
    assert_eq!(found.iter().map(|task| task.title()).collect::<Vec<_>>(), ["Lost"]);
}

#[tokio::test]
async fn an_answer_that_can_not_be_read_leaves_a_write_in_doubt() {
    let bench = simple().await;
    for (fault, kind) in [
        (Fault::TruncateJson, ConnectionErrorKind::Protocol),
        (Fault::Html(200), ConnectionErrorKind::Protocol),
        (Fault::WrongTypes, ConnectionErrorKind::Protocol),
        (Fault::Html(502), ConnectionErrorKind::Unavailable),
        (Fault::status(500, "{}"), ConnectionErrorKind::Unavailable),
    ] {
        bench.tool.faults().inject(FaultRule::new(post(), fault.clone()));
        let error = bench
            .write(create(bench.project, &[(Field::Title, "Doubt")]))
            .await
            .expect_err("no answer");
        assert_eq!((error.kind(), error.outcome()), (kind, Outcome::Unknown), "{fault:?}");
    }
}

#[tokio::test]
async fn a_refused_write_was_surely_not_applied() {
    let bench = simple().await;
    for (status, kind) in [
        (401, ConnectionErrorKind::Unauthorized),
        (403, ConnectionErrorKind::Forbidden),
        (404, ConnectionErrorKind::Protocol),
        (413, ConnectionErrorKind::Rejected),
        (429, ConnectionErrorKind::RateLimited),
    ] {
        bench.tool.faults().fail_next(1, post(), status, "");
        let error = bench
            .write(create(bench.project, &[(Field::Title, "Refused")]))
            .await
            .expect_err("refused");
        assert_eq!((error.kind(), error.outcome()), (kind, Outcome::NotApplied), "{status}");
    }
    assert!(bench.tool.work_packages().is_empty());
}

#[tokio::test]
async fn a_list_is_an_error_or_complete_whatever_comes_back() {
    let bench = simple().await;
    bench.tool.seed_project(bench.project, 3, 1);
    let list = CallMatcher::any().path_ends_with("/work_packages");
    for fault in [
        Fault::Html(200),
        Fault::TruncateJson,
        Fault::WrongTypes,
        Fault::LoseAnswer,
        Fault::status(200, "[]"),
        Fault::status(200, "null"),
        Fault::status(200, r#"{"total":3,"_embedded":{"elements":[]}}"#),
        Fault::status(204, ""),
        Fault::transform(|mut page| {
            page["_embedded"]["elements"][1]["updatedAt"] = json!("gestern");
            page
        }),
        Fault::transform(|mut page| {
            page["_embedded"]["elements"][1]["_links"]["project"] = json!({ "href": null });
            page
        }),
        Fault::transform(|mut page| {
            page["_embedded"]["elements"][0]["estimatedTime"] = json!("P99999999999999999999Y");
            page
        }),
    ] {
        bench.tool.faults().inject(FaultRule::new(list.clone(), fault.clone()));
        let result = bench.connection.all_tasks(ListTasks::new(id(bench.project))).await;
        let error = result.expect_err("no list");
        assert_eq!(error.outcome(), Outcome::NotApplied, "{fault:?}");
    }
    let complete = bench
        .connection
        .all_tasks(ListTasks::new(id(bench.project)))
        .await
        .expect("a list");
    assert_eq!(complete.0.len(), 3);
}

#[tokio::test]
async fn settings_that_can_not_work_are_refused_before_any_request() {
    let tool = simple().await.tool;
    let mut archive = settings("https://openproject.test");
    archive.options.deletions = DeletionPolicy::Archive;
    let mut misspelt = settings("https://openproject.test");
    misspelt.options.tool.insert("typ".to_owned(), json!("Task"));
    for wrong in [
        settings("not a url"),
        settings("https://user:secret@openproject.test"),
        archive,
        misspelt,
    ] {
        let error = open(&tool, wrong).await.expect_err("refused");
        assert_eq!(error.kind(), ConnectionErrorKind::InvalidSettings);
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    assert_eq!(tool.recorder().total(), 0);
}

#[tokio::test]
async fn a_servers_slow_clock_is_corrected_in_change_times() {
    let bench = simple().await;
    let behind = magnus_testkit::sim::openproject::Clock::new(|| chrono::Utc::now() - chrono::TimeDelta::hours(1));
    bench.tool.configure(|options| options.clock = behind);
    let late = Bench {
        tool: bench.tool.clone(),
        ..bench
    };
    let task = late.tool.create_work_package(late.project, "Now");
    let shown = chrono::Utc::now() - chrono::TimeDelta::hours(1);
    late.tool.set_updated_at(task, shown);
    let read = late.read(task).await.updated_at.expect("a time");
    assert!(
        (read - shown - chrono::TimeDelta::hours(1)).abs() < chrono::TimeDelta::seconds(30),
        "{read}"
    );
}

#[tokio::test]
async fn a_whole_round_trip_over_a_socket() {
    let tool = simple().await.tool;
    let project = tool.create_project("Socket", "socket");
    let served = tool.serve().await.expect("a port");
    let connector = OpenProjectConnector::over_http(HttpOptions::default().request_timeout(Duration::from_secs(20)))
        .expect("a client");
    let connection = connector
        .open(
            settings(&format!("{}/", served.url)),
            SecretString::from(tool.api_key()),
        )
        .await
        .expect("valid");
    assert_eq!(connection.check().await.expect("a user").name, "Sync Robot");
    let bench = Bench {
        tool,
        connection,
        project,
    };
    let written = bench
        .written(create(
            project,
            &[(Field::Title, "Über den Draht"), (Field::Description, "a\r\nb")],
        ))
        .await;
    bench
        .written(change(&written.task, fields(&[(Field::Title, "Changed")])))
        .await;
    let (tasks, _) = bench
        .connection
        .all_tasks(ListTasks::new(id(project)))
        .await
        .expect("a list");
    assert_eq!(tasks.iter().map(|task| task.title()).collect::<Vec<_>>(), ["Changed"]);
    bench.tool.faults().inject(FaultRule::new(post(), Fault::LoseAnswer));
    let error = bench
        .write(create(project, &[(Field::Title, "Lost")]))
        .await
        .expect_err("no answer");
    assert_eq!(error.outcome(), Outcome::Unknown);
    drop(served);
    let error = bench.connection.check().await;
    assert!(error.is_err_and(|error| error.kind() == ConnectionErrorKind::Unavailable));
}

#[tokio::test]
async fn an_answer_larger_than_accepted_is_asked_for_in_smaller_pages() {
    let tool = simple().await.tool;
    let project = tool.create_project("Large", "large");
    for number in 0..60 {
        tool.create_work_package_with(project, &format!("Long {number}"), |item| {
            item.description = "x".repeat(5_000)
        });
    }
    let served = tool.serve().await.expect("a port");
    let options = HttpOptions::default().max_body_bytes(400_000);
    let connector = OpenProjectConnector::over_http(options).expect("a client");
    let connection = connector
        .open(settings(&served.url), SecretString::from(tool.api_key()))
        .await
        .expect("valid");
    let (tasks, _) = connection.all_tasks(ListTasks::new(id(project))).await.expect("a list");
    assert_eq!(tasks.len(), 60);
}

#[tokio::test]
async fn nothing_shows_the_key() {
    let bench = simple().await;
    let key = bench.tool.api_key();
    let connector = OpenProjectConnector::new(Arc::new(RouterTransport::new(bench.tool.router())));
    let error = connector
        .open(
            settings("https://openproject.test"),
            SecretString::from(format!("{key} ")),
        )
        .await;
    assert!(error.is_ok(), "white space around a pasted key does not matter");
    let broken = connector
        .open(
            settings("https://openproject.test"),
            SecretString::from(format!("{key}\u{e9}")),
        )
        .await;
    let shown = format!(
        "{:?} {connector:?} {:?}",
        bench.connection,
        broken.expect_err("no key has that")
    );
    assert!(!shown.contains(&key), "{shown}");
    bench.tool.edit_user(bench.tool.sync_user(), |user| user.api_key = None);
    let refused = bench.connection.check().await.expect_err("refused");
    assert!(!format!("{refused} {refused:?}").contains(&key));
}
