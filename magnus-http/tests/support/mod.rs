//! The service over simulated tools, asked in this process.

#![allow(
    dead_code,
    reason = "each test program uses a part of it, so no expectation would hold in all of them"
)]
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Method, Request};
use http_body_util::BodyExt as _;
use magnus_core::engine::Engine;
use magnus_core::memory::MemoryStore;
use magnus_core::orchestrator::{Orchestrator, OrchestratorBuilder};
use magnus_core::store::ServiceStore;
use magnus_http::{ServiceOptions, router};
use magnus_leantime::LeantimeConnector;
use magnus_openproject::OpenProjectConnector;
use magnus_seal::{MasterKey, SealedSecretStore};
use magnus_testkit::sim::leantime::{LeantimeOptions, LeantimeSimulator};
use magnus_testkit::sim::openproject::{OpenProjectOptions, OpenProjectSimulator};
use magnus_testkit::transport::RouterTransport;
use serde_json::{Value, json};
use tower::ServiceExt as _;

/// Long enough on a busy machine; nothing waits for it that goes well.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The service, its hub and its tools.
pub(crate) struct Bench {
    pub(crate) app: Router,
    pub(crate) store: Arc<dyn ServiceStore>,
    pub(crate) orchestrator: Orchestrator,
    pub(crate) openproject: OpenProjectSimulator,
    pub(crate) leantime: LeantimeSimulator,
    pub(crate) shutdown: tokio_util::sync::CancellationToken,
}

/// An answer of the service.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// It has this status; an error is a problem with a stable type.
    #[track_caller]
    pub(crate) fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        if status >= 400 {
            assert_eq!(self.headers["content-type"], "application/problem+json");
            let problem = self.json();
            assert_eq!(problem["status"], status);
            assert!(
                problem["type"].as_str().unwrap().starts_with("urn:magnus:problem:"),
                "{problem}"
            );
            assert!(!problem["detail"].as_str().unwrap().is_empty(), "{problem}");
        }
        self
    }

    #[track_caller]
    pub(crate) fn says(&self) -> String {
        self.json()["magnus_says"].as_str().unwrap().to_owned()
    }
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(Arc::new(MemoryStore::new()), |_| {})
    }

    pub(crate) fn with(store: Arc<dyn ServiceStore>, change: impl FnOnce(&mut ServiceOptions)) -> Self {
        let mut openproject = OpenProjectOptions::default();
        openproject.api_key = "the-key-of-openproject".to_owned();
        Self::over(
            store,
            OpenProjectSimulator::new(openproject),
            LeantimeSimulator::new(LeantimeOptions::default()),
            change,
        )
    }

    pub(crate) fn over(
        store: Arc<dyn ServiceStore>,
        openproject: OpenProjectSimulator,
        leantime: LeantimeSimulator,
        change: impl FnOnce(&mut ServiceOptions),
    ) -> Self {
        Self::built(store, openproject, leantime, change, |orchestrator| orchestrator)
    }

    pub(crate) fn built(
        store: Arc<dyn ServiceStore>,
        openproject: OpenProjectSimulator,
        leantime: LeantimeSimulator,
        change: impl FnOnce(&mut ServiceOptions),
        build: impl FnOnce(OrchestratorBuilder) -> OrchestratorBuilder,
    ) -> Self {
        let key = MasterKey::from_bytes([7; 32]);
        let secrets = Arc::new(SealedSecretStore::new(Arc::clone(&store) as _, &key));
        let webhooks = Arc::new(SealedSecretStore::for_webhooks(Arc::clone(&store) as _, &key));
        let engine = Engine::new(Arc::clone(&store) as _, Arc::clone(&secrets) as _)
            .with_connector(Arc::new(OpenProjectConnector::new(Arc::new(RouterTransport::new(
                openproject.router(),
            )))))
            .with_connector(Arc::new(LeantimeConnector::new(Arc::new(RouterTransport::new(
                leantime.router(),
            )))));
        let engine = Arc::new(engine);
        let orchestrator = Orchestrator::builder(Arc::clone(&store) as _, Arc::clone(&engine) as _);
        let orchestrator = build(orchestrator).build();
        let mut options = ServiceOptions::new(Arc::clone(&store), engine, secrets, webhooks);
        options.debounce = Duration::from_millis(20);
        change(&mut options);
        let shutdown = options.shutdown.clone();
        Self {
            app: router(orchestrator.clone(), options),
            store,
            orchestrator,
            openproject,
            leantime,
            shutdown,
        }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.app.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            text: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn ask(&self, method: Method, path: &str, body: Value) -> Answer {
        self.send(request(method, path, &body)).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.ask(Method::POST, path, body).await
    }

    /// A POST without a body.
    pub(crate) async fn act(&self, path: &str) -> Answer {
        self.send(Request::post(path).body(Body::empty()).unwrap()).await
    }

    /// What connects OpenProject.
    pub(crate) fn openproject_in(&self) -> Value {
        json!({
            "tool_name": "openproject", "display_name": "Work", "instance_url": "http://127.0.0.1:1",
            "api_key": self.openproject.api_key(),
        })
    }

    pub(crate) fn leantime_in(&self) -> Value {
        json!({
            "tool_name": "leantime", "display_name": "Board", "instance_url": "http://127.0.0.1:1",
            "api_key": self.leantime.api_key(),
            "config": { "time_zone": "America/Los_Angeles", "tool": { "requests_per_minute": 1_000_000 } },
        })
    }

    /// Connects a tool; answers the connection's id.
    #[track_caller]
    pub(crate) fn connect(&self, body: Value) -> impl Future<Output = String> {
        let request = self.send(request(Method::POST, "/connections", &body));
        async move {
            let answer = request.await.is(201);
            answer.json()["connection"]["id"].as_str().unwrap().to_owned()
        }
    }

    /// OpenProject with a project of so many tasks, connected.
    pub(crate) async fn filled(&self, tasks: usize) -> String {
        let project = self.openproject.create_project("Garden", "garden");
        for number in 0..tasks {
            self.openproject
                .create_work_package(project, &format!("Task {number:03}"));
        }
        self.connect(self.openproject_in()).await
    }

    /// Both tools with a project "Garden" in each, connected, mapped onto one hub project and synced.
    pub(crate) async fn pair(&self, tasks: usize) -> (String, String) {
        let work = self.filled(tasks).await;
        let garden = self.leantime.create_project("Garden");
        let mut body = self.leantime_in();
        body["config"]["projects"] = json!("mapped");
        let board = self.connect(body).await;
        self.act(&format!("/connections/{work}/sync?wait=true")).await.is(200);
        let projects = self.get("/projects").await.is(200).json();
        let hub = projects["projects"][0]["id"].as_str().unwrap();
        let path = format!("/connections/{board}/map-project?external_project_id={garden}&magnus_project_id={hub}");
        self.act(&path).await.is(200);
        self.act("/sync/all?wait=true").await.is(200);
        (work, board)
    }
}

pub(crate) fn request(method: Method, path: &str, body: &Value) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", "application/json")
        .body(Body::from(body.to_string()))
        .unwrap()
}

/// Waits until something holds, by looking again and again.
pub(crate) async fn until<F, R>(what: &str, mut look: F)
where
    F: FnMut() -> R,
    R: Future<Output = bool>,
{
    let waiting = async {
        while !look().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(
        tokio::time::timeout(PATIENCE, waiting).await.is_ok(),
        "{what} never came"
    );
}
