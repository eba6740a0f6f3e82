//! How one item's values look from the other side.

use std::collections::{HashMap, HashSet};

use crate::connection::{Decoded, Encoded, Translator};
use crate::model::{ExternalId, Field, RemoteValue, TaskId, Value};

/// A hub value on its way to a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sendable {
    /// In the form in which it is expected to read back.
    Now(RemoteValue),
    /// A reference to a task that this plan creates in the tool first.
    OnceCreated(TaskId),
    /// The tool cannot hold it; the reason is for people.
    Unholdable(String),
}

/// Which hub task is which external task, as far as the links of a connection say.
#[derive(Debug, Clone, Default)]
pub struct References {
    tasks: HashMap<ExternalId, TaskId>,
    externals: HashMap<TaskId, ExternalId>,
    planned: HashSet<TaskId>,
}

impl References {
    /// Joins a task with an external one.
    pub fn join(&mut self, task: TaskId, external: ExternalId) {
        self.externals.insert(task, external.clone());
        self.tasks.insert(external, task);
    }

    /// Notes that this plan creates the task in the tool.
    pub fn plan_creation(&mut self, task: TaskId) {
        self.planned.insert(task);
    }

    /// The hub task of an external one.
    #[must_use]
    pub fn task(&self, external: &ExternalId) -> Option<TaskId> {
        self.tasks.get(external).copied()
    }

    /// The external task of a hub task.
    #[must_use]
    pub fn external(&self, task: TaskId) -> Option<&ExternalId> {
        self.externals.get(&task)
    }
}

/// Translates the values of the items of one external project; references go by the links, all else by the tool's
/// translator.
#[derive(Debug, Clone, Copy)]
pub struct Lens<'a> {
    translator: &'a dyn Translator,
    project: &'a ExternalId,
    /// Where the item is on its way to: what is sent is said in the words of that project.
    destination: &'a ExternalId,
    references: &'a References,
}

impl<'a> Lens<'a> {
    /// A lens on one external project.
    #[must_use]
    pub const fn new(translator: &'a dyn Translator, project: &'a ExternalId, references: &'a References) -> Self {
        Self {
            translator,
            project,
            destination: project,
            references,
        }
    }

    /// The lens for an item that moves to another project: what it has is read by the tables of where it is, what it gets
    /// by those of where it goes.
    #[must_use]
    pub const fn towards(mut self, destination: &'a ExternalId) -> Self {
        self.destination = destination;
        self
    }

    /// What a tool's value means to the hub. A value of a kind that the field does not take counts as unresolved.
    #[must_use]
    pub fn decode(&self, field: Field, value: &RemoteValue) -> Decoded {
        if field == Field::Parent {
            return self.decode_parent(value);
        }
        match self.translator.decode(self.project, field, value) {
            Decoded::Exact(value) | Decoded::Approximate(value) if !value.fits(field) => {
                Decoded::Unresolved(format!("{value:?} is no {field}"))
            }
            decoded => decoded,
        }
    }

    fn decode_parent(&self, value: &RemoteValue) -> Decoded {
        if value.is_null() {
            return Decoded::Exact(Value::Empty);
        }
        match value.as_external_id().and_then(|id| self.references.task(&id)) {
            Some(task) => Decoded::Exact(Value::Task(task)),
            None => Decoded::Unresolved(format!("the parent {value} is not synced")),
        }
    }

    /// How the tool says a hub's value.
    #[must_use]
    pub fn encode(&self, field: Field, value: &Value) -> Sendable {
        if field == Field::Parent {
            return self.encode_parent(value);
        }
        match self.translator.encode(self.destination, field, value) {
            Encoded::Value(value) => Sendable::Now(value),
            Encoded::Unholdable(reason) => Sendable::Unholdable(reason),
        }
    }

    fn encode_parent(&self, value: &Value) -> Sendable {
        match value {
            Value::Task(task) => match self.references.external(*task) {
                Some(external) => Sendable::Now(RemoteValue::from(external)),
                None if self.references.planned.contains(task) => Sendable::OnceCreated(*task),
                None => Sendable::Unholdable("the parent task is not in the tool".to_owned()),
            },
            _ => Sendable::Now(RemoteValue::NULL),
        }
    }

    /// Whether a tool's value is what nobody has set.
    #[must_use]
    pub fn is_default(&self, field: Field, value: &RemoteValue) -> bool {
        if field == Field::Parent {
            return value.is_null();
        }
        self.translator.is_default(self.project, field, value)
    }
}
