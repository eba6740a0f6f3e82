//! What the run made goes again, unless somebody worked on it since.

use super::{Undoing, relink};
use crate::model::{HistoryEntry, Link, LinkState, Rule, Side, SkipReason, Value};
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
        let words = match (foreign, has_children, self.is_of_another_tool()) {
            (true, ..) => Some("it was changed in the hub since"),
            (_, true, _) => Some("it has subtasks that stay"),
            (.., true) => Some("another tool had an item of its own for it, which stays"),
            _ => None,
        };
        if let Some(words) = words {
            return Some(self.skip(SkipReason::ChangedSince.because(words)));
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

    /// Whether another connection was joined with it that had its item before: no run of ours has made that one, and none is
    /// to delete it.
    fn is_of_another_tool(&self) -> bool {
        let joined =
            |link: &&Link| link.task_id == self.task.id && matches!(link.state, LinkState::Live | LinkState::Uncertain);
        let made = |link: &Link| {
            self.history.iter().any(|entry| {
                entry.side == Side::External
                    && entry.rule == Rule::Created
                    && entry.connection_id == Some(link.connection_id)
            })
        };
        self.input.elsewhere.iter().filter(joined).any(|link| !made(link))
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
