//! What goes wrong on demand.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::Request;

use super::{basic, get, ids, raw, simulator};
use crate::sim::{CallMatcher, Fault, FaultRule};

#[tokio::test]
async fn a_lost_answer_is_applied_and_its_body_breaks() {
    let (simulator, project) = simulator();
    simulator
        .faults()
        .inject(FaultRule::new(CallMatcher::any().method("POST"), Fault::LoseAnswer));
    let request = Request::post(format!("/api/v3/projects/{project}/work_packages"))
        .header("authorization", basic(&simulator.api_key()))
        .header("content-type", "application/json")
        .body(Body::from(r#"{"subject":"Lost"}"#))
        .expect("valid");
    let response = raw(&simulator, request).await;
    assert!(to_bytes(response.into_body(), usize::MAX).await.is_err());
    assert_eq!(simulator.work_packages().len(), 1);
    assert_eq!(simulator.faults().pending(), 0);
}

#[tokio::test(start_paused = true)]
async fn delays_follow_paused_time_and_a_hanging_call_is_recorded_without_answer() {
    let (simulator, _) = simulator();
    simulator.faults().delay_all(Some(Duration::from_secs(3600)));
    assert_eq!(get(&simulator, "/api/v3/statuses").await.status, 200);
    simulator.faults().clear();
    simulator
        .faults()
        .inject(FaultRule::new(CallMatcher::any(), Fault::Hang));
    let hanging = tokio::time::timeout(Duration::from_secs(60), get(&simulator, "/api/v3/types")).await;
    assert!(hanging.is_err());
    assert_eq!(simulator.recorder().calls().last().map(|call| call.status), Some(None));
}

#[tokio::test]
async fn faults_hit_as_many_matching_calls_as_asked_and_a_page_can_repeat() {
    let (simulator, project) = simulator();
    simulator
        .faults()
        .fail_next(2, CallMatcher::any().path_ends_with("/statuses"), 503, "busy");
    assert_eq!(get(&simulator, "/api/v3/priorities").await.status, 200);
    for expected in [503, 503, 200] {
        assert_eq!(get(&simulator, "/api/v3/statuses").await.status, expected);
    }
    for number in 0..3 {
        simulator.create_work_package(project, &format!("Task {number}"));
    }
    simulator
        .faults()
        .inject(FaultRule::new(CallMatcher::any().query_contains("offset"), Fault::RepeatAnswer).times(2));
    let first = ids(&get(&simulator, "/api/v3/work_packages?pageSize=1&offset=1").await);
    assert_eq!(
        ids(&get(&simulator, "/api/v3/work_packages?pageSize=1&offset=2").await),
        first
    );
    simulator
        .faults()
        .inject(FaultRule::new(CallMatcher::any(), Fault::TruncateJson));
    let cut = get(&simulator, "/api/v3/work_packages").await;
    assert!(cut.body.is_null() && cut.text.starts_with('{'));
    simulator
        .faults()
        .inject(FaultRule::new(CallMatcher::any(), Fault::Html(200)));
    assert!(
        get(&simulator, "/api/v3/work_packages")
            .await
            .text
            .starts_with("<!DOCTYPE")
    );
}
