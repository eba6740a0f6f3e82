//! One live instance of a tool, and how it is opened.

mod capability;
mod error;
mod ext;
mod request;
mod right;
mod translator;
mod waiting;

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use secrecy::SecretString;

use crate::model::{ConnectionSettings, ExternalId, LastChange, RemoteProject, RemoteTask, ToolName};

pub use capability::{Capabilities, FieldSupport, Pace};
pub use error::{ConnectionError, ConnectionErrorKind, Outcome, RejectedField};
pub use ext::ConnectionExt;
pub use request::{
    CreateTask, DeleteTask, FindCreated, Identity, ListIds, ListProjects, ListTasks, Page, PageToken, ProjectReading,
    ReadTask, Reading, RemoteWrite, UpdateTask, Written, WrittenTask,
};
pub use right::check_right_to_write;
pub(crate) use right::{in_right_of, lease_lost, may_write};
pub use translator::{Choice, Decoded, Encoded, Translator};
pub(crate) use waiting::Meter;
pub use waiting::wait_until;

/// Opens connections to one kind of tool. Registered by tool name; a host app adds its own.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Connector: Debug + Send + Sync + 'static {
    /// The tool's name.
    fn tool(&self) -> ToolName;

    /// Checks the settings and makes a connection. Does no I/O: whether the instance answers is for
    /// [`Connection::check`] to say.
    ///
    /// # Errors
    /// `InvalidSettings`, naming the setting and the remedy: a malformed URL or key, an option that the tool lacks
    /// (a deletion policy `archive` where nothing can be archived).
    async fn open(
        &self,
        settings: ConnectionSettings,
        secret: SecretString,
    ) -> Result<Arc<dyn Connection>, ConnectionError>;
}

/// One live instance of a tool.
///
/// # Contract
/// - Arguments are owned and answers `'static`, so that layers can wrap a connection and mocks can stand in for it.
/// - Every error carries an [`Outcome`]. A read that fails is `NotApplied`; a write says `Unknown` whenever the request
///   may have reached the tool and the answer did not come back whole.
/// - A list is complete or an error; an answer that hides rows for want of rights is an error, never a short list.
/// - What the tool cannot do is said in [`Capabilities`] and refused with `Unsupported` before any I/O.
/// - Nothing that a server sends makes it panic.
///
/// # Cancellation
/// Reads may be dropped at any time. A started [`write`](Connection::write) is awaited to its end; if it is dropped all
/// the same, its outcome is unknown.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Connection: Debug + Send + Sync + 'static {
    /// What the tool can do.
    fn capabilities(&self) -> Capabilities;

    /// Asks the tool who we are and whether we may do what the settings want.
    ///
    /// # Errors
    /// `Unauthorized` also when the tool answers as if to nobody (anonymous access).
    async fn check(&self) -> Result<Identity, ConnectionError>;

    /// Reads the tables that values are translated with (statuses, priorities, people) for these projects.
    ///
    /// Called once per run and before any translation.
    ///
    /// # Errors
    /// As any read.
    async fn translator(&self, projects: Vec<ExternalId>) -> Result<Arc<dyn Translator>, ConnectionError>;

    /// Lists the projects that we can see, closed ones marked.
    ///
    /// # Errors
    /// As any read.
    async fn list_projects(&self, request: ListProjects) -> Result<Page<RemoteProject>, ConnectionError>;

    /// Lists the tasks of one project, in every status: all of them, or those changed since a cursor (inclusive).
    ///
    /// Rows that others change while pages are read are neither lost nor, after the caller deduplicated by id, doubled.
    ///
    /// # Errors
    /// `Forbidden` or `NotFound` if the project cannot be read; `Unsupported` for `changed_since` without the capability.
    async fn list_tasks(&self, request: ListTasks) -> Result<Page<RemoteTask>, ConnectionError>;

    /// Lists the ids of all tasks of one project: the sweep that shows what is gone and what was missed.
    ///
    /// # Errors
    /// As [`list_tasks`](Connection::list_tasks); `Unsupported` without the capability `id_sweep`, as it is unless a
    /// tool has more to offer.
    async fn list_ids(&self, request: ListIds) -> Result<Page<ExternalId>, ConnectionError> {
        let message = format!("ids of project {} cannot be listed by themselves", request.project);
        Err(ConnectionError::new(
            ConnectionErrorKind::Unsupported,
            "list_ids",
            message,
        ))
    }

    /// Reads tasks one by one; one answer per request, in order.
    ///
    /// # Errors
    /// The call as a whole failed; nothing is known of any of them.
    async fn read(&self, requests: Vec<ReadTask>) -> Result<Vec<Reading>, ConnectionError>;

    /// Reads one project directly: the evidence that is wanted before an absence is believed.
    ///
    /// Without better, it is looked for in the list of projects.
    ///
    /// # Errors
    /// As any read; a project that is gone or hidden is an answer and not an error.
    async fn read_project(&self, project: ExternalId) -> Result<ProjectReading, ConnectionError> {
        let mut request = ListProjects::default();
        loop {
            let page = self.list_projects(request).await?;
            if let Some(found) = page.items.into_iter().find(|found| found.id == project) {
                return Ok(if found.open {
                    ProjectReading::Open(found)
                } else {
                    ProjectReading::Closed
                });
            }
            if page.next.is_none() {
                return Ok(ProjectReading::Absent);
            }
            request = ListProjects::default().page(page.next);
        }
    }

    /// Carries out writes; one result per write, in order. At most [`Capabilities::batch_size`] are given at once.
    ///
    /// A value is sent as it is; what the tool made of it is read back. Fields that are not named are left alone.
    async fn write(&self, writes: Vec<RemoteWrite>) -> Vec<Result<Written, ConnectionError>>;

    /// Finds tasks that a lost create may have made: by our user, newer than an id, over all projects.
    ///
    /// # Errors
    /// As any read. The answer must be complete; "none found" is a proof.
    async fn find_created(&self, request: FindCreated) -> Result<Vec<RemoteTask>, ConnectionError>;

    /// Who last changed an item, and when, our own user's changes left out: asked for when a conflict is put on record.
    /// `None` if the tool does not tell, as most do not.
    ///
    /// # Errors
    /// As any read.
    async fn last_change(&self, task: ReadTask) -> Result<Option<LastChange>, ConnectionError> {
        drop(task);
        Ok(None)
    }

    /// Lists the direct and indirect children of a task, read now: what a cascading delete would take along.
    ///
    /// Without the capability `delete_cascades` nobody asks.
    ///
    /// # Errors
    /// As any read.
    async fn list_descendants(&self, task: ReadTask) -> Result<Vec<RemoteTask>, ConnectionError> {
        let message = format!("the children of task {} cannot be listed", task.id);
        Err(ConnectionError::new(
            ConnectionErrorKind::Unsupported,
            "list_descendants",
            message,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_traits_are_object_safe() {
        fn takes(_: Option<&dyn Connection>, _: Option<&dyn Connector>, _: Option<&dyn Translator>) {}
        takes(None, None, None);
    }
}
