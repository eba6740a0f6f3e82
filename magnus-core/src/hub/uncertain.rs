//! Writes of which nobody knows whether they took place: listed, and settled when a person has looked.

use super::{Hub, HubError, HubErrorKind};
use crate::model::{
    ConnectionId, ExternalId, Intent, IntentId, IntentOperation, IntentState, Link, LinkState, MappingId,
};
use crate::reconcile::adopted;
use crate::store::{Changeset, LinkWrite, Unit};

/// What a person found out about a create whose answer was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// It took place: this is the item.
    Is(ExternalId),
    /// It did not take place: send it again.
    SendAgain,
}

impl Hub {
    /// The writes that wait for a person, of one connection or of all, oldest first. While there is one, its task and new
    /// items of its tool wait too.
    ///
    /// # Errors
    /// `Store`.
    pub async fn uncertain(&self, connection: Option<ConnectionId>) -> Result<Vec<Intent>, HubError> {
        let mut found = Vec::new();
        for settings in self.store.connections().await? {
            if connection.is_none_or(|connection| connection == settings.id) {
                found.extend(self.store.unsettled_intents(settings.id).await?);
            }
        }
        found.retain(|intent| matches!(intent.state, IntentState::Uncertain { .. }));
        found.sort_by_key(|intent| (intent.created_at, intent.id));
        Ok(found)
    }

    /// Settles an uncertain create. The next run of its connection goes on from there. An item that a person names is
    /// believed once a run has seen it: until then its link is `uncertain`, and that it is not there proves nothing.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` if it is not a create; `Conflict` if it is settled already, or if the item or the task is
    /// linked otherwise; `Store`.
    pub async fn settle(&self, id: IntentId, finding: Finding) -> Result<Intent, HubError> {
        let intent = self.store.intent(id).await?;
        let intent = intent.ok_or_else(|| HubError::not_found("uncertain write", id))?;
        if !matches!(intent.state, IntentState::Uncertain { .. }) {
            let message = format!("write {id} is not uncertain any more; see `conflicts` for those that are");
            return Err(HubError::new(HubErrorKind::Conflict, message));
        }
        if !matches!(intent.operation, IntentOperation::Create { .. }) {
            return Err(HubError::invalid(format!("write {id} creates nothing")));
        }
        let mut settled = intent.clone();
        let mut unit = Unit::default();
        match finding {
            Finding::SendAgain => settled.state = IntentState::Settled { applied: false },
            Finding::Is(external) => {
                settled.state = IntentState::Settled { applied: true };
                let link = self.link_for(&intent, external).await?;
                unit.links.push(LinkWrite {
                    link: Box::new(link),
                    expected: None,
                });
            }
        }
        unit.intents.push(settled.clone());
        if self.commit(Changeset::of(vec![unit])).await? {
            return Ok(settled);
        }
        let message = "the task or the item of the tool is linked to another one already; look at them again";
        Err(HubError::new(HubErrorKind::Conflict, message))
    }

    async fn link_for(&self, intent: &Intent, external: ExternalId) -> Result<Link, HubError> {
        if let Some(other) = self
            .store
            .link_by_external(intent.connection_id, external.clone())
            .await?
        {
            let message = format!(
                "item {external} of the tool is task {} of the hub already",
                other.task_id
            );
            return Err(HubError::new(HubErrorKind::Conflict, message));
        }
        let mappings = self.store.mappings(intent.connection_id).await?;
        let wanted: MappingId = intent.mapping_id;
        let mapping = mappings.into_iter().find(|mapping| mapping.id == wanted);
        let mapping = mapping.ok_or_else(|| HubError::not_found("mapping", wanted))?;
        let mut link = adopted(intent, &mapping, external, self.now());
        link.state = LinkState::Uncertain;
        Ok(link)
    }
}
