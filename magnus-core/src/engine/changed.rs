//! Who changed the two sides of a conflict: asked for when it goes on record, since nobody can tell later.

use super::RunError;
use super::session::Session;
use crate::connection::ReadTask;
use crate::model::{Conflict, ConflictState, ExternalId, LastChange, Side};
use crate::store::Unit;

/// How often a tool is asked in one run. A first contact with hundreds of conflicts should not take twice as long for
/// names; times are known of all of them.
const MOST_ASKED: u32 = 100;

impl Session {
    /// Adds to the conflicts that this unit puts on record who changed either side, and when, as far as hub and tool
    /// know. That a tool does not answer is no reason to put nothing on record.
    ///
    /// # Errors
    /// `Store`.
    pub(super) async fn tell_who(&mut self, project: &ExternalId, unit: &mut Unit) -> Result<(), RunError> {
        for write in &mut unit.conflicts {
            let conflict = write.conflict.as_mut();
            if !matches!(conflict.state, ConflictState::Open | ConflictState::Decided) {
                continue;
            }
            self.tell_who_in_hub(conflict).await?;
            if let Some(told) = self.ask_who(project, &conflict.external_id).await {
                conflict.remote_change = LastChange {
                    at: told.at.or(conflict.remote_change.at),
                    by: told.by,
                };
            }
        }
        Ok(())
    }

    /// The hub knows which connection brought a value; of people's own edits it knows the time.
    async fn tell_who_in_hub(&self, conflict: &mut Conflict) -> Result<(), RunError> {
        let history = self.store.history(conflict.task_id).await?;
        let last = history.iter().rev().find(|entry| {
            let made = entry.field.is_none() && !entry.after.is_empty();
            entry.side == Side::Hub && (entry.field == Some(conflict.field) || made)
        });
        let Some(last) = last else { return Ok(()) };
        if conflict.local_change.at.is_none() {
            conflict.local_change.at = Some(last.at);
        }
        if let Some(connection) = last.connection_id {
            let settings = self.store.connection(connection).await?;
            conflict.local_change.by = settings.map(|settings| settings.name);
        }
        Ok(())
    }

    async fn ask_who(&mut self, project: &ExternalId, item: &ExternalId) -> Option<LastChange> {
        if self.asked_who >= MOST_ASKED {
            return None;
        }
        self.asked_who += 1;
        let request = ReadTask {
            id: item.clone(),
            project: project.clone(),
        };
        match self.connection.last_change(request).await {
            Ok(told) => told,
            Err(error) => {
                tracing::debug!(%item, %error, "the tool does not say who changed it");
                None
            }
        }
    }
}
