//! What a provider's error means.

use std::error::Error as StdError;
use std::time::Duration;

use genai::Error;
use genai::webc::StreamTimeout;
use magnus_core::breakdown::{BreakdownError, BreakdownErrorKind as Kind};
use serde_json::Value;

const OPERATION: &str = "ask the model";

/// How much of what a server says is repeated, in characters.
const MOST_WORDS: usize = 300;

pub(crate) fn failed(kind: Kind, message: impl Into<String>) -> BreakdownError {
    BreakdownError::new(kind, OPERATION, message)
}

/// Turns an error of the client into one of ours. Of what the server says the key is taken out, should it repeat it.
pub(crate) fn explain(error: &Error, key: &str) -> BreakdownError {
    let said = |text: &str| shortened(&without(text, key));
    match error {
        Error::WebStream { error, .. } => explain_stream(error.as_ref(), key),
        Error::HttpError {
            status, body, headers, ..
        } => {
            let wait = retry_after(|name| headers.get(name).and_then(|value| value.to_str().ok()));
            of_status(status.as_u16(), &said(&message_in(body))).with_retry_after(wait)
        }
        Error::ChatResponse { body, .. } => of_event(body, &said(&message_in(&body.to_string()))),
        Error::StreamParse { .. } | Error::JsonValueExt(_) | Error::SerdeJson(_) => failed(
            Kind::Unavailable,
            "the server's answer has not the form of its provider; see that the address is that of the API",
        ),
        _ => match error.status() {
            Some(status) => of_status(status.as_u16(), ""),
            None => failed(Kind::Rejected, said(&error.to_string())),
        },
    }
}

fn explain_stream(error: &(dyn StdError + Send + Sync + 'static), key: &str) -> BreakdownError {
    if let Some(error) = error.downcast_ref::<Error>() {
        return explain(error, key);
    }
    if error.is::<StreamTimeout>() {
        return failed(Kind::Unavailable, "the server fell silent");
    }
    if let Some(error) = error.downcast_ref::<reqwest::Error>() {
        if error.is_builder() {
            let message = "the request cannot be made; see that address and key are free of spaces and line breaks";
            return failed(Kind::Rejected, message);
        }
        let what = if error.is_connect() {
            "cannot be reached"
        } else {
            "broke the connection"
        };
        return failed(
            Kind::Unavailable,
            format!("the model's server {what}; see that it runs at its address"),
        );
    }
    failed(Kind::Unavailable, "the server's answer broke off")
}

fn of_status(status: u16, said: &str) -> BreakdownError {
    let (kind, what) = match status {
        401 | 403 => (Kind::Unauthorized, "the provider refuses the key"),
        404 => (Kind::Rejected, "the provider knows no such model or address"),
        429 => (Kind::Overloaded, "the provider asks to come back later"),
        503 | 529 => (Kind::Overloaded, "the provider is overloaded"),
        408 | 500.. => (Kind::Unavailable, "the provider failed"),
        300..=399 => (Kind::Rejected, "the address leads elsewhere; give the final one"),
        _ => (Kind::Rejected, "the provider refuses the request"),
    };
    let words = if said.is_empty() {
        String::new()
    } else {
        format!(": {said}")
    };
    failed(kind, format!("{what} ({status}){words}"))
}

/// An error that came in place of the rest of an answer.
fn of_event(body: &Value, said: &str) -> BreakdownError {
    let kind = body
        .pointer("/error/type")
        .or_else(|| body.get("type"))
        .and_then(Value::as_str);
    match kind.unwrap_or_default() {
        kind if kind.contains("overloaded") || kind.contains("rate_limit") => {
            failed(Kind::Overloaded, format!("the provider is overloaded: {said}"))
        }
        kind if kind.contains("invalid") => failed(Kind::Rejected, format!("the provider refuses the request: {said}")),
        _ => failed(Kind::Unavailable, format!("the provider failed: {said}")),
    }
}

/// The words in a body such as `{"error": {"message": ...}}`, or else the body.
fn message_in(body: &str) -> String {
    let value: Value = serde_json::from_str(body).unwrap_or_default();
    let places = ["/error/message", "/message", "/error"];
    let found = places
        .iter()
        .find_map(|place| value.pointer(place).and_then(Value::as_str));
    found.unwrap_or(body).trim().to_owned()
}

fn without(text: &str, key: &str) -> String {
    if key.len() < 4 {
        text.to_owned()
    } else {
        text.replace(key, "(the key)")
    }
}

fn shortened(text: &str) -> String {
    let one_line: String = text
        .chars()
        .map(|char| if char.is_control() { ' ' } else { char })
        .collect();
    match one_line.char_indices().nth(MOST_WORDS) {
        Some((at, _)) => format!("{}…", &one_line[..at]),
        None => one_line,
    }
}

/// How long the server asks to wait: in milliseconds or seconds. A date is not worth reading another clock.
fn retry_after<'a>(header: impl Fn(&str) -> Option<&'a str>) -> Option<Duration> {
    let number = |name: &str| header(name).and_then(|text| text.trim().parse::<u64>().ok());
    let milliseconds = number("retry-after-ms").map(Duration::from_millis);
    milliseconds.or_else(|| number("retry-after").map(Duration::from_secs))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_status_means() {
        for (status, kind) in [
            (400, Kind::Rejected),
            (401, Kind::Unauthorized),
            (403, Kind::Unauthorized),
            (404, Kind::Rejected),
            (408, Kind::Unavailable),
            (429, Kind::Overloaded),
            (500, Kind::Unavailable),
            (529, Kind::Overloaded),
        ] {
            assert_eq!(of_status(status, "").kind(), kind, "{status}");
        }
    }

    #[test]
    fn a_key_that_the_server_repeats_is_taken_out_and_words_are_cut() {
        let said = message_in(r#"{"error":{"message":"Incorrect API key: sk-canary\n."}}"#);
        let said = shortened(&without(&said, "sk-canary"));
        assert_eq!(said, "Incorrect API key: (the key) .");
        assert_eq!(shortened(&"ä".repeat(400)).chars().count(), 301);
    }

    #[test]
    fn how_long_to_wait_is_read_from_either_header() {
        let both = |name: &str| Some(if name == "retry-after-ms" { "1500" } else { "7" });
        assert_eq!(retry_after(both), Some(Duration::from_millis(1500)));
        let seconds = |name: &str| (name == "retry-after").then_some("7");
        assert_eq!(retry_after(seconds), Some(Duration::from_secs(7)));
        assert_eq!(retry_after(|_| Some("Wed, 21 Oct 2026 07:28:00 GMT")), None);
    }
}
