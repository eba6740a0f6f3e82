//! Tasks broken down over the API, by a fake model behind the real client.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::{Method, Request};
use http_body_util::BodyExt as _;
use magnus_core::breakdown::TaskBreakdown;
use magnus_core::memory::MemoryStore;
use magnus_core::model::{ConnectionId, ToolName};
use magnus_core::orchestrator::BreakdownOptions;
use magnus_core::secret::EnvSecretStore;
use magnus_llm::{LanguageModel, ModelSettings, Provider};
use magnus_testkit::model::{FakeModel, Reply};
use magnus_testkit::sim::Served;
use magnus_testkit::sim::leantime::{LeantimeOptions, LeantimeSimulator};
use magnus_testkit::sim::openproject::{OpenProjectOptions, OpenProjectSimulator};
use serde_json::{Value, json};
use support::{Bench, PATIENCE};
use tokio::time::timeout;
use uuid::Uuid;

/// The service, and a fake model.
struct Thinking {
    bench: Bench,
    fake: FakeModel,
    _served: Served,
}

impl Thinking {
    async fn new(script: impl IntoIterator<Item = Reply>) -> Self {
        let fake = FakeModel::scripted(script);
        let served = fake.serve().await.unwrap();
        let settings = ModelSettings::new(Provider::Compatible, "fake").base_url(format!("{}/v1", served.url));
        let model = LanguageModel::new(settings, Arc::new(EnvSecretStore::new()), ConnectionId::generate());
        let model: Arc<dyn TaskBreakdown> =
            Arc::new(model.unwrap().pausing(|_: Duration| Box::pin(std::future::ready(()))));
        let store = Arc::new(MemoryStore::new());
        let mut openproject = OpenProjectOptions::default();
        openproject.api_key = "the-key-of-openproject".to_owned();
        let options = BreakdownOptions::new().flat_tool(ToolName::new("leantime"));
        let jobs = Arc::clone(&store);
        let bench = Bench::built(
            store,
            OpenProjectSimulator::new(openproject),
            LeantimeSimulator::new(LeantimeOptions::default()),
            |_| {},
            |orchestrator| orchestrator.breakdowns(jobs, model, options),
        );
        Self {
            bench,
            fake,
            _served: served,
        }
    }

    /// A task in a project of its own.
    async fn task(&self, title: &str) -> Value {
        let project = self
            .bench
            .post("/projects", json!({ "name": "Garden" }))
            .await
            .is(201)
            .json();
        let task = json!({ "project_id": project["id"], "title": title });
        self.bench.post("/tasks", task).await.is(201).json()
    }

    async fn start(&self, task: &Value) -> Value {
        let path = format!("/ai/breakdown-async?task_id={}", task["id"].as_str().unwrap());
        self.bench.act(&path).await.is(202).json()
    }

    async fn wait(&self, task: &Value) -> support::Answer {
        self.bench.post("/ai/breakdown", json!({ "task_id": task["id"] })).await
    }

    async fn metadata(&self, task: &Value) -> Value {
        let path = format!("/tasks/{}", task["id"].as_str().unwrap());
        self.bench.get(&path).await.is(200).json()["metadata"].clone()
    }
}

fn job(id: &Value, action: &str) -> String {
    format!("/ai/breakdowns/{}{action}", id.as_str().unwrap())
}

#[tokio::test]
async fn a_breakdown_answers_at_once_and_ends_on_the_task() {
    let thinking = Thinking::new([Reply::AtGate]).await;
    let task = thinking.task("Move house").await;
    let started = thinking.start(&task).await;
    assert_eq!(
        started,
        json!({
            "status": "started", "task_id": task["id"], "job_id": started["job_id"],
            "message": "AI breakdown running. Results will be stored on task metadata.",
        })
    );
    thinking.fake.gate().reached(1).await;
    let path = job(&started["job_id"], "");
    assert_eq!(thinking.bench.get(&path).await.is(200).json()["status"], "running");
    assert_eq!(
        thinking.start(&task).await["job_id"],
        started["job_id"],
        "a second request joins"
    );
    assert_eq!(thinking.metadata(&task).await, json!({}));
    thinking.fake.gate().open();
    let waited = thinking.wait(&task).await.is(200);
    assert_eq!(
        waited.says(),
        "I've analyzed the position. Here's how to break it down."
    );
    let waited = waited.json();
    assert_eq!(waited["original_task"]["title"], "Move house");
    assert_eq!(waited["job_id"], started["job_id"]);
    let kept = thinking.metadata(&task).await["ai_breakdown"].clone();
    assert_eq!(
        (&kept["subtasks"], &kept["job_id"]),
        (&waited["breakdown"]["subtasks"], &started["job_id"])
    );
    assert_eq!(kept["provenance"]["provider"], "compatible");
    assert_eq!(thinking.fake.requests().len(), 1);
    let read = thinking.bench.get(&path).await.is(200).json();
    assert_eq!((&read["status"], &read["accepted"]), (&json!("completed"), &json!([])));
}

#[tokio::test]
async fn without_a_model_it_says_how_to_have_one() {
    let bench = Bench::new();
    let id = Uuid::now_v7();
    for path in [
        format!("/ai/breakdown-async?task_id={id}"),
        format!("/ai/breakdowns/{id}/accept"),
        format!("/ai/breakdowns/{id}/discard"),
        format!("/ai/breakdowns/{id}/cancel"),
    ] {
        let problem = bench.act(&path).await.is(503).json();
        let detail = problem["detail"].as_str().unwrap();
        assert!(
            detail.contains("MAGNUS_AI_PROVIDER") && detail.contains("MAGNUS_AI_URL"),
            "{detail}"
        );
    }
    bench.get(&format!("/ai/breakdowns/{id}")).await.is(503);
    bench.post("/ai/breakdown", json!({ "title": "x" })).await.is(503);
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_and_nobody_is_asked() {
    let thinking = Thinking::new([]).await;
    let bench = &thinking.bench;
    let unknown = Uuid::now_v7();
    bench
        .act(&format!("/ai/breakdown-async?task_id={unknown}"))
        .await
        .is(404);
    bench.act("/ai/breakdown-async").await.is(422);
    bench.act("/ai/breakdown-async?task_id=x").await.is(422);
    bench.post("/ai/breakdown", json!({ "task_id": unknown })).await.is(404);
    for body in [
        json!({}),
        json!({ "title": " " }),
        json!({ "title": "x", "task_id": unknown }),
        json!({ "name": 1 }),
    ] {
        bench.post("/ai/breakdown", body).await.is(422);
    }
    for action in ["/accept", "/discard", "/cancel"] {
        bench.act(&format!("/ai/breakdowns/{unknown}{action}")).await.is(404);
    }
    bench.get("/ai/breakdowns/x").await.is(400);
    assert_eq!(thinking.fake.requests().len(), 0);
}

#[tokio::test]
async fn something_that_is_no_task_is_broken_down_and_nothing_is_kept() {
    let thinking = Thinking::new([]).await;
    let body = json!({ "title": "Learn the lute", "description": "By **spring**" });
    let answer = thinking.bench.post("/ai/breakdown", body).await.is(200).json();
    assert_eq!(
        answer["original_task"],
        json!({ "id": null, "title": "Learn the lute", "description": "By **spring**" })
    );
    assert_eq!(
        (
            &answer["job_id"],
            answer["breakdown"]["subtasks"].as_array().unwrap().len()
        ),
        (&Value::Null, 4)
    );
    assert!(thinking.fake.requests()[0].text().contains("By **spring**"));
    assert_eq!(thinking.bench.get("/tasks").await.json()["total"], 0);
}

#[tokio::test]
async fn a_model_that_never_answers_well_is_told_and_its_words_are_kept() {
    let thinking = Thinking::new([Reply::WrongShape, Reply::BadJson, Reply::Status(401)]).await;
    let task = thinking.task("Move house").await;
    let problem = thinking.wait(&task).await.is(502).json();
    assert_eq!(problem["type"], "urn:magnus:problem:model-failed");
    assert!(
        problem["detail"].as_str().unwrap().contains("no JSON object"),
        "{problem}"
    );
    let refused = thinking.wait(&task).await.is(502).json();
    assert!(
        refused["detail"].as_str().unwrap().contains("refuses the key"),
        "{refused}"
    );
    assert_eq!(thinking.metadata(&task).await, json!({}));
    assert_eq!(thinking.fake.requests().len(), 3);
    let started = thinking.start(&task).await;
    thinking.wait(&task).await.is(200);
    let read = thinking.bench.get(&job(&started["job_id"], "")).await.is(200).json();
    assert_eq!((&read["status"], &read["raw"]), (&json!("completed"), &Value::Null));
}

#[tokio::test]
async fn a_proposal_is_accepted_in_parts_once_each_and_then_discarded() {
    let thinking = Thinking::new([]).await;
    let task = thinking.task("Move house").await;
    let id = thinking.wait(&task).await.is(200).json()["job_id"].clone();
    let bench = &thinking.bench;
    let some = bench
        .post(&job(&id, "/accept"), json!({ "subtasks": [1, 0] }))
        .await
        .is(200)
        .json();
    assert_eq!(
        (&some["created"], some["accepted"].as_array().unwrap().len()),
        (&json!(2), 2)
    );
    let made = &some["subtasks"][1];
    assert_eq!(
        (&made["parent_id"], &made["estimated_hours"]),
        (&task["id"], &json!(2.5))
    );
    assert_eq!(made["metadata"]["depends_on"], json!([some["subtasks"][0]["id"]]));
    bench
        .post(&job(&id, "/accept"), json!({ "subtasks": [9] }))
        .await
        .is(422);
    bench.post(&job(&id, "/accept"), json!({ "all": true })).await.is(422);
    let again = bench
        .post(&job(&id, "/accept"), json!({ "subtasks": [1, 0] }))
        .await
        .is(200)
        .json();
    assert_eq!((&again["created"], &again["subtasks"]), (&json!(0), &some["subtasks"]));
    let all = bench.act(&job(&id, "/accept")).await.is(200).json();
    assert_eq!(
        (&all["created"], all["accepted"].as_array().unwrap().len()),
        (&json!(2), 4)
    );
    assert_eq!(bench.get("/tasks").await.json()["total"], 5);

    let discarded = bench.act(&job(&id, "/discard")).await.is(200).json();
    assert!(discarded["discarded_at"].is_string() && discarded["accepted"].as_array().unwrap().len() == 4);
    assert_eq!(thinking.metadata(&task).await, json!({}));
    bench.act(&job(&id, "/accept")).await.is(409);
    assert_eq!(bench.get("/tasks").await.json()["total"], 5, "what was made stays");
}

#[tokio::test]
async fn a_breakdown_is_cancelled() {
    let thinking = Thinking::new([Reply::Hangs]).await;
    let task = thinking.task("Move house").await;
    let started = thinking.start(&task).await;
    thinking.fake.asked(1).await;
    thinking.bench.act(&job(&started["job_id"], "/cancel")).await.is(200);
    let bench = &thinking.bench;
    let path = job(&started["job_id"], "");
    support::until("the end", || async {
        bench.get(&path).await.json()["status"] == "cancelled"
    })
    .await;
    bench.act(&job(&started["job_id"], "/discard")).await.is(409);
    let again = bench.act(&job(&started["job_id"], "/cancel")).await.is(200).json();
    assert_eq!(again["status"], "cancelled", "one that is over stays as it is");
}

/// What a listener is told that asks for nothing older, or for everything, and takes it when a breakdown is over.
async fn told_of_a_breakdown(thinking: &Thinking, last_event_id: Option<&str>) {
    let task = thinking.task("Move house").await;
    let mut request = Request::builder().method(Method::GET).uri("/sync/events");
    if let Some(id) = last_event_id {
        request = request.header("last-event-id", id);
    }
    let request = request.body(Body::empty()).unwrap();
    let response = tower::ServiceExt::oneshot(thinking.bench.app.clone(), request)
        .await
        .unwrap();
    let mut stream = response.into_body();
    let id = thinking.wait(&task).await.is(200).json()["job_id"].clone();
    thinking.bench.act(&job(&id, "/accept")).await.is(200);
    thinking.bench.act(&job(&id, "/discard")).await.is(200);
    let mut told = String::new();
    let listening = async {
        while !told.contains("breakdown.discarded") {
            let frame = stream.frame().await.unwrap().unwrap();
            let data = frame.into_data().unwrap_or_default();
            told.push_str(std::str::from_utf8(&data).unwrap());
        }
    };
    let listened = timeout(PATIENCE, listening).await;
    assert!(listened.is_ok(), "with {last_event_id:?}: {told}");
    let names: Vec<&str> = told.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    let ours: Vec<&str> = names
        .into_iter()
        .filter(|name| name.starts_with("breakdown."))
        .collect();
    assert_eq!(
        ours,
        [
            "breakdown.queued",
            "breakdown.started",
            "breakdown.finished",
            "breakdown.accepted",
            "breakdown.discarded"
        ]
    );
    assert!(told.contains(&format!("\"job_id\":{id}")) && told.contains("\"status\":\"completed\""));
}

#[tokio::test]
async fn listeners_are_told_what_happens_to_breakdowns() {
    told_of_a_breakdown(&Thinking::new([]).await, None).await;
}

#[tokio::test]
async fn listeners_that_have_runs_to_catch_up_with_are_told_what_happens_to_breakdowns_meanwhile() {
    let thinking = Thinking::new([]).await;
    thinking.bench.pair(1).await;
    thinking.bench.act("/sync/all?wait=true").await.is(200);
    told_of_a_breakdown(&thinking, Some("0")).await;
}

#[tokio::test]
async fn accepted_subtasks_are_children_in_both_tools_and_accepting_again_writes_nothing() {
    let thinking = Thinking::new([]).await;
    let bench = &thinking.bench;
    bench.pair(1).await;
    let tasks = bench.get("/tasks").await.is(200).json();
    let task = &tasks["tasks"][0];
    let quiet = |what: &'static str| async move {
        bench.openproject.reset_counts();
        bench.leantime.reset_counts();
        bench.act("/sync/all?wait=true").await.is(200);
        assert_eq!((bench.openproject.writes(), bench.leantime.writes()), (0, 0), "{what}");
    };
    let id = thinking.wait(task).await.is(200).json()["job_id"].clone();
    quiet("a proposal goes to no tool").await;

    let accepted = bench.act(&job(&id, "/accept")).await.is(200).json();
    assert_eq!(accepted["created"], 4);
    bench.act("/sync/all?wait=true").await.is(200);
    let title = task["title"].as_str().unwrap();
    let packages = bench.openproject.work_packages();
    let parent = packages.iter().find(|row| row.subject == title).unwrap().id;
    let below: Vec<&str> = packages
        .iter()
        .filter(|row| row.parent_id == Some(parent))
        .map(|row| row.subject.as_str())
        .collect();
    assert_eq!((below.len(), packages.len()), (4, 5), "{below:?}");
    let tickets = bench.leantime.tickets();
    let parent = tickets
        .iter()
        .find(|row| row.headline.as_deref() == Some(title))
        .unwrap()
        .id;
    let below = tickets
        .iter()
        .filter(|row| row.depending_ticket_id == Some(parent) && row.kind == "subtask");
    assert_eq!((below.count(), tickets.len()), (4, 5));

    assert_eq!(bench.act(&job(&id, "/accept")).await.is(200).json()["created"], 0);
    quiet("accepted again, synced again").await;
    assert_eq!(bench.get("/tasks").await.json()["total"], 5);
    assert_eq!(bench.get("/conflicts").await.json()["total"], 0);
}
