//! The simulator does what the tool's contract says, by in-process calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{Request, Response};
use base64::Engine as _;
use chrono::{DateTime, NaiveDate, Utc};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::{Clock, OpenProjectOptions, OpenProjectSimulator, Progress, Role, Workflow};
use crate::sim::{CallMatcher, Fault, FaultRule};

struct Answer {
    status: u16,
    body: Value,
    text: String,
}

fn basic(key: &str) -> String {
    format!(
        "Basic {}",
        base64::engine::general_purpose::STANDARD.encode(format!("apikey:{key}"))
    )
}

async fn raw(simulator: &OpenProjectSimulator, request: Request<Body>) -> Response<Body> {
    simulator
        .router()
        .oneshot(request)
        .await
        .expect("the router is infallible")
}

async fn send(simulator: &OpenProjectSimulator, method: &str, path: &str, body: Option<Value>) -> Answer {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("authorization", basic(&simulator.api_key()));
    if body.is_some() {
        request = request.header("content-type", "application/json");
    }
    let request = request
        .body(body.map_or_else(Body::empty, |body| Body::from(body.to_string())))
        .expect("a valid request");
    let response = raw(simulator, request).await;
    let status = response.status().as_u16();
    let bytes = to_bytes(response.into_body(), usize::MAX).await.expect("a whole body");
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Answer {
        status,
        body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        text,
    }
}

async fn get(simulator: &OpenProjectSimulator, path: &str) -> Answer {
    send(simulator, "GET", path, None).await
}

fn escape(text: &str) -> String {
    text.bytes()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

async fn list(simulator: &OpenProjectSimulator, filters: &str) -> Answer {
    get(
        simulator,
        &format!("/api/v3/work_packages?filters={}&pageSize=-1", escape(filters)),
    )
    .await
}

fn ids(answer: &Answer) -> Vec<u64> {
    let elements = answer.body["_embedded"]["elements"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    elements.iter().filter_map(|element| element["id"].as_u64()).collect()
}

fn error(answer: &Answer) -> (u16, String) {
    let identifier = answer.body["errorIdentifier"].as_str().unwrap_or_default();
    (
        answer.status,
        identifier.rsplit(':').next().unwrap_or_default().to_owned(),
    )
}

fn attribute(answer: &Answer) -> String {
    answer.body["_embedded"]["details"]["attribute"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

fn simulator() -> (OpenProjectSimulator, u64) {
    with(OpenProjectOptions::default())
}

fn with(options: OpenProjectOptions) -> (OpenProjectSimulator, u64) {
    let simulator = OpenProjectSimulator::new(options);
    let project = simulator.create_project("Garden", "garden");
    (simulator, project)
}

fn day(text: &str) -> Option<NaiveDate> {
    text.parse().ok()
}

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
async fn create_answers_201_with_defaults_and_drops_unknown_attributes() {
    let (simulator, project) = simulator();
    let body = json!({ "subject": "New one", "bogus": 1, "description": { "raw": "a\r\nb", "html": "ignored" } });
    let created = send(
        &simulator,
        "POST",
        &format!("/api/v3/projects/{project}/work_packages?notify=false"),
        Some(body),
    )
    .await;
    assert_eq!(created.status, 201);
    assert_eq!(created.body["description"]["raw"], json!("a\r\nb"));
    assert_eq!(created.body["_links"]["status"]["title"], json!("New"));
    assert_eq!(created.body["_links"]["author"]["href"], json!("/api/v3/users/4"));
    assert_eq!(simulator.writes(), 1);
    assert!(!simulator.accepted_writes()[0].notify);
}

#[tokio::test]
async fn a_body_without_content_type_is_406_and_with_another_one_415() {
    let (simulator, project) = simulator();
    let post = |content_type: Option<&str>| {
        let mut request = Request::post(format!("/api/v3/projects/{project}/work_packages"))
            .header("authorization", basic(&simulator.api_key()));
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        request.body(Body::from(r#"{"subject":"x"}"#)).expect("valid")
    };
    assert_eq!(raw(&simulator, post(None)).await.status(), 406);
    assert_eq!(raw(&simulator, post(Some("text/plain"))).await.status(), 415);
    assert_eq!(simulator.writes(), 0);
}

#[tokio::test]
async fn a_stale_or_missing_lock_version_is_409_before_any_validation() {
    let (simulator, project) = simulator();
    let item = simulator.create_work_package(project, "Locked");
    let path = format!("/api/v3/work_packages/{item}");
    let missing = send(&simulator, "PATCH", &path, Some(json!({ "subject": "" }))).await;
    assert_eq!(error(&missing), (409, "UpdateConflict".to_owned()));
    simulator.edit_work_package(item, |item| item.subject = "Edited".to_owned());
    let stale = send(
        &simulator,
        "PATCH",
        &path,
        Some(json!({ "subject": "Mine", "lockVersion": 0 })),
    )
    .await;
    assert_eq!(stale.status, 409);
    let fresh = send(
        &simulator,
        "PATCH",
        &path,
        Some(json!({ "subject": "Mine", "lockVersion": 1 })),
    )
    .await;
    assert_eq!((fresh.status, &fresh.body["lockVersion"]), (200, &json!(2)));
}

#[tokio::test]
async fn a_patch_without_effect_moves_neither_version_nor_time() {
    let (simulator, project) = simulator();
    let item = simulator.create_work_package(project, "Same");
    let before = simulator.work_package(item);
    let answer = send(
        &simulator,
        "PATCH",
        &format!("/api/v3/work_packages/{item}"),
        Some(json!({ "subject": "Same", "lockVersion": 0 })),
    )
    .await;
    assert_eq!(answer.status, 200);
    assert_eq!(simulator.work_package(item), before);
}

#[tokio::test]
async fn a_comment_moves_the_time_but_not_the_version() {
    let (simulator, project) = simulator();
    let item = simulator.create_work_package(project, "Discussed");
    let before = simulator.work_package(item).expect("there");
    simulator.comment(item, "Nice");
    let after = simulator.work_package(item).expect("there");
    assert_eq!(after.lock_version, before.lock_version);
    assert!(after.updated_at > before.updated_at);
}

#[tokio::test]
async fn validation_names_its_field_and_several_failures_are_embedded() {
    let (simulator, project) = simulator();
    let stranger = simulator.create_user("eve", "Eve");
    let path = format!("/api/v3/projects/{project}/work_packages");
    let blank = send(&simulator, "POST", &path, Some(json!({ "subject": "  " }))).await;
    assert_eq!(
        (error(&blank), attribute(&blank)),
        ((422, "PropertyConstraintViolation".to_owned()), "subject".to_owned())
    );
    let long = send(&simulator, "POST", &path, Some(json!({ "subject": "x".repeat(256) }))).await;
    assert_eq!(attribute(&long), "subject");
    let several = json!({ "subject": "", "_links": { "assignee": { "href": format!("/api/v3/users/{stranger}") } } });
    let several = send(&simulator, "POST", &path, Some(several)).await;
    assert_eq!(error(&several), (422, "MultipleErrors".to_owned()));
    let backwards = json!({ "subject": "x", "startDate": "2026-05-02", "dueDate": "2026-05-01" });
    assert_eq!(
        attribute(&send(&simulator, "POST", &path, Some(backwards)).await),
        "dueDate"
    );
    let timed = json!({ "subject": "x", "startDate": "2026-05-02T10:00:00Z" });
    assert_eq!(
        error(&send(&simulator, "POST", &path, Some(timed)).await).1,
        "PropertyFormatError"
    );
    let wrong_kind = json!({ "subject": "x", "_links": { "status": { "href": "/api/v3/users/4" } } });
    assert_eq!(
        error(&send(&simulator, "POST", &path, Some(wrong_kind)).await).1,
        "ResourceTypeMismatch"
    );
}

#[tokio::test]
async fn a_work_package_can_not_be_below_itself() {
    let (simulator, project) = simulator();
    let top = simulator.create_work_package(project, "Top");
    let child = simulator.create_work_package_with(project, "Child", |item| item.parent_id = Some(top));
    let body =
        json!({ "lockVersion": 0, "_links": { "parent": { "href": format!("/api/v3/work_packages/{child}") } } });
    let answer = send(&simulator, "PATCH", &format!("/api/v3/work_packages/{top}"), Some(body)).await;
    assert_eq!((answer.status, attribute(&answer)), (422, "parent".to_owned()));
}

#[tokio::test]
async fn durations_go_in_as_hours_and_come_out_as_days() {
    let (simulator, project) = simulator();
    let path = format!("/api/v3/projects/{project}/work_packages");
    let created = send(
        &simulator,
        "POST",
        &path,
        Some(json!({ "subject": "Long", "estimatedTime": "PT36H" })),
    )
    .await;
    assert_eq!(created.body["estimatedTime"], json!("P1DT12H"));
    assert!(
        created.body.get("remainingTime").is_none(),
        "a null remaining time is left out"
    );
}

#[tokio::test]
async fn a_new_child_inherits_dates_unless_null_is_sent() {
    let (simulator, project) = simulator();
    let parent = simulator.create_work_package_with(project, "Parent", |item| {
        (item.start_date, item.due_date) = (day("2026-05-04"), day("2026-05-08"));
    });
    let path = format!("/api/v3/projects/{project}/work_packages");
    let link = json!({ "parent": { "href": format!("/api/v3/work_packages/{parent}") } });
    let silent = send(
        &simulator,
        "POST",
        &path,
        Some(json!({ "subject": "a", "_links": link })),
    )
    .await;
    assert_eq!(silent.body["dueDate"], json!("2026-05-08"));
    let explicit = json!({ "subject": "b", "startDate": null, "dueDate": null, "_links": link });
    let explicit = send(&simulator, "POST", &path, Some(explicit)).await;
    assert_eq!(
        (&explicit.body["startDate"], &explicit.body["dueDate"]),
        (&Value::Null, &Value::Null)
    );
}

#[tokio::test]
async fn a_parent_that_gets_its_first_child_takes_its_dates_and_refuses_others() {
    let (simulator, project) = with(OpenProjectOptions::default().parent_becomes_automatic());
    let parent = simulator.create_work_package_with(project, "Parent", |item| item.due_date = day("2026-05-08"));
    let child = simulator.create_work_package_with(project, "Child", |item| item.parent_id = Some(parent));
    let now = simulator.work_package(parent).expect("there");
    assert_eq!(
        (now.due_date, now.schedule_manually, now.lock_version),
        (None, false, 1)
    );
    simulator.edit_work_package(child, |item| item.due_date = day("2026-06-01"));
    assert_eq!(
        simulator
            .work_package(parent)
            .map(|item| (item.due_date, item.lock_version)),
        Some((day("2026-06-01"), 2))
    );
    let body = json!({ "lockVersion": 2, "dueDate": "2026-07-01" });
    let answer = send(
        &simulator,
        "PATCH",
        &format!("/api/v3/work_packages/{parent}"),
        Some(body),
    )
    .await;
    assert_eq!(
        (error(&answer).1, attribute(&answer)),
        ("PropertyIsReadOnly".to_owned(), "dueDate".to_owned())
    );
}

#[tokio::test]
async fn a_date_on_a_weekend_moves_to_monday_without_a_word() {
    let (simulator, project) = with(OpenProjectOptions::default().non_working_days());
    let path = format!("/api/v3/projects/{project}/work_packages");
    let body = json!({ "subject": "Weekend", "startDate": "2026-05-01", "dueDate": "2026-05-02" });
    let created = send(&simulator, "POST", &path, Some(body)).await;
    assert_eq!(
        (&created.body["dueDate"], &created.body["duration"]),
        (&json!("2026-05-04"), &json!("P2D"))
    );
}

#[tokio::test]
async fn work_alone_sets_remaining_work_and_zero_percent() {
    let (simulator, project) = with(OpenProjectOptions::default().progress(Progress::WorkBased));
    let path = format!("/api/v3/projects/{project}/work_packages");
    let created = send(
        &simulator,
        "POST",
        &path,
        Some(json!({ "subject": "Work", "estimatedTime": "PT10H" })),
    )
    .await;
    assert_eq!(
        (&created.body["remainingTime"], &created.body["percentageDone"]),
        (&json!("PT10H"), &json!(0))
    );
    let path = format!("/api/v3/work_packages/{}", created.body["id"]);
    let too_much = json!({ "lockVersion": 0, "remainingTime": "PT11H" });
    assert_eq!(
        attribute(&send(&simulator, "PATCH", &path, Some(too_much)).await),
        "remainingTime"
    );
    let half = send(
        &simulator,
        "PATCH",
        &path,
        Some(json!({ "lockVersion": 0, "percentageDone": 50 })),
    )
    .await;
    assert_eq!(half.body["remainingTime"], json!("PT5H"));
}

#[tokio::test]
async fn a_childs_work_moves_every_ancestors_version() {
    let (simulator, project) = with(OpenProjectOptions::default().progress(Progress::WorkBased));
    let top = simulator.create_work_package(project, "Top");
    let middle = simulator.create_work_package_with(project, "Middle", |item| item.parent_id = Some(top));
    let leaf = simulator.create_work_package_with(project, "Leaf", |item| item.parent_id = Some(middle));
    simulator.edit_work_package(leaf, |item| item.estimated_minutes = Some(60));
    let version = |id| simulator.work_package(id).map(|item| item.lock_version);
    assert_eq!(
        (version(top), version(middle), version(leaf)),
        (Some(1), Some(1), Some(1))
    );
}

#[tokio::test]
async fn the_workflow_refuses_a_jump_on_update_but_not_on_create() {
    let (new, progress, closed) = (1, 7, 12);
    let options = OpenProjectOptions::default().workflow(Workflow::new([(new, progress), (progress, closed)]));
    let (simulator, project) = with(options);
    let path = format!("/api/v3/projects/{project}/work_packages");
    let status = |id: u64| json!({ "status": { "href": format!("/api/v3/statuses/{id}") } });
    let created = send(
        &simulator,
        "POST",
        &path,
        Some(json!({ "subject": "Closed at once", "_links": status(closed) })),
    )
    .await;
    assert_eq!(created.body["_links"]["status"]["title"], json!("Closed"));
    let outside = send(
        &simulator,
        "POST",
        &path,
        Some(json!({ "subject": "Unknown here", "_links": status(13) })),
    )
    .await;
    assert_eq!(
        outside.body["_links"]["status"]["title"],
        json!("New"),
        "silently the default one"
    );
    let item = simulator.create_work_package(project, "Jumps");
    let jump = json!({ "lockVersion": 0, "_links": status(closed) });
    let answer = send(
        &simulator,
        "PATCH",
        &format!("/api/v3/work_packages/{item}"),
        Some(jump),
    )
    .await;
    assert_eq!((answer.status, attribute(&answer)), (422, "status".to_owned()));
}

#[tokio::test]
async fn echoing_the_shown_times_back_is_refused() {
    let (simulator, project) = simulator();
    let item = simulator.create_work_package(project, "Echo");
    simulator.set_updated_at(item, "2026-05-01T10:00:00.123456Z".parse().expect("a time"));
    let body = json!({ "lockVersion": 0, "subject": "Echoed", "updatedAt": "2026-05-01T10:00:00.123Z" });
    let answer = send(
        &simulator,
        "PATCH",
        &format!("/api/v3/work_packages/{item}"),
        Some(body),
    )
    .await;
    assert_eq!(error(&answer), (422, "PropertyIsReadOnly".to_owned()));
}

#[tokio::test]
async fn deleting_takes_everything_below() {
    let (simulator, project) = simulator();
    let top = simulator.create_work_package(project, "Top");
    let child = simulator.create_work_package_with(project, "Child", |item| item.parent_id = Some(top));
    simulator.create_work_package_with(project, "Grandchild", |item| item.parent_id = Some(child));
    let answer = send(&simulator, "DELETE", &format!("/api/v3/work_packages/{top}"), None).await;
    assert_eq!(answer.status, 204);
    assert!(simulator.work_packages().is_empty());
    assert_eq!(
        error(&get(&simulator, &format!("/api/v3/work_packages/{child}")).await),
        (404, "NotFound".to_owned())
    );
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
async fn moving_to_another_project_takes_children_along() {
    let (simulator, project) = simulator();
    let other = simulator.create_project("Other", "other");
    let top = simulator.create_work_package(project, "Top");
    let child = simulator.create_work_package_with(project, "Child", |item| item.parent_id = Some(top));
    simulator.move_work_package(top, other);
    assert_eq!(simulator.work_package(child).map(|item| item.project_id), Some(other));
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
