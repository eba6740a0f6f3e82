//! The Leantime simulator against what was observed on real instances.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use axum::body::{Body, to_bytes};
use axum::http::Request;
use magnus_testkit::sim::leantime::{Dialect, LeantimeOptions, LeantimeSimulator, StatusLabel};
use serde_json::{Value, json};
use std::time::Duration;
use tower::ServiceExt;

struct Answer {
    status: u16,
    content_type: String,
    retry_after: Option<String>,
    body: Value,
}

async fn post(simulator: &LeantimeSimulator, key: &str, body: Value) -> Answer {
    let request = Request::post("/api/jsonrpc")
        .header("x-api-key", key)
        .body(Body::from(body.to_string()))
        .unwrap();
    let response = simulator.router().oneshot(request).await.unwrap();
    let header = |name: &str| {
        response
            .headers()
            .get(name)
            .map(|value| value.to_str().unwrap().to_owned())
    };
    let (status, content_type, retry_after) = (
        response.status().as_u16(),
        header("content-type").unwrap_or_default(),
        header("retry-after"),
    );
    let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    Answer {
        status,
        content_type,
        retry_after,
        body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
    }
}

async fn call_as(simulator: &LeantimeSimulator, key: &str, method: &str, params: Value) -> Value {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": format!("leantime.rpc.{method}"), "params": params});
    post(simulator, key, body).await.body
}

async fn call(simulator: &LeantimeSimulator, method: &str, params: Value) -> Value {
    call_as(simulator, simulator.api_key(), method, params).await
}

fn with(dialect: Dialect) -> (LeantimeSimulator, i64) {
    let simulator = LeantimeSimulator::new(LeantimeOptions::dialect(dialect));
    let project = simulator.create_project("Alpha");
    (simulator, project)
}

#[tokio::test]
async fn a_wrong_key_is_a_401_page_that_is_no_envelope() {
    let (simulator, _) = with(Dialect::V398);
    let answer = post(&simulator, "lt_wrong_wrong", json!({"jsonrpc": "2.0"})).await;
    assert_eq!(
        (answer.status, answer.content_type.as_str()),
        (401, "text/html; charset=UTF-8")
    );
    assert_eq!(answer.body, json!({"error": "Unauthorized"}));
    simulator.set_database_down(true);
    assert_eq!(post(&simulator, simulator.api_key(), json!({})).await.status, 401);
}

#[tokio::test]
async fn a_batch_is_answered_in_order_with_null_for_a_notification() {
    let (simulator, project) = with(Dialect::V398);
    let batch = json!([
        {"jsonrpc": "2.0", "method": "leantime.rpc.projects.get_project_name", "params": {"projectId": project}, "id": 1},
        {"jsonrpc": "2.0", "method": "leantime.rpc.Tickets.nope", "params": {}, "id": "two"},
        {"jsonrpc": "2.0", "method": "leantime.rpc.Tickets.addTicket", "params": {"values": {"headline": "quiet", "projectId": project}}},
        {"jsonrpc": "1.0", "method": "leantime.rpc.Tickets.getAll", "id": 4},
    ]);
    let answer = post(&simulator, simulator.api_key(), batch).await.body;
    assert_eq!(answer[0], json!({"jsonrpc": "2.0", "result": "Alpha", "id": 1}));
    assert_eq!(
        (answer[1]["error"]["code"].as_i64(), &answer[1]["id"]),
        (Some(-32601), &json!("two"))
    );
    assert_eq!(answer[2], Value::Null);
    assert_eq!(answer[3]["error"]["code"], json!(-32600));
    assert_eq!(simulator.tickets().len(), 1, "the notification was executed");
    assert_eq!((simulator.requests().http, simulator.writes()), (1, 1));
    assert_eq!(simulator.requests().methods["Tickets.addTicket"], 1);
}

#[tokio::test]
async fn dialects_differ_in_scalars_and_in_the_name_of_patch() {
    let values = json!({"id": 1, "values": {"headline": "new"}, "params": {"headline": "new"}});
    for dialect in Dialect::ALL {
        let (simulator, project) = with(dialect);
        let added = call(
            &simulator,
            "Tickets.addTicket",
            json!({"values": {"headline": "one", "projectId": project}}),
        )
        .await;
        let new = call(&simulator, "Tickets.patchTicket", values.clone()).await;
        let old = call(&simulator, "Tickets.patch", values.clone()).await;
        let whoami = call(&simulator, "Users.getUser", json!({})).await;
        let missing = call(&simulator, "Tickets.getTicket", json!({"id": 99})).await;
        let ticket = call(&simulator, "Tickets.getTicket", json!({"id": 1})).await;
        if dialect == Dialect::V373 {
            assert_eq!((&added["result"], &old["result"]), (&json!([1]), &json!([true])));
            assert_eq!(new["error"]["data"], "Method doesn't exist: patchTicket");
            assert_eq!(whoami["error"]["data"], "Required Parameter Missing: id");
            assert_eq!(missing["result"], json!([false]));
        } else {
            assert_eq!((&added["result"], &new["result"]), (&json!(1), &json!(true)));
            assert_eq!(old["error"]["data"], "Method is not available via API: patch");
            assert_eq!(whoami["result"]["id"], 2);
            assert_eq!(missing["result"], json!(false));
        }
        assert_eq!(ticket["result"]["modified"].is_string(), dialect == Dialect::Master);
    }
}

#[tokio::test]
async fn texts_are_trimmed_cut_and_emptied_without_a_word() {
    let (simulator, project) = with(Dialect::V398);
    let id = simulator.create_ticket(project, "t");
    let values =
        json!({"headline": format!("\u{a0} {} ", "é".repeat(300)), "description": "é".repeat(40_000), "tags": ""});
    let answer = call(&simulator, "Tickets.patchTicket", json!({"id": id, "values": values})).await;
    assert_eq!(answer["result"], json!(true));
    let ticket = simulator.ticket(id).unwrap();
    assert_eq!(ticket.headline, Some("é".repeat(255)));
    assert_eq!(ticket.description.map(|text| text.len()), Some(65_534));
    assert_eq!(ticket.tags, None);
    let unknown = call(
        &simulator,
        "Tickets.patchTicket",
        json!({"id": id, "values": {"foo": 1}}),
    )
    .await;
    assert_eq!(unknown["result"], json!(false));
    let refused = call(&simulator, "Tickets.getAll", json!({"searchCriteria": null})).await;
    assert_eq!(refused["error"]["code"], -32602);
    let missing = call(
        &simulator,
        "Tickets.patchTicket",
        json!({"id": 99, "values": {"headline": "x"}}),
    )
    .await;
    assert_eq!(missing["error"]["code"], -32002);
}

#[tokio::test]
async fn lost_access_looks_like_an_empty_project() {
    let (simulator, project) = with(Dialect::V398);
    let key = simulator.create_api_key(20);
    let user = simulator.user_of_key(&key).unwrap();
    simulator.assign(user, project);
    let id = simulator.create_ticket(project, "t");
    let list = json!({"searchCriteria": {"currentProject": project, "status": "all"}});
    assert_eq!(
        call_as(&simulator, &key, "Tickets.getAll", list.clone()).await["result"]
            .as_array()
            .map(Vec::len),
        Some(1)
    );
    simulator.unassign(user, project);
    assert_eq!(
        call_as(&simulator, &key, "Tickets.getAll", list).await["result"],
        json!([])
    );
    assert_eq!(
        call_as(&simulator, &key, "Tickets.getTicket", json!({"id": id})).await["result"],
        json!(false)
    );
    assert_eq!(
        call_as(&simulator, &key, "Projects.getProject", json!({"id": project})).await["error"]["code"],
        -32001
    );
}

#[tokio::test]
async fn lists_hide_the_archive_unless_asked_for_all() {
    let (simulator, project) = with(Dialect::V398);
    for status in [-1, 0, 3, 55] {
        simulator.create_ticket_with(project, "t", |ticket| ticket.status = status);
    }
    simulator.create_ticket_with(project, "m", |ticket| ticket.kind = "milestone".to_owned());
    let count = async |criteria: Value| {
        let answer = call(&simulator, "Tickets.getAll", json!({"searchCriteria": criteria})).await;
        answer["result"].as_array().unwrap().len()
    };
    assert_eq!(count(json!({"currentProject": project})).await, 4);
    assert_eq!(
        count(json!({"currentProject": project.to_string(), "status": "all"})).await,
        5
    );
    assert_eq!(
        count(json!({"currentProject": project, "status": "all", "excludeType": "milestone"})).await,
        4
    );
    assert_eq!(count(json!({"currentProject": project, "status": "done"})).await, 2);
    assert_eq!(count(json!({"projects": "77", "status": "all"})).await, 0);
}

#[tokio::test]
async fn status_labels_are_an_object_or_a_list() {
    let (simulator, project) = with(Dialect::V398);
    let default = call(&simulator, "Tickets.getStatusLabels", json!({"projectId": project})).await;
    assert_eq!(default["result"]["-1"]["statusType"], "DONE");
    simulator.set_status_labels(project, vec![StatusLabel::new(10, "To do", "NEW")]);
    let own = call(&simulator, "Tickets.getStatusLabels", json!({"projectId": project})).await;
    assert_eq!(
        (&own["result"]["10"]["sortKey"], &own["result"]["-1"]["sortKey"]),
        (&json!("1"), &json!(2))
    );
}

#[tokio::test(start_paused = true)]
async fn the_rate_limit_counts_a_batch_once_and_ends_with_its_minute() {
    let simulator = LeantimeSimulator::new(LeantimeOptions::default().rate_limit_per_minute(2));
    let one = json!({"jsonrpc": "2.0", "id": 1, "method": "leantime.rpc.Tickets.getTicketTypes"});
    let batch = Value::Array(vec![one.clone(); 50]);
    assert_eq!(post(&simulator, simulator.api_key(), batch).await.status, 200);
    assert_eq!(post(&simulator, simulator.api_key(), one.clone()).await.status, 200);
    let limited = post(&simulator, simulator.api_key(), one.clone()).await;
    assert_eq!((limited.status, limited.retry_after.as_deref()), (429, Some("60")));
    tokio::time::advance(Duration::from_secs(61)).await;
    assert_eq!(post(&simulator, simulator.api_key(), one).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn twenty_wrong_keys_lock_out_the_right_one_too() {
    let (simulator, _) = with(Dialect::V398);
    for _ in 0..20 {
        assert_eq!(post(&simulator, "lt_bad", json!({})).await.status, 401);
    }
    let locked = post(&simulator, simulator.api_key(), json!({})).await;
    assert_eq!((locked.status, locked.retry_after), (429, None));
    tokio::time::advance(Duration::from_secs(61)).await;
    assert_eq!(post(&simulator, simulator.api_key(), json!({})).await.status, 200);
}

#[tokio::test]
async fn a_partial_update_marks_the_ticket_done_and_empties_it() {
    let (simulator, project) = with(Dialect::V398);
    let id = simulator.create_ticket_with(project, "t", |ticket| ticket.tags = Some("a".to_owned()));
    let values = json!({"id": id, "projectId": project, "headline": "t"});
    assert_eq!(
        call(&simulator, "Tickets.updateTicket", json!({"values": values})).await["result"],
        json!(true)
    );
    let ticket = simulator.ticket(id).unwrap();
    assert_eq!((ticket.status, ticket.tags), (0, Some(String::new())));
}
