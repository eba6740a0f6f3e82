//! Creating, changing and deleting.

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use super::super::{OpenProjectOptions, Progress, Workflow};
use super::{attribute, basic, day, error, get, raw, send, simulator, with};

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
async fn moving_to_another_project_takes_children_along() {
    let (simulator, project) = simulator();
    let other = simulator.create_project("Other", "other");
    let top = simulator.create_work_package(project, "Top");
    let child = simulator.create_work_package_with(project, "Child", |item| item.parent_id = Some(top));
    simulator.move_work_package(top, other);
    assert_eq!(simulator.work_package(child).map(|item| item.project_id), Some(other));
}
