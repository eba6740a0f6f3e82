//! The router: every endpoint, and what each request passes on its way.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::{HeaderName, HeaderValue, Method, Uri, header};
use magnus_core::orchestrator::Orchestrator;
use tracing::Instrument as _;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::access::{host, limits, token};
use crate::api::{
    breakdowns, conflicts, connections, health, mapping, matches, projects, runs, sync, tasks, uncertain, unified,
    webhooks,
};
use crate::dashboard;
use crate::events::stream;
use crate::openapi;
use crate::options::ServiceOptions;
use crate::problem::{Kind, Problem};
use crate::state::{App, Shared};

/// The largest body that is read.
const MOST_BYTES: usize = 1024 * 1024;

/// The service as a router: by itself, or to be nested in a host's own app.
///
/// What runs in the background (following the run log, gathering webhooks) ends when the router is dropped or
/// [`ServiceOptions::shutdown`] is cancelled. Schedules are not kept here: see
/// [`Orchestrator::keep_schedules`].
///
/// # Panics
/// Outside of a tokio runtime.
pub fn router(orchestrator: Orchestrator, options: ServiceOptions) -> Router {
    let app = Shared::new(orchestrator, options);
    let (guarded, api) = OpenApiRouter::with_openapi(openapi::head())
        .routes(routes!(connections::list, connections::add))
        .routes(routes!(connections::read, connections::change, connections::remove))
        .routes(routes!(connections::test_new))
        .routes(routes!(connections::test_stored))
        .routes(routes!(mapping::list))
        .routes(routes!(mapping::map))
        .routes(routes!(matches::list, matches::decide))
        .routes(routes!(sync::sync_one))
        .routes(routes!(sync::sync_all))
        .routes(routes!(sync::status))
        .routes(routes!(stream::listen))
        .routes(routes!(runs::list))
        .routes(routes!(runs::read))
        .routes(routes!(runs::cancel))
        .routes(routes!(runs::confirm))
        .routes(routes!(runs::undo))
        .routes(routes!(unified::tasks))
        .routes(routes!(unified::dashboard))
        .routes(routes!(unified::overdue))
        .routes(routes!(projects::list, projects::add))
        .routes(routes!(projects::read))
        .routes(routes!(tasks::list, tasks::add))
        .routes(routes!(tasks::read, tasks::change, tasks::remove))
        .routes(routes!(tasks::story))
        .routes(routes!(tasks::description))
        .routes(routes!(tasks::retry))
        .routes(routes!(conflicts::list))
        .routes(routes!(conflicts::resolve))
        .routes(routes!(uncertain::list))
        .routes(routes!(uncertain::resolve))
        .routes(routes!(breakdowns::start))
        .routes(routes!(breakdowns::wait))
        .routes(routes!(breakdowns::read))
        .routes(routes!(breakdowns::accept))
        .routes(routes!(breakdowns::discard))
        .routes(routes!(breakdowns::cancel))
        .routes(routes!(health::metrics))
        .split_for_parts();
    let (open, more) = OpenApiRouter::new()
        .routes(routes!(webhooks::take))
        .routes(routes!(health::health))
        .routes(routes!(health::ready))
        .split_for_parts();
    let description = Arc::new(openapi::describe(&api.merge_from(more)));
    let guarded = guarded.route_layer(from_fn_with_state(Arc::clone(&app), token::check));
    let described = get(move || {
        let description = Arc::clone(&description);
        async move { Json(description.as_ref().clone()) }
    });
    guarded
        .merge(open)
        .route("/openapi.json", described)
        .route("/", get(dashboard::page))
        .route("/assets/{name}", get(dashboard::asset))
        .route("/docs", get(|| async { Html(openapi::PAGE) }))
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(MOST_BYTES))
        .layer(from_fn_with_state(Arc::clone(&app), limits::time))
        .layer(from_fn_with_state(Arc::clone(&app), limits::work))
        .layer(from_fn_with_state(Arc::clone(&app), limits::rate))
        .layer(from_fn_with_state(Arc::clone(&app), host::check))
        .layer(from_fn(no_sniffing))
        .layer(from_fn_with_state(Arc::clone(&app), observe))
        .with_state(app)
}

/// A service that cannot work for want of its database: it lives, and answers everything else with 503.
pub fn unavailable(reason: &str) -> Router {
    let problem = Problem::new(Kind::Unavailable, reason).retry_after(5);
    Router::new()
        .route("/health", get(health::health))
        .fallback(move || std::future::ready(problem.clone()))
}

async fn unknown_path(uri: Uri) -> Problem {
    Problem::new(Kind::NotFound, format!("there is nothing at {}", uri.path()))
}

async fn wrong_method(uri: Uri) -> Problem {
    Problem::new(Kind::WrongMethod, format!("{} does not take this method", uri.path()))
}

/// Answers are what they say they are, and stand in no frame.
async fn no_sniffing(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
    ] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

/// Counts and traces a request. Neither query nor headers are logged.
async fn observe(State(app): State<App>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let method = request.method().to_string();
    let label = label(request.method());
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or("(none)", |route| route.as_str()).to_owned();
    let id = Uuid::now_v7();
    let span = tracing::info_span!("request", %id, method, route);
    let response = next.run(request).instrument(span.clone()).await;
    let status = response.status().as_u16();
    let elapsed = begun.elapsed();
    app.metrics.request(label, &route, status, elapsed);
    span.in_scope(|| tracing::debug!(status, ?elapsed, "request {id}: {method} {route}: {status}"));
    response.into_response()
}

/// A method as it is counted. Anybody may invent further ones, and what is counted is kept.
fn label(method: &Method) -> &'static str {
    const KNOWN: [&str; 9] = [
        "GET", "POST", "PATCH", "DELETE", "PUT", "HEAD", "OPTIONS", "TRACE", "CONNECT",
    ];
    let known = KNOWN.into_iter().find(|known| *known == method.as_str());
    known.unwrap_or("OTHER")
}
