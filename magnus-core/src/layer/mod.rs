//! What stands around a connection: retries, pace, time limits and traces, the same for every tool.
//!
//! Each layer is a connection around a connection, so that adapters stay free of all this. The order matters, and
//! [`Layers`] keeps it. From the outside in:
//!
//! 1. **trace** sees each call once, with all that was done for it;
//! 2. **retry** repeats what may be repeated;
//! 3. **pace** lets each try wait for its turn, also those of retries;
//! 4. **right** lets no write out once the lease of its run is gone;
//! 5. **time limit** bounds one try. Outside of the retries it would cut them off, and outside of the pace it would
//!    count the waiting as silence of the tool.

mod around;
mod pace;
mod pace_book;
mod retry;
mod right;
#[cfg(test)]
mod scripted;
mod time_limit;
mod trace;

use std::sync::Arc;
use std::time::Duration;

use crate::connection::Connection;

use around::Around;

pub use pace::PacePolicy;
pub use pace_book::{Heard, HostPace, LocalPaceBook, PaceBook, Turns};
pub use retry::RetryPolicy;

/// Puts the layers around a connection, in the order that works.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use magnus_core::connection::Connection;
/// use magnus_core::layer::Layers;
///
/// fn dressed(connection: Arc<dyn Connection>) -> Arc<dyn Connection> {
///     Layers::new().time_limit(Duration::from_secs(30)).wrap("Office board", connection)
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Layers {
    time_limit: Duration,
    retry: RetryPolicy,
    pace: PacePolicy,
    book: Arc<dyn PaceBook>,
}

impl Layers {
    /// All layers, with limits that suit a tool on the other side of the internet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            time_limit: Duration::from_secs(60),
            retry: RetryPolicy::default(),
            pace: PacePolicy::default(),
            book: Arc::new(LocalPaceBook::new()),
        }
    }

    /// How long one try of one call may take. Meant as a net below the adapter's own limits per request.
    #[must_use]
    pub const fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// How failed calls are repeated.
    #[must_use]
    pub const fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// How a tool that asks for it is spared.
    #[must_use]
    pub const fn pace(mut self, policy: PacePolicy) -> Self {
        self.pace = policy;
        self
    }

    /// Where it is kept how much each host bears. By default these layers have a book of their own, which all connections
    /// that they wrap share; processes on one hub should share the hub's.
    #[must_use]
    pub fn pace_book(mut self, book: Arc<dyn PaceBook>) -> Self {
        self.book = book;
        self
    }

    /// Wraps a connection. The name tells connections apart in traces.
    #[must_use]
    pub fn wrap(&self, name: impl Into<String>, connection: Arc<dyn Connection>) -> Arc<dyn Connection> {
        let connection = Around::wrap(connection, time_limit::TimeLimit::new(self.time_limit));
        let connection = Around::wrap(connection, right::Right);
        let host = connection.capabilities().host;
        let connection = Around::wrap(connection, pace::Pace::new(host, self.pace, Arc::clone(&self.book)));
        let connection = Around::wrap(connection, retry::Retry::new(self.retry));
        Around::wrap(connection, trace::Trace::new(name.into()))
    }
}

impl Default for Layers {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::scripted::{Scripted, error};
    use super::*;
    use crate::connection::{ConnectionErrorKind, FindCreated, ListIds, ListProjects, ListTasks, Outcome, ReadTask};
    use crate::model::ExternalId;

    #[tokio::test(start_paused = true)]
    async fn every_method_reaches_the_connection_below_all_layers() {
        let script = Scripted::new([]);
        let connection = Layers::new().wrap("test", Arc::clone(&script) as Arc<dyn Connection>);
        let id = || ExternalId::from(1);
        let task = || ReadTask {
            id: id(),
            project: id(),
        };
        assert_eq!(connection.capabilities().host, "scripted.example");
        connection.check().await.unwrap();
        connection.translator(Vec::new()).await.unwrap_err();
        connection.list_projects(ListProjects::default()).await.unwrap();
        connection.list_tasks(ListTasks::new(id())).await.unwrap();
        connection.list_ids(ListIds::new(id())).await.unwrap();
        connection.read(vec![task()]).await.unwrap();
        connection.read_project(id()).await.unwrap();
        connection
            .find_created(FindCreated {
                project: id(),
                after: None,
                markers: Vec::new(),
            })
            .await
            .unwrap();
        connection.last_change(task()).await.unwrap();
        connection.list_descendants(task()).await.unwrap();
        assert!(connection.write(vec![scripted::create("a")]).await[0].is_ok());
        let methods = [
            "check",
            "translator",
            "list_projects",
            "list_tasks",
            "list_ids",
            "read",
            "read_project",
            "find_created",
            "last_change",
            "list_descendants",
        ];
        assert_eq!(script.reads(), methods);
        assert_eq!(script.batches().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_limit_is_inside_the_retries() {
        let script = Scripted::new([]).each_taking(Duration::from_secs(4));
        let layers = Layers::new().time_limit(Duration::from_secs(3));
        let connection = layers.wrap("test", Arc::clone(&script) as Arc<dyn Connection>);
        assert_eq!(
            connection.check().await.unwrap_err().kind(),
            ConnectionErrorKind::Timeout
        );
        assert_eq!(script.calls(), 4, "each try has the limit for itself");
        let results = connection.write(vec![scripted::create("a")]).await;
        assert_eq!(results[0].as_ref().unwrap_err().outcome(), Outcome::Unknown);
        assert_eq!(script.batches().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_for_a_turn_does_not_count_as_silence_of_the_tool() {
        let asked = Some(Duration::from_secs(10));
        let script = Scripted::new([Err(error(ConnectionErrorKind::RateLimited).with_retry_after(asked))]);
        let layers = Layers::new().time_limit(Duration::from_secs(3));
        let connection = layers.wrap("test", Arc::clone(&script) as Arc<dyn Connection>);
        connection.check().await.unwrap();
        assert_eq!(script.calls(), 2);
    }
}
