//! A request that is sent again because its answer was lost, and must not take effect twice.

use uuid::Uuid;

/// A request under a key that its sender chose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnceRequest {
    /// The key.
    pub key: String,
    /// A hash of the request: the same key with another request is a mistake of the sender.
    pub fingerprint: String,
    /// The id that what it makes shall have. Of several requests under one key, the first one's counts.
    pub reserved: Uuid,
}

/// What is known of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnceEntry {
    /// Whether it was not known before.
    pub is_new: bool,
    /// The hash of the first request under this key.
    pub fingerprint: String,
    /// The id that what it makes shall have.
    pub reserved: Uuid,
    /// How it was answered; `None`: it is being carried out, or whoever did that died.
    pub answer: Option<OnceAnswer>,
}

/// How a request was answered. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnceAnswer {
    /// The status code.
    pub status: u16,
    /// The body.
    pub body: String,
}
