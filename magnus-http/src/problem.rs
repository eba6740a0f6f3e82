//! What went wrong, as `application/problem+json` (RFC 9457).

use std::error::Error as StdError;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use magnus_core::breakdown::{BreakdownError, BreakdownErrorKind};
use magnus_core::connection::{ConnectionError, ConnectionErrorKind};
use magnus_core::engine::{RunError, RunErrorKind};
use magnus_core::hub::{HubError, HubErrorKind};
use magnus_core::model::RunId;
use magnus_core::secret::SecretError;
use magnus_core::store::{StoreError, StoreErrorKind};
use serde::Serialize;
use utoipa::ToSchema;

/// The media type of every error.
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";

/// The kinds of problems: each has a stable type, a status and a title.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Malformed,
    Unauthenticated,
    NotAllowed,
    ForeignOrigin,
    NotFound,
    WrongMethod,
    Timeout,
    Conflict,
    TooWide,
    Moved,
    TooLarge,
    WrongMediaType,
    ForeignHost,
    Invalid,
    KeyReused,
    TooMany,
    Internal,
    RunFailed,
    ModelFailed,
    Unreachable,
    Unavailable,
    Busy,
}

impl Kind {
    pub(crate) const ALL: [Self; 22] = [
        Self::Malformed,
        Self::Unauthenticated,
        Self::NotAllowed,
        Self::ForeignOrigin,
        Self::NotFound,
        Self::WrongMethod,
        Self::Timeout,
        Self::Conflict,
        Self::TooWide,
        Self::Moved,
        Self::TooLarge,
        Self::WrongMediaType,
        Self::ForeignHost,
        Self::Invalid,
        Self::KeyReused,
        Self::TooMany,
        Self::Internal,
        Self::RunFailed,
        Self::ModelFailed,
        Self::Unreachable,
        Self::Unavailable,
        Self::Busy,
    ];

    /// The stable part of the type, the status, and the title.
    pub(crate) const fn facts(self) -> (&'static str, StatusCode, &'static str) {
        match self {
            Self::Malformed => ("malformed", StatusCode::BAD_REQUEST, "The request cannot be read"),
            Self::Unauthenticated => ("unauthenticated", StatusCode::UNAUTHORIZED, "An access token is needed"),
            Self::NotAllowed => (
                "not-allowed",
                StatusCode::FORBIDDEN,
                "The access token does not allow this",
            ),
            Self::ForeignOrigin => (
                "foreign-origin",
                StatusCode::FORBIDDEN,
                "Pages of other origins may not ask",
            ),
            Self::NotFound => ("not-found", StatusCode::NOT_FOUND, "There is no such thing"),
            Self::WrongMethod => (
                "wrong-method",
                StatusCode::METHOD_NOT_ALLOWED,
                "This path does not take this method",
            ),
            Self::Timeout => ("timeout", StatusCode::GATEWAY_TIMEOUT, "It took too long"),
            Self::Conflict => ("conflict", StatusCode::CONFLICT, "It clashes with what is there"),
            Self::TooWide => (
                "direction-too-wide",
                StatusCode::CONFLICT,
                "The connection does not allow this direction",
            ),
            Self::Moved => (
                "changed-meanwhile",
                StatusCode::PRECONDITION_FAILED,
                "It was changed since it was read",
            ),
            Self::TooLarge => ("too-large", StatusCode::PAYLOAD_TOO_LARGE, "The request is too large"),
            Self::WrongMediaType => (
                "wrong-media-type",
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "The body must be application/json",
            ),
            Self::ForeignHost => (
                "foreign-host",
                StatusCode::MISDIRECTED_REQUEST,
                "The service is not known under this host name",
            ),
            Self::Invalid => (
                "invalid",
                StatusCode::UNPROCESSABLE_ENTITY,
                "The request makes no sense",
            ),
            Self::KeyReused => (
                "idempotency-key-reused",
                StatusCode::UNPROCESSABLE_ENTITY,
                "The idempotency key was used for another request",
            ),
            Self::TooMany => ("too-many-requests", StatusCode::TOO_MANY_REQUESTS, "Too many requests"),
            Self::Internal => ("internal", StatusCode::INTERNAL_SERVER_ERROR, "A defect of Magnus"),
            Self::RunFailed => ("run-failed", StatusCode::BAD_GATEWAY, "The run failed"),
            Self::ModelFailed => (
                "model-failed",
                StatusCode::BAD_GATEWAY,
                "The language model gave no breakdown",
            ),
            Self::Unreachable => (
                "tool-unreachable",
                StatusCode::BAD_GATEWAY,
                "The tool cannot be reached",
            ),
            Self::Unavailable => (
                "unavailable",
                StatusCode::SERVICE_UNAVAILABLE,
                "The service cannot answer now",
            ),
            Self::Busy => (
                "busy",
                StatusCode::SERVICE_UNAVAILABLE,
                "The service has as much to do as it takes on",
            ),
        }
    }
}

/// A field of the request that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct FieldProblem {
    /// The field or parameter.
    pub(crate) field: String,
    /// What is wrong with it.
    pub(crate) message: String,
}

/// What went wrong, as it is sent (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem, example = json!({
    "type": "urn:magnus:problem:not-found", "title": "There is no such thing", "status": 404,
    "detail": "there is no connection 0190c0de-0000-7000-8000-000000000000"
}))]
pub(crate) struct ProblemOut {
    /// Which kind of problem it is: `urn:magnus:problem:` and a word that never changes.
    #[serde(rename = "type")]
    kind: String,
    /// The kind in words.
    title: String,
    /// The status code.
    status: u16,
    /// What went wrong this time, and what to do about it.
    detail: String,
    /// The fields that are wrong, if it is known which.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<FieldProblem>,
    /// The run that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = Uuid)]
    run_id: Option<String>,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    kind: Kind,
    detail: String,
    errors: Vec<FieldProblem>,
    run: Option<RunId>,
    retry_after_seconds: Option<u32>,
}

impl Problem {
    pub(crate) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            errors: Vec::new(),
            run: None,
            retry_after_seconds: None,
        }
    }

    pub(crate) fn not_found(what: &str, id: impl std::fmt::Display) -> Self {
        Self::new(Kind::NotFound, format!("there is no {what} {id}"))
    }

    /// A value that makes no sense, in this field.
    pub(crate) fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        let (field, message) = (field.into(), message.into());
        Self::new(Kind::Invalid, format!("{field}: {message}")).with_field(field, message)
    }

    /// Several of them.
    pub(crate) fn invalid_fields(errors: Vec<FieldProblem>) -> Self {
        let words: Vec<String> = errors
            .iter()
            .map(|error| format!("{}: {}", error.field, error.message))
            .collect();
        Self {
            errors,
            ..Self::new(Kind::Invalid, words.join("; "))
        }
    }

    #[must_use]
    pub(crate) fn with_field(mut self, field: impl Into<String>, message: impl Into<String>) -> Self {
        self.errors.push(FieldProblem {
            field: field.into(),
            message: message.into(),
        });
        self
    }

    #[must_use]
    pub(crate) const fn with_run(mut self, run: RunId) -> Self {
        self.run = Some(run);
        self
    }

    #[must_use]
    pub(crate) const fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_seconds = Some(seconds);
        self
    }

    pub(crate) const fn status(&self) -> StatusCode {
        self.kind.facts().1
    }

    pub(crate) fn out(self) -> ProblemOut {
        let (word, status, title) = self.kind.facts();
        ProblemOut {
            kind: format!("urn:magnus:problem:{word}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: self.detail,
            errors: self.errors,
            run_id: self.run.map(|run| run.to_string()),
        }
    }

    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        if self.kind == Kind::Busy {
            // Told for each request that is refused: under load, a warning each would be load, too.
            tracing::debug!(detail = %self.detail, "a request is sent away");
        } else if status.is_server_error() {
            tracing::warn!(%status, kind = ?self.kind, detail = %self.detail, "a request failed");
        }
        let retry_after_seconds = self.retry_after_seconds;
        // Only texts and numbers: it cannot fail, and if it did an empty body would do.
        let body = serde_json::to_vec(&self.out()).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"magnus\""),
            );
        }
        if let Some(seconds) = retry_after_seconds {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error.kind() {
            StoreErrorKind::NotFound => Self::new(Kind::NotFound, error.to_string()),
            StoreErrorKind::Conflict | StoreErrorKind::Fenced => Self::new(Kind::Conflict, error.to_string()),
            StoreErrorKind::Unavailable => Self::new(Kind::Unavailable, error.to_string()).retry_after(5),
            _ => {
                tracing::error!(%error, cause = ?error.source(), "the hub cannot be used");
                Self::new(Kind::Internal, error.to_string())
            }
        }
    }
}

impl From<HubError> for Problem {
    fn from(error: HubError) -> Self {
        let kind = match error.kind() {
            HubErrorKind::NotFound => Kind::NotFound,
            HubErrorKind::Invalid => Kind::Invalid,
            HubErrorKind::Conflict => Kind::Conflict,
            HubErrorKind::Moved => Kind::Moved,
            HubErrorKind::Secret => Kind::Internal,
            _ => return stored(&error).unwrap_or_else(|| Self::new(Kind::Internal, error.to_string())),
        };
        Self::new(kind, error.to_string())
    }
}

impl From<RunError> for Problem {
    fn from(error: RunError) -> Self {
        let kind = match error.kind() {
            RunErrorKind::UnknownConnection => Kind::NotFound,
            RunErrorKind::DirectionTooWide => Kind::TooWide,
            RunErrorKind::Disabled | RunErrorKind::NothingToConfirm | RunErrorKind::NoSecret => Kind::Conflict,
            RunErrorKind::UnknownTool => Kind::Invalid,
            RunErrorKind::Connection => {
                return match caused_by::<ConnectionError>(&error) {
                    Some(cause) => Self::from_connection(cause, &error.to_string()),
                    None => Self::new(Kind::Invalid, error.to_string()),
                };
            }
            RunErrorKind::Store => {
                return stored(&error).unwrap_or_else(|| Self::new(Kind::Unavailable, error.to_string()));
            }
            RunErrorKind::ShuttingDown | RunErrorKind::LeaseLost => {
                return Self::new(Kind::Unavailable, error.to_string()).retry_after(5);
            }
            RunErrorKind::Cancelled => Kind::Conflict,
            _ => Kind::Internal,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<BreakdownError> for Problem {
    fn from(error: BreakdownError) -> Self {
        let kind = match error.kind() {
            BreakdownErrorKind::NotConfigured => Kind::Unavailable,
            BreakdownErrorKind::NotFound => Kind::NotFound,
            BreakdownErrorKind::Conflict | BreakdownErrorKind::Cancelled => Kind::Conflict,
            BreakdownErrorKind::Invalid => Kind::Invalid,
            BreakdownErrorKind::Timeout => Kind::Timeout,
            BreakdownErrorKind::ShuttingDown => {
                return Self::new(Kind::Unavailable, error.to_string()).retry_after(5);
            }
            BreakdownErrorKind::Store => {
                return stored(&error).unwrap_or_else(|| Self::new(Kind::Unavailable, error.to_string()));
            }
            _ => Kind::ModelFailed,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<SecretError> for Problem {
    fn from(error: SecretError) -> Self {
        stored(&error).unwrap_or_else(|| Self::new(Kind::Internal, error.to_string()))
    }
}

impl From<ConnectionError> for Problem {
    fn from(error: ConnectionError) -> Self {
        Self::from_connection(&error, &error.to_string())
    }
}

impl Problem {
    fn from_connection(cause: &ConnectionError, words: &str) -> Self {
        let kind = match cause.kind() {
            ConnectionErrorKind::InvalidSettings
            | ConnectionErrorKind::Unauthorized
            | ConnectionErrorKind::Forbidden
            | ConnectionErrorKind::Unsupported
            | ConnectionErrorKind::Rejected => Kind::Invalid,
            _ => Kind::Unreachable,
        };
        Self::new(kind, words)
    }
}

/// What the store said, if it was the store.
fn stored(error: &(dyn StdError + 'static)) -> Option<Problem> {
    let cause = caused_by::<StoreError>(error)?;
    Some(match cause.kind() {
        StoreErrorKind::Unavailable => Problem::new(Kind::Unavailable, cause.to_string()).retry_after(5),
        StoreErrorKind::Conflict | StoreErrorKind::Fenced => Problem::new(Kind::Conflict, cause.to_string()),
        StoreErrorKind::NotFound => Problem::new(Kind::NotFound, cause.to_string()),
        _ => Problem::new(Kind::Internal, cause.to_string()),
    })
}

fn caused_by<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_kind_has_a_type_of_its_own() {
        let types: BTreeSet<&str> = Kind::ALL.iter().map(|kind| kind.facts().0).collect();
        assert_eq!(types.len(), Kind::ALL.len());
    }

    #[test]
    fn a_database_that_is_away_is_503_however_deep_it_hides() {
        let store = || StoreError::new(StoreErrorKind::Unavailable, "read", "away");
        for problem in [
            Problem::from(store()),
            Problem::from(RunError::from(store())),
            Problem::from(HubError::from(store())),
        ] {
            assert_eq!(problem.status(), StatusCode::SERVICE_UNAVAILABLE, "{problem:?}");
        }
    }

    #[test]
    fn what_the_tool_refuses_is_the_callers_business_and_what_it_does_not_answer_is_not() {
        for (kind, status) in [
            (ConnectionErrorKind::Unauthorized, 422),
            (ConnectionErrorKind::InvalidSettings, 422),
            (ConnectionErrorKind::Unavailable, 502),
            (ConnectionErrorKind::Timeout, 502),
            (ConnectionErrorKind::Protocol, 502),
        ] {
            let error = ConnectionError::new(kind, "check", "words");
            assert_eq!(
                Problem::from(RunError::from(error)).status().as_u16(),
                status,
                "{kind:?}"
            );
        }
    }
}
