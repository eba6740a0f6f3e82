//! Writes of which nobody knows whether they took place: listed, and settled when a person has looked.

use std::collections::BTreeMap;

use super::{Hub, HubError, HubErrorKind, TRIES, busy};
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

    /// Settles an uncertain create, or corrects which item a person has named for one before. The next run of its connection
    /// goes on from there. An item that a person names is believed once a run has seen it: until then its link is
    /// `uncertain`, and that it is not there proves nothing.
    ///
    /// If a run has not seen the item that was named, the write can be sent again after all. If the item that was named wrongly
    /// has been seen meanwhile, task and right item meet as at first contact: values
    /// that differ are conflicts. What runs wrote to the wrong one stays; it is an item of its own again.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` if it is not a create; `Conflict` if it is settled already, or if the item is another task's;
    /// `Store`.
    pub async fn settle(&self, id: IntentId, finding: Finding) -> Result<Intent, HubError> {
        let intent = self.store.intent(id).await?;
        let intent = intent.ok_or_else(|| HubError::not_found("uncertain write", id))?;
        let named = IntentState::Settled {
            applied: true,
            by_person: true,
        };
        if intent.state == named {
            return match finding {
                Finding::Is(external) => self.correct(intent, external).await,
                Finding::SendAgain => self.take_back(intent).await,
            };
        }
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
            Finding::SendAgain => settled.state = by_person(false),
            Finding::Is(external) => {
                settled.state = by_person(true);
                unit.links.extend(self.link_named(&intent, external).await?);
            }
        }
        unit.intents.push(settled.clone());
        if self.commit(Changeset::of(vec![unit])).await? {
            return Ok(settled);
        }
        let message = "the task or the item of the tool is linked to another one already; look at them again";
        Err(HubError::new(HubErrorKind::Conflict, message))
    }

    /// What becomes of the task's link if this item is the one. `None`: they are joined already.
    async fn link_named(&self, intent: &Intent, external: ExternalId) -> Result<Option<LinkWrite>, HubError> {
        let links = self.store.links_of_tasks(vec![intent.task_id]).await?;
        let there = links
            .into_iter()
            .find(|link| link.connection_id == intent.connection_id);
        let Some(there) = there else {
            let named = self.link_for(intent, external).await?;
            return Ok(Some(LinkWrite {
                link: Box::new(named),
                expected: None,
            }));
        };
        if there.external_id == external {
            let joined = matches!(there.state, LinkState::Live | LinkState::Uncertain);
            let after = Link {
                state: LinkState::Uncertain,
                ..there.clone()
            };
            return Ok((!joined).then(|| LinkWrite {
                expected: Some(there.version),
                link: Box::new(after),
            }));
        }
        let named = self.link_for(intent, external).await?;
        // The task's old item was gone when the create was sent, and nothing has moved since: what was sent is agreed on.
        let sent_since = there.last_sync_at.unwrap_or(there.created_at) <= intent.created_at;
        let is_gone = matches!(there.state, LinkState::Restored | LinkState::GoneLocal);
        Ok(Some(turned(&there, named, is_gone && sent_since)))
    }

    /// Another item is the one: the link is turned to it.
    async fn correct(&self, intent: Intent, external: ExternalId) -> Result<Intent, HubError> {
        for _ in 0..TRIES {
            let links = self.store.links_of_tasks(vec![intent.task_id]).await?;
            let link = links
                .into_iter()
                .find(|link| link.connection_id == intent.connection_id);
            let link = link.ok_or_else(|| HubError::not_found("link of task", intent.task_id))?;
            if link.external_id == external {
                return Ok(intent);
            }
            let named = self.link_for(&intent, external.clone()).await?;
            let unit = Unit {
                links: vec![turned(&link, named, link.state == LinkState::Uncertain)],
                ..Unit::default()
            };
            if self.commit(Changeset::of(vec![unit])).await? {
                return Ok(intent);
            }
        }
        Err(busy("the link"))
    }

    /// The item that was named is not there: the task is made in the tool anew. Once it was seen, it is another one at most.
    async fn take_back(&self, mut intent: Intent) -> Result<Intent, HubError> {
        let links = self.store.links_of_tasks(vec![intent.task_id]).await?;
        let of_connection = |link: &Link| link.connection_id == intent.connection_id;
        let link = links.into_iter().find(of_connection);
        let missing = |link: &Link| link.state == LinkState::Uncertain && link.absent_since.is_some();
        let Some(link) = link.filter(missing) else {
            let message =
                "the item that was named for it is there, or no run has looked yet: sync first, or name another item";
            return Err(HubError::new(HubErrorKind::Conflict, message));
        };
        intent.state = by_person(false);
        let expected = Some(link.version);
        let free = Link {
            state: LinkState::Restored,
            ..link
        };
        let unit = Unit {
            links: vec![LinkWrite {
                link: Box::new(free),
                expected,
            }],
            intents: vec![intent.clone()],
            ..Unit::default()
        };
        if self.commit(Changeset::of(vec![unit])).await? {
            Ok(intent)
        } else {
            Err(busy("the link"))
        }
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

/// The link of a task, turned to the item that a person has named. Once another item was seen, the hub may hold values of
/// that: what was sent then proves nothing now, and the sides meet as at first contact.
fn turned(link: &Link, named: Link, sent_is_agreed: bool) -> LinkWrite {
    let bases = if sent_is_agreed {
        named.bases.clone()
    } else {
        BTreeMap::new()
    };
    let after = Link {
        id: link.id,
        bases,
        version: link.version,
        ..named
    };
    LinkWrite {
        link: Box::new(after),
        expected: Some(link.version),
    }
}

fn by_person(applied: bool) -> IntentState {
    IntentState::Settled {
        applied,
        by_person: true,
    }
}
