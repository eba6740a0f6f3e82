//! What goes over the wire, call by call; `TRAPS.md` lists the traps behind it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "support/bench.rs"]
mod bench;
mod support;

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bench::Bench;
use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use magnus_core::connection::{ConnectionErrorKind as Kind, ListProjects, Outcome};
use magnus_core::model::{Field, Task};
use magnus_testkit::sim::leantime::{Dialect, LeantimeOptions, LeantimeSimulator};
use magnus_testkit::sim::{CallMatcher, Fault, FaultRule};
use magnus_testkit::transport::RouterTransport;
use magnus_transport::{Transport, TransportError};
use serde_json::{Value, json};
use support::{create, id, instance, number, update, written};

/// Every call of some runs that read, create and change.
async fn calls_of_runs(dialect: Dialect) -> Vec<Value> {
    let bench = Bench::new(dialect, |_| {}).await;
    bench.simulator.create_ticket(bench.project, "theirs");
    bench.put(Task::new(bench.hub, "ours", chrono::Utc::now()), true).await;
    bench.sync().await;
    let mut task = bench.tasks().await.remove(0);
    task.description = Some("changed".to_owned());
    bench.put(task, false).await;
    bench.sync().await;
    let bodies = bench
        .simulator
        .recorder()
        .calls()
        .into_iter()
        .map(|call| call.call.body);
    let batches = bodies.map(|body| body.and_then(|body| body.as_array().cloned()).unwrap());
    batches.flatten().collect()
}

#[tokio::test(start_paused = true)]
async fn every_call_has_a_number_and_named_parameters() {
    for dialect in Dialect::ALL {
        let calls = calls_of_runs(dialect).await;
        assert!(calls.len() > 10, "{calls:?}");
        for call in calls {
            assert!(call["id"].as_u64().is_some_and(|id| id > 0), "{call}");
            assert!(call["params"].is_object(), "{call}");
            assert_eq!(call["jsonrpc"], "2.0", "{call}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn labels_are_asked_for_one_project_each() {
    let calls = calls_of_runs(Dialect::V398).await;
    let asked: Vec<&Value> = calls
        .iter()
        .filter(|call| {
            call["method"]
                .as_str()
                .is_some_and(|method| method.ends_with("getStatusLabels"))
        })
        .collect();
    assert!(!asked.is_empty());
    for call in asked {
        assert!(call["params"]["projectId"].as_i64().is_some_and(|id| id > 0), "{call}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_exception_in_the_tool_leaves_a_write_in_doubt_and_a_refusal_does_not() {
    for (code, expected) in [
        (-32000, (Kind::Protocol, Outcome::Unknown)),
        (-32602, (Kind::Rejected, Outcome::NotApplied)),
        (-32001, (Kind::Forbidden, Outcome::NotApplied)),
    ] {
        let (simulator, project, connection) = instance(Dialect::V398).await;
        let task = simulator.create_ticket(number(&project), "t");
        let failing = Fault::transform(move |answer| {
            let mut answers = answer.as_array().cloned().unwrap();
            for answer in &mut answers {
                let error = json!({"code": code, "message": "Server error", "data": null});
                *answer = json!({"jsonrpc": "2.0", "id": answer["id"], "error": error});
            }
            Value::Array(answers)
        });
        simulator
            .faults()
            .inject(FaultRule::new(CallMatcher::any(), failing).always());
        for write in [
            create(&project, &[(Field::Title, json!("new"))]),
            update(&project, task, &[(Field::Title, json!("changed"))]),
        ] {
            let error = connection.write(vec![write]).await.remove(0).unwrap_err();
            assert_eq!((error.kind(), error.outcome()), expected, "{code}: {error}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stamp_that_moves_without_a_change_changes_nothing() {
    let bench = Bench::new(Dialect::Master, |_| {}).await;
    let ticket = bench.simulator.create_ticket(bench.project, "t");
    bench.sync().await;
    let before = bench.simulator.ticket(ticket).unwrap().modified;
    // Somebody sorts the list, or saves what is there already.
    tokio::time::advance(std::time::Duration::from_secs(5)).await;
    bench.simulator.edit_ticket(ticket, |_| {});
    assert_ne!(bench.simulator.ticket(ticket).unwrap().modified, before);
    bench.is_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn closed_projects_are_listed_as_closed() {
    let (simulator, project, connection) = instance(Dialect::V398).await;
    let other = simulator.create_project("Beta");
    simulator.edit_project(number(&project), |project| project.state = Some(-1));
    let listed = connection.list_projects(ListProjects::default()).await.unwrap().items;
    let open = |wanted| {
        listed
            .iter()
            .find(|project| project.id == wanted)
            .map(|project| project.open)
    };
    assert_eq!((open(project), open(id(other))), (Some(false), Some(true)));
}

/// A way to the tool that hands out a cookie with each answer, as every instance does, and keeps what was sent.
#[derive(Debug)]
struct WithCookies {
    tool: RouterTransport,
    sent: Arc<Mutex<Vec<Vec<String>>>>,
}

#[async_trait]
impl Transport for WithCookies {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let names = request.headers().keys().map(|name| name.as_str().to_owned()).collect();
        self.sent.lock().unwrap().push(names);
        let mut response = self.tool.send(request).await?;
        let cookie = HeaderValue::from_static("leantime_session=abc; path=/");
        response.headers_mut().insert("set-cookie", cookie);
        Ok(response)
    }
}

#[tokio::test(start_paused = true)]
async fn no_cookie_is_sent_back_and_no_call_looks_like_a_browsers() {
    let simulator = LeantimeSimulator::new(LeantimeOptions::default());
    let sent = Arc::default();
    let transport = WithCookies {
        tool: RouterTransport::new(simulator.router()),
        sent: Arc::clone(&sent),
    };
    let bench = Bench::over(simulator, Arc::new(transport), |_| {}).await;
    bench.put(Task::new(bench.hub, "ours", chrono::Utc::now()), true).await;
    bench.sync().await;
    bench.is_quiet().await;
    let sent = sent.lock().unwrap();
    assert!(sent.len() > 3, "{sent:?}");
    for mut names in sent.iter().cloned() {
        names.sort();
        assert_eq!(names, ["accept", "content-type", "x-api-key"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_personal_token_goes_in_another_header_and_writes_as_its_person() {
    let (simulator, project, _) = instance(Dialect::V398).await;
    let person = simulator.create_person("Ada", "Byron", "ada@example.org", 20);
    simulator.assign(person, number(&project));
    let token = simulator.create_token(person);
    let options = magnus_core::model::ConnectionOptions::default();
    let connection = support::open(simulator.router(), &token, options).await;
    assert_eq!(connection.check().await.unwrap().id, id(person));
    let made = written(
        connection
            .write(vec![create(&project, &[(Field::Title, json!("t"))])])
            .await
            .remove(0),
    );
    assert_eq!(simulator.ticket(number(&made.task.id)).unwrap().user_id, person);
}
