//! What is asked wrongly is told so, with the field, and changes nothing.

mod support;

use std::sync::Arc;

use axum::body::Body;
use http::{Method, Request};
use serde_json::{Value, json};
use support::{Bench, request};

const UNKNOWN: &str = "00000000-0000-7000-8000-000000000000";

#[tokio::test]
async fn an_unknown_id_is_404_and_a_malformed_one_400() {
    let bench = Bench::new();
    for (method, path, body) in [
        (Method::GET, "/connections/{id}", json!({})),
        (Method::PATCH, "/connections/{id}", json!({})),
        (Method::DELETE, "/connections/{id}", json!({})),
        (Method::GET, "/connections/{id}/test", json!({})),
        (Method::GET, "/connections/{id}/projects", json!({})),
        (Method::POST, "/connections/{id}/sync", json!({})),
        (Method::POST, "/connections/{id}/sync?wait=true", json!({})),
        (Method::POST, "/connections/{id}/sync?dry_run=true", json!({})),
        (
            Method::POST,
            "/connections/{id}/map-project",
            json!({"external_project_id": "1"}),
        ),
        (Method::GET, "/sync/runs/{id}", json!({})),
        (Method::POST, "/sync/runs/{id}/cancel", json!({})),
        (Method::POST, "/sync/runs/{id}/confirm", json!({})),
        (Method::POST, "/sync/runs/{id}/undo", json!({})),
        (Method::GET, "/projects/{id}", json!({})),
        (Method::GET, "/tasks/{id}", json!({})),
        (Method::GET, "/tasks/{id}/story", json!({})),
        (Method::PATCH, "/tasks/{id}", json!({"title": "x"})),
        (Method::DELETE, "/tasks/{id}", json!({})),
        (Method::POST, "/tasks/{id}/retry", json!({})),
        (Method::POST, "/conflicts/{id}/resolve", json!({"resolution": "hub"})),
        (
            Method::POST,
            "/uncertain/{id}/resolve",
            json!({"finding": "send_again"}),
        ),
        (Method::POST, "/webhooks/{id}", json!({})),
    ] {
        let answer = bench
            .ask(method.clone(), &path.replace("{id}", UNKNOWN), body.clone())
            .await;
        assert_eq!(answer.status, 404, "{method} {path}: {}", answer.text);
        answer.is(404);
        let problem = bench
            .ask(method, &path.replace("{id}", "12"), body)
            .await
            .is(400)
            .json();
        assert_eq!(problem["errors"][0]["field"], "id", "{path}");
    }
}

#[tokio::test]
async fn parameters_that_make_no_sense_are_422_and_named() {
    let bench = Bench::new();
    let id = bench.filled(1).await;
    let sync = format!("/connections/{id}/sync");
    for (method, path, field) in [
        (Method::POST, format!("{sync}?direction=bidirectonal"), "direction"),
        (Method::POST, format!("{sync}?direction="), "direction"),
        (Method::POST, format!("{sync}?wait=perhaps"), "wait"),
        (Method::POST, "/sync/all?direction=up".to_owned(), "direction"),
        (Method::GET, "/unified/tasks?status=doing".to_owned(), "status"),
        (Method::GET, "/unified/tasks?priority=0".to_owned(), "priority"),
        (Method::GET, "/unified/tasks?order=random".to_owned(), "order"),
        (Method::GET, "/unified/tasks?limit=0".to_owned(), "limit"),
        (Method::GET, "/unified/tasks?limit=1001".to_owned(), "limit"),
        (Method::GET, "/unified/tasks?limit=-1".to_owned(), "limit"),
        (Method::GET, "/unified/tasks?cursor=x".to_owned(), "cursor"),
        (Method::GET, "/unified/tasks?project_id=x".to_owned(), "project_id"),
        (Method::GET, "/unified/overdue?tz=Mars".to_owned(), "tz"),
        (Method::GET, "/sync/runs?status=running".to_owned(), "status"),
        (Method::GET, "/conflicts?limit=0".to_owned(), "limit"),
    ] {
        let problem = bench.ask(method, &path, Value::Null).await.is(422).json();
        assert_eq!(problem["errors"][0]["field"], field, "{path}: {problem}");
    }
    let runs = bench.get("/sync/runs").await.json();
    assert_eq!(runs["runs"], json!([]), "nothing was run");
    assert_eq!(bench.openproject.writes(), 0);
}

#[tokio::test]
async fn bodies_that_make_no_sense_are_told_where() {
    let bench = Bench::new();
    let project = bench.post("/projects", json!({"name": "Garden"})).await.is(201).json()["id"].clone();
    for (path, body, field) in [
        ("/projects", json!({"name": "  "}), "name"),
        ("/projects", json!({"name": "a\u{0}b"}), "name"),
        ("/projects", json!({"name": "x".repeat(300)}), "name"),
        ("/projects", json!({"name": 7}), "name"),
        ("/projects", json!({}), "name"),
        ("/tasks", json!({"title": "x"}), "project_id"),
        ("/tasks", json!({"title": "x", "project_id": "x"}), "project_id"),
        ("/tasks", json!({"project_id": project}), "title"),
        ("/tasks", json!({"project_id": project, "title": ""}), "title"),
        (
            "/tasks",
            json!({"project_id": project, "title": "x", "status": "doing"}),
            "status",
        ),
        (
            "/tasks",
            json!({"project_id": project, "title": "x", "due_date": "tomorrow"}),
            "due_date",
        ),
        (
            "/tasks",
            json!({"project_id": project, "title": "x", "id": UNKNOWN}),
            "id",
        ),
    ] {
        let problem = bench.post(path, body.clone()).await.is(422).json();
        assert_eq!(problem["errors"][0]["field"], field, "{body}: {problem}");
    }
    bench
        .post("/tasks", json!({"project_id": UNKNOWN, "title": "x"}))
        .await
        .is(404);
    let raw = |kind: &str, body: &str| {
        Request::post("/projects")
            .header("content-type", kind)
            .body(Body::from(body.to_owned()))
            .unwrap()
    };
    bench.send(raw("application/json", "{\"name\":")).await.is(400);
    bench.send(raw("application/json", "")).await.is(400);
    bench.send(raw("text/plain", "{\"name\":\"x\"}")).await.is(415);
    bench
        .send(raw("application/json", &"x".repeat(1_100_000)))
        .await
        .is(413);
    bench
        .send(Request::post("/projects").body(Body::empty()).unwrap())
        .await
        .is(415);
    let listed = bench.get("/projects").await.json();
    assert_eq!(listed["projects"].as_array().unwrap().len(), 1);
    assert_eq!(bench.get("/tasks").await.json()["total"], 0);
}

#[tokio::test]
async fn a_wrong_method_is_405_and_a_wrong_path_404() {
    let bench = Bench::new();
    for (method, path) in [
        (Method::PUT, "/connections"),
        (Method::DELETE, "/sync/status"),
        (Method::GET, "/sync/all"),
        (Method::POST, "/health"),
        (Method::PATCH, "/conflicts"),
    ] {
        let answer = bench.ask(method, path, Value::Null).await.is(405);
        assert!(answer.headers.contains_key("allow"));
    }
    for path in ["/connection", "/sync", "/sync/", "/tasks/", "/../etc/passwd", "/%00"] {
        bench.send(request(Method::GET, path, &Value::Null)).await.is(404);
    }
}

#[tokio::test]
async fn without_its_database_the_service_answers_503() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hub.db");
    let store = magnus_sqlite::SqliteStore::open(path.to_str().unwrap()).await.unwrap();
    let bench = Bench::with(Arc::new(store.clone()), |_| {});
    bench.get("/ready").await.is(200);
    store.close().await;
    for path in [
        "/ready",
        "/connections",
        "/sync/status",
        "/unified/tasks",
        "/projects",
        "/sync/events",
    ] {
        let answer = bench.get(path).await.is(503);
        assert!(answer.headers.contains_key("retry-after"), "{path}");
    }
    bench.post("/projects", json!({"name": "Garden"})).await.is(503);
    bench.act("/sync/all").await.is(503);
    bench.get("/health").await.is(200);

    // The service that stands in as long as there is no database at all.
    let bench = Bench {
        app: magnus_http::unavailable("there is no database"),
        ..bench
    };
    bench.get("/health").await.is(200);
    bench.get("/connections").await.is(503);
    bench.act("/sync/all").await.is(503);
}
