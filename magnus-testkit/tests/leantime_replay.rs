//! The replay of recorded flows.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use axum::body::{Body, to_bytes};
use axum::http::Request;
use magnus_testkit::replay::{FLOW_3_7_3, FLOW_3_9_8, LISTING_1000, Replay};
use serde_json::{Value, json};
use tower::ServiceExt;

async fn post(replay: &Replay, body: Value) -> Value {
    let request = Request::post("/api/jsonrpc")
        .body(Body::from(body.to_string()))
        .unwrap();
    let response = replay.router().oneshot(request).await.unwrap();
    serde_json::from_slice(&to_bytes(response.into_body(), usize::MAX).await.unwrap()).unwrap()
}

fn call(id: i64, method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": format!("leantime.rpc.{method}"), "params": params})
}

#[tokio::test]
async fn a_repeated_request_gets_its_answers_in_order() {
    let replay = Replay::in_order(&[FLOW_3_9_8]).unwrap();
    let listing = call(
        9,
        "Tickets.getAll",
        json!({"searchCriteria": {"currentProject": 7, "status": "all"}}),
    );
    let sizes = [
        post(&replay, listing.clone()).await,
        post(&replay, listing.clone()).await,
        post(&replay, listing).await,
    ]
    .map(|answer| (answer["id"].clone(), answer["result"].as_array().unwrap().len()));
    assert_eq!(sizes, [(json!(9), 17), (json!(9), 16), (json!(9), 16)]);
}

#[tokio::test]
async fn at_its_end_a_flow_can_be_pulled() {
    let replay = Replay::at_end(&[FLOW_3_9_8, LISTING_1000]).unwrap();
    let batch = json!([
        call(1, "Projects.getAll", json!({})),
        call(2, "Tickets.getTicket", json!({"id": 2095})),
        call(3, "Tickets.getTicket", json!({"id": 2102})),
        call(4, "Tickets.getStatusLabels", json!({"projectId": 5})),
        call(
            5,
            "Tickets.getAll",
            json!({"searchCriteria": {"currentProject": 5, "status": "all"}})
        ),
    ]);
    let answers = post(&replay, batch).await;
    let names: Vec<&str> = answers[0]["result"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|project| project["name"].as_str())
        .collect();
    assert_eq!(names, ["Perf 1000", "Flow 3.9.8"]);
    assert_eq!(
        (&answers[1]["result"]["id"], &answers[1]["result"]["status"]),
        (&json!(2095), &json!(0))
    );
    assert_eq!(answers[2]["result"], json!(false), "deleted in the flow");
    assert_eq!(answers[3]["result"]["3"]["name"], "New");
    assert_eq!(answers[4]["result"].as_array().map(Vec::len), Some(1_010));
    assert!(replay.misses().is_empty(), "{:?}", replay.misses());
}

#[tokio::test]
async fn what_was_not_recorded_is_a_loud_error_and_kept() {
    let replay = Replay::in_order(&[FLOW_3_7_3]).unwrap();
    let answer = post(&replay, call(1, "Tickets.patch", json!({"id": 1}))).await;
    assert_eq!(answer["error"]["code"], -32099);
    assert_eq!(replay.misses().len(), 1);
}
