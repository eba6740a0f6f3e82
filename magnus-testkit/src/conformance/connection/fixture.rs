//! What a test needs of a tool besides the connection: another user's hands, and trouble on the way.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use magnus_core::connection::Connection;
use magnus_core::model::{ExternalId, Field, Person};

use crate::sim::Fault;

/// Which requests trouble is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Calls {
    /// All that change nothing.
    Reads,
    /// Those that create, change or delete a task.
    Writes,
}

/// What goes wrong with requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trouble {
    /// The request is not done; an answer of this status without words of the tool's own comes instead.
    Status(u16),
    /// The request is not done: 429, with the wait that is asked for in whole seconds.
    TooManyRequests(Duration),
    /// The request is not done; a proxy or a login page answers with HTML and this status.
    Html(u16),
    /// The request is not done; this body comes with a status of success.
    Body(&'static str),
    /// The request never arrives and the connection breaks.
    LoseRequest,
    /// The request is done, then the connection breaks.
    LoseAnswer,
    /// The request is never answered and not done.
    Hang,
    /// The request is done; its answer is cut in the middle.
    Truncate,
    /// The request is done; in its answer every number is a text and every text a number.
    WrongTypes,
    /// The first answer comes again for every request: a page that repeats.
    RepeatPage,
}

impl Trouble {
    /// The same as a fault of a simulator.
    #[must_use]
    pub fn fault(self) -> Fault {
        match self {
            Self::Status(status) => Fault::status(status, ""),
            Self::TooManyRequests(wait) => {
                Fault::status_with(429, &[("retry-after", wait.as_secs().to_string().as_str())], "")
            }
            Self::Html(status) => Fault::Html(status),
            Self::Body(body) => Fault::status_with(200, &[("content-type", "application/json")], body),
            Self::LoseRequest => Fault::LoseRequest,
            Self::LoseAnswer => Fault::LoseAnswer,
            Self::Hang => Fault::Hang,
            Self::Truncate => Fault::TruncateJson,
            Self::WrongTypes => Fault::WrongTypes,
            Self::RepeatPage => Fault::RepeatAnswer,
        }
    }
}

/// A tool with one empty project, made for one test.
///
/// Only the first two methods are required. A hook that answers `None` cannot be offered; the rules that need it then
/// do not apply, which the list `without` of [`connection_tests!`](crate::connection_tests) must say.
#[async_trait]
pub trait ConnectionFixture: Send + Sync {
    /// A new connection to the tool.
    async fn connect(&self) -> Arc<dyn Connection>;

    /// The project, empty at first, open, and writable for the connection.
    fn project(&self) -> ExternalId;

    /// The secret that the connection was opened with, which nothing may show.
    fn secret(&self) -> Option<String> {
        None
    }

    /// Somebody whom tasks of the project can be assigned to.
    fn assignee(&self) -> Option<Person> {
        None
    }

    /// How many requests have reached the tool so far.
    async fn requests(&self) -> Option<usize> {
        None
    }

    /// Makes lists come in pages of this many rows.
    async fn page_size(&self, _rows: usize) -> Option<()> {
        None
    }

    /// Makes a second project that the connection may write.
    async fn another_project(&self) -> Option<ExternalId> {
        None
    }

    /// Another user makes a task in the project.
    async fn other_creates(&self, _title: &str) -> Option<ExternalId> {
        None
    }

    /// Another user changes a task's title.
    async fn other_renames(&self, _task: &ExternalId, _title: &str) -> Option<()> {
        None
    }

    /// Another user deletes a task.
    async fn other_deletes(&self, _task: &ExternalId) -> Option<()> {
        None
    }

    /// Another user moves a task into another project.
    async fn other_moves(&self, _task: &ExternalId, _project: &ExternalId) -> Option<()> {
        None
    }

    /// The connection's user may no longer see the project.
    async fn hide_project(&self) -> Option<()> {
        None
    }

    /// The project is deleted with all that is in it.
    async fn delete_project(&self) -> Option<()> {
        None
    }

    /// From now on the tool refuses writes that touch this field, naming it, and does nothing of them.
    async fn refuse(&self, _field: Field) -> Option<()> {
        None
    }

    /// From now on this goes wrong with all such calls.
    async fn trouble(&self, _calls: Calls, _trouble: Trouble) -> Option<()> {
        None
    }

    /// Ends all trouble and refusals.
    async fn heal(&self) {}
}
