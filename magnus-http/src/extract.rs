//! What a request holds, read so that whatever is wrong is said with the field it is wrong in.

use std::str::FromStr;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use bytes::Bytes;
use http::header;
use serde::de::DeserializeOwned;

use crate::problem::{Kind, Problem};

/// The id in the path: the last parameter, or the only one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Id<T>(pub(crate) T);

impl<T, S> FromRequestParts<S> for Id<T>
where
    T: FromStr,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = axum::extract::Path::<String>::from_request_parts(parts, state).await;
        let text = path
            .map_err(|error| Problem::new(Kind::Malformed, error.body_text()))?
            .0;
        text.parse().map(Self).map_err(|_| {
            Problem::new(Kind::Malformed, format!("{text:?} is not an id: expected a UUID"))
                .with_field("id", "expected a UUID")
        })
    }
}

/// The parameters after the question mark.
#[derive(Debug)]
pub(crate) struct Params<T>(pub(crate) T);

impl<T, S> FromRequestParts<S> for Params<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Query::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(params)) => Ok(Self(params)),
            Err(error) => Err(query_problem(&error.body_text())),
        }
    }
}

/// axum writes `Failed to deserialize query string: wait: provided string was not ...`.
fn query_problem(text: &str) -> Problem {
    let message = text.trim_start_matches("Failed to deserialize query string: ");
    match message.split_once(": ") {
        Some((field, message)) if !field.contains(' ') => Problem::invalid(field, message),
        _ => Problem::new(Kind::Invalid, format!("the parameters cannot be read: {message}")),
    }
}

/// A parameter that is one of a few words.
pub(crate) fn word<T>(field: &str, text: Option<&str>) -> Result<Option<T>, Problem>
where
    T: FromStr,
    T::Err: std::fmt::Display,
{
    text.map(str::parse)
        .transpose()
        .map_err(|error: T::Err| Problem::invalid(field, error.to_string()))
}

/// The whole body, as bytes.
pub(crate) struct Raw(pub(crate) Bytes);

impl<S> FromRequest<S> for Raw
where
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match Bytes::from_request(request, state).await {
            Ok(bytes) => Ok(Self(bytes)),
            Err(error) if error.status() == http::StatusCode::PAYLOAD_TOO_LARGE => {
                Err(Problem::new(Kind::TooLarge, "the body is larger than 1 MB"))
            }
            Err(error) => Err(Problem::new(Kind::Malformed, error.body_text())),
        }
    }
}

/// A JSON body.
#[derive(Debug)]
pub(crate) struct Body<T>(pub(crate) T);

impl<T, S> FromRequest<S> for Body<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let is_json = request
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .is_some_and(is_json);
        if !is_json {
            let detail = "send the body as JSON, with the header content-type: application/json";
            return Err(Problem::new(Kind::WrongMediaType, detail));
        }
        let Raw(bytes) = Raw::from_request(request, state).await?;
        from_json(&bytes).map(Self)
    }
}

fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
        || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// Reads JSON; the value itself is never repeated in an error, it may be a secret.
pub(crate) fn from_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let field = error.path().to_string();
        json_problem(&field, error.inner())
    })?;
    reader.end().map_err(|error| json_problem(".", &error))?;
    Ok(value)
}

fn json_problem(field: &str, error: &serde_json::Error) -> Problem {
    if !error.is_data() {
        let detail = format!("the body is no JSON: line {}, column {}", error.line(), error.column());
        return Problem::new(Kind::Malformed, detail);
    }
    let words = error.to_string();
    let words = words.split(" at line ").next().unwrap_or_default();
    // `invalid type: string "...", expected ...`: what was given is left out.
    let message = match (words.strip_prefix("invalid "), words.rsplit_once(", expected ")) {
        (Some(_), Some((_, expected))) => format!("expected {expected}"),
        _ => words.to_owned(),
    };
    let missing = message
        .strip_prefix("missing field `")
        .or_else(|| message.strip_prefix("unknown field `"))
        .and_then(|rest| rest.split('`').next());
    match (field, missing) {
        (".", Some(name)) => Problem::invalid(name, message.clone()),
        (".", None) => Problem::invalid("body", message),
        (field, _) => Problem::invalid(field, message),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read")]
    struct Sample {
        name: String,
        count: u8,
    }

    fn refused(text: &str) -> (u16, String) {
        let problem = from_json::<Sample>(text.as_bytes()).unwrap_err();
        (problem.status().as_u16(), problem.detail().to_owned())
    }

    #[test]
    fn what_is_wrong_is_said_with_its_field_and_without_its_value() {
        assert_eq!(refused("{").0, 400);
        assert_eq!(refused(r#"{"name":"a","count":1} x"#).0, 400);
        let (status, detail) = refused(r#"{"name":"a","count":"canary"}"#);
        assert_eq!((status, detail.as_str()), (422, "count: expected u8"));
        assert!(refused(r#"{"name":"a"}"#).1.starts_with("count: missing field"));
        assert!(
            refused(r#"{"name":"a","count":1,"other":1}"#)
                .1
                .starts_with("other: unknown field")
        );
        assert!(refused("[]").1.contains("body") || refused("[]").1.contains("name"));
    }

    #[test]
    fn json_has_many_names() {
        assert!(is_json("application/json") && is_json("Application/JSON; charset=utf-8"));
        assert!(is_json("application/merge-patch+json") && !is_json("text/plain") && !is_json(""));
    }
}
