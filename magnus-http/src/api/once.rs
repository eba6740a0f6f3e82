//! The header `Idempotency-Key`: a request that is sent again is answered again, and takes effect once.

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use magnus_core::store::{OnceAnswer, OnceRequest};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::problem::{Kind, Problem};
use crate::state::Shared;

/// A request under a key, or one without.
#[derive(Debug)]
pub(crate) enum Once {
    /// It is to be carried out; what it makes has this id.
    Do(Task),
    /// It was answered like that before.
    Answered(OnceAnswer),
}

/// What is to be carried out.
#[derive(Debug)]
pub(crate) struct Task {
    key: Option<String>,
    /// The id of what is made.
    pub(crate) id: Uuid,
}

/// Looks whether a request was carried out already. `route` keeps keys of different endpoints apart.
pub(crate) async fn begin(app: &Shared, headers: &HeaderMap, route: &str, body: &[u8]) -> Result<Once, Problem> {
    let reserved = Uuid::now_v7();
    let Some(value) = headers.get("idempotency-key") else {
        return Ok(Once::Do(Task {
            key: None,
            id: reserved,
        }));
    };
    let name = value.to_str().ok().map(str::trim);
    let Some(name) = name.filter(|name| (1..=255).contains(&name.len())) else {
        return Err(Problem::invalid(
            "idempotency-key",
            "expected 1 to 255 visible characters",
        ));
    };
    let key = format!("{route} {name}");
    let fingerprint = Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect();
    let request = OnceRequest {
        key: key.clone(),
        fingerprint,
        reserved,
    };
    let entry = app.store().begin_once(request.clone()).await?;
    if entry.fingerprint != request.fingerprint {
        let detail = "this idempotency key was used for another request; take a new one";
        return Err(Problem::new(Kind::KeyReused, detail));
    }
    Ok(match entry.answer {
        Some(answer) => Once::Answered(answer),
        None => Once::Do(Task {
            key: Some(key),
            id: entry.reserved,
        }),
    })
}

impl Task {
    /// Keeps the answer for whoever asks again; after a refusal the key may be used anew.
    pub(crate) async fn end(self, app: &Shared, answer: Result<OnceAnswer, Problem>) -> Result<OnceAnswer, Problem> {
        let Some(key) = self.key else {
            return answer;
        };
        match answer {
            Ok(answer) => {
                app.store().settle_once(key, answer.clone()).await?;
                Ok(answer)
            }
            Err(problem) => {
                // What may have taken effect keeps its key, and with it the id of what it made.
                if !problem.status().is_server_error() {
                    app.store().forget_once(key).await?;
                }
                Err(problem)
            }
        }
    }
}

/// An answer as it was given.
pub(crate) fn respond(answer: OnceAnswer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let mut response = (status, answer.body).into_response();
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

/// An answer with this body.
pub(crate) fn created(body: &impl serde::Serialize) -> Result<OnceAnswer, Problem> {
    let body = serde_json::to_string(body).map_err(|error| Problem::new(Kind::Internal, error.to_string()))?;
    Ok(OnceAnswer {
        status: StatusCode::CREATED.as_u16(),
        body,
    })
}
