//! Editing the hub, requests that are sent twice, and the one view of all tasks.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use std::sync::Arc;

use axum::body::Body;
use chrono::{DateTime, Utc};
use http::{Method, Request};
use magnus_core::clock::Clock;
use magnus_core::memory::MemoryStore;
use serde_json::{Value, json};
use support::{Answer, Bench};

impl Bench {
    async fn project(&self) -> Value {
        self.post("/projects", json!({"name": "Garden"})).await.is(201).json()["id"].clone()
    }

    async fn with_header(&self, method: Method, path: &str, header: (&str, &str), body: Value) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", "application/json")
            .header(header.0, header.1)
            .body(Body::from(body.to_string()))
            .unwrap();
        self.send(request).await
    }
}

#[tokio::test]
async fn a_task_is_added_changed_and_deleted() {
    let bench = Bench::new();
    let project = bench.project().await;
    let full = json!({
        "project_id": project, "title": " Water ", "description": "# Words", "status": "in_progress",
        "priority": "high", "assignee": "Ada <ada@example.org>", "start_date": "2026-12-01",
        "due_date": "2026-12-24", "estimated_hours": 1.5, "remaining_hours": 0.25, "percentage_done": 40,
        "tags": ["garden", "red"],
    });
    let task = bench.post("/tasks", full.clone()).await.is(201).json();
    assert_eq!((&task["title"], &task["source_tool"]), (&json!("Water"), &Value::Null));
    for (field, value) in full.as_object().unwrap().iter().filter(|(field, _)| *field != "title") {
        assert_eq!(&task[field], value, "{field}");
    }
    let path = format!("/tasks/{}", task["id"].as_str().unwrap());
    let cleared = json!({"description": null, "due_date": null, "tags": [], "status": "done"});
    let changed = bench.ask(Method::PATCH, &path, cleared).await.is(200).json();
    assert_eq!(
        (
            &changed["description"],
            &changed["due_date"],
            &changed["tags"],
            &changed["status"]
        ),
        (&Value::Null, &Value::Null, &json!([]), &json!("done"))
    );
    assert_eq!(changed["assignee"], "Ada <ada@example.org>");
    bench
        .ask(Method::PATCH, &path, json!({"parent_id": task["id"]}))
        .await
        .is(422);
    bench.ask(Method::DELETE, &path, json!({})).await.is(204);
    bench.ask(Method::DELETE, &path, json!({})).await.is(404);
    bench.ask(Method::PATCH, &path, json!({"title": "x"})).await.is(404);
    assert!(bench.get(&path).await.is(200).json()["deleted_at"].is_string());
    assert_eq!(bench.get("/tasks").await.json()["total"], 0);
    assert_eq!(bench.get("/tasks?deleted=true").await.json()["total"], 1);
}

#[tokio::test]
async fn if_match_refuses_a_change_of_what_changed_meanwhile() {
    let bench = Bench::new();
    let project = bench.project().await;
    let task = bench
        .post("/tasks", json!({"project_id": project, "title": "Seen"}))
        .await
        .is(201)
        .json();
    let path = format!("/tasks/{}", task["id"].as_str().unwrap());
    let seen = bench.get(&path).await.is(200).headers["etag"]
        .to_str()
        .unwrap()
        .to_owned();
    let edit = |tag: String, title: &'static str| {
        let (bench, path) = (&bench, &path);
        async move {
            bench
                .with_header(Method::PATCH, path, ("if-match", &tag), json!({"title": title}))
                .await
        }
    };
    let first = edit(seen.clone(), "First").await.is(200);
    let problem = edit(seen.clone(), "Second").await.is(412).json();
    assert_eq!(problem["type"], "urn:magnus:problem:changed-meanwhile");
    edit("nonsense".to_owned(), "Second").await.is(412);
    bench
        .with_header(Method::DELETE, &path, ("if-match", &seen), json!({}))
        .await
        .is(412);
    let now = first.headers["etag"].to_str().unwrap().to_owned();
    edit(format!("\"0\", {now}"), "Third").await.is(200);
    edit("*".to_owned(), "Fourth").await.is(200);
    assert_eq!(bench.get(&path).await.json()["title"], "Fourth");
}

#[tokio::test]
async fn what_is_made_is_told_where_it_is_and_at_which_version() {
    let bench = Bench::new();
    let made = bench.post("/projects", json!({"name": "Garden"})).await.is(201);
    let place = |answer: &Answer| answer.headers["location"].to_str().unwrap().to_owned();
    let project = made.json()["id"].clone();
    assert_eq!(place(&made), format!("/projects/{}", project.as_str().unwrap()));
    let read = bench.get(&place(&made)).await.is(200);
    assert_eq!(
        (read.json(), &read.headers["etag"]),
        (made.json(), &made.headers["etag"])
    );
    bench
        .get("/projects/00000000-0000-7000-8000-000000000000")
        .await
        .is(404);

    let body = json!({"project_id": project, "title": "Water"});
    let send = || bench.with_header(Method::POST, "/tasks", ("idempotency-key", "a"), body.clone());
    let (made, again) = (send().await.is(201), send().await.is(201));
    for header in ["etag", "location"] {
        assert_eq!(made.headers[header], again.headers[header]);
    }
    let read = bench.get(&place(&made)).await.is(200);
    assert_eq!(
        (read.json(), &read.headers["etag"]),
        (made.json(), &made.headers["etag"])
    );
    // The tag is good for a change.
    let tag = made.headers["etag"].to_str().unwrap();
    bench
        .with_header(
            Method::PATCH,
            &place(&made),
            ("if-match", tag),
            json!({"title": "Water daily"}),
        )
        .await
        .is(200);

    // Nested in a host's app, the place is below the path it is nested at.
    let nested = axum::Router::new().nest("/magnus", bench.app.clone());
    let request = support::request(Method::POST, "/magnus/projects", &json!({"name": "Moon"}));
    let answer = tower::ServiceExt::oneshot(nested, request).await.unwrap();
    assert!(
        answer.headers()["location"]
            .to_str()
            .unwrap()
            .starts_with("/magnus/projects/")
    );
}

#[tokio::test]
async fn a_request_that_is_sent_again_takes_effect_once() {
    let bench = Bench::new();
    let project = bench.project().await;
    let body = json!({"project_id": project, "title": "Once"});
    let send = |key: &'static str, path: &'static str, body: Value| {
        let bench = &bench;
        async move {
            bench
                .with_header(Method::POST, path, ("idempotency-key", key), body)
                .await
        }
    };
    let (one, two) = tokio::join!(send("a", "/tasks", body.clone()), send("a", "/tasks", body.clone()));
    let three = send("a", "/tasks", body.clone()).await;
    assert_eq!(one.is(201).json()["id"], two.is(201).json()["id"]);
    assert_eq!(three.status, 201);
    assert_eq!(bench.get("/tasks").await.json()["total"], 1);
    send("b", "/tasks", body.clone()).await.is(201);
    let other = json!({"project_id": project, "title": "Other"});
    let problem = send("a", "/tasks", other.clone()).await.is(422).json();
    assert_eq!(problem["type"], "urn:magnus:problem:idempotency-key-reused");

    // What was refused took no effect; the same key may be used for what is right.
    send("c", "/tasks", json!({"project_id": project})).await.is(422);
    send("c", "/tasks", other).await.is(201);
    send("", "/tasks", body).await.is(422);

    let connection = send("a", "/connections", bench.openproject_in()).await.is(201).json();
    let again = send("a", "/connections", bench.openproject_in()).await.is(201).json();
    assert_eq!(connection, again);
    assert_eq!(
        bench.get("/connections").await.json()["connections"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn tasks_are_filtered_ordered_and_paged() {
    let bench = Bench::new();
    let project = bench.project().await;
    for number in 0..25 {
        let status = if number % 5 == 0 { "done" } else { "todo" };
        let due = format!("2026-12-{:02}", 25 - number);
        let body =
            json!({"project_id": project, "title": format!("Task {number:02}"), "status": status, "due_date": due});
        bench.post("/tasks", body).await.is(201);
    }
    let mut seen = Vec::new();
    let mut path = "/unified/tasks?order=due&limit=7".to_owned();
    loop {
        let page = bench.get(&path).await.is(200).json();
        assert_eq!((&page["total"], &page["by_source"]), (&json!(25), &json!({"hub": 25})));
        seen.extend(
            page["tasks"]
                .as_array()
                .unwrap()
                .iter()
                .map(|task| task["title"].clone()),
        );
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/unified/tasks?order=due&limit=7&cursor={cursor}"),
            None => break,
        }
    }
    let expected: Vec<Value> = (0..25).rev().map(|number| json!(format!("Task {number:02}"))).collect();
    assert_eq!(seen, expected);
    assert_eq!(bench.get("/unified/tasks?status=done").await.json()["total"], 5);
    assert_eq!(bench.get("/unified/tasks?search=task%2001").await.json()["total"], 1);
    assert_eq!(bench.get("/unified/tasks?source=openproject").await.json()["total"], 0);
    let cursor = bench.get("/unified/tasks?limit=1").await.json()["next_cursor"]
        .as_str()
        .unwrap()
        .to_owned();
    bench
        .get(&format!("/unified/tasks?order=title&cursor={cursor}"))
        .await
        .is(422);
}

#[derive(Debug)]
struct Fixed(DateTime<Utc>);

impl Clock for Fixed {
    fn now(&self) -> DateTime<Utc> {
        self.0
    }
}

#[tokio::test]
async fn what_is_overdue_depends_on_whose_day_it_is() {
    // Still the 10th in New York, the 11th in London, the 11th in Auckland's afternoon.
    let clock = Arc::new(Fixed("2026-12-11T03:00:00Z".parse().unwrap()));
    let bench = Bench::with(Arc::new(MemoryStore::new()), |options| options.clock = clock);
    let project = bench.project().await;
    for (title, due, status) in [
        ("long ago", "2026-12-01", "todo"),
        ("yesterday", "2026-12-10", "todo"),
        ("today", "2026-12-11", "todo"),
        ("done", "2026-12-01", "done"),
    ] {
        let body = json!({"project_id": project, "title": title, "due_date": due, "status": status});
        bench.post("/tasks", body).await.is(201);
    }
    for (zone, today, overdue, due_today) in [
        ("", "2026-12-11", 2, 1),
        ("?tz=America/New_York", "2026-12-10", 1, 1),
        ("?tz=Pacific/Auckland", "2026-12-11", 2, 1),
        ("?tz=Pacific/Kiritimati", "2026-12-11", 2, 1),
    ] {
        let listed = bench.get(&format!("/unified/overdue{zone}")).await.is(200).json();
        assert_eq!(
            (&listed["today"], &listed["total"]),
            (&json!(today), &json!(overdue)),
            "{zone}"
        );
        assert_eq!(listed["tasks"][0]["title"], "long ago");
        let dashboard = bench.get(&format!("/unified/dashboard{zone}")).await.is(200).json();
        assert_eq!(
            (&dashboard["overdue"], &dashboard["due_today"]),
            (&json!(overdue), &json!(due_today)),
            "{zone}"
        );
    }
}
