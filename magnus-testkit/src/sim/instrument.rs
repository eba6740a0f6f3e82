//! Wraps a simulator's router: every call is recorded and may meet a fault.

use std::io;
use std::sync::PoisonError;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use bytes::Bytes;
use serde_json::Value;

use super::faults::{CannedAnswer, Chosen, Fault, Faults};
use super::record::{Call, Recorder};

/// Records every call of `router` and applies `faults` to it.
///
/// Bodies are read whole, up to 64 MB; a larger one is answered 413.
pub fn instrument(router: Router, recorder: Recorder, faults: Faults) -> Router {
    router.layer(from_fn_with_state((recorder, faults), handle))
}

const BODY_LIMIT: usize = 64 << 20;

async fn handle(State((recorder, faults)): State<(Recorder, Faults)>, request: Request, next: Next) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_LIMIT).await else {
        return plain(StatusCode::PAYLOAD_TOO_LARGE, "body too large");
    };
    let call = Call::new(
        parts.method.clone(),
        parts.uri.path(),
        parts.uri.query().unwrap_or_default(),
        &body,
    );
    let chosen = faults.choose(&call);
    let number = recorder.begin(call);
    let request = Request::from_parts(parts, Body::from(body));
    let response = match chosen {
        Some(chosen) => answer_with_fault(chosen, request, next).await,
        None => next.run(request).await,
    };
    if let Some(delay) = faults.delay() {
        tokio::time::sleep(delay).await;
    }
    recorder.finish(number, response.status().as_u16());
    response
}

async fn answer_with_fault(chosen: Chosen, request: Request, next: Next) -> Response<Body> {
    match chosen.fault {
        Fault::Answer(answer) => canned(&answer),
        Fault::Html(status) => html(status),
        Fault::LoseRequest => broken(),
        Fault::LoseAnswer => {
            next.run(request).await;
            broken()
        }
        Fault::Hold(gate) => {
            gate.pass().await;
            next.run(request).await
        }
        Fault::Hang => std::future::pending().await,
        Fault::HangAfterApplying => {
            next.run(request).await;
            std::future::pending().await
        }
        Fault::Delay(delay) => {
            let response = next.run(request).await;
            tokio::time::sleep(delay).await;
            response
        }
        Fault::TruncateJson => change_body(next.run(request).await, |body| body.slice(..body.len() / 2)).await,
        Fault::WrongTypes => change_json(next.run(request).await, wrong_types).await,
        Fault::Transform(change) => change_json(next.run(request).await, |value| change(value)).await,
        Fault::RepeatAnswer => {
            let remembered = chosen.repeated.lock().unwrap_or_else(PoisonError::into_inner).clone();
            match remembered {
                Some(answer) => canned(&answer),
                None => {
                    let answer = take_apart(next.run(request).await).await;
                    *chosen.repeated.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer.clone());
                    canned(&answer)
                }
            }
        }
    }
}

fn plain(status: StatusCode, body: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_owned()));
    *response.status_mut() = status;
    response
}

fn canned(answer: &CannedAnswer) -> Response<Body> {
    let mut response = Response::new(Body::from(answer.body.clone()));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    *response.headers_mut() = answer.headers.clone();
    response
}

fn html(status: u16) -> Response<Body> {
    let body = "<!DOCTYPE html><html><head><title>Please sign in</title></head><body><h1>Sign in</h1></body></html>";
    let mut headers = HeaderMap::new();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    canned(&CannedAnswer {
        status,
        headers,
        body: Bytes::from_static(body.as_bytes()),
    })
}

/// A response whose body breaks at once: over a socket the connection ends early, in the process the body is an
/// error.
fn broken() -> Response<Body> {
    let error = io::Error::new(io::ErrorKind::ConnectionReset, "the simulated connection broke");
    Response::new(Body::from_stream(futures::stream::iter([Err::<Bytes, _>(error)])))
}

async fn take_apart(response: Response<Body>) -> CannedAnswer {
    let (parts, body) = response.into_parts();
    // A simulator's bodies are in memory, so reading one cannot break off.
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let mut headers = parts.headers;
    headers.remove(header::CONTENT_LENGTH);
    CannedAnswer {
        status: parts.status.as_u16(),
        headers,
        body,
    }
}

async fn change_body(response: Response<Body>, change: impl FnOnce(Bytes) -> Bytes) -> Response<Body> {
    let mut answer = take_apart(response).await;
    answer.body = change(answer.body);
    canned(&answer)
}

async fn change_json(response: Response<Body>, change: impl FnOnce(Value) -> Value) -> Response<Body> {
    change_body(response, |body| match serde_json::from_slice(&body) {
        Ok(value) => Bytes::from(change(value).to_string()),
        Err(_) => body,
    })
    .await
}

fn wrong_types(value: Value) -> Value {
    match value {
        Value::String(_) => Value::from(7),
        Value::Number(_) => Value::from("seven"),
        Value::Bool(_) => Value::from("perhaps"),
        Value::Array(items) => items.into_iter().map(wrong_types).collect(),
        Value::Object(fields) => fields
            .into_iter()
            .map(|(key, value)| (key, wrong_types(value)))
            .collect(),
        Value::Null => Value::Null,
    }
}
