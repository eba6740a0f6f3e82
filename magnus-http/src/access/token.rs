//! Access tokens: made, shown once, kept as hashes, and checked.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Method, header};
use magnus_core::model::AccessScope;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::options::ServiceOptions;
use crate::problem::{Kind, Problem};
use crate::state::{App, Shared};

/// What every token begins with, so that people and scanners know one when they see it.
const PREFIX: &str = "magnus_";

/// How long it is believed that there is no token at all.
const BELIEVED: Duration = Duration::from_secs(2);

/// A new random token.
///
/// # Errors
/// The system gives no random numbers.
pub fn new_token() -> Result<SecretString, getrandom::Error> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes)?;
    Ok(SecretString::from(format!("{PREFIX}{}", hex(&bytes))))
}

/// The hash under which a token is kept.
#[must_use]
pub fn token_hash(token: &SecretString) -> String {
    hex(&Sha256::digest(token.expose_secret().as_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Knows which tokens are good.
#[derive(Debug)]
pub(crate) struct Doorkeeper {
    /// The hash of the token from outside.
    admin: Option<String>,
    open_without_tokens: bool,
    /// When it was last seen that there is no token.
    none_seen: Mutex<Option<Instant>>,
}

impl Doorkeeper {
    pub(crate) fn new(options: &ServiceOptions) -> Self {
        Self {
            admin: options.admin_token.as_ref().map(token_hash),
            open_without_tokens: options.open_without_tokens,
            none_seen: Mutex::new(None),
        }
    }

    /// Whether whoever asks without a token is let in.
    async fn is_open(&self, app: &Shared) -> Result<bool, Problem> {
        if !self.open_without_tokens || self.admin.is_some() {
            return Ok(false);
        }
        let seen = *self.none_seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.is_some_and(|seen| seen.elapsed() < BELIEVED) {
            return Ok(true);
        }
        let is_open = app.store().tokens().await?.is_empty();
        *self.none_seen.lock().unwrap_or_else(PoisonError::into_inner) = is_open.then(Instant::now);
        Ok(is_open)
    }

    async fn scope_of(&self, app: &Shared, token: SecretString) -> Result<Option<AccessScope>, Problem> {
        // Hashes are compared, and by their equality nothing is learned of the token.
        let hash = token_hash(&token);
        if self.admin.as_ref() == Some(&hash) {
            return Ok(Some(AccessScope::Admin));
        }
        let known = app.store().token_by_hash(hash).await?;
        Ok(known.map(|token| token.scope))
    }
}

/// The token that a request shows.
fn shown(headers: &HeaderMap) -> Result<Option<SecretString>, Problem> {
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        return Ok(None);
    };
    let unreadable = || Problem::new(Kind::Unauthenticated, "expected the header authorization: Bearer TOKEN");
    let text = value.to_str().map_err(|_| unreadable())?;
    match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty() => {
            Ok(Some(SecretString::from(token.trim())))
        }
        _ => Err(unreadable()),
    }
}

/// What a request needs.
pub(crate) fn needed(method: &Method, path: &str) -> AccessScope {
    let is_read = matches!(*method, Method::GET | Method::HEAD);
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    match parts.as_slice() {
        // The tool is asked with its key.
        ["connections", _, "test" | "projects" | "matches"] => AccessScope::Sync,
        _ if is_read => AccessScope::Read,
        ["connections", _, "sync"] => AccessScope::Sync,
        ["connections", ..] => AccessScope::Admin,
        _ => AccessScope::Sync,
    }
}

/// Lets in who may do what is asked.
pub(crate) async fn check(State(app): State<App>, request: Request, next: Next) -> Response {
    // The body of a request cannot be shared while we wait: only what is looked at goes along.
    let (headers, needed) = (
        request.headers().clone(),
        needed(request.method(), request.uri().path()),
    );
    match admit(&app, &headers, needed).await {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

async fn admit(app: &Shared, headers: &HeaderMap, needed: AccessScope) -> Result<(), Problem> {
    let Some(token) = shown(headers)? else {
        if app.doorkeeper.is_open(app).await? {
            return Ok(());
        }
        let detail = "send an access token in the header authorization: Bearer TOKEN";
        return Err(Problem::new(Kind::Unauthenticated, detail));
    };
    let Some(scope) = app.doorkeeper.scope_of(app, token).await? else {
        return Err(Problem::new(Kind::Unauthenticated, "the access token is not known"));
    };
    if scope.allows(needed) {
        Ok(())
    } else {
        let detail = format!("this takes a token of the scope {needed}; the one that was sent is of the scope {scope}");
        Err(Problem::new(Kind::NotAllowed, detail))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_needs_what_it_does() {
        for (method, path, scope) in [
            (Method::GET, "/connections", AccessScope::Read),
            (Method::POST, "/connections", AccessScope::Admin),
            (Method::PATCH, "/connections/1", AccessScope::Admin),
            (Method::DELETE, "/connections/1", AccessScope::Admin),
            (Method::POST, "/connections/1/sync", AccessScope::Sync),
            (Method::POST, "/connections/1/map-project", AccessScope::Admin),
            (Method::GET, "/connections/1/test", AccessScope::Sync),
            (Method::GET, "/connections/1/matches", AccessScope::Sync),
            (Method::POST, "/connections/1/matches", AccessScope::Sync),
            (Method::GET, "/sync/events", AccessScope::Read),
            (Method::POST, "/sync/all", AccessScope::Sync),
            (Method::PATCH, "/tasks/1", AccessScope::Sync),
            (Method::GET, "/metrics", AccessScope::Read),
        ] {
            assert_eq!(needed(&method, path), scope, "{method} {path}");
        }
    }

    #[test]
    fn a_token_is_random_and_its_hash_is_not_the_token() {
        let (one, other) = (new_token().unwrap(), new_token().unwrap());
        assert_ne!(one.expose_secret(), other.expose_secret());
        assert!(one.expose_secret().starts_with(PREFIX) && one.expose_secret().len() == PREFIX.len() + 64);
        assert_eq!(
            token_hash(&SecretString::from("abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
