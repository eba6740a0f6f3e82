//! Whether the service lives, whether it can work, and what it counts.

use std::fmt::Write as _;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use magnus_core::model::RunState;
use serde::Serialize;
use utoipa::ToSchema;

use crate::metrics::label;
use crate::problem::Problem;
use crate::state::App;

/// How the service is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// `ok`.
    status: String,
    version: String,
}

fn well() -> Json<Health> {
    Json(Health {
        status: "ok".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    })
}

/// Whether the service lives
#[utoipa::path(get, path = "/health", tag = "service", responses(
    (status = 200, description = "It lives", body = Health)))]
pub(crate) async fn health() -> Json<Health> {
    well()
}

/// Whether the service can work
#[utoipa::path(get, path = "/ready", tag = "service", responses(
    (status = 200, description = "The database answers", body = Health)))]
pub(crate) async fn ready(State(app): State<App>) -> Result<Json<Health>, Problem> {
    app.store().ping().await?;
    Ok(well())
}

/// What the service counts
#[utoipa::path(get, path = "/metrics", tag = "service", responses(
    (status = 200, description = "In the text format of Prometheus", body = String, content_type = "text/plain")))]
pub(crate) async fn metrics(State(app): State<App>) -> Result<Response, Problem> {
    let mut text = String::new();
    app.metrics.render(&mut text);
    app.options.remote_calls.render(&mut text);
    let standings = app.store().run_standings().await?;
    let started = standings.iter().filter(|standing| standing.in_progress).count();
    let queued = standings.iter().filter(|standing| standing.queued).count();
    text.push_str("# HELP magnus_runs Runs that are not over, by state.\n# TYPE magnus_runs gauge\n");
    for (state, runs) in [(RunState::Started, started), (RunState::Queued, queued)] {
        // Writing to a string cannot fail.
        let _written = writeln!(text, "magnus_runs{{state=\"{state}\"}} {runs}");
    }
    text.push_str(
        "# HELP magnus_connection_lag_seconds Time since a connection was last synced well.\n\
         # TYPE magnus_connection_lag_seconds gauge\n",
    );
    let now = app.options.clock.now();
    for settings in app.store().connections().await? {
        let digest = app.store().run_digest(settings.id).await?;
        if let Some(at) = digest.last_success_at {
            let lag = (now - at).num_seconds().max(0);
            let _written = writeln!(
                text,
                "magnus_connection_lag_seconds{{connection=\"{}\",tool=\"{}\",name=\"{}\"}} {lag}",
                settings.id,
                label(settings.tool.as_str()),
                label(&settings.name)
            );
        }
    }
    let mut response = text.into_response();
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
}
