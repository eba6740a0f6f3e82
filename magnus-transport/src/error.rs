use std::error::Error as StdError;
use std::fmt;

/// What went wrong in an exchange.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TransportErrorKind {
    /// The client itself could not be set up: a trusted root or a header value that cannot be used.
    Setup,
    /// The address is not an absolute `http` or `https` URL, or holds a user name or password.
    InvalidUrl,
    /// The host name could not be resolved.
    Dns,
    /// No connection to the host: refused, unreachable, or its time ran out.
    Connect,
    /// The TLS handshake failed: an untrusted certificate, another host's, or no common version.
    Tls,
    /// The time for the whole exchange ran out.
    Timeout,
    /// The connection ended before the answer was whole, or the answer could not be decoded.
    Interrupted,
    /// The answer is larger than the limit.
    BodyTooLarge,
    /// The server redirects in a way that is not followed: to another origin, for a request that is not a read, in
    /// a circle, or without a usable address.
    Redirect,
}

impl fmt::Display for TransportErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Setup => "the HTTP client could not be set up",
            Self::InvalidUrl => "the address is not usable",
            Self::Dns => "the host name could not be resolved",
            Self::Connect => "no connection",
            Self::Tls => "the TLS handshake failed",
            Self::Timeout => "no answer in time",
            Self::Interrupted => "the answer was cut off",
            Self::BodyTooLarge => "the answer is too large",
            Self::Redirect => "a redirect that is not followed",
        })
    }
}

/// Whether the server may have received the request, and so may have acted on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sent {
    /// Surely not: nothing of the request left this process.
    No,
    /// Perhaps: a write must be looked up before it is sent again.
    Maybe,
}

/// An exchange without a usable answer.
///
/// Its text names the method and the address, without query and without credentials; headers and bodies never
/// enter it.
#[derive(Debug)]
pub struct TransportError {
    kind: TransportErrorKind,
    sent: Sent,
    context: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl TransportError {
    /// A new error; `context` names what was tried and must hold no secret and no query.
    pub fn new(kind: TransportErrorKind, sent: Sent, context: impl Into<String>) -> Self {
        Self {
            kind,
            sent,
            context: context.into(),
            source: None,
        }
    }

    /// The same error with the one that caused it.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> TransportErrorKind {
        self.kind
    }

    /// Whether the server may have received the request.
    pub fn sent(&self) -> Sent {
        self.sent
    }

    /// What was tried: method and address, without query.
    pub fn context(&self) -> &str {
        &self.context
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.context, self.kind)
    }
}

impl StdError for TransportError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}
