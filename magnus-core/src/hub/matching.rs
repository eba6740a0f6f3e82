//! A person says which items of a tool and tasks of the hub are the same, or that an item is none of those that are there.
//!
//! The decision is a link, and so it is as durable as any other: it is made without a look at the tool, and believed once
//! a run has seen the item. Then both sides meet as at first contact.

use super::{Hub, HubError, HubErrorKind, tasks};
use crate::model::{ConnectionId, ExternalId, Link, LinkState, Mapping, Task, TaskId, Value};
use crate::reconcile::Proposal;
use crate::store::{Changeset, LinkWrite, TaskWrite, Unit};

/// What a person says of an item of the tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MatchChoice {
    /// It is this task of the hub, whatever both are called.
    With(TaskId),
    /// It is none of those that it may be: a new task of the hub.
    New,
}

impl Hub {
    /// Decides what an item of the tool is. The next run of the connection goes on from there. `proposals` are those of a
    /// plan of the connection ([`crate::reconcile::proposals`]): only what they name can be [`MatchChoice::New`], since
    /// anything else becomes a new task without being asked about.
    ///
    /// # Errors
    /// `NotFound` for an unknown connection, task or item; `Invalid` if the task is in a project that the connection does
    /// not sync; `Conflict` if the item or the task is linked here already; `Store`.
    pub async fn decide_match(
        &self,
        connection: ConnectionId,
        proposals: &[Proposal],
        external: &ExternalId,
        choice: MatchChoice,
    ) -> Result<Link, HubError> {
        if let Some(link) = self.store.link_by_external(connection, external.clone()).await? {
            let message = format!(
                "item {external} of the tool is task {} of the hub already",
                link.task_id
            );
            return Err(HubError::new(HubErrorKind::Conflict, message));
        }
        let unit = match choice {
            MatchChoice::With(task) => self.with_task(connection, external, task).await?,
            MatchChoice::New => self.with_new_task(connection, proposals, external).await?,
        };
        if !self.commit(Changeset::of(vec![unit])).await? {
            let message = "the task or the item of the tool was linked just now; look at them again";
            return Err(HubError::new(HubErrorKind::Conflict, message));
        }
        let link = self.store.link_by_external(connection, external.clone()).await?;
        link.ok_or_else(|| HubError::not_found("link of item", external))
    }

    /// Accepts every proposal that has one task and one item. Answers how many were decided; what was linked otherwise
    /// meanwhile is left out.
    ///
    /// # Errors
    /// `Store`.
    pub async fn accept_sure_matches(
        &self,
        connection: ConnectionId,
        proposals: &[Proposal],
    ) -> Result<usize, HubError> {
        let mut decided = 0;
        for (task, external) in proposals.iter().filter_map(Proposal::pair) {
            let choice = MatchChoice::With(task);
            match self.decide_match(connection, proposals, external, choice).await {
                Ok(_) => decided += 1,
                Err(error) if error.kind() == HubErrorKind::Store => return Err(error),
                Err(error) => tracing::debug!(%external, %error, "a proposal is no longer one"),
            }
        }
        Ok(decided)
    }

    async fn with_task(&self, connection: ConnectionId, external: &ExternalId, task: TaskId) -> Result<Unit, HubError> {
        let task = self.task(task).await?;
        let links = self.store.links_of_tasks(vec![task.id]).await?;
        let link = links.iter().find(|link| link.connection_id == connection);
        // One that was named and that a run has not seen can be named anew: a slip must not hold a task for good.
        let named = link.filter(|link| link.state == LinkState::Uncertain && link.absent_since.is_some());
        if let (Some(link), None) = (link, named) {
            let message = format!("{:?} is item {} of the tool already", task.title, link.external_id);
            return Err(HubError::new(HubErrorKind::Conflict, message));
        }
        let mappings = self.store.mappings(connection).await?;
        let mapping = mappings
            .iter()
            .find(|mapping| mapping.enabled && mapping.project_id == task.project_id);
        let mapping = mapping.ok_or_else(|| {
            HubError::invalid(format!(
                "{:?} is in a project that this connection does not sync",
                task.title
            ))
        })?;
        let mut write = self.named(mapping, task.id, external);
        if let Some(named) = named {
            write.link.id = named.id;
            write.expected = Some(named.version);
        }
        Ok(Unit {
            links: vec![write],
            ..Unit::default()
        })
    }

    async fn with_new_task(
        &self,
        connection: ConnectionId,
        proposals: &[Proposal],
        external: &ExternalId,
    ) -> Result<Unit, HubError> {
        let proposal = proposals.iter().find(|proposal| proposal.externals.contains(external));
        let proposal = proposal.ok_or_else(|| HubError::not_found("proposal for item", external))?;
        let mappings = self.store.mappings(connection).await?;
        let mapping = mappings.iter().find(|mapping| Some(mapping.id) == proposal.mapping_id);
        let mapping = mapping.ok_or_else(|| {
            let message = format!("project {:?} is not mapped yet; map it first", proposal.project);
            HubError::new(HubErrorKind::Conflict, message)
        })?;
        let settings = self.store.connection(connection).await?;
        let settings = settings.ok_or_else(|| HubError::not_found("connection", connection))?;
        let now = self.now();
        let mut task = Task::new(mapping.project_id, proposal.title.clone(), now);
        task.source_tool = Some(settings.tool);
        let made = tasks::entry(&task, None, Value::Empty, Value::text(task.title.clone()), now);
        let link = self.named(mapping, task.id, external);
        Ok(Unit {
            tasks: vec![TaskWrite::Insert {
                task: Box::new(task),
                guard: None,
            }],
            links: vec![link],
            history: vec![made],
            ..Unit::default()
        })
    }

    /// A link that is believed once the item was seen, without anything that both ever agreed on.
    fn named(&self, mapping: &Mapping, task: TaskId, external: &ExternalId) -> LinkWrite {
        let mut link = Link::new(mapping, task, external.clone(), self.now());
        link.state = LinkState::Uncertain;
        LinkWrite {
            link: Box::new(link),
            expected: None,
        }
    }
}
