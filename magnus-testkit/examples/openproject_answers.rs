//! Prints what a simulated OpenProject answers to every kind of request, one JSON object a line, so that the answers
//! can be checked against a description of the API.

use axum::body::{Body, to_bytes};
use axum::http::Request;
use magnus_testkit::sim::openproject::{OpenProjectOptions, OpenProjectSimulator, Progress, Workflow};
use serde_json::{Value, json};
use tower::ServiceExt as _;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Asks and prints; returns the body.
async fn ask(tool: &OpenProjectSimulator, method: &str, target: &str, body: Option<Value>) -> Result<Value, Failure> {
    let request = Request::builder()
        .method(method)
        .uri(format!("/api/v3{target}"))
        .header("authorization", format!("Bearer {}", tool.api_key()))
        .header("content-type", "application/json")
        .body(body.map_or_else(Body::empty, |body| Body::from(body.to_string())))?;
    let response = tool.router().oneshot(request).await?;
    let status = response.status().as_u16();
    let bytes = to_bytes(response.into_body(), usize::MAX).await?;
    let body: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let path = target.split_once('?').map_or(target, |(path, _)| path);
    println!(
        "{}",
        json!({ "method": method, "path": format!("/api/v3{path}"), "status": status, "body": body })
    );
    Ok(body)
}

async fn everything(options: OpenProjectOptions) -> Result<(), Failure> {
    let tool = OpenProjectSimulator::new(options);
    let project = tool.create_project("Garden", "garden");
    let inner = tool.create_subproject(project, "Beds", "beds");
    tool.seed_project(project, 30, 7);
    let parent = tool.create_work_package(project, "Parent");
    let child = tool.create_work_package_with(project, "Child", |item| {
        item.parent_id = Some(parent);
        item.due_date = "2026-05-08".parse().ok();
        item.estimated_minutes = Some(2160);
        item.assignee_id = Some(tool_user());
    });
    let milestone = tool.create_work_package_with(inner, "Opening", |item| item.type_id = 2);
    tool.comment(child, "Hm");
    let hidden = tool.create_project("Hidden", "hidden");
    tool.remove_membership(hidden, tool.sync_user());
    let unseen = tool.create_work_package(hidden, "Unseen");

    let mut reads: Vec<String> = [
        "",
        "/configuration",
        "/statuses",
        "/types",
        "/priorities",
        "/principals",
    ]
    .map(str::to_owned)
    .to_vec();
    reads.extend([
        "/users".to_owned(),
        "/users/me".to_owned(),
        format!("/users/{}", tool.other_user()),
        "/projects".to_owned(),
        format!("/projects/{project}"),
        format!("/projects/{inner}"),
        format!("/projects/{hidden}"),
        format!("/projects/{project}/available_assignees"),
        format!("/projects/{project}/types"),
        format!("/projects/{project}/work_packages"),
        "/work_packages?pageSize=5&offset=2&filters=%5B%5D".to_owned(),
        "/work_packages?filters=%5B%7B%22status%22%3A%7B%22operator%22%3A%22%3D%22%2C%22values%22%3A%5B%22999%22%5D%7D%7D%5D"
            .to_owned(),
        format!("/work_packages/{child}/activities"),
    ]);
    reads.extend([parent, child, milestone, unseen].map(|id| format!("/work_packages/{id}")));
    for target in reads {
        ask(&tool, "GET", &target, None).await?;
    }

    let new = json!({ "subject": "New", "description": { "raw": "*text*" }, "estimatedTime": "PT30H" });
    let made = ask(
        &tool,
        "POST",
        &format!("/projects/{project}/work_packages"),
        Some(new.clone()),
    )
    .await?;
    let mut elsewhere = new.clone();
    elsewhere["_links"] = json!({ "project": { "href": format!("/api/v3/projects/{inner}") } });
    ask(&tool, "POST", "/work_packages", Some(elsewhere)).await?;
    ask(
        &tool,
        "POST",
        &format!("/projects/{project}/work_packages"),
        Some(json!({})),
    )
    .await?;
    let id = made["id"].as_u64().ok_or("the new item has no id")?;
    let item = format!("/work_packages/{id}");
    for change in [
        json!({ "lockVersion": made["lockVersion"], "subject": "Changed", "dueDate": "2026-05-09" }),
        json!({ "lockVersion": 99, "subject": "Late" }),
        json!({ "lockVersion": 1, "subject": "", "percentageDone": 101, "_links": { "assignee": { "href": "/api/v3/users/9999" } } }),
        json!({ "lockVersion": 1, "dueDate": "soon" }),
        json!({ "lockVersion": 1, "author": null, "_links": { "status": { "href": "/api/v3/types/1" } } }),
    ] {
        ask(&tool, "PATCH", &item, Some(change)).await?;
    }
    let comment = json!({ "comment": { "raw": "Hm" } });
    ask(&tool, "POST", &format!("{item}/activities"), Some(comment)).await?;
    ask(&tool, "DELETE", &item, None).await?;
    ask(&tool, "DELETE", &item, None).await?;
    Ok(())
}

/// The second user of every simulated instance.
fn tool_user() -> u64 {
    OpenProjectSimulator::new(OpenProjectOptions::default()).other_user()
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    everything(OpenProjectOptions::default().workflow(Workflow::new([(1, 7)]))).await?;
    everything(OpenProjectOptions::strict().admin()).await?;
    everything(
        OpenProjectOptions::default()
            .progress(Progress::StatusBased)
            .custom_field("customField1"),
    )
    .await
}
