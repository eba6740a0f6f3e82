//! Under which name the service is asked, and from which page.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};

use crate::problem::{Kind, Problem};
use crate::state::{App, Shared};

/// Refuses names that are not ours (a page may point a name of its own at this address) and pages of other origins;
/// answers the browser's questions of those that were let in by the settings.
pub(crate) async fn check(State(app): State<App>, request: Request, next: Next) -> Response {
    if let Err(problem) = check_host(&app, request.headers(), request.uri()) {
        return problem.into_response();
    }
    let origin = match check_origin(&app, request.headers(), request.uri()) {
        Ok(origin) => origin,
        Err(problem) => return problem.into_response(),
    };
    let Some(origin) = origin else {
        return next.run(request).await;
    };
    let mut response = if is_preflight(&request) {
        let mut response = StatusCode::NO_CONTENT.into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_METHODS,
            HeaderValue::from_static("GET, POST, PATCH, DELETE"),
        );
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            HeaderValue::from_static("authorization, content-type, if-match, idempotency-key, last-event-id"),
        );
        response
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static("etag, location"),
    );
    headers.append(header::VARY, HeaderValue::from_static("origin"));
    response
}

fn is_preflight(request: &Request) -> bool {
    request.method() == Method::OPTIONS && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// The host that was asked, as it was written.
fn asked<'a>(headers: &'a HeaderMap, uri: &'a Uri) -> Option<&'a str> {
    let header = headers.get(header::HOST).and_then(|value| value.to_str().ok());
    header.or_else(|| uri.authority().map(http::uri::Authority::as_str))
}

fn check_host(app: &Shared, headers: &HeaderMap, uri: &Uri) -> Result<(), Problem> {
    let known = &app.options.hosts;
    if known.is_empty() {
        return Ok(());
    }
    let host = asked(headers, uri).map(without_port).unwrap_or_default();
    if known.contains(&host) {
        return Ok(());
    }
    let detail = "the header host names another host; ask under a name that the service was told, or tell it this one";
    Err(Problem::new(Kind::ForeignHost, detail))
}

/// A host without its port, in lower case. Addresses of version 6 keep their brackets.
fn without_port(host: &str) -> String {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.chars().all(|digit| digit.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => host,
    };
    name.to_ascii_lowercase()
}

/// The origin if it is one of the settings; `None` if there is none or it is our own.
fn check_origin(app: &Shared, headers: &HeaderMap, uri: &Uri) -> Result<Option<HeaderValue>, Problem> {
    let Some(value) = headers.get(header::ORIGIN) else {
        return Ok(None);
    };
    let origin = value.to_str().unwrap_or_default();
    let host = origin.split_once("://").map(|(_, host)| host);
    if host.is_some() && host.map(str::to_ascii_lowercase) == asked(headers, uri).map(str::to_ascii_lowercase) {
        return Ok(None);
    }
    if app.options.origins.contains(origin) {
        return Ok(Some(value.clone()));
    }
    let detail = "a page of another origin may ask only if the service was told that origin";
    Err(Problem::new(Kind::ForeignOrigin, detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_no_part_of_the_name() {
        for (host, name) in [
            ("Localhost:8017", "localhost"),
            ("127.0.0.1", "127.0.0.1"),
            ("[::1]:8017", "[::1]"),
            ("[::1]", "[::1]"),
            ("evil.example:8017", "evil.example"),
            ("", ""),
        ] {
            assert_eq!(without_port(host), name);
        }
    }
}
