//! After a delete: what becomes of the link, of the journal and of what was still to decide.

use super::RunError;
use super::job::Job;
use super::push::settled;
use super::session::Session;
use crate::model::{Base, Field, Intent, IntentOperation, Link, LinkId, LinkState, LocalBase, RemoteBase, Rule, Task};
use crate::store::{ConflictQuery, ConflictWrite, LinkWrite, Unit};

impl Session {
    /// Records a delete.
    pub(super) async fn settle_deleted(&mut self, job: Job) -> Result<(), RunError> {
        let mut unit = Unit {
            intents: vec![settled(job.intent.clone(), true)],
            ..Unit::default()
        };
        self.mark_gone(&job.intent, &mut unit).await?;
        unit.history
            .push(self.history_of_item(&job.intent, Rule::Deleted, &job.entry.title, ""));
        if self.commit_settled(&job.intent, unit).await? {
            self.pushed(&job.entry, false);
        }
        Ok(())
    }

    /// The tool's item is gone by our own hand: since the hub's is gone, or since its making was undone. What a person brought
    /// back in the hub while it went is made there anew.
    pub(super) async fn mark_gone(&self, intent: &Intent, unit: &mut Unit) -> Result<(), RunError> {
        let IntentOperation::Delete {
            link_id,
            external_id,
            undoes,
        } = &intent.operation
        else {
            return Ok(());
        };
        if let Some(link) = self.link_to(*link_id, external_id).await? {
            let tasks = self.store.tasks(vec![link.task_id]).await?;
            let hub_is_gone = tasks.first().is_none_or(Task::is_deleted);
            let expected = Some(link.version);
            let archived = intent.fields.get(&Field::Status);
            let mut gone = Link {
                state: match (hub_is_gone, undoes) {
                    (true, _) => LinkState::GoneLocal,
                    (false, true) => LinkState::GoneRemote,
                    (false, false) if archived.is_some() => LinkState::Live,
                    (false, false) => LinkState::Restored,
                },
                last_sync_at: Some(self.now()),
                ..link
            };
            if let Some(archived) = archived {
                // Ours, and no edit of the tool's: a task that is brought back has its own status, and that goes out.
                let base = Base {
                    local: LocalBase::Unsent,
                    remote: RemoteBase::Agreed(archived.sent.clone()),
                };
                gone.bases.insert(Field::Status, base);
            }
            unit.conflicts.extend(self.closed_conflicts(gone.id).await?);
            unit.links.push(LinkWrite {
                link: Box::new(gone),
                expected,
            });
        }
        Ok(())
    }

    /// The open conflicts of a link that is gone, closed: there is nothing left to decide.
    async fn closed_conflicts(&self, link: LinkId) -> Result<Vec<ConflictWrite>, RunError> {
        let open = self
            .store
            .conflicts(ConflictQuery::open(Some(self.settings.id)))
            .await?;
        let now = self.now();
        let of_link = open.iter().filter(|conflict| conflict.link_id == link);
        Ok(of_link.map(|conflict| conflict.closed(now).into()).collect())
    }
}
