//! The fields of a task as a tool shows it.

use serde::{Deserialize, Serialize};

use super::{Field, RemoteField};

/// Fields of a task with their values, by field. A list: there are at most a dozen, and a whole listing of tasks is held at
/// once, where the nodes of a tree would take more than twice as much.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "std::collections::BTreeMap<Field, RemoteField>")]
pub struct RemoteFields(#[serde(serialize_with = "as_map")] Vec<(Field, RemoteField)>);

fn as_map<S: serde::Serializer>(fields: &[(Field, RemoteField)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(fields.iter().map(|(field, value)| (field, value)))
}

impl RemoteFields {
    fn position(&self, field: Field) -> Result<usize, usize> {
        self.0.binary_search_by_key(&field, |(field, _)| *field)
    }

    /// A field, if the tool sent it.
    #[must_use]
    pub fn get(&self, field: &Field) -> Option<&RemoteField> {
        self.position(*field).ok().map(|at| &self.0[at].1)
    }

    /// A field to be changed, if the tool sent it.
    pub fn get_mut(&mut self, field: &Field) -> Option<&mut RemoteField> {
        self.position(*field).ok().map(|at| &mut self.0[at].1)
    }

    /// Whether the tool sent a field.
    #[must_use]
    pub fn contains_key(&self, field: &Field) -> bool {
        self.position(*field).is_ok()
    }

    /// Sets a field. Answers what it was.
    pub fn insert(&mut self, field: Field, value: RemoteField) -> Option<RemoteField> {
        match self.position(field) {
            Ok(at) => Some(std::mem::replace(&mut self.0[at].1, value)),
            Err(at) => {
                self.0.insert(at, (field, value));
                None
            }
        }
    }

    /// Takes a field out.
    pub fn remove(&mut self, field: &Field) -> Option<RemoteField> {
        self.position(*field).ok().map(|at| self.0.remove(at).1)
    }

    /// The fields, in order.
    pub fn keys(&self) -> impl Iterator<Item = &Field> {
        self.0.iter().map(|(field, _)| field)
    }

    /// The fields with their values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Field, &RemoteField)> {
        self.0.iter().map(|(field, value)| (field, value))
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Gives back the room that is left over, before many are kept.
    pub fn shrink(&mut self) {
        self.0.shrink_to_fit();
    }
}

impl From<std::collections::BTreeMap<Field, RemoteField>> for RemoteFields {
    fn from(fields: std::collections::BTreeMap<Field, RemoteField>) -> Self {
        Self(fields.into_iter().collect())
    }
}

impl Extend<(Field, RemoteField)> for RemoteFields {
    fn extend<I: IntoIterator<Item = (Field, RemoteField)>>(&mut self, fields: I) {
        for (field, value) in fields {
            self.insert(field, value);
        }
    }
}

impl FromIterator<(Field, RemoteField)> for RemoteFields {
    fn from_iter<I: IntoIterator<Item = (Field, RemoteField)>>(fields: I) -> Self {
        let mut all = Self::default();
        all.extend(fields);
        all
    }
}

impl IntoIterator for RemoteFields {
    type Item = (Field, RemoteField);
    type IntoIter = std::vec::IntoIter<(Field, RemoteField)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::RemoteValue;

    #[test]
    fn fields_are_kept_in_order_and_written_as_a_map() {
        let value = |text: &str| RemoteField::from(RemoteValue::text(text));
        let mut fields: RemoteFields = [(Field::Tags, value("c")), (Field::Title, value("a"))]
            .into_iter()
            .collect();
        assert_eq!(fields.insert(Field::Title, value("b")), Some(value("a")));
        assert_eq!(fields.keys().collect::<Vec<_>>(), [&Field::Title, &Field::Tags]);
        let text = serde_json::to_string(&fields).unwrap();
        assert!(text.starts_with(r#"{"title":{"#), "{text}");
        assert_eq!(serde_json::from_str::<RemoteFields>(&text).unwrap(), fields);
        assert_eq!(fields.remove(&Field::Title), Some(value("b")));
        assert!(!fields.contains_key(&Field::Title) && !fields.is_empty());
    }
}
