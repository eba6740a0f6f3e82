//! The conflicts of an item: held for a person, closed once the sides agree, or decided with the loser on record.

use super::Merging;
use crate::model::{
    Conflict, ConflictId, ConflictState, Field, LastChange, Reason, RemoteValue, RowVersion, Rule, Side, SkipReason,
    Value,
};
use crate::store::ConflictWrite;

impl Merging<'_> {
    pub(super) fn conflict(&self, field: Field, local: Value, remote: RemoteValue, remote_value: Value) -> Conflict {
        Conflict {
            id: ConflictId::generate(),
            connection_id: self.link.connection_id,
            link_id: self.link.id,
            task_id: self.item.task.id,
            external_id: self.link.external_id.clone(),
            field,
            base: self.item.link.bases.get(&field).cloned(),
            local,
            remote,
            remote_value,
            local_change: self.hub_change(field),
            remote_change: LastChange::at(self.item.remote.updated_at),
            state: ConflictState::Open,
            policy: self.setting.policy,
            loser: None,
            reason: String::new(),
            run_id: Some(self.setting.run_id),
            created_at: self.setting.now,
            updated_at: self.setting.now,
            resolved_at: None,
            resolved_by: None,
            version: RowVersion::default(),
        }
    }

    /// When the hub's value was last changed; one that never was is as old as the task.
    pub(super) fn hub_change(&self, field: Field) -> LastChange {
        let task = self.item.task;
        LastChange::at(Some(task.field_times.get(&field).copied().unwrap_or(task.created_at)))
    }

    pub(super) fn record_loser(&mut self, mut conflict: Conflict, loser: Side, rule: Rule) {
        conflict.state = ConflictState::Decided;
        conflict.loser = Some(loser);
        conflict.reason = rule.to_string();
        conflict.resolved_at = Some(self.setting.now);
        self.merge.unit.conflicts.push(ConflictWrite {
            conflict: Box::new(conflict),
            expected: None,
        });
        self.merge.new_conflict = true;
    }

    pub(super) fn close(&mut self, open: &Conflict) {
        self.merge.unit.conflicts.push(open.closed(self.setting.now).into());
    }

    /// One open conflict per field, updated in place; the same state writes nothing again.
    pub(super) fn hold_conflict(
        &mut self,
        field: Field,
        local: &Value,
        raw: &RemoteValue,
        remote_value: Value,
        reason: &Reason,
        open: Option<&Conflict>,
    ) {
        self.merge.open_conflicts += 1;
        let note = Some(reason.to_string());
        let reason = match reason.code {
            SkipReason::Conflict => reason.detail.clone(),
            _ => reason.to_string(),
        };
        self.change(field, None, local.to_string(), remote_value.to_string(), note);
        let write = match open {
            Some(open) if open.local == *local && open.remote == *raw => return,
            Some(open) => {
                // The same value is no younger for what else of the item was written since.
                let remote_change = if open.remote == *raw {
                    open.remote_change.clone()
                } else {
                    LastChange::at(self.item.remote.updated_at)
                };
                let conflict = Conflict {
                    external_id: self.link.external_id.clone(),
                    local: local.clone(),
                    remote: raw.clone(),
                    remote_value,
                    local_change: self.hub_change(field),
                    remote_change,
                    reason,
                    run_id: Some(self.setting.run_id),
                    updated_at: self.setting.now,
                    ..open.clone()
                };
                ConflictWrite {
                    conflict: Box::new(conflict),
                    expected: Some(open.version),
                }
            }
            None => {
                let mut conflict = self.conflict(field, local.clone(), raw.clone(), remote_value);
                conflict.reason = reason;
                ConflictWrite {
                    conflict: Box::new(conflict),
                    expected: None,
                }
            }
        };
        self.merge.unit.conflicts.push(write);
        self.merge.new_conflict = true;
    }
}
