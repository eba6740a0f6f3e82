//! What the service is given from outside.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use magnus_core::clock::{Clock, SystemClock};
use magnus_core::engine::ConnectionOpener;
use magnus_core::secret::SecretStore;
use magnus_core::store::ServiceStore;
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use crate::remote_calls::RemoteCalls;

/// What the service is given from outside, and how it behaves. Made with [`ServiceOptions::new`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServiceOptions {
    /// The hub.
    pub store: Arc<dyn ServiceStore>,
    /// Opens connections, to test them and to list projects.
    pub opener: Arc<dyn ConnectionOpener>,
    /// Where API keys are kept.
    pub secrets: Arc<dyn SecretStore>,
    /// Where the secrets of webhooks are kept.
    pub webhook_secrets: Arc<dyn SecretStore>,
    /// Tells the time of day.
    pub clock: Arc<dyn Clock>,
    /// Whether requests without a token are let in as long as there is no token at all.
    pub open_without_tokens: bool,
    /// A token that allows everything, besides those in the store.
    pub admin_token: Option<SecretString>,
    /// The host names under which the service may be asked, in lower case and without port; empty: any. Against pages
    /// that point a name of their own at this address.
    pub hosts: BTreeSet<String>,
    /// The origins (`https://example.org`) whose pages may ask besides the service's own; none by default.
    pub origins: BTreeSet<String>,
    /// How many requests a second one client may send in the long run; it may send twice as many in a burst.
    pub requests_per_second: u32,
    /// How many requests may be in work at once, without those that wait for a run or a tool and those that listen; a further
    /// one is answered 503. `/health` is always answered.
    pub requests_at_once: usize,
    /// How many requests may wait for a run or a tool at once; a further one is answered 503.
    pub waiting_at_once: usize,
    /// How many clients may listen to live events at once; a further one is answered 503.
    pub listeners_at_once: usize,
    /// How long a request may take that does not wait for a run.
    pub time_limit: Duration,
    /// How often a sign of life is sent to listeners.
    pub heartbeat: Duration,
    /// How long to gather webhooks before a run is started.
    pub debounce: Duration,
    /// Whether instances on link-local addresses, among them those of clouds' metadata services, may be connected.
    pub allow_link_local: bool,
    /// What was asked of tools, for `/metrics`.
    pub remote_calls: RemoteCalls,
    /// Ends the streams of listeners and what runs in the background.
    pub shutdown: CancellationToken,
}

impl ServiceOptions {
    /// A service over this store, open to whoever reaches it as long as there is no token.
    #[must_use]
    pub fn new(
        store: Arc<dyn ServiceStore>,
        opener: Arc<dyn ConnectionOpener>,
        secrets: Arc<dyn SecretStore>,
        webhook_secrets: Arc<dyn SecretStore>,
    ) -> Self {
        Self {
            store,
            opener,
            secrets,
            webhook_secrets,
            clock: Arc::new(SystemClock),
            open_without_tokens: true,
            admin_token: None,
            hosts: BTreeSet::new(),
            origins: BTreeSet::new(),
            requests_per_second: 1_000,
            requests_at_once: 128,
            waiting_at_once: 256,
            listeners_at_once: 512,
            time_limit: Duration::from_secs(30),
            heartbeat: Duration::from_secs(15),
            debounce: Duration::from_secs(2),
            allow_link_local: false,
            remote_calls: RemoteCalls::default(),
            shutdown: CancellationToken::new(),
        }
    }

    /// Answers only under the names of the loopback addresses, and these.
    #[must_use]
    pub fn loopback_and(mut self, hosts: impl IntoIterator<Item = String>) -> Self {
        self.hosts = ["localhost", "127.0.0.1", "[::1]"].map(str::to_owned).into();
        self.hosts
            .extend(hosts.into_iter().map(|host| host.to_ascii_lowercase()));
        self
    }
}
