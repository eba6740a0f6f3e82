//! What happens to one linked item: the decisions on its fields, gathered.

mod conflicts;

use std::collections::{BTreeMap, HashMap};

use crate::connection::{Capabilities, Decoded};
use crate::model::{
    Conflict, ConflictPolicy, Direction, Field, HistoryEntry, Link, Reason, RemoteField, RemoteTask, RemoteValue,
    RowVersion, Rule, RunId, Side, SkipReason, Task, TaskPatch, Timestamp, Value,
};
use crate::reconcile::decide::decide;
use crate::reconcile::decision::{FieldDecision, FieldInput, Hold};
use crate::reconcile::hierarchy::{Circle, Parents};
use crate::reconcile::lens::{Lens, Sendable};
use crate::reconcile::metadata::with_told;
use crate::reconcile::plan::FieldChange;
use crate::reconcile::swing;
use crate::store::{LinkWrite, TaskWrite, Unit};

/// What is the same for all items of one plan.
#[derive(Debug, Clone, Copy)]
pub struct Setting<'a> {
    /// The run.
    pub run_id: RunId,
    /// What the tool can do.
    pub capabilities: &'a Capabilities,
    /// Which way data may move.
    pub direction: Direction,
    /// Who wins when both sides changed one field.
    pub policy: ConflictPolicy,
    /// The present instant.
    pub now: Timestamp,
}

/// A value on its way to the tool, with what it was decided on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// The hub's value.
    pub local: Value,
    /// In the tool's form.
    pub sent: Sendable,
    /// The tool's value it replaces; `None` for a creation.
    pub seen: Option<RemoteValue>,
    /// The tool's edit that is lost by it.
    pub loser: Option<Value>,
    /// Why.
    pub rule: Rule,
}

/// What happens to one linked item.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ItemMerge {
    /// What changes in the hub, committed at once.
    pub unit: Unit,
    /// What goes to the tool.
    pub pushes: BTreeMap<Field, Outgoing>,
    /// Every field that changes or is held.
    pub changes: Vec<FieldChange>,
    /// Whether values of the hub task change.
    pub pulls: bool,
    /// Whether a conflict was found, or a losing value recorded, that was not on record.
    pub new_conflict: bool,
    /// Whether a field waits for what the plan does before it, and is for another round.
    pub waits: bool,
    /// Fields that wait for a person.
    pub open_conflicts: usize,
}

/// One linked item as it stands.
#[derive(Debug, Clone, Copy)]
pub struct Item<'a> {
    /// The hub task.
    pub task: &'a Task,
    /// The link as stored; a new one has version 0.
    pub link: &'a Link,
    /// The link as it shall be, before its fields are merged (a revived or moved one).
    pub link_after: &'a Link,
    /// The external task.
    pub remote: &'a RemoteTask,
}

/// Merges one item field by field. Pure and total.
#[must_use]
pub fn merge_item(
    item: Item<'_>,
    open: &HashMap<Field, &Conflict>,
    parents: &Parents,
    lens: &Lens<'_>,
    setting: &Setting<'_>,
) -> ItemMerge {
    let mut merging = Merging {
        item,
        setting,
        link: item.link_after.clone(),
        patch: BTreeMap::new(),
        merge: ItemMerge::default(),
    };
    for (field, support) in &setting.capabilities.fields {
        let Some(remote) = item.remote.fields.get(field) else {
            continue;
        };
        let local = item.task.get(*field);
        let input = FieldInput {
            field: *field,
            support: *support,
            base: item.link_after.bases.get(field),
            local: &local,
            remote,
            held: open.get(field).map(|open| &open.local),
            refusal: item.link_after.refusals.get(field),
            local_time: Some(
                item.task
                    .field_times
                    .get(field)
                    .copied()
                    .unwrap_or(item.task.created_at),
            ),
            linked_at: Some(item.link_after.created_at),
            remote_time: remote_time(open.get(field).copied(), &remote.value, item.remote, setting),
        };
        let mut decision = decide(&input, lens, setting.direction, setting.policy);
        if let FieldDecision::Pull {
            value: Value::Task(parent),
            ..
        } = &decision
            && *field == Field::Parent
        {
            match parents.circle(item.task.id, *parent) {
                Circle::Open => {}
                Circle::OpenAfterwards => {
                    merging.merge.waits = true;
                    decision = FieldDecision::Unchanged;
                }
                Circle::Closed => {
                    decision = FieldDecision::Conflict {
                        code: SkipReason::Conflict,
                        remote_value: Value::Task(*parent),
                        reason: "the tool's parent would close a cycle in the hub".to_owned(),
                    };
                }
            }
        }
        if matches!(decision, FieldDecision::Push { .. })
            && let Decoded::Exact(tool) | Decoded::Approximate(tool) = lens.decode(*field, &remote.value)
            && swing::is_swinging(&item.link_after.swings, *field, &local, &tool)
        {
            decision = FieldDecision::Conflict {
                code: SkipReason::Oscillating,
                reason: format!("{local} and {tool} take turns, again and again; say which of them is right"),
                remote_value: tool,
            };
        }
        merging.take(*field, decision, &local, remote, open.get(field).copied());
    }
    merging.finish()
}

/// When the tool's value is from. One that stood there when a conflict about it was found is no younger than it was then,
/// whatever else of the item was written since.
fn remote_time(
    open: Option<&Conflict>,
    raw: &RemoteValue,
    remote: &RemoteTask,
    setting: &Setting<'_>,
) -> Option<Timestamp> {
    let then = open
        .filter(|open| open.remote == *raw)
        .map(|open| open.remote_change.at);
    then.unwrap_or(remote.updated_at)
        .filter(|_| setting.capabilities.change_times)
}

struct Merging<'a> {
    item: Item<'a>,
    setting: &'a Setting<'a>,
    link: Link,
    patch: BTreeMap<Field, (Value, Rule)>,
    merge: ItemMerge,
}

impl Merging<'_> {
    fn take(
        &mut self,
        field: Field,
        decision: FieldDecision,
        local: &Value,
        remote: &RemoteField,
        open: Option<&Conflict>,
    ) {
        let raw = &remote.value;
        self.forget_stale_refusal(field, local, raw);
        // One that is sent is decided once the tool has taken it.
        let decided = !matches!(decision, FieldDecision::Conflict { .. } | FieldDecision::Push { .. });
        if let Some(open) = open.filter(|_| decided) {
            self.close(open);
        }
        match decision {
            FieldDecision::Unchanged => {}
            FieldDecision::Record(base) => {
                self.link.bases.insert(field, base);
            }
            FieldDecision::Pull {
                value,
                base,
                rule,
                loser,
            } => {
                self.link.bases.insert(field, base);
                // What a tool computes by itself, and first contact, are no answers to a value of ours.
                if !remote.derived && rule != Rule::FirstContact {
                    swing::note(&mut self.link.swings, field, local, &value);
                }
                self.change(
                    field,
                    Some(Side::Hub),
                    local.to_string(),
                    value.to_string(),
                    Some(rule.to_string()),
                );
                if let Some(loser) = loser {
                    let conflict = self.conflict(field, loser, raw.clone(), value.clone());
                    self.record_loser(conflict, Side::Hub, rule);
                }
                self.patch.insert(field, (value, rule));
            }
            FieldDecision::Push { sent, rule, loser } => {
                let shown = match &sent {
                    Sendable::Now(value) => value.to_string(),
                    _ => local.to_string(),
                };
                self.change(
                    field,
                    Some(Side::External),
                    raw.to_string(),
                    shown,
                    Some(rule.to_string()),
                );
                let outgoing = Outgoing {
                    local: local.clone(),
                    sent,
                    seen: Some(raw.clone()),
                    loser,
                    rule,
                };
                self.merge.pushes.insert(field, outgoing);
            }
            FieldDecision::Held { hold, reason, base } => {
                if let Some(base) = base {
                    self.link.bases.insert(field, base);
                }
                if hold != Hold::Direction {
                    let note = format!("{}: {reason}", hold.as_str());
                    self.change(field, None, local.to_string(), raw.to_string(), Some(note));
                }
            }
            FieldDecision::Conflict {
                code,
                remote_value,
                reason,
            } => {
                let reason = Reason { code, detail: reason };
                self.hold_conflict(field, local, raw, remote_value, &reason, open);
            }
        }
    }

    fn forget_stale_refusal(&mut self, field: Field, local: &Value, raw: &RemoteValue) {
        let stale = self
            .link
            .refusals
            .get(&field)
            .is_some_and(|refusal| refusal.local != *local || refusal.remote != *raw);
        if stale {
            self.link.refusals.remove(&field);
        }
    }

    fn change(&mut self, field: Field, side: Option<Side>, before: String, after: String, note: Option<String>) {
        self.merge.changes.push(FieldChange {
            field,
            side,
            before,
            after,
            note,
        });
    }

    fn finish(mut self) -> ItemMerge {
        self.write_task();
        let is_new = self.item.link.version == RowVersion::default();
        if self.merge.pulls {
            self.link.last_sync_at = Some(self.setting.now);
        }
        if self.item.remote.url.is_some() && self.link.external_url.is_none() {
            self.link.external_url.clone_from(&self.item.remote.url);
        }
        if is_new || self.link != *self.item.link {
            let expected = (!is_new).then_some(self.item.link.version);
            self.merge.unit.links.push(LinkWrite {
                link: Box::new(self.link),
                expected,
            });
        }
        self.merge
    }

    fn write_task(&mut self) {
        let patch: TaskPatch = self
            .patch
            .iter()
            .map(|(field, (value, _))| (*field, value.clone()))
            .collect();
        let mut task = self.item.task.clone();
        // An edit's own time is the tool's; only where the tool does not tell it is ours.
        let edited_at = self.item.remote.updated_at.unwrap_or(self.setting.now);
        let Ok(before) = patch.apply(&mut task, edited_at) else {
            return;
        };
        let told = with_told(
            &task.metadata,
            &self.setting.capabilities.tool,
            self.link.connection_id,
            &self.item.remote.metadata,
        );
        let metadata = told.filter(|_| self.setting.direction.pulls());
        if before.is_empty() && metadata.is_none() {
            return;
        }
        task.updated_at = self.setting.now;
        for (field, old) in before {
            let rule = self.patch.get(&field).map_or(Rule::OneMoved, |(_, rule)| *rule);
            self.merge.unit.history.push(HistoryEntry {
                task_id: task.id,
                run_id: Some(self.setting.run_id),
                connection_id: Some(self.link.connection_id),
                field: Some(field),
                after: task.get(field),
                before: old,
                side: Side::Hub,
                rule,
                at: self.setting.now,
            });
        }
        if let Some(metadata) = metadata {
            task.metadata = metadata;
        }
        self.merge.pulls = true;
        let expected = self.item.task.version;
        self.merge.unit.tasks.push(TaskWrite::Update {
            task: Box::new(task),
            expected,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ConflictId, ConflictState, ConnectionId, LastChange, LinkId, TaskId, ToolName};

    /// A conflict that is held because the tool refuses the newer value of the hub: the rest of the item is sent, and the
    /// tool's stamp is younger from then on.
    #[test]
    fn a_value_that_stood_there_when_a_conflict_was_found_gets_no_younger_by_our_own_writes() {
        let at = |minute: u32| -> Timestamp { format!("2026-11-22T12:{minute:02}:00Z").parse().unwrap() };
        let mut capabilities = Capabilities::new(ToolName::new("tool"), "localhost", BTreeMap::new());
        capabilities.change_times = true;
        let setting = Setting {
            run_id: RunId::generate(),
            capabilities: &capabilities,
            direction: Direction::Bidirectional,
            policy: ConflictPolicy::NewestWins,
            now: at(30),
        };
        let open = Conflict {
            id: ConflictId::generate(),
            connection_id: ConnectionId::generate(),
            link_id: LinkId::generate(),
            task_id: TaskId::generate(),
            external_id: 1.into(),
            field: Field::Status,
            base: None,
            local: Value::Empty,
            remote: RemoteValue::text("new"),
            remote_value: Value::Empty,
            local_change: LastChange::default(),
            remote_change: LastChange::at(Some(at(1))),
            state: ConflictState::Open,
            policy: ConflictPolicy::NewestWins,
            loser: None,
            reason: String::new(),
            run_id: None,
            created_at: at(5),
            updated_at: at(5),
            resolved_at: None,
            resolved_by: None,
            version: RowVersion(1),
        };
        let mut remote = RemoteTask::new(1.into(), 7.into());
        remote.updated_at = Some(at(20));
        let time = |open, raw: &str| remote_time(open, &RemoteValue::text(raw), &remote, &setting);
        assert_eq!(time(Some(&open), "new"), Some(at(1)), "it stood there then");
        assert_eq!(time(Some(&open), "newer"), Some(at(20)), "somebody changed it since");
        assert_eq!(time(None, "new"), Some(at(20)));
    }
}
