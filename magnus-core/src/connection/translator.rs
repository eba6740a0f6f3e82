//! Between a tool's values and the hub's: pure, with tables read beforehand.

use std::fmt::Debug;

use crate::model::{ExternalId, Field, RemoteValue, Value};

/// A tool's value in the hub's terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decoded {
    /// This is what it means.
    Exact(Value),
    /// The nearest that the hub has (an unknown status by whether it is closed).
    Approximate(Value),
    /// It means nothing to the hub (a person who cannot be told apart); the reason is for people.
    Unresolved(String),
}

/// A hub's value in the tool's terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Encoded {
    /// In the form in which the tool is expected to read it back.
    Value(RemoteValue),
    /// The tool cannot hold it, or has nothing that means the same; never sent. The reason is for people.
    Unholdable(String),
}

/// One of the values that a tool's field can take in a project: for people who say what it means.
///
/// What it means already, [`Translator::decode`] tells.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Choice {
    /// The value as it stands in a task.
    pub value: RemoteValue,
    /// What the tool calls it.
    pub name: String,
    /// Whether it ends a task (a closed status).
    pub closed: bool,
}

impl Choice {
    /// A value with its name, that ends nothing.
    #[must_use]
    pub fn new(value: RemoteValue, name: impl Into<String>) -> Self {
        Self {
            value,
            name: name.into(),
            closed: false,
        }
    }

    /// The same, as one that ends a task or not.
    #[must_use]
    pub fn closed(mut self, closed: bool) -> Self {
        self.closed = closed;
        self
    }
}

/// Translates the values of one instance of a tool. Pure: no I/O, no clock; the same input gives the same output.
///
/// [`Field::Parent`] is not asked for: references between items are translated by the engine through its links.
pub trait Translator: Debug + Send + Sync + 'static {
    /// What a tool's value means to the hub.
    fn decode(&self, project: &ExternalId, field: Field, value: &RemoteValue) -> Decoded;

    /// How the tool says a hub's value. `Value::Empty` asks for a cleared field.
    fn encode(&self, project: &ExternalId, field: Field, value: &Value) -> Encoded;

    /// Whether a tool's value is what an item has that nobody has set: it yields to a set one at first contact.
    fn is_default(&self, project: &ExternalId, field: Field, value: &RemoteValue) -> bool;

    /// The values that a field can take in a project, in the tool's order: statuses, priorities, and the people who can
    /// be assigned. Empty for any other field, and for an adapter that does not tell.
    fn choices(&self, _project: &ExternalId, _field: Field) -> Vec<Choice> {
        Vec::new()
    }
}
