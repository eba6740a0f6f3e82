//! The simulator does what the tool's contract says, by in-process calls.

mod faults;
mod reading;
mod writing;

use axum::body::{Body, to_bytes};
use axum::http::{Request, Response};
use base64::Engine as _;
use chrono::NaiveDate;
use serde_json::Value;
use tower::ServiceExt as _;

use super::{OpenProjectOptions, OpenProjectSimulator};

pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Value,
    pub(super) text: String,
}

pub(super) fn basic(key: &str) -> String {
    format!(
        "Basic {}",
        base64::engine::general_purpose::STANDARD.encode(format!("apikey:{key}"))
    )
}

pub(super) async fn raw(simulator: &OpenProjectSimulator, request: Request<Body>) -> Response<Body> {
    simulator
        .router()
        .oneshot(request)
        .await
        .expect("the router is infallible")
}

pub(super) async fn send(simulator: &OpenProjectSimulator, method: &str, path: &str, body: Option<Value>) -> Answer {
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

pub(super) async fn get(simulator: &OpenProjectSimulator, path: &str) -> Answer {
    send(simulator, "GET", path, None).await
}

pub(super) fn escape(text: &str) -> String {
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

pub(super) async fn list(simulator: &OpenProjectSimulator, filters: &str) -> Answer {
    get(
        simulator,
        &format!("/api/v3/work_packages?filters={}&pageSize=-1", escape(filters)),
    )
    .await
}

pub(super) fn ids(answer: &Answer) -> Vec<u64> {
    let elements = answer.body["_embedded"]["elements"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    elements.iter().filter_map(|element| element["id"].as_u64()).collect()
}

pub(super) fn error(answer: &Answer) -> (u16, String) {
    let identifier = answer.body["errorIdentifier"].as_str().unwrap_or_default();
    (
        answer.status,
        identifier.rsplit(':').next().unwrap_or_default().to_owned(),
    )
}

pub(super) fn attribute(answer: &Answer) -> String {
    answer.body["_embedded"]["details"]["attribute"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

pub(super) fn simulator() -> (OpenProjectSimulator, u64) {
    with(OpenProjectOptions::default())
}

pub(super) fn with(options: OpenProjectOptions) -> (OpenProjectSimulator, u64) {
    let simulator = OpenProjectSimulator::new(options);
    let project = simulator.create_project("Garden", "garden");
    (simulator, project)
}

pub(super) fn day(text: &str) -> Option<NaiveDate> {
    text.parse().ok()
}
