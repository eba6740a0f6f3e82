//! One live instance of OpenProject.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::TimeDelta;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use magnus_core::connection::{
    Capabilities, Connection, ConnectionError, ConnectionErrorKind, FieldSupport, FindCreated, Identity, ListIds,
    ListProjects, ListTasks, Outcome, Page, ProjectReading, ReadTask, Reading, RemoteWrite, Translator, Written,
    check_right_to_write,
};
use magnus_core::model::{ConnectionOptions, ExternalId, Field, LastChange, RemoteProject, RemoteTask, ToolName};
use tokio::sync::OnceCell;

use crate::activities;
use crate::client::{Answer, Client};
use crate::connector::OpenProjectConnector;
use crate::learned::Learned;
use crate::listing;
use crate::lookup;
use crate::marker::{self, MarkerField};
use crate::options::ToolOptions;
use crate::people::People;
use crate::refusal::Attempt;
use crate::tables::{PriorityTable, StatusTable};
use crate::task;
use crate::translator::OpenProjectTranslator;
use crate::wire::{self, Collection, Principal, WorkPackage};
use crate::writing;

/// Requests under way at once, so that one connection does not crowd an instance.
pub(crate) const CONCURRENCY: usize = 4;

/// Reads or writes in one call.
const BATCH_SIZE: usize = 10;

/// A connection with its settings; what never changes in an instance's life is remembered.
#[derive(Debug)]
pub(crate) struct OpenProjectConnection {
    pub(crate) client: Client,
    options: ConnectionOptions,
    tool: ToolOptions,
    me: OnceCell<u64>,
    kind: OnceCell<Option<wire::WorkPackageType>>,
    marker_confirmed: OnceCell<()>,
    pub(crate) learned: Learned,
}

impl OpenProjectConnection {
    pub(crate) fn new(client: Client, options: ConnectionOptions, tool: ToolOptions) -> Self {
        Self {
            client,
            options,
            tool,
            me: OnceCell::new(),
            kind: OnceCell::new(),
            marker_confirmed: OnceCell::new(),
            learned: Learned::default(),
        }
    }

    /// Where new work packages carry a marker, if the settings name a place.
    pub(crate) fn marker_field(&self) -> Option<&MarkerField> {
        self.tool.create_marker_field.as_ref()
    }

    /// Only the literal `false` switches notifications off.
    pub(crate) fn notify(&self) -> (&'static str, String) {
        ("notify", self.options.notify.to_string())
    }

    pub(crate) fn task(&self, attempt: Attempt, answer: &Answer<WorkPackage>) -> Result<RemoteTask, ConnectionError> {
        self.read_item(attempt, &answer.body, answer.skew)
    }

    /// An item of an answer as the core sees it; `skew` is how far our clock is ahead of the server's.
    pub(crate) fn read_item(
        &self,
        attempt: Attempt,
        item: &WorkPackage,
        skew: TimeDelta,
    ) -> Result<RemoteTask, ConnectionError> {
        let mut task = task::read(attempt, &self.client.base, item, skew, self.marker_field())?;
        self.learned.note(item, &mut task);
        Ok(task)
    }

    /// A work package, or `None` if it is not there as far as we may see.
    pub(crate) async fn fetch(
        &self,
        operation: &'static str,
        id: &ExternalId,
    ) -> Result<Option<Answer<WorkPackage>>, ConnectionError> {
        let Some(id) = number(id) else { return Ok(None) };
        match self.client.get(operation, &format!("/work_packages/{id}"), &[]).await {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if error.kind() == ConnectionErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.with_context("task", id)),
        }
    }

    /// Who we are. An instance may serve a request of nobody as anonymous, with fewer rows and no error.
    async fn identity(&self, operation: &'static str) -> Result<Identity, ConnectionError> {
        let root: wire::Root = self.client.get(operation, "", &[]).await?.body;
        let user = root
            .links
            .user
            .as_ref()
            .and_then(|user| Some((user.id()?, user.title.clone().unwrap_or_default())));
        let Some((id, name)) = user else {
            let message = "OpenProject answers, but as to an anonymous visitor: the API key is not valid";
            return Err(ConnectionError::new(
                ConnectionErrorKind::Unauthorized,
                operation,
                message,
            ));
        };
        Ok(Identity {
            id: ExternalId::from(id),
            name,
            version: root.core_version,
            notes: Vec::new(),
        })
    }

    pub(crate) async fn me(&self, operation: &'static str) -> Result<u64, ConnectionError> {
        let ask = || async {
            let identity = self.identity(operation).await?;
            number(&identity.id).ok_or_else(|| Attempt::read(operation).protocol("the user's id is not a number"))
        };
        self.me.get_or_try_init(ask).await.copied()
    }

    /// The type of created work packages, if the settings name one.
    pub(crate) async fn created_kind(&self) -> Result<Option<wire::WorkPackageType>, ConnectionError> {
        let Some(wanted) = &self.tool.kind else { return Ok(None) };
        let ask = || async {
            let types: Collection<wire::WorkPackageType> = self.client.get("write", "/types", &[]).await?.body;
            let matches = |kind: &&wire::WorkPackageType| {
                kind.id.to_string() == *wanted || kind.name.to_lowercase() == wanted.trim().to_lowercase()
            };
            let found = types.into_elements().into_iter().find(|kind| matches(&kind));
            found.map(Some).ok_or_else(|| {
                let message =
                    format!("OpenProject has no type {wanted:?}; correct `type` in the connection's `tool` options");
                ConnectionError::new(ConnectionErrorKind::InvalidSettings, "write", message)
            })
        };
        self.kind.get_or_try_init(ask).await.cloned()
    }

    async fn read_one(&self, request: ReadTask) -> Result<Reading, ConnectionError> {
        let answer = match self.fetch("read", &request.id).await {
            Ok(Some(answer)) => answer,
            Ok(None) => return Ok(Reading::Absent),
            Err(error) if error.kind() == ConnectionErrorKind::Forbidden => return Ok(Reading::Denied),
            Err(error) => return Err(error),
        };
        let task = Box::new(self.task(Attempt::read("read"), &answer)?);
        Ok(if task.project == request.project {
            Reading::Present(task)
        } else {
            Reading::Moved(task)
        })
    }

    async fn assignees(&self, project: ExternalId) -> Result<(ExternalId, Vec<Principal>), ConnectionError> {
        let path = format!("/projects/{project}/available_assignees");
        match self.client.get::<Collection<Principal>>("translator", &path, &[]).await {
            Ok(answer) => Ok((project, answer.body.into_elements())),
            // Nobody can be assigned by us in a project that we may not manage or see; the listing says the rest.
            Err(error)
                if matches!(
                    error.kind(),
                    ConnectionErrorKind::Forbidden | ConnectionErrorKind::NotFound
                ) =>
            {
                tracing::debug!(%project, %error, "assignees are not visible");
                Ok((project, Vec::new()))
            }
            Err(error) => Err(error.with_context("project", project)),
        }
    }

    async fn principals(&self) -> Result<Vec<Principal>, ConnectionError> {
        match lookup::whole(&self.client, "translator", "/principals", &[], |_: &Principal| false).await {
            Ok(listed) => Ok(listed.items),
            Err(error) if error.kind() == ConnectionErrorKind::Forbidden => {
                tracing::debug!(%error, "the list of people is not visible");
                Ok(Vec::new())
            }
            Err(error) => Err(error),
        }
    }
}

/// A tool's id as the number it is; anything else is no id of this tool.
pub(crate) fn number(id: &ExternalId) -> Option<u64> {
    id.as_str().parse().ok()
}

#[async_trait]
impl Connection for OpenProjectConnection {
    fn capabilities(&self) -> Capabilities {
        let support = |field: &Field| match field {
            Field::Tags => None,
            Field::ActualHours => Some((Field::ActualHours, FieldSupport::ReadOnly)),
            field => Some((*field, FieldSupport::ReadWrite)),
        };
        let fields: BTreeMap<Field, FieldSupport> = Field::ALL.iter().filter_map(support).collect();
        let url = self.client.base.as_url();
        let host = match (url.host_str().unwrap_or_default(), url.port()) {
            (host, Some(port)) => format!("{host}:{port}"),
            (host, None) => host.to_owned(),
        };
        let mut capabilities = Capabilities::new(ToolName::new(OpenProjectConnector::TOOL), host, fields);
        capabilities.incremental = true;
        capabilities.id_sweep = true;
        capabilities.versions = true;
        capabilities.first_version = Some(0);
        // Days off move dates, and the parts of progress follow from each other.
        capabilities.moves = [
            Field::StartDate,
            Field::DueDate,
            Field::RemainingHours,
            Field::PercentageDone,
        ]
        .into();
        capabilities.change_times = true;
        capabilities.delete = true;
        capabilities.delete_cascades = true;
        capabilities.create_marker = self.marker_field().is_some();
        capabilities.batch_size = BATCH_SIZE;
        capabilities
    }

    async fn check(&self) -> Result<Identity, ConnectionError> {
        let identity = self.identity("check").await?;
        if let Some(field) = self.marker_field() {
            // Once for each opening: a field that goes later only leaves new work packages without a marker.
            let confirm = || marker::confirm(self, field);
            self.marker_confirmed.get_or_try_init(confirm).await?;
        }
        Ok(identity)
    }

    async fn translator(&self, projects: Vec<ExternalId>) -> Result<Arc<dyn Translator>, ConnectionError> {
        let statuses = self
            .client
            .get::<Collection<wire::Status>>("translator", "/statuses", &[]);
        let priorities = self
            .client
            .get::<Collection<wire::Priority>>("translator", "/priorities", &[]);
        let assignees: Vec<_> = projects.into_iter().map(|project| self.assignees(project)).collect();
        let assignees = stream::iter(assignees).buffered(CONCURRENCY).try_collect::<Vec<_>>();
        let (statuses, priorities, principals, assignees) =
            futures::try_join!(statuses, priorities, self.principals(), assignees)?;
        let mut people = People::new(self.options.user_map.clone());
        principals.into_iter().for_each(|person| people.add(person));
        for (project, assignable) in assignees {
            people.add_assignable(project, assignable);
        }
        Ok(Arc::new(OpenProjectTranslator {
            statuses: StatusTable::new(statuses.body.into_elements(), &self.options.status_map),
            priorities: PriorityTable::new(priorities.body.into_elements(), &self.options.priority_map),
            people,
        }))
    }

    async fn list_projects(&self, request: ListProjects) -> Result<Page<RemoteProject>, ConnectionError> {
        listing::projects(self, request).await
    }

    async fn list_tasks(&self, request: ListTasks) -> Result<Page<RemoteTask>, ConnectionError> {
        listing::tasks(self, request).await
    }

    async fn list_ids(&self, request: ListIds) -> Result<Page<ExternalId>, ConnectionError> {
        listing::ids(self, request).await
    }

    async fn read(&self, requests: Vec<ReadTask>) -> Result<Vec<Reading>, ConnectionError> {
        let reads: Vec<_> = requests.into_iter().map(|request| self.read_one(request)).collect();
        stream::iter(reads).buffered(CONCURRENCY).try_collect().await
    }

    async fn read_project(&self, project: ExternalId) -> Result<ProjectReading, ConnectionError> {
        match self
            .client
            .get::<wire::Project>("read_project", &format!("/projects/{project}"), &[])
            .await
        {
            Ok(answer) if answer.body.active == Some(false) => Ok(ProjectReading::Closed),
            Ok(answer) => Ok(ProjectReading::Open(listing::project(&self.client.base, answer.body))),
            Err(error) if error.kind() == ConnectionErrorKind::NotFound => Ok(ProjectReading::Absent),
            Err(error) if error.kind() == ConnectionErrorKind::Forbidden => Ok(ProjectReading::Denied),
            Err(error) => Err(error.with_context("project", project)),
        }
    }

    async fn write(&self, writes: Vec<RemoteWrite>) -> Vec<Result<Written, ConnectionError>> {
        // One after the other: a write moves the versions of ancestors, and a parent may be among the writes.
        let mut results = Vec::with_capacity(writes.len());
        let mut gone: Option<ConnectionErrorKind> = None;
        for write in writes {
            let result = match (gone, check_right_to_write()) {
                (Some(kind), _) => Err(not_sent(kind)),
                (None, Ok(())) => writing::write(self, write).await,
                (None, Err(lost)) => Err(lost),
            };
            if let Err(error) = &result
                && ends_the_batch(error)
            {
                gone = Some(error.kind());
            }
            results.push(result);
        }
        results
    }

    async fn find_created(&self, request: FindCreated) -> Result<Vec<RemoteTask>, ConnectionError> {
        lookup::created(self, request).await
    }

    async fn last_change(&self, task: ReadTask) -> Result<Option<LastChange>, ConnectionError> {
        activities::last_change(self, &task).await
    }

    async fn list_descendants(&self, task: ReadTask) -> Result<Vec<RemoteTask>, ConnectionError> {
        lookup::descendants(self, task).await
    }
}

/// Whether each further write would wait as long for the same answer. An answer that was lost on its way says nothing of the
/// next one.
fn ends_the_batch(error: &ConnectionError) -> bool {
    match error.kind() {
        ConnectionErrorKind::Timeout | ConnectionErrorKind::Unauthorized => true,
        kind => kind.is_transient() && error.outcome() == Outcome::NotApplied,
    }
}

/// For a write that was left since the one before it found the tool away, or the key refused.
fn not_sent(kind: ConnectionErrorKind) -> ConnectionError {
    let message = "not sent, since the write before it did not get through";
    ConnectionError::new(kind, "write", message).with_outcome(Outcome::NotApplied)
}
