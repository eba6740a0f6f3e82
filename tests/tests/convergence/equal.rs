//! One field of one linked item: equal on both sides, or for a reason that is on record and still stands.

use magnus_core::connection::{Decoded, Encoded, FieldSupport};
use magnus_core::model::{Base, ExternalId, Field, Link, LinkState, LocalBase, RemoteBase, RemoteField, Task, Value};

use crate::sides::Sides;

#[derive(Clone, Copy)]
pub(crate) struct Pair<'a> {
    pub(crate) sides: &'a Sides<'a>,
    pub(crate) link: &'a Link,
    pub(crate) task: &'a Task,
    pub(crate) project: &'a ExternalId,
    pub(crate) field: Field,
    pub(crate) observed: &'a RemoteField,
}

impl Pair<'_> {
    pub(crate) fn check(self) {
        if self.sides.connection.capabilities().field(self.field) == Some(FieldSupport::ReadOnly) {
            return;
        }
        let local = self.task.get(self.field);
        if self.waits(&local) {
            return;
        }
        let equal = match self.field {
            Field::Parent => self.same_parent(&local),
            _ => self.same(&local),
        };
        assert!(
            equal,
            "{} of {:?}: hub {local:?}, {} {:?}{} ({:?}), expected {:?}, base {:?}, refused {:?}",
            self.field,
            self.task.title,
            self.sides.name,
            self.observed.value,
            if self.observed.derived { ", computed" } else { "" },
            self.sides
                .translator
                .decode(self.project, self.field, &self.observed.value),
            self.sides.translator.encode(self.project, self.field, &local),
            self.base(),
            self.link.refusals.get(&self.field),
        );
    }

    fn base(&self) -> Option<&Base> {
        self.link.bases.get(&self.field)
    }

    /// Whether both values stand in a conflict that a person has to settle, or the tool refused the one for the other.
    fn waits(&self, local: &Value) -> bool {
        let conflict = self.sides.open_conflict(self.link.id, self.field);
        let refusal = self.link.refusals.get(&self.field);
        conflict.is_some_and(|conflict| conflict.local == *local && conflict.remote == self.observed.value)
            || refusal.is_some_and(|refusal| refusal.local == *local && refusal.remote == self.observed.value)
    }

    /// Whether the tool's value is the one that was last looked at.
    fn is_seen(&self) -> bool {
        self.base()
            .is_some_and(|base| base.remote == RemoteBase::Agreed(self.observed.value.clone()))
    }

    /// Whether the hub's value counts as one that the tool does not have yet.
    fn is_unsent(&self, local: &Value) -> bool {
        self.base().is_some_and(|base| match &base.local {
            LocalBase::Unsent => true,
            LocalBase::Agreed(agreed) => !agreed.is_same(local, self.field),
        })
    }

    fn same(&self, local: &Value) -> bool {
        let (translator, field) = (&self.sides.translator, self.field);
        let decoded = match translator.decode(self.project, field, &self.observed.value) {
            Decoded::Exact(value) | Decoded::Approximate(value) => value,
            Decoded::Unresolved(_) => {
                let unseen = RemoteBase::Unseen(self.observed.value.clone());
                return self.base().is_some_and(|base| base.remote == unseen);
            }
        };
        if decoded.is_same(local, field) {
            return true;
        }
        if self.observed.derived {
            // What a tool computes to nothing clears nothing.
            return self.is_seen() || (decoded.is_empty() && self.base().is_none());
        }
        match translator.encode(self.project, field, local) {
            Encoded::Value(expected) if expected == self.observed.value => true,
            Encoded::Value(_) => {
                let both_unset = local.is_empty() && translator.is_default(self.project, field, &self.observed.value);
                both_unset || working_day(local).is_some_and(|day| day == decoded)
            }
            Encoded::Unholdable(_) => self.is_seen() && self.is_unsent(local),
        }
    }

    fn same_parent(&self, local: &Value) -> bool {
        let parent = self.observed.value.as_external_id();
        let known = parent.as_ref().map(|parent| self.sides.link_of_item(parent));
        let is_live = |link: &Link| link.state == LinkState::Live;
        match (local, known) {
            // The parent is not in the tool: the hub's stays for itself.
            (Value::Task(parent), _) if !self.sides.link_of_task(*parent).is_some_and(is_live) => true,
            // The tool's parent is not in the hub.
            (_, Some(None)) => true,
            (_, Some(Some(link))) if !is_live(link) => true,
            (local, known) => *local == known.flatten().map_or(Value::Empty, |link| Value::Task(link.task_id)),
        }
    }
}

/// The day to which OpenProject moves a day on a weekend.
fn working_day(value: &Value) -> Option<Value> {
    use chrono::Datelike;
    let Value::Date(date) = value else { return None };
    let ahead = match date.weekday() {
        chrono::Weekday::Sat => 2,
        chrono::Weekday::Sun => 1,
        _ => return None,
    };
    date.checked_add_days(chrono::Days::new(ahead)).map(Value::Date)
}
