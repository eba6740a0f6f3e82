//! Webhooks of the tools.

use axum::Json;
use axum::extract::State;
use http::{HeaderMap, StatusCode};
use magnus_core::model::ConnectionId;
use serde::Serialize;
use utoipa::ToSchema;

use crate::extract::{Id, Raw};
use crate::problem::{Kind, Problem};
use crate::state::App;
use crate::webhook::signature::is_genuine;
use crate::webhook::wakeups::{Knock, item_of};

/// A webhook that was taken.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Taken {
    /// `accepted`.
    status: String,
}

/// A tool says that something changed
///
/// A hint to sync, never data. It is signed with the connection's webhook secret: `X-OP-Signature: sha1=HMAC` as
/// OpenProject does, or `X-Magnus-Signature: sha256=HMAC`, in hexadecimal digits and over the body as it was sent.
/// Several in a short time start one run, and the echo of our own writes none.
#[utoipa::path(post, path = "/webhooks/{id}", tag = "webhooks", request_body(content = serde_json::Value,
    content_type = "application/json", example = json!({ "action": "work_package:updated", "work_package": { "id": 12 } })),
    params(
    ("id" = uuid::Uuid, Path, description = "The connection"),
    ("X-OP-Signature" = Option<String>, Header, description = "`sha1=` and the HMAC-SHA1"),
    ("X-Magnus-Signature" = Option<String>, Header, description = "`sha256=` and the HMAC-SHA256")), responses(
    (status = 202, description = "It is taken", body = Taken)))]
pub(crate) async fn take(
    State(app): State<App>,
    Id(id): Id<ConnectionId>,
    headers: HeaderMap,
    Raw(body): Raw,
) -> Result<(StatusCode, Json<Taken>), Problem> {
    app.connection(id).await?;
    let secret = app.options.webhook_secrets.get(id).await?;
    if !secret.is_some_and(|secret| is_genuine(&headers, &body, &secret)) {
        app.metrics.webhook("refused");
        tracing::warn!(connection = %id, "a webhook for connection {id} is not signed with its secret");
        let detail = "the webhook is not signed with the secret of this connection";
        return Err(Problem::new(Kind::Unauthenticated, detail));
    }
    app.metrics.webhook("accepted");
    app.wakeups.knock(Knock {
        connection: id,
        item: item_of(&body),
        at: app.options.clock.now(),
    });
    let taken = Taken {
        status: "accepted".to_owned(),
    };
    Ok((StatusCode::ACCEPTED, Json(taken)))
}
