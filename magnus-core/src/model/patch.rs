//! A change to a task: each field is absent, cleared, or given a value.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Field, Task, Timestamp, Value, WrongValueType};

/// A change to some fields of a task. A field that is not named stays as it is; [`Value::Empty`] clears it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TaskPatch {
    fields: BTreeMap<Field, Value>,
}

impl TaskPatch {
    /// A patch that changes nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a field to the patch.
    ///
    /// # Errors
    /// A value that the field does not take.
    pub fn set(&mut self, field: Field, value: Value) -> Result<&mut Self, WrongValueType> {
        if value.fits(field) {
            self.fields.insert(field, value);
            Ok(self)
        } else {
            Err(WrongValueType {
                field,
                value: value.to_string(),
            })
        }
    }

    /// The named fields and their new values.
    pub fn iter(&self) -> impl Iterator<Item = (Field, &Value)> {
        self.fields.iter().map(|(field, value)| (*field, value))
    }

    /// Whether no field is named.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Applies the patch and stamps the fields whose value really changed. Returns each of them with its value before.
    ///
    /// # Errors
    /// A value that a field does not take (possible only for a patch that was read from storage): nothing is changed.
    pub fn apply(&self, task: &mut Task, now: Timestamp) -> Result<BTreeMap<Field, Value>, WrongValueType> {
        let mut changed = task.clone();
        let mut before = BTreeMap::new();
        for (field, value) in self.iter() {
            let old = task.get(field);
            if old != *value {
                changed.set(field, value.clone())?;
                changed.field_times.insert(field, now);
                before.insert(field, old);
            }
        }
        if !before.is_empty() {
            changed.updated_at = now;
            *task = changed;
        }
        Ok(before)
    }
}

impl FromIterator<(Field, Value)> for TaskPatch {
    /// Values are checked when the patch is applied.
    fn from_iter<I: IntoIterator<Item = (Field, Value)>>(fields: I) -> Self {
        Self {
            fields: fields.into_iter().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ProjectId;

    #[test]
    fn absent_null_and_value_are_three_different_things() {
        let now = chrono::Utc::now();
        let mut task = Task::new(ProjectId::generate(), "Title", now);
        task.description = Some("words".to_owned());
        let later = now + chrono::TimeDelta::seconds(5);

        let before = TaskPatch::new().apply(&mut task, later).unwrap();
        assert!(before.is_empty() && task.updated_at == now);

        let mut patch = TaskPatch::new();
        patch.set(Field::Description, Value::Empty).unwrap();
        patch.set(Field::Title, Value::text("Title")).unwrap();
        let before = patch.apply(&mut task, later).unwrap();
        assert_eq!(before, BTreeMap::from([(Field::Description, Value::text("words"))]));
        assert_eq!((task.description, task.updated_at), (None, later));
        assert_eq!(task.field_times, BTreeMap::from([(Field::Description, later)]));
    }
}
