//! What the run made goes again, unless somebody worked on it since.

use super::{Undoing, relink};
use crate::model::{HistoryEntry, LinkState, Side, SkipReason, Value};
use crate::reconcile::mapping::{Entry, Push};
use crate::reconcile::plan::PlannedAction;
use crate::store::{TaskWrite, Unit};

impl Undoing<'_> {
    /// A hub task that the run took over from the tool goes again, unless somebody worked on it since.
    pub(super) fn remove_from_hub(self) -> Option<Entry> {
        if self.task.is_deleted() {
            return None;
        }
        if let Some(words) = self.held_by_direction(Side::Hub) {
            return Some(self.skip(SkipReason::Direction.because(words)));
        }
        // That another tool has got it meanwhile is no work on it.
        let foreign = self
            .history
            .iter()
            .any(|entry| !self.ours(entry) && entry.side == Side::Hub)
            || self.link.is_some_and(|link| link.moved_in_hub(self.task));
        let has_children = self.input.tasks.values().any(|other| {
            other.parent_id == Some(self.task.id) && !other.is_deleted() && !self.removed.contains(&other.id)
        });
        if foreign || has_children {
            let reason = if foreign {
                "it was changed in the hub since"
            } else {
                "it has subtasks that stay"
            };
            return Some(self.skip(SkipReason::ChangedSince.because(reason)));
        }
        let now = self.input.setting.now;
        let mut task = self.task.clone();
        task.deleted_at = Some(now);
        task.updated_at = now;
        let mut unit = Unit {
            tasks: vec![TaskWrite::Update {
                task: Box::new(task),
                expected: self.task.version,
            }],
            history: vec![self.told(None, Value::text(self.task.title.clone()), Value::Empty)],
            ..Unit::default()
        };
        if let Some(link) = self.link {
            unit.links.push(relink(link, LinkState::GoneLocal));
        }
        Some(Entry {
            unit,
            ..self.entry(PlannedAction::DeleteInHub)
        })
    }

    /// An item of the tool that the run made goes again, unless somebody worked on it since.
    pub(super) fn remove_from_tool(self) -> Option<Entry> {
        let link = self.link.filter(|link| link.state == LinkState::Live)?;
        let remote = self.observed()?;
        if let Some(words) = self.held_by_direction(Side::External) {
            return Some(self.skip(SkipReason::Direction.because(words)));
        }
        let ours_too = |entry: &HistoryEntry| {
            entry.side == Side::External && entry.connection_id == Some(self.input.mapping.connection_id)
        };
        if link.moved_in_tool(remote) || self.changed_since(ours_too) {
            return Some(self.skip(SkipReason::ChangedSince.because("it was changed in the tool since")));
        }
        Some(Entry {
            push: Some(Push::Delete {
                link_id: link.id,
                task_id: self.task.id,
                external_id: remote.id.clone(),
                undoes: true,
            }),
            ..self.entry(PlannedAction::DeleteInTool)
        })
    }
}
