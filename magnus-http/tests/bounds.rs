//! How much is taken on at once: requests in work, waiting, listening. What is beyond is told so at once and kept nowhere.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use std::sync::Arc;

use axum::body::Body;
use http::{Method, Request};
use magnus_core::memory::MemoryStore;
use magnus_testkit::sim::{CallMatcher, Fault, FaultRule, Gate};
use serde_json::json;
use support::{Answer, Bench};
use tower::ServiceExt as _;

/// OpenProject answers nothing until the gate is opened.
fn hold(bench: &Bench) -> Gate {
    let gate = Gate::default();
    let rule = FaultRule::new(CallMatcher::any(), Fault::Hold(gate.clone()));
    bench.openproject.faults().inject(rule.always());
    gate
}

#[track_caller]
fn assert_sent_away(answer: Answer) {
    let answer = answer.is(503);
    assert_eq!(answer.headers["retry-after"], "1");
    assert_eq!(answer.json()["type"], "urn:magnus:problem:busy");
}

#[tokio::test]
async fn a_request_too_many_is_sent_away_and_what_is_in_work_is_answered() {
    let bench = Bench::with(Arc::new(MemoryStore::new()), |options| options.requests_at_once = 1);
    let gate = hold(&bench);
    let in_work = bench.post("/connections", bench.openproject_in());
    let meanwhile = async {
        gate.reached(1).await;
        assert_sent_away(bench.get("/connections").await);
        assert_sent_away(bench.get("/nothing").await);
        bench.get("/health").await.is(200);
        let listener = bench.get_head("/sync/events").await;
        assert_eq!(listener.status(), 200, "listeners do not count among them");
        gate.open();
    };
    let (added, ()) = tokio::join!(in_work, meanwhile);
    added.is(201);
    bench.get("/connections").await.is(200);
    let metrics = bench.get("/metrics").await.text;
    let refused = "magnus_http_requests_total{method=\"GET\",route=\"/connections\",status=\"503\"} 1";
    assert!(metrics.contains(refused), "{metrics}");
}

#[tokio::test]
async fn who_waits_for_runs_takes_no_place_of_others() {
    let bench = Bench::with(Arc::new(MemoryStore::new()), |options| {
        (options.requests_at_once, options.waiting_at_once) = (1, 1);
    });
    let id = bench.filled(1).await;
    let gate = hold(&bench);
    let (sync, test) = (format!("/connections/{id}/sync"), format!("/connections/{id}/test"));
    let waited = format!("{sync}?wait=true");
    let waits = bench.act(&waited);
    let meanwhile = async {
        gate.reached(1).await;
        assert_sent_away(bench.act(&waited).await);
        assert_sent_away(bench.get(&test).await);
        bench.act(&sync).await.is(202);
        bench.get("/sync/status").await.is(200);
        gate.open();
    };
    let (ended, ()) = tokio::join!(waits, meanwhile);
    ended.is(200);
    bench.orchestrator.idle().await;
    bench.get(&test).await.is(200);
}

#[tokio::test]
async fn a_listener_too_many_is_sent_away_until_another_one_leaves() {
    let bench = Bench::with(Arc::new(MemoryStore::new()), |options| options.listeners_at_once = 1);
    let first = bench.get_head("/sync/events").await;
    assert_eq!(first.status(), 200);
    assert_sent_away(bench.get("/sync/events").await);
    bench.get("/connections").await.is(200);
    drop(first);
    assert_eq!(bench.get_head("/sync/events").await.status(), 200);
}

impl Bench {
    /// Asks for what has no end: answers once it began.
    async fn get_head(&self, path: &str) -> http::Response<Body> {
        let request = Request::get(path).body(Body::empty()).unwrap();
        self.app.clone().oneshot(request).await.unwrap()
    }
}

#[tokio::test]
async fn what_is_counted_of_invented_methods_is_one_number() {
    let bench = Bench::new();
    for number in 0..20 {
        let method = Method::from_bytes(format!("X{number}").as_bytes()).unwrap();
        bench.ask(method, "/connections", json!({})).await.is(405);
    }
    let counted = bench.get("/metrics").await.is(200).text;
    assert!(counted.contains("method=\"OTHER\""), "{counted}");
    assert!(!counted.contains("X7"), "{counted}");
}
