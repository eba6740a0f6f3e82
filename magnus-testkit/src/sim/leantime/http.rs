//! The HTTP surface: who calls, how often, and what the status line says.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State as Shared;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use axum::routing::any;
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::Dialect;
use super::rpc;
use super::state::{State, User};
use crate::sim::{Faults, Recorder, instrument};

#[derive(Clone)]
struct Context {
    state: Arc<Mutex<State>>,
    recorder: Recorder,
}

pub(super) fn router(state: Arc<Mutex<State>>, recorder: Recorder, faults: Faults) -> Router {
    let context = Context {
        state,
        recorder: recorder.clone(),
    };
    let routes = Router::new()
        .route("/api/jsonrpc", any(handle))
        .route("/api/jsonrpc/", any(handle))
        .fallback(not_found)
        .with_state(context);
    instrument(routes, recorder, faults)
}

const WINDOW: Duration = Duration::from_secs(60);
const FAILURES_PER_MINUTE: u32 = 20;

async fn not_found() -> Response<Body> {
    page(
        StatusCode::NOT_FOUND,
        "application/json",
        &json!({"message": "Can't find a valid controller"}),
    )
}

async fn handle(Shared(context): Shared<Context>, method: Method, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let mut state = context.state.lock().unwrap_or_else(PoisonError::into_inner);
    let date = state.now().format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let mut response = respond(&mut state, &context.recorder, &method, &headers, &body);
    if let Ok(date) = HeaderValue::from_str(&date) {
        response.headers_mut().insert(header::DATE, date);
    }
    response.headers_mut().insert(
        header::SET_COOKIE,
        HeaderValue::from_static("leantime_session=simulated; path=/; httponly"),
    );
    response
}

fn respond(
    state: &mut State,
    recorder: &Recorder,
    method: &Method,
    headers: &HeaderMap,
    body: &[u8],
) -> Response<Body> {
    if locked_out(state) {
        let text = json!({"error": "Too many failed authentication attempts. Try again later."});
        return page(StatusCode::TOO_MANY_REQUESTS, "text/html; charset=UTF-8", &text);
    }
    let Some(user) = caller(state, headers) else {
        count_failure(state);
        return page(
            StatusCode::UNAUTHORIZED,
            "text/html; charset=UTF-8",
            &json!({"error": "Unauthorized"}),
        );
    };
    if let Some(wait) = over_limit(state, user.id) {
        return too_many(state, wait);
    }
    if *method == Method::PUT {
        return page(
            StatusCode::NOT_FOUND,
            "application/json",
            &json!({"message": "Can't find valid method for put"}),
        );
    }
    if *method != Method::POST {
        let data = "The JSON-RPC API only supports POST/GET requests";
        let error = json!({"jsonrpc": "2.0", "id": 0,
            "error": {"code": -32600, "message": "Invalid Request", "data": data}});
        return page(StatusCode::OK, "application/json", &error);
    }
    let mut wrote = 0;
    let answer = rpc::answer(state, &user, body, &mut wrote);
    (0..wrote).for_each(|_| recorder.count_write());
    match answer {
        Some(answer) => page(StatusCode::OK, "application/json", &answer),
        None => {
            let mut empty = Response::new(Body::empty());
            empty.headers_mut().insert(
                header::CONTENT_TYPE,
                HeaderValue::from_static("text/html; charset=UTF-8"),
            );
            empty
        }
    }
}

fn page(status: StatusCode, content_type: &'static str, body: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// The user of a credential. A database that is down looks like a wrong key.
fn caller(state: &State, headers: &HeaderMap) -> Option<User> {
    if state.database_down {
        return None;
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let id = match (text("x-api-key"), text("authorization")) {
        (Some(key), _) => state.keys.get(key),
        (None, Some(bearer)) => bearer.strip_prefix("Bearer ").and_then(|token| state.tokens.get(token)),
        (None, None) => None,
    };
    id.and_then(|id| state.users.get(id)).cloned()
}

fn locked_out(state: &State) -> bool {
    state
        .failures
        .is_some_and(|(since, count)| since.elapsed() < WINDOW && count >= FAILURES_PER_MINUTE)
}

fn count_failure(state: &mut State) {
    if state.options.dialect == Dialect::V373 {
        return;
    }
    state.failures = match state.failures {
        Some((since, count)) if since.elapsed() < WINDOW => Some((since, count + 1)),
        _ => Some((Instant::now(), 1)),
    };
}

/// Counts a hit; how long to wait when it was one too many.
fn over_limit(state: &mut State, user: i64) -> Option<Duration> {
    let limit = state.options.rate_limit_per_minute?;
    let (since, hits) = match state.windows.get(&user) {
        Some((since, hits)) if since.elapsed() < WINDOW => (*since, *hits),
        _ => (Instant::now(), 0),
    };
    if hits >= limit {
        return Some(WINDOW.saturating_sub(since.elapsed()));
    }
    state.windows.insert(user, (since, hits + 1));
    None
}

fn too_many(state: &State, wait: Duration) -> Response<Body> {
    let body = json!({"error": "Too many requests per minute."});
    let mut response = page(StatusCode::TOO_MANY_REQUESTS, "text/html; charset=UTF-8", &body);
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    let limit = state.options.rate_limit_per_minute.unwrap_or_default();
    for (name, value) in [
        ("retry-after", seconds.to_string()),
        ("x-ratelimit-retry-after", seconds.to_string()),
        ("x-ratelimit-remaining", "0".to_owned()),
        ("x-ratelimit-limit", limit.to_string()),
    ] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    response
}
