//! Who is calling.

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::error::Refusal;
use super::options::OpenProjectOptions;
use super::state::State;

/// The caller of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Caller {
    User { id: u64, admin: bool },
    Anonymous,
}

impl Caller {
    pub(super) fn user_id(self) -> Option<u64> {
        match self {
            Self::User { id, .. } => Some(id),
            Self::Anonymous => None,
        }
    }

    pub(super) fn is_admin(self) -> bool {
        matches!(self, Self::User { admin: true, .. })
    }
}

/// Finds the caller, or refuses.
pub(super) fn authenticate(
    state: &State,
    options: &OpenProjectOptions,
    headers: &HeaderMap,
) -> Result<Caller, Refusal> {
    let Some(value) = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()) else {
        return if options.anonymous_access {
            Ok(Caller::Anonymous)
        } else {
            Err(Refusal::unauthenticated())
        };
    };
    let key = if let Some(encoded) = value.strip_prefix("Basic ") {
        options.basic_auth.then(|| basic_key(encoded)).flatten()
    } else {
        // Only tokens with this prefix are taken for API tokens; there are no OAuth tokens here.
        value
            .strip_prefix("Bearer ")
            .filter(|token| token.starts_with("opapi-"))
            .map(str::to_owned)
    };
    let found = key.and_then(|key| {
        state
            .users
            .values()
            .find(|user| user.api_key.as_deref() == Some(key.as_str()))
    });
    found
        .map(|user| Caller::User {
            id: user.id,
            admin: user.admin,
        })
        .ok_or(Refusal::WrongCredentials)
}

fn basic_key(encoded: &str) -> Option<String> {
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (name, key) = decoded.split_once(':')?;
    (name == "apikey" && !key.is_empty()).then(|| key.to_owned())
}
