use std::time::Duration;

/// Settings of an [`HttpTransport`](crate::HttpTransport).
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// How long a connection may take to be made, TLS handshake included. Default: 10 seconds.
    pub connect_timeout: Duration,
    /// How long one exchange may take in all, redirects and the whole answer included. Default: 30 seconds.
    pub request_timeout: Duration,
    /// The largest answer that is accepted, in bytes after decompression. Default: 32 MiB.
    pub max_body_bytes: usize,
    /// Sent as `User-Agent`. Default: `magnus/` and the version.
    pub user_agent: String,
    /// Root certificates to trust besides the system's, each a PEM bundle. Default: none.
    pub trusted_roots: Vec<Vec<u8>>,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            max_body_bytes: 32 * 1024 * 1024,
            user_agent: concat!("magnus/", env!("CARGO_PKG_VERSION")).to_owned(),
            trusted_roots: Vec::new(),
        }
    }
}

impl HttpOptions {
    /// With another [`connect_timeout`](Self::connect_timeout).
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// With another [`request_timeout`](Self::request_timeout).
    #[must_use]
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// With another [`max_body_bytes`](Self::max_body_bytes).
    #[must_use]
    pub fn max_body_bytes(mut self, bytes: usize) -> Self {
        self.max_body_bytes = bytes;
        self
    }

    /// With another [`user_agent`](Self::user_agent).
    #[must_use]
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.user_agent = user_agent.into();
        self
    }

    /// Trusts the root certificates of a PEM bundle as well.
    #[must_use]
    pub fn trust_root(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.trusted_roots.push(pem.into());
        self
    }
}
