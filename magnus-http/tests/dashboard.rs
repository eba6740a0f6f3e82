//! The dashboard's files, and what the page asks beyond the rest of the API.

mod support;

use axum::Router;
use axum::body::Body;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use secrecy::SecretString;
use serde_json::json;
use std::sync::Arc;
use support::Bench;
use tower::ServiceExt as _;

#[tokio::test]
async fn the_page_is_served_with_a_policy_that_loads_nothing_from_elsewhere() {
    let bench = Bench::new();
    for (path, media_type) in [
        ("/", "text/html; charset=utf-8"),
        ("/assets/app.js", "text/javascript; charset=utf-8"),
        ("/assets/base.css", "text/css; charset=utf-8"),
        ("/assets/knight.svg", "image/svg+xml"),
    ] {
        let answer = bench.get(path).await.is(200);
        assert_eq!(answer.headers["content-type"], media_type);
        let policy = answer.headers["content-security-policy"].to_str().unwrap();
        assert!(
            policy.starts_with("default-src 'self';") && !policy.contains("unsafe"),
            "{policy}"
        );
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
        assert_eq!(answer.headers["cache-control"], "no-cache");
        assert!(!answer.text.is_empty());
    }
    bench.get("/assets/nothing.js").await.is(404);
    bench.get("/assets/..%2Findex.html").await.is(404);
}

#[tokio::test]
async fn what_the_browser_has_is_not_sent_again() {
    let bench = Bench::new();
    for path in ["/", "/assets/app.js"] {
        let etag = bench.get(path).await.is(200).headers["etag"].clone();
        let ask = |known: &str| {
            Request::get(path)
                .header("if-none-match", known)
                .body(Body::empty())
                .unwrap()
        };
        let again = bench.send(ask(etag.to_str().unwrap())).await;
        assert_eq!((again.status, again.text.as_str()), (304, ""));
        assert_eq!(again.headers["etag"], etag);
        assert_eq!(bench.send(ask("\"another\"")).await.status, 200);
    }
}

#[tokio::test]
async fn the_page_is_there_before_the_token_is_and_shows_nothing_of_the_hub() {
    let bench = Bench::with(Arc::new(magnus_core::memory::MemoryStore::new()), |options| {
        options.admin_token = Some(SecretString::from("a-token-for-this-test"));
    });
    bench.get("/").await.is(200);
    bench.get("/assets/app.js").await.is(200);
    bench.get("/unified/dashboard").await.is(401);
    bench.post("/connections/test", bench.openproject_in()).await.is(401);
}

#[tokio::test]
async fn nested_in_a_hosts_app_the_page_names_its_place() {
    let bench = Bench::new();
    let host = Router::new().nest("/tools/magnus", bench.app.clone());
    let answer = host
        .oneshot(Request::get("/tools/magnus").body(Body::empty()).unwrap())
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let bytes = answer.into_body().collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&bytes).contains("<base href=\"/tools/magnus/\">"));
}

#[tokio::test]
async fn a_connection_is_tested_without_being_kept() {
    let bench = Bench::new();
    let tested = bench
        .post("/connections/test", bench.openproject_in())
        .await
        .is(200)
        .json();
    assert_eq!(tested["status"], "ok");
    assert!(tested["user"].is_string(), "{tested}");

    let mut wrong = bench.openproject_in();
    wrong["api_key"] = json!("a-wrong-key");
    let answer = bench.post("/connections/test", wrong).await.is(200);
    assert!(!answer.text.contains("a-wrong-key"));
    let tested = answer.json();
    assert_eq!(tested["status"], "failed");
    assert!(
        tested["reason"].as_str().unwrap().contains("not authenticated"),
        "{tested}"
    );

    let mut unknown = bench.openproject_in();
    unknown["tool_name"] = json!("chess");
    let problem = bench.post("/connections/test", unknown).await.is(422).json();
    assert_eq!(problem["errors"][0]["field"], "tool_name");
    bench
        .post("/connections/test", json!({"tool_name": "openproject"}))
        .await
        .is(422);
    let listed = bench.get("/connections").await.is(200).json();
    assert_eq!(listed["connections"], json!([]));
}

#[tokio::test]
async fn a_description_is_shown_as_html_that_does_no_harm() {
    let bench = Bench::new();
    let project = bench.post("/projects", json!({"name": "Garden"})).await.is(201).json();
    let add = |description: serde_json::Value| {
        let body = json!({"project_id": project["id"], "title": "Water the tomatoes", "description": description});
        bench.post("/tasks", body)
    };
    let task = add(json!("**twice** a day<script>alert(1)</script>"))
        .await
        .is(201)
        .json();
    let path = format!("/tasks/{}/description", task["id"].as_str().unwrap());
    let described = bench.get(&path).await.is(200).json();
    assert_eq!(described["html"], "<p><strong>twice</strong> a day</p>\n");
    let bare = add(json!(null)).await.is(201).json();
    let path = format!("/tasks/{}/description", bare["id"].as_str().unwrap());
    assert_eq!(bench.get(&path).await.is(200).json(), json!({"html": null}));
    bench
        .get("/tasks/0190c0de-0000-7000-8000-000000000000/description")
        .await
        .is(404);
}
