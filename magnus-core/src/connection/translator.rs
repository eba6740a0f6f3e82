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
}
