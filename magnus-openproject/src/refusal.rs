//! From what came back, or did not, to an error that says what to do and whether a write may have taken place.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, header};
use magnus_core::connection::{ConnectionError, ConnectionErrorKind as Kind, Outcome, RejectedField};
use magnus_core::model::Field;
use magnus_transport::{Sent, TransportError, TransportErrorKind};

use crate::wire::ErrorBody;

/// What was tried: the operation's name, and whether it changes something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Attempt {
    pub(crate) operation: &'static str,
    pub(crate) writes: bool,
}

impl Attempt {
    pub(crate) const fn read(operation: &'static str) -> Self {
        Self {
            operation,
            writes: false,
        }
    }

    pub(crate) const WRITE: Self = Self {
        operation: "write",
        writes: true,
    };

    /// The outcome when the request may have reached the tool.
    const fn doubtful(self) -> Outcome {
        if self.writes {
            Outcome::Unknown
        } else {
            Outcome::NotApplied
        }
    }

    pub(crate) fn error(self, kind: Kind, message: impl Into<String>) -> ConnectionError {
        ConnectionError::new(kind, self.operation, message)
    }

    /// An answer that cannot be understood; a write may have taken place.
    pub(crate) fn protocol(self, message: impl Into<String>) -> ConnectionError {
        self.error(Kind::Protocol, message).with_outcome(self.doubtful())
    }
}

/// No usable answer.
pub(crate) fn from_transport(attempt: Attempt, error: TransportError) -> ConnectionError {
    let outcome = match error.sent() {
        Sent::No => Outcome::NotApplied,
        Sent::Maybe => attempt.doubtful(),
    };
    let (kind, message) = match error.kind() {
        TransportErrorKind::Setup | TransportErrorKind::InvalidUrl => (Kind::InvalidSettings, "check the instance URL"),
        TransportErrorKind::Redirect => (
            Kind::InvalidSettings,
            "the instance redirects elsewhere; enter the URL it redirects to",
        ),
        TransportErrorKind::Timeout => (Kind::Timeout, "the instance is slow or overloaded"),
        TransportErrorKind::BodyTooLarge => (Kind::Protocol, "the answer is larger than accepted"),
        TransportErrorKind::Tls => (Kind::Unavailable, "the instance's certificate is not trusted"),
        _ => (Kind::Unavailable, "is the instance running, and is its URL right?"),
    };
    attempt.error(kind, message).with_outcome(outcome).with_source(error)
}

/// An answer that is no success.
pub(crate) fn from_answer(attempt: Attempt, answer: &Response<Bytes>) -> ConnectionError {
    let status = answer.status();
    let body: Option<ErrorBody> = serde_json::from_slice(answer.body()).ok();
    let said = body.as_ref().map(|body| body.message.trim()).unwrap_or_default();
    let or = |fallback: &str| {
        if said.is_empty() {
            fallback.to_owned()
        } else {
            said.to_owned()
        }
    };
    let error = match status {
        StatusCode::UNAUTHORIZED => attempt.error(Kind::Unauthorized, or("check the API key")),
        StatusCode::FORBIDDEN => attempt.error(Kind::Forbidden, or("the key's user lacks a permission")),
        // Only the API itself can say that something is gone: a proxy's 404 proves no absence.
        StatusCode::NOT_FOUND if body.is_some() => {
            attempt.error(Kind::NotFound, or("gone, or hidden from the key's user"))
        }
        StatusCode::NOT_FOUND => attempt.error(
            Kind::Protocol,
            "there is no OpenProject API at this address; check the instance URL",
        ),
        StatusCode::CONFLICT => attempt.error(Kind::VersionConflict, or("changed by somebody else")),
        StatusCode::UNPROCESSABLE_ENTITY => attempt
            .error(Kind::Rejected, or("refused"))
            .with_rejected(body.as_ref().map(rejected).unwrap_or_default()),
        StatusCode::PAYLOAD_TOO_LARGE => attempt.error(Kind::Rejected, "the text is larger than the server accepts"),
        StatusCode::TOO_MANY_REQUESTS => attempt
            .error(Kind::RateLimited, or("slow down"))
            .with_retry_after(retry_after(answer.headers())),
        // A proxy may answer for a server that has done, or is still doing, what was asked.
        status if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT => attempt
            .error(Kind::Unavailable, or("the server failed"))
            .with_outcome(attempt.doubtful())
            .with_retry_after(retry_after(answer.headers())),
        status if status.is_client_error() => attempt.error(Kind::Protocol, or("the request was not understood")),
        _ => attempt.protocol("an answer of an unexpected status"),
    };
    let error = error.with_context("status", status.as_u16());
    match body {
        Some(body) => {
            let error = read_only(&body).fold(error, |error, attribute| error.with_context(READ_ONLY, attribute));
            custom_fields(&body)
                .fold(error, |error, attribute| error.with_context(CUSTOM_FIELD, attribute))
                .with_context("error", body.name())
        }
        None => error,
    }
}

/// Key of the context that names an attribute which can not be written.
const READ_ONLY: &str = "read_only";

fn read_only(body: &ErrorBody) -> impl Iterator<Item = &str> {
    std::iter::once(body)
        .chain(&body.embedded.errors)
        .filter(|cause| cause.name() == "PropertyIsReadOnly")
        .filter_map(|cause| cause.embedded.details.as_ref()?.attribute.as_deref())
}

/// Key of the context that names a custom field which was refused.
const CUSTOM_FIELD: &str = "custom_field";

fn custom_fields(body: &ErrorBody) -> impl Iterator<Item = &str> {
    std::iter::once(body)
        .chain(&body.embedded.errors)
        .filter_map(|cause| cause.embedded.details.as_ref()?.attribute.as_deref())
        .filter(|attribute| attribute.starts_with("customField"))
}

/// Whether a refusal names this custom field.
pub(crate) fn names_attribute(error: &ConnectionError, custom_field: &str) -> bool {
    error.kind() == Kind::Rejected
        && error
            .context()
            .iter()
            .any(|(key, attribute)| *key == CUSTOM_FIELD && attribute == custom_field)
}

/// Whether a refusal says that this field can not be written at all, whatever its value.
pub(crate) fn says_read_only(error: &ConnectionError, field: Field) -> bool {
    let mut named = error.context().iter().filter(|(key, _)| *key == READ_ONLY);
    named.any(|(_, attribute)| fields_of(attribute).contains(&field))
}

/// The longest wait that is believed.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// Seconds to wait, from the header that proxies send or the one that OpenProject's own limit sends.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<u64>().ok();
    seconds(header::RETRY_AFTER.as_str())
        .or_else(|| seconds("ratelimit-reset"))
        .map(|seconds| Duration::from_secs(seconds).min(LONGEST_WAIT))
}

/// The fields that a refusal names, each once.
fn rejected(body: &ErrorBody) -> Vec<RejectedField> {
    let mut found: Vec<RejectedField> = Vec::new();
    for cause in std::iter::once(body).chain(&body.embedded.errors) {
        let attribute = cause
            .embedded
            .details
            .as_ref()
            .and_then(|details| details.attribute.as_deref());
        for field in attribute.map(fields_of).unwrap_or_default() {
            if !found.iter().any(|known| known.field == *field) {
                found.push(RejectedField {
                    field: *field,
                    message: cause.message.clone(),
                });
            }
        }
    }
    found
}

fn fields_of(attribute: &str) -> &'static [Field] {
    match attribute {
        "subject" => &[Field::Title],
        "description" => &[Field::Description],
        "status" => &[Field::Status],
        "priority" => &[Field::Priority],
        "assignee" | "assignedTo" => &[Field::Assignee],
        "startDate" => &[Field::StartDate],
        "dueDate" => &[Field::DueDate],
        "date" | "duration" => &[Field::StartDate, Field::DueDate],
        "estimatedTime" | "estimatedHours" => &[Field::EstimatedHours],
        "remainingTime" | "remainingHours" => &[Field::RemainingHours],
        "percentageDone" | "doneRatio" => &[Field::PercentageDone],
        "parent" => &[Field::Parent],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Response<Bytes> {
        Response::builder()
            .status(status)
            .body(Bytes::from(body.to_owned()))
            .expect("a valid response")
    }

    #[test]
    fn several_causes_name_all_their_fields() {
        let body = r#"{"errorIdentifier":"urn:openproject-org:api:v3:errors:MultipleErrors","message":"Several.","_embedded":{"errors":[
            {"errorIdentifier":"urn:x:PropertyConstraintViolation","message":"Subject.","_embedded":{"details":{"attribute":"subject"}}},
            {"errorIdentifier":"urn:x:PropertyIsReadOnly","message":"Date.","_embedded":{"details":{"attribute":"dueDate"}}},
            {"errorIdentifier":"urn:x:PropertyConstraintViolation","message":"Custom.","_embedded":{"details":{"attribute":"customField3"}}}]}}"#;
        let error = from_answer(Attempt::WRITE, &answer(422, body));
        assert_eq!((error.kind(), error.outcome()), (Kind::Rejected, Outcome::NotApplied));
        let fields: Vec<Field> = error.rejected().iter().map(|rejected| rejected.field).collect();
        assert_eq!(fields, [Field::Title, Field::DueDate]);
    }

    #[test]
    fn a_gateway_page_leaves_a_write_in_doubt_and_a_read_not() {
        let page = "<html>Bad gateway</html>";
        assert_eq!(
            from_answer(Attempt::WRITE, &answer(502, page)).outcome(),
            Outcome::Unknown
        );
        let read = from_answer(Attempt::read("read"), &answer(502, page));
        assert_eq!((read.kind(), read.outcome()), (Kind::Unavailable, Outcome::NotApplied));
    }

    #[test]
    fn a_proxys_404_proves_no_absence() {
        let error = from_answer(Attempt::read("read"), &answer(404, "<html>Not found</html>"));
        assert_eq!(error.kind(), Kind::Protocol);
        let body =
            r#"{"_type":"Error","errorIdentifier":"urn:openproject-org:api:v3:errors:NotFound","message":"Gone."}"#;
        assert_eq!(
            from_answer(Attempt::read("read"), &answer(404, body)).kind(),
            Kind::NotFound
        );
    }

    #[test]
    fn both_kinds_of_wait_headers_are_understood() {
        for name in ["Retry-After", "RateLimit-Reset"] {
            let mut limited = answer(429, "");
            limited.headers_mut().insert(
                header::HeaderName::from_bytes(name.as_bytes()).expect("a name"),
                header::HeaderValue::from_static("7"),
            );
            let error = from_answer(Attempt::read("read"), &limited);
            assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
        }
    }
}
