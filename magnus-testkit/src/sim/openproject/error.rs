//! The error bodies of the API.

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

const PREFIX: &str = "urn:openproject-org:api:v3:errors:";

/// One cause of a refusal.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cause {
    pub(super) status: u16,
    pub(super) identifier: &'static str,
    pub(super) message: String,
    pub(super) attribute: Option<String>,
}

impl Cause {
    pub(super) fn new(status: u16, identifier: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            identifier,
            message: message.into(),
            attribute: None,
        }
    }

    pub(super) fn constraint(attribute: &str, message: impl Into<String>) -> Self {
        Self::of_attribute("PropertyConstraintViolation", attribute, message)
    }

    pub(super) fn read_only(attribute: &str) -> Self {
        Self::of_attribute(
            "PropertyIsReadOnly",
            attribute,
            format!("{attribute} was attempted to be written but is not writable."),
        )
    }

    pub(super) fn format(attribute: &str, expected: &str) -> Self {
        let message = format!("Invalid format for property '{attribute}': Expected format like '{expected}'.");
        Self::of_attribute("PropertyFormatError", attribute, message)
    }

    pub(super) fn link_mismatch(attribute: &str, expected: &str, actual: &str) -> Self {
        let message = format!("For property '{attribute}' a link like '{expected}' is expected, but got '{actual}'.");
        Self::of_attribute("ResourceTypeMismatch", attribute, message)
    }

    fn of_attribute(identifier: &'static str, attribute: &str, message: impl Into<String>) -> Self {
        Self {
            attribute: Some(attribute.to_owned()),
            ..Self::new(422, identifier, message)
        }
    }

    pub(super) fn query(message: impl Into<String>) -> Self {
        Self::new(400, "InvalidQuery", message)
    }

    fn body(&self) -> Value {
        let mut body = json!({
            "_type": "Error",
            "errorIdentifier": format!("{PREFIX}{}", self.identifier),
            "message": self.message,
        });
        if let Some(attribute) = &self.attribute {
            body["_embedded"] = json!({ "details": { "attribute": attribute } });
        }
        body
    }
}

/// Why a call is refused.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Refusal {
    /// One or more causes; several are answered 422 `MultipleErrors`, whatever they are.
    Causes(Vec<Cause>),
    /// Wrong credentials: 401 with a challenge.
    WrongCredentials,
    /// No content type: 406 as plain text.
    NoContentType,
}

impl From<Cause> for Refusal {
    fn from(cause: Cause) -> Self {
        Self::Causes(vec![cause])
    }
}

impl Refusal {
    pub(super) fn not_found() -> Self {
        Cause::new(404, "NotFound", "The requested resource could not be found.").into()
    }

    pub(super) fn forbidden() -> Self {
        Cause::new(
            403,
            "MissingPermission",
            "You are not authorized to access this resource.",
        )
        .into()
    }

    pub(super) fn unauthenticated() -> Self {
        Cause::new(
            401,
            "Unauthenticated",
            "You need to be authenticated to access this resource.",
        )
        .into()
    }

    pub(super) fn conflict() -> Self {
        let message = "Your changes could not be saved, because the resource was changed since you loaded it.";
        Cause::new(409, "UpdateConflict", message).into()
    }

    pub(super) fn into_response(self) -> Response<Body> {
        match self {
            Self::NoContentType => {
                let mut response = Response::new(Body::from("Missing content-type header"));
                *response.status_mut() = StatusCode::NOT_ACCEPTABLE;
                response
                    .headers_mut()
                    .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
                response
            }
            Self::WrongCredentials => {
                let cause = Cause::new(401, "Unauthenticated", "You did not provide the correct credentials.");
                let mut response = json_response(401, &cause.body());
                let challenge = HeaderValue::from_static("Basic realm=\"OpenProject API\"");
                response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
                response
            }
            Self::Causes(causes) => match causes.as_slice() {
                [only] => json_response(only.status, &only.body()),
                several => {
                    let body = json!({
                        "_type": "Error",
                        "errorIdentifier": format!("{PREFIX}MultipleErrors"),
                        "message": "Multiple field constraints have been violated.",
                        "_embedded": { "errors": several.iter().map(Cause::body).collect::<Vec<_>>() },
                    });
                    json_response(422, &body)
                }
            },
        }
    }
}

/// A JSON answer as the API types it.
pub(super) fn json_response(status: u16, body: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let content_type = HeaderValue::from_static("application/hal+json; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}
