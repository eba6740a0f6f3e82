//! Lists, reads and who sees what.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use axum::body::{Body, to_bytes};
use axum::http::Request;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::super::{Clock, OpenProjectOptions, OpenProjectSimulator, Role};
use super::{basic, error, escape, get, ids, list, raw, send, simulator, with};

#[tokio::test]
async fn basic_and_bearer_keys_work_and_wrong_ones_are_401() {
    let (simulator, _) = simulator();
    let me = |header: &str| {
        Request::builder()
            .uri("/api/v3/users/me")
            .header("authorization", header)
            .body(Body::empty())
            .expect("valid")
    };
    assert_eq!(raw(&simulator, me(&basic(&simulator.api_key()))).await.status(), 200);
    assert_eq!(
        raw(&simulator, me(&format!("Bearer {}", simulator.api_key())))
            .await
            .status(),
        200
    );
    let wrong = raw(&simulator, me(&basic("nonsense"))).await;
    assert_eq!(wrong.status(), 401);
    assert!(wrong.headers().contains_key("www-authenticate"));
    let none = raw(
        &simulator,
        Request::get("/api/v3/users/me").body(Body::empty()).expect("valid"),
    )
    .await;
    assert_eq!(none.status(), 401);
}

#[tokio::test]
async fn anonymous_access_answers_200_with_nobody_behind_it() {
    let (simulator, _) = with(OpenProjectOptions::default().anonymous_access());
    let root = raw(&simulator, Request::get("/api/v3").body(Body::empty()).expect("valid")).await;
    assert_eq!(root.status(), 200);
    let body: Value =
        serde_json::from_slice(&to_bytes(root.into_body(), usize::MAX).await.expect("whole")).expect("JSON");
    assert_eq!(body["_links"].get("user"), None);
    assert_eq!(
        get(&simulator, "/api/v3").await.body["_links"]["user"]["href"],
        json!("/api/v3/users/4")
    );
}

#[tokio::test]
async fn without_filters_closed_items_are_hidden_and_any_filter_shows_them() {
    let (simulator, project) = simulator();
    let open = simulator.create_work_package(project, "Open");
    let closed = simulator.status_id("Closed").expect("a closed status");
    let done = simulator.create_work_package_with(project, "Done", |item| item.status_id = closed);
    assert_eq!(ids(&get(&simulator, "/api/v3/work_packages").await), [open]);
    assert_eq!(ids(&list(&simulator, "[]").await), [done, open]);
    assert_eq!(
        ids(&list(&simulator, r#"[{"status":{"operator":"c","values":[]}}]"#).await),
        [done]
    );
}

#[tokio::test]
async fn page_size_is_20_by_default_and_cut_silently_to_the_maximum() {
    let (simulator, project) = with(OpenProjectOptions::default().page_size_max(30));
    for number in 0..45 {
        simulator.create_work_package(project, &format!("Task {number}"));
    }
    let default = get(&simulator, "/api/v3/work_packages").await;
    assert_eq!(
        (&default.body["count"], &default.body["total"]),
        (&json!(20), &json!(45))
    );
    let cut = get(&simulator, "/api/v3/work_packages?pageSize=1000").await;
    assert_eq!((&cut.body["count"], &cut.body["pageSize"]), (&json!(30), &json!(30)));
    assert!(cut.body["_links"].get("nextByOffset").is_some());
    let last = get(&simulator, "/api/v3/work_packages?pageSize=1000&offset=2").await;
    assert_eq!(last.body["count"], json!(15));
    assert!(last.body["_links"].get("nextByOffset").is_none());
    assert_eq!(
        get(&simulator, "/api/v3/configuration").await.body["maximumApiV3PageSize"],
        json!(30)
    );
}

#[tokio::test]
async fn subprojects_are_listed_with_a_project_unless_excluded() {
    let (simulator, project) = simulator();
    let inner = simulator.create_subproject(project, "Beds", "beds");
    let outer_item = simulator.create_work_package(project, "Outer");
    let inner_item = simulator.create_work_package(inner, "Inner");
    let path = format!("/api/v3/projects/{project}/work_packages");
    assert_eq!(ids(&get(&simulator, &path).await), [inner_item, outer_item]);
    assert_eq!(
        ids(&get(&simulator, &format!("{path}?includeSubprojects=false")).await),
        [outer_item]
    );
}

#[tokio::test]
async fn an_unknown_id_in_a_filter_is_an_error_and_not_an_empty_result() {
    let (simulator, project) = simulator();
    let item = simulator.create_work_package(project, "Here");
    let mixed = list(
        &simulator,
        &format!(r#"[{{"id":{{"operator":"=","values":["{item}","999"]}}}}]"#),
    )
    .await;
    assert_eq!(error(&mixed), (400, "InvalidQuery".to_owned()));
    let status = list(&simulator, r#"[{"status":{"operator":"=","values":["77"]}}]"#).await;
    assert_eq!(error(&status), (400, "InvalidQuery".to_owned()));
    let two = list(
        &simulator,
        r#"[{"status":{"operator":"=","values":["77"]}},{"nonsense":{"operator":"=","values":["1"]}}]"#,
    )
    .await;
    assert_eq!(error(&two), (422, "MultipleErrors".to_owned()));
}

#[tokio::test]
async fn shown_times_are_cut_to_milliseconds_so_an_upper_bound_misses_its_own_row() {
    let (simulator, project) = simulator();
    let item = simulator.create_work_package(project, "Precise");
    simulator.set_updated_at(item, "2026-05-01T10:00:00.123456Z".parse().expect("a time"));
    let shown = get(&simulator, &format!("/api/v3/work_packages/{item}")).await.body["updatedAt"].clone();
    assert_eq!(shown, json!("2026-05-01T10:00:00.123Z"));
    let from = list(
        &simulator,
        r#"[{"updatedAt":{"operator":"<>d","values":["2026-05-01T10:00:00.123Z",""]}}]"#,
    )
    .await;
    assert_eq!(ids(&from), [item]);
    let to = list(
        &simulator,
        r#"[{"updatedAt":{"operator":"<>d","values":["","2026-05-01T10:00:00.123Z"]}}]"#,
    )
    .await;
    assert!(ids(&to).is_empty());
}

#[tokio::test]
async fn select_knows_neither_update_time_nor_version() {
    let (simulator, project) = simulator();
    let item = simulator.create_work_package(project, "One");
    let answer = get(
        &simulator,
        "/api/v3/work_packages?filters=%5B%5D&select=total,elements/id",
    )
    .await;
    assert_eq!(
        answer.body,
        json!({ "total": 1, "_embedded": { "elements": [{ "id": item }] } })
    );
    let refused = get(&simulator, "/api/v3/work_packages?select=elements/updatedAt").await;
    assert_eq!(error(&refused), (400, "InvalidSignal".to_owned()));
}

#[tokio::test]
async fn archived_projects_and_lost_memberships_look_like_deletions() {
    let (simulator, project) = simulator();
    let item = simulator.create_work_package(project, "Still there");
    simulator.archive_project(project);
    assert_eq!(
        get(&simulator, &format!("/api/v3/work_packages/{item}")).await.status,
        404
    );
    assert_eq!(
        get(&simulator, &format!("/api/v3/projects/{project}")).await.status,
        404
    );
    assert!(ids(&list(&simulator, "[]").await).is_empty());
    simulator.unarchive_project(project);
    simulator.remove_membership(project, simulator.sync_user());
    assert_eq!(
        get(&simulator, &format!("/api/v3/work_packages/{item}")).await.status,
        404
    );
    simulator.set_role(project, simulator.sync_user(), Role::Reader);
    let shown = get(&simulator, &format!("/api/v3/work_packages/{item}")).await;
    assert_eq!(
        (shown.status, shown.body["_links"].get("updateImmediately")),
        (200, None)
    );
    let patch = send(
        &simulator,
        "PATCH",
        &format!("/api/v3/work_packages/{item}"),
        Some(json!({ "lockVersion": 0, "subject": "x" })),
    )
    .await;
    assert_eq!(error(&patch), (403, "MissingPermission".to_owned()));
}

#[tokio::test]
async fn an_administrator_sees_archived_projects_unless_they_are_filtered() {
    let (simulator, project) = with(OpenProjectOptions::default().admin());
    let archived = simulator.create_project("Old", "old");
    simulator.archive_project(archived);
    assert_eq!(ids(&get(&simulator, "/api/v3/projects").await), [project, archived]);
    let filters = escape(r#"[{"active":{"operator":"=","values":["t"]}}]"#);
    assert_eq!(
        ids(&get(&simulator, &format!("/api/v3/projects?filters={filters}")).await),
        [project]
    );
}

#[tokio::test]
async fn time_comes_from_the_given_clock_and_never_goes_back() {
    let seconds = Arc::new(AtomicI64::new(1_000));
    let source = Arc::clone(&seconds);
    let clock =
        Clock::new(move || DateTime::<Utc>::from_timestamp(source.load(Ordering::SeqCst), 0).unwrap_or_default());
    let (simulator, project) = with(OpenProjectOptions::default().clock(clock));
    seconds.store(500, Ordering::SeqCst);
    let item = simulator.create_work_package(project, "Late");
    assert_eq!(
        simulator.work_package(item).map(|item| item.updated_at.timestamp()),
        Some(1_000)
    );
    let response = raw(&simulator, Request::get("/api/v3").body(Body::empty()).expect("valid")).await;
    assert_eq!(response.headers()["date"], "Thu, 01 Jan 1970 00:08:20 GMT");
}

#[tokio::test]
async fn a_seeded_project_is_the_same_for_the_same_seed() {
    let (one, project) = simulator();
    let (two, _) = simulator();
    one.seed_project(project, 150, 42);
    two.seed_project(project, 150, 42);
    let shape = |simulator: &OpenProjectSimulator| {
        simulator
            .work_packages()
            .into_iter()
            .map(|item| (item.id, item.subject, item.status_id, item.due_date))
            .collect::<Vec<_>>()
    };
    assert_eq!(shape(&one), shape(&two));
    assert_eq!(one.writes(), 0);
}
