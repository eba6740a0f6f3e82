//! Whether a planned write is still what the hub wants, right before it is sent.

use super::mapping::Push;
use crate::model::{Link, LinkState, Mapping, Task};

/// Whether a write that was planned a while ago is still wanted, by the task and its link as they are now.
///
/// A changed value is no reason to drop a write: the base will be what was sent, and the change goes out next. What is made
/// or removed cannot be taken back like that.
#[must_use]
pub fn still_wanted(push: &Push, mapping: &Mapping, task: Option<&Task>, link: Option<&Link>) -> bool {
    match push {
        Push::Create { .. } => {
            let wanted =
                |task: &Task| !task.is_deleted() && task.archived_at.is_none() && task.project_id == mapping.project_id;
            // Where the tool's side is gone and the hub's is there, the link is turned to what is made.
            let is_free = |link: &Link| matches!(link.state, LinkState::Restored | LinkState::GoneLocal);
            task.is_some_and(wanted) && link.is_none_or(is_free)
        }
        Push::Update { link_id, remote, .. } => {
            link.is_some_and(|link| link.id == *link_id && link.external_id == remote.id)
        }
        Push::Delete {
            link_id,
            external_id,
            undoes,
            ..
        } => {
            (*undoes || task.is_none_or(Task::is_deleted))
                && link.is_some_and(|link| link.id == *link_id && link.external_id == *external_id)
        }
        Push::Archive { link_id, remote, .. } => {
            task.is_none_or(Task::is_deleted)
                && link.is_some_and(|link| link.id == *link_id && link.external_id == remote.id)
        }
    }
}
