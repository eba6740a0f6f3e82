//! What happens to one field, from the two bases and the two present values.

use super::decision::{FieldDecision, FieldInput, Hold};
use super::lens::{Lens, Sendable};
use crate::connection::{Decoded, FieldSupport};
use crate::model::{
    Base, ConflictPolicy, Direction, Field, LocalBase, RefusalCause, RemoteBase, RemoteValue, Rule, SkipReason, Value,
};

/// Edits closer together than this cannot be told apart by time.
const NEWEST_MARGIN: chrono::TimeDelta = chrono::TimeDelta::seconds(2);

/// Decides on one field. Pure and total.
#[must_use]
pub fn decide(input: &FieldInput<'_>, lens: &Lens<'_>, direction: Direction, policy: ConflictPolicy) -> FieldDecision {
    let decision = Decider {
        input,
        lens,
        direction,
        policy,
    };
    if input.remote.derived || input.support == FieldSupport::ReadOnly {
        return decision.computed();
    }
    match input.base {
        None => decision.first_contact(),
        Some(base) => decision.merge(base),
    }
}

struct Decider<'a> {
    input: &'a FieldInput<'a>,
    lens: &'a Lens<'a>,
    direction: Direction,
    policy: ConflictPolicy,
}

impl Decider<'_> {
    fn raw(&self) -> &RemoteValue {
        &self.input.remote.value
    }

    fn decode(&self) -> Result<Value, String> {
        match self.lens.decode(self.input.field, self.raw()) {
            Decoded::Exact(value) | Decoded::Approximate(value) => Ok(value),
            Decoded::Unresolved(reason) => Err(reason),
        }
    }

    fn is_local(&self, value: &Value) -> bool {
        value.is_same(self.input.local, self.input.field)
    }

    fn agreed(&self) -> Base {
        Base::agreed(self.input.local.clone(), self.raw().clone())
    }

    /// A field that the tool computes is never pushed, and a computed nothing never clears.
    fn computed(&self) -> FieldDecision {
        let local_moved = self.input.base.is_some_and(|base| self.local_moved(base));
        let remote_moved = self
            .input
            .base
            .is_none_or(|base| base.remote != RemoteBase::Agreed(self.raw().clone()));
        if !remote_moved {
            return if local_moved {
                self.held_as_computed(None)
            } else {
                FieldDecision::Unchanged
            };
        }
        let seen = Base {
            local: self.input.base.map_or_else(
                || LocalBase::Agreed(self.input.local.clone()),
                |base| base.local.clone(),
            ),
            remote: RemoteBase::Agreed(self.raw().clone()),
        };
        let unseen = Base {
            remote: RemoteBase::Unseen(self.raw().clone()),
            ..seen.clone()
        };
        // What the hub had before the sides ever met is an edit as well as any.
        let gives_way = local_moved || (self.input.base.is_none() && !self.input.local.is_hub_default());
        match self.decode() {
            // Nothing computed yet: some answers of a tool lack the field, so a base would come and go.
            Ok(value) if value.is_empty() && self.input.base.is_none() => FieldDecision::Unchanged,
            Ok(value) if self.is_local(&value) => FieldDecision::Record(self.agreed()),
            Ok(value) if !value.is_empty() && self.direction.pulls() => {
                self.pull(value, Rule::OneMoved, gives_way.then(|| self.input.local.clone()))
            }
            // The hub has not got it: noted as agreed on, it would never get there.
            Ok(value) if !value.is_empty() && local_moved => self.held_as_computed(None),
            Ok(value) if !value.is_empty() => self.held_by_direction(),
            Err(_) if local_moved => self.held_as_computed(Some(unseen)),
            Err(_) => FieldDecision::Record(unseen),
            _ if local_moved => self.held_as_computed(Some(seen)),
            // The hub keeps a value that the tool now computes to nothing. They do not agree on it: once the tool computes
            // it no more (a parent has lost its children), the hub's is sent.
            Ok(value) if value.is_empty() && !self.input.local.is_empty() => FieldDecision::Record(Base {
                local: LocalBase::Unsent,
                ..seen
            }),
            _ => FieldDecision::Record(seen),
        }
    }

    fn held_as_computed(&self, base: Option<Base>) -> FieldDecision {
        FieldDecision::Held {
            hold: Hold::ComputedByTool,
            reason: format!(
                "{} is computed by the tool; the hub's value is not sent",
                self.input.field
            ),
            base,
        }
    }

    /// An empty or default value yields to a set one; two set, different values are a conflict.
    fn first_contact(&self) -> FieldDecision {
        let value = match self.decode() {
            Ok(value) => value,
            Err(reason) => {
                if self.edited_since_linked() {
                    let loser = (!self.raw().is_null()).then_some(Value::Empty);
                    return self.push(Rule::OneMoved, loser);
                }
                // Once the tool's value can be told, it fills what the hub has left empty. What the hub had set by then stays
                // at first contact: it is no more agreed on than the tool's.
                let base = self.input.local.is_hub_default().then(|| Base {
                    local: LocalBase::Agreed(self.input.local.clone()),
                    remote: RemoteBase::Unseen(self.raw().clone()),
                });
                return FieldDecision::Held {
                    hold: Hold::Unresolved,
                    reason,
                    base,
                };
            }
        };
        if self.is_local(&value) {
            return FieldDecision::Record(self.agreed());
        }
        let tool_default = value.is_empty() || self.lens.is_default(self.input.field, self.raw());
        match (self.input.local.is_hub_default(), tool_default) {
            (true, true) if self.input.local.is_empty() || value.is_empty() => FieldDecision::Record(self.agreed()),
            (true, _) | (false, true) if self.was_emptied() => self.conflict(Some(value), Rule::FirstContact),
            (true, _) => self.pull_if_allowed(value, Rule::FirstContact, None),
            (false, true) => self.push(Rule::FirstContact, None),
            (false, false) => self.conflict(Some(value), Rule::FirstContact),
        }
    }

    /// Whether one side was made empty since the sides were found to differ: that is an edit, and fills nothing. An empty parent
    /// that is held is no such one: the other side's would have closed a circle.
    fn was_emptied(&self) -> bool {
        let held = self.input.held;
        held.is_some_and(|local| self.input.field != Field::Parent || local != self.input.local)
    }

    /// Whether somebody has set the hub's value since the sides were joined, and thus over whatever the tool has.
    fn edited_since_linked(&self) -> bool {
        let edited = self.input.local_time.zip(self.input.linked_at);
        edited.is_some_and(|(edited, linked)| edited > linked)
    }

    fn local_moved(&self, base: &Base) -> bool {
        match &base.local {
            LocalBase::Agreed(value) => !self.is_local(value),
            LocalBase::Unsent => true,
        }
    }

    fn merge(&self, base: &Base) -> FieldDecision {
        let local_moved = self.local_moved(base);
        let remote_moved = match &base.remote {
            RemoteBase::Agreed(value) => value != self.raw(),
            RemoteBase::Unseen(_) => self.decode().is_ok(),
        };
        match (local_moved, remote_moved) {
            (false, false) if self.refers_to_another(base) => self.push(Rule::OneMoved, None),
            (false, false) => self.no_longer_held(base).unwrap_or_else(|| self.still_unseen(base)),
            (false, true) => self.only_remote_moved(base),
            (true, false) => self.only_local_moved(),
            (true, true) => self.both_moved(),
        }
    }

    /// The parent was made in the tool anew, or turned out to be another item: what refers to the old one was never sent.
    /// A parent of the tool that was never agreed on is no such one: it is not ours to replace.
    fn refers_to_another(&self, base: &Base) -> bool {
        self.input.field == Field::Parent
            && matches!(base.remote, RemoteBase::Agreed(_))
            && self.direction.pushes()
            && !self.input.local.is_empty()
            && match self.lens.encode(Field::Parent, self.input.local) {
                Sendable::Now(now) => now != *self.raw(),
                Sendable::OnceCreated(_) => true,
                Sendable::Unholdable(_) => false,
            }
    }

    /// An item may have come to a project whose tables have no place for the hub's value: neither side moved, and yet they
    /// agree no more.
    fn no_longer_held(&self, base: &Base) -> Option<FieldDecision> {
        let by_table = matches!(self.input.field, Field::Status | Field::Priority | Field::Assignee);
        if !by_table || !self.direction.pushes() || self.decode().is_ok_and(|value| self.is_local(&value)) {
            return None;
        }
        match self.lens.encode(self.input.field, self.input.local) {
            Sendable::Unholdable(reason) => Some(FieldDecision::Held {
                hold: Hold::Unholdable,
                reason,
                base: Some(Base {
                    local: LocalBase::Unsent,
                    remote: base.remote.clone(),
                }),
            }),
            // What the tool has there stands for nothing, and the hub's value can be said: it goes out again.
            Sendable::Now(sent) if sent != *self.raw() && self.stands_for_nothing() => {
                Some(self.push(Rule::OneMoved, None))
            }
            _ => None,
        }
    }

    /// Whether the tool's value is one that its tables do not know, and is read as the nearest thing.
    fn stands_for_nothing(&self) -> bool {
        self.input.field == Field::Status
            && matches!(self.lens.decode(self.input.field, self.raw()), Decoded::Approximate(_))
    }

    /// An unresolved value may change to another unresolved one.
    fn still_unseen(&self, base: &Base) -> FieldDecision {
        match &base.remote {
            RemoteBase::Unseen(value) if value != self.raw() => FieldDecision::Record(Base {
                local: base.local.clone(),
                remote: RemoteBase::Unseen(self.raw().clone()),
            }),
            _ => FieldDecision::Unchanged,
        }
    }

    fn only_remote_moved(&self, base: &Base) -> FieldDecision {
        match self.decode() {
            Ok(value) if self.is_local(&value) => FieldDecision::Record(self.agreed()),
            Ok(value) => self.pull_if_allowed(value, Rule::OneMoved, None),
            Err(reason) => {
                let base = Base {
                    local: base.local.clone(),
                    remote: RemoteBase::Unseen(self.raw().clone()),
                };
                FieldDecision::Held {
                    hold: Hold::Unresolved,
                    reason,
                    base: Some(base),
                }
            }
        }
    }

    fn only_local_moved(&self) -> FieldDecision {
        if self.decode().is_ok_and(|value| self.is_local(&value)) {
            return FieldDecision::Record(self.agreed());
        }
        self.push(Rule::OneMoved, None)
    }

    fn both_moved(&self) -> FieldDecision {
        let value = self.decode();
        if value.as_ref().is_ok_and(|value| self.is_local(value))
            || self.lens.encode(self.input.field, self.input.local) == Sendable::Now(self.raw().clone())
        {
            return FieldDecision::Record(self.agreed());
        }
        self.conflict(value.ok(), Rule::OneMoved)
    }

    /// Both sides moved: the policy decides, or a person. The losing value goes on record either way.
    fn conflict(&self, value: Option<Value>, rule: Rule) -> FieldDecision {
        let held = |reason: String| FieldDecision::Conflict {
            code: SkipReason::Conflict,
            remote_value: value.clone().unwrap_or(Value::Empty),
            reason,
        };
        let first = if rule == Rule::FirstContact {
            " at first contact"
        } else {
            ""
        };
        let winner = match self.policy {
            ConflictPolicy::Manual => return held(format!("both sides differ{first}")),
            ConflictPolicy::HubWins => Rule::HubWins,
            ConflictPolicy::ExternalWins => Rule::ExternalWins,
            ConflictPolicy::NewestWins => match self.newest() {
                Some(true) => Rule::HubWins,
                Some(false) => Rule::ExternalWins,
                None => return held("both sides differ and it cannot be told which edit is newer".to_owned()),
            },
        };
        let recorded = if self.policy == ConflictPolicy::NewestWins {
            Rule::NewestWins
        } else {
            winner
        };
        if winner == Rule::HubWins {
            match self.push(recorded, Some(value.clone().unwrap_or(Value::Empty))) {
                FieldDecision::Held { reason, .. } => held(format!("the hub wins, but {reason}")),
                pushed => pushed,
            }
        } else {
            match value {
                Some(value) if self.direction.pulls() => self.pull(value, recorded, Some(self.input.local.clone())),
                Some(_) => held("the tool wins, but this run may not change the hub".to_owned()),
                None => held("the tool wins, but its value cannot be resolved".to_owned()),
            }
        }
    }

    /// Whether the hub's edit is surely the newer (`true`) or the older (`false`) one.
    fn newest(&self) -> Option<bool> {
        let distance = self.input.local_time? - self.input.remote_time?;
        (distance.abs() > NEWEST_MARGIN).then(|| distance > chrono::TimeDelta::zero())
    }

    fn pull_if_allowed(&self, value: Value, rule: Rule, loser: Option<Value>) -> FieldDecision {
        if self.direction.pulls() {
            self.pull(value, rule, loser)
        } else {
            self.held_by_direction()
        }
    }

    fn held_by_direction(&self) -> FieldDecision {
        FieldDecision::Held {
            hold: Hold::Direction,
            reason: "changed in the tool; this run may not change the hub".to_owned(),
            base: None,
        }
    }

    fn pull(&self, value: Value, rule: Rule, loser: Option<Value>) -> FieldDecision {
        let base = Base::agreed(value.clone(), self.raw().clone());
        FieldDecision::Pull {
            value,
            base,
            rule,
            loser,
        }
    }

    fn push(&self, rule: Rule, loser: Option<Value>) -> FieldDecision {
        let unsent = self.input.base.is_none().then(|| Base {
            local: LocalBase::Unsent,
            remote: RemoteBase::Agreed(self.raw().clone()),
        });
        let held = |hold, reason: String| FieldDecision::Held {
            hold,
            reason,
            base: unsent,
        };
        if !self.direction.pushes() {
            return held(
                Hold::Direction,
                "changed in the hub; this run may not change the tool".to_owned(),
            );
        }
        if let Some(refusal) = self.input.refusal
            && refusal.local == *self.input.local
            && refusal.remote == *self.raw()
        {
            let words = match refusal.cause {
                RefusalCause::Refused => format!("the tool refused it: {}", refusal.reason),
                RefusalCause::Undone => format!("it is not sent again until either side changes: {}", refusal.reason),
            };
            return held(Hold::Refused, words);
        }
        match self.lens.encode(self.input.field, self.input.local) {
            Sendable::Unholdable(reason) => held(Hold::Unholdable, reason),
            Sendable::Now(sent) if sent == *self.raw() => FieldDecision::Record(self.agreed()),
            sent => FieldDecision::Push { sent, rule, loser },
        }
    }
}
