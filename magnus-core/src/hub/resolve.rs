//! A person says how a conflict is to be settled.
//!
//! Nothing is written to the tool here. The bases are moved so that in the next run exactly one side counts as changed,
//! and that change travels like any other edit: planned, guarded, journalled.

use super::{Hub, HubError, HubErrorKind, TRIES, busy, tasks};
use crate::model::{
    Base, Conflict, ConflictId, ConflictState, Field, HistoryEntry, LocalBase, RemoteBase, Resolution, Rule, Side,
    TaskPatch, Value,
};
use crate::store::{Changeset, ConflictWrite, LinkWrite, TaskWrite, Unit};

/// The base of the conflict's field after a resolution.
///
/// - The hub's value, or a merged one, is right: the tool's value counts as seen, the hub's as never sent. An edit in
///   the tool since is a new conflict, and an edit in the hub since is sent.
/// - The tool's value is right: the hub's value counts as known, the tool's as not yet taken over. An edit in the hub
///   since is a new conflict, and an edit in the tool since is taken over.
#[must_use]
pub fn resolved_base(conflict: &Conflict, resolution: &Resolution) -> Base {
    match resolution {
        Resolution::Hub | Resolution::Merged(_) => Base {
            local: LocalBase::Unsent,
            remote: RemoteBase::Agreed(conflict.remote.clone()),
        },
        Resolution::External => Base {
            local: LocalBase::Agreed(conflict.local.clone()),
            remote: RemoteBase::Unseen(conflict.remote.clone()),
        },
    }
}

impl Hub {
    /// Resolves an open conflict. The next run of its connection carries it out.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` if it is settled already, or if a run changed its values meanwhile: look at it again;
    /// `Invalid` for a merged value that the field does not take; `Store`.
    pub async fn resolve(&self, id: ConflictId, resolution: Resolution, by: &str) -> Result<Conflict, HubError> {
        let seen = self.conflict(id).await?;
        self.resolve_as_seen(&seen, resolution, by).await
    }

    /// Resolves an open conflict for somebody who saw these values of it.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve); `Conflict` if the values are others by now.
    pub async fn resolve_as_seen(
        &self,
        seen: &Conflict,
        resolution: Resolution,
        by: &str,
    ) -> Result<Conflict, HubError> {
        let id = seen.id;
        if let Resolution::Merged(value) = &resolution
            && !value.fits(seen.field)
        {
            return Err(HubError::invalid(format!("{} does not take {value}", seen.field)));
        }
        for _ in 0..TRIES {
            let conflict = self.conflict(id).await?;
            refuse_if_settled(&conflict, seen)?;
            let unit = self.resolution(conflict, &resolution, by).await?;
            if self.commit(Changeset::of(vec![unit])).await? {
                return self.conflict(id).await;
            }
        }
        Err(busy("the conflict"))
    }

    async fn conflict(&self, id: ConflictId) -> Result<Conflict, HubError> {
        let conflict = self.store.conflict(id).await?;
        conflict.ok_or_else(|| HubError::not_found("conflict", id))
    }

    async fn resolution(&self, before: Conflict, resolution: &Resolution, by: &str) -> Result<Unit, HubError> {
        let now = self.now();
        let Some(mut link) = self.store.link(before.link_id).await? else {
            return Err(HubError::not_found("link", before.link_id));
        };
        let expected_link = link.version;
        link.bases.insert(before.field, resolved_base(&before, resolution));
        link.refusals.remove(&before.field);
        link.swings.remove(&before.field);

        let mut conflict = before.clone();
        (conflict.state, conflict.loser) = match resolution {
            Resolution::Hub => (ConflictState::ResolvedHub, Some(Side::External)),
            Resolution::External => (ConflictState::ResolvedExternal, Some(Side::Hub)),
            Resolution::Merged(_) => (ConflictState::Merged, None),
        };
        conflict.resolved_at = Some(now);
        conflict.updated_at = now;
        conflict.resolved_by = Some(by.to_owned());

        // What a person decided is not the next turn of other tools that pull at the field either.
        let mut links = self
            .forget_swings(before.task_id, std::iter::once(&before.field))
            .await?;
        links.retain(|write| write.link.id != link.id);
        links.push(LinkWrite {
            link: Box::new(link),
            expected: Some(expected_link),
        });
        let mut unit = Unit {
            links,
            conflicts: vec![ConflictWrite {
                conflict: Box::new(conflict),
                expected: Some(before.version),
            }],
            ..Unit::default()
        };
        if let Resolution::Merged(value) = resolution {
            self.set_merged(&before, value, &mut unit).await?;
        }
        Ok(unit)
    }

    async fn set_merged(&self, conflict: &Conflict, value: &Value, unit: &mut Unit) -> Result<(), HubError> {
        let now = self.now();
        let before = self.task(conflict.task_id).await?;
        let now_there = before.get(conflict.field);
        if !now_there.is_same(&conflict.local, conflict.field) && !now_there.is_same(value, conflict.field) {
            let message = format!(
                "{} of the task was changed in the hub since the conflict was found; look at it again after the next sync",
                conflict.field
            );
            return Err(HubError::new(HubErrorKind::Conflict, message));
        }
        let mut task = before.clone();
        let patch: TaskPatch = [(conflict.field, value.clone())].into_iter().collect();
        let changed = patch.apply(&mut task, now)?;
        if changed.is_empty() {
            return Ok(());
        }
        if conflict.field == Field::Parent {
            self.check_parent(&task).await?;
        }
        for (field, old) in changed {
            unit.history.push(HistoryEntry {
                rule: Rule::Resolved,
                ..tasks::entry(&task, Some(field), old, task.get(field), now)
            });
        }
        unit.tasks.push(TaskWrite::Update {
            task: Box::new(task),
            expected: before.version,
        });
        Ok(())
    }
}

/// A person decided on the values that stood there; others are for another decision.
fn refuse_if_settled(conflict: &Conflict, seen: &Conflict) -> Result<(), HubError> {
    let refused = |message: String| Err(HubError::new(HubErrorKind::Conflict, message));
    if conflict.state != ConflictState::Open {
        return refused(format!(
            "conflict {} is settled already: {}",
            conflict.id, conflict.state
        ));
    }
    if conflict.local != seen.local || conflict.remote != seen.remote {
        return refused(format!(
            "the values of conflict {} have changed; look at it again",
            conflict.id
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
