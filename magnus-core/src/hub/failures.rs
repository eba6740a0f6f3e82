//! Items whose writes fail: looked at, and tried again when a person says so.

use super::{Hub, HubError, TRIES, busy};
use crate::model::{ConnectionId, ItemFailure, TaskId};
use crate::store::{Changeset, FailureWrite, Unit};

impl Hub {
    /// The items whose writes fail, of one connection or of all, oldest failure first. Those that are quarantined wait
    /// for a change or for [`Hub::retry`].
    ///
    /// # Errors
    /// `Store`.
    pub async fn failing(&self, connection: Option<ConnectionId>) -> Result<Vec<ItemFailure>, HubError> {
        Ok(self.store.item_failures(connection).await?)
    }

    /// Lets the next run try a task as if it had never failed. Answers what was known of it, on each connection.
    ///
    /// # Errors
    /// `NotFound` if no write of this task fails; `Store`.
    pub async fn retry(&self, task: TaskId) -> Result<Vec<ItemFailure>, HubError> {
        for _ in 0..TRIES {
            let mut known = self.store.item_failures(None).await?;
            known.retain(|failure| failure.task_id == task);
            if known.is_empty() {
                return Err(HubError::not_found("failed write of task", task));
            }
            let failures = known.iter().map(|failure| FailureWrite::Clear {
                connection_id: failure.connection_id,
                task_id: task,
            });
            let unit = Unit {
                failures: failures.collect(),
                ..Unit::default()
            };
            if self.commit(Changeset::of(vec![unit])).await? {
                return Ok(known);
            }
        }
        Err(busy("the task"))
    }
}
