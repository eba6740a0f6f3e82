//! What a tool showed of its items, packed.

use std::collections::BTreeMap;

use crate::model::{ExternalId, Field, Reason, RemoteTask};

/// What must be known of every item before anything is decided on one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brief {
    /// The project it is in.
    pub project: ExternalId,
    /// The title in the tool's form.
    pub title: String,
    /// The item above it.
    pub parent: Option<ExternalId>,
    /// Why it is not synced; `None` for an ordinary task.
    pub skip: Option<Reason>,
}

/// The items that a tool showed. A task is several times as large as its text, so that all of them are kept as that, and one
/// is unpacked when it is its turn.
#[derive(Debug, Clone, Default)]
pub struct Sightings {
    items: BTreeMap<ExternalId, (Brief, Packed)>,
}

#[derive(Debug, Clone)]
enum Packed {
    Text(Box<[u8]>),
    /// One whose text says something else.
    Whole(Box<RemoteTask>),
}

impl Packed {
    fn new(task: RemoteTask) -> Self {
        let text = serde_json::to_vec(&task).ok();
        let is_same = |text: &Vec<u8>| serde_json::from_slice::<RemoteTask>(text).is_ok_and(|again| again == task);
        match text.filter(is_same) {
            Some(text) => Self::Text(text.into_boxed_slice()),
            None => Self::Whole(Box::new(task)),
        }
    }

    fn unpacked(&self) -> Option<RemoteTask> {
        match self {
            Self::Text(text) => serde_json::from_slice(text).ok(),
            Self::Whole(task) => Some((**task).clone()),
        }
    }
}

impl Sightings {
    /// Adds an item, or takes what is known of it to this.
    pub fn insert(&mut self, task: RemoteTask) {
        let brief = Brief {
            project: task.project.clone(),
            title: task.title().to_owned(),
            parent: task.value(Field::Parent).and_then(|parent| parent.as_external_id()),
            skip: task.skip.clone(),
        };
        self.items.insert(task.id.clone(), (brief, Packed::new(task)));
    }

    /// Forgets an item.
    pub fn remove(&mut self, id: &ExternalId) {
        self.items.remove(id);
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.items.clear();
    }

    /// An item, unpacked.
    #[must_use]
    pub fn get(&self, id: &ExternalId) -> Option<RemoteTask> {
        self.items.get(id)?.1.unpacked()
    }

    /// An item's id as it is kept here.
    #[must_use]
    pub fn key(&self, id: &ExternalId) -> Option<&ExternalId> {
        self.items.get_key_value(id).map(|(id, _)| id)
    }

    /// What must be known of an item at once.
    #[must_use]
    pub fn brief(&self, id: &ExternalId) -> Option<&Brief> {
        self.items.get(id).map(|(brief, _)| brief)
    }

    /// Whether an item was seen.
    #[must_use]
    pub fn contains(&self, id: &ExternalId) -> bool {
        self.items.contains_key(id)
    }

    /// All items, by id.
    pub fn briefs(&self) -> impl Iterator<Item = (&ExternalId, &Brief)> {
        self.items.iter().map(|(id, (brief, _))| (id, brief))
    }

    /// The ids of all items.
    pub fn ids(&self) -> impl Iterator<Item = &ExternalId> {
        self.items.keys()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

impl FromIterator<RemoteTask> for Sightings {
    fn from_iter<I: IntoIterator<Item = RemoteTask>>(tasks: I) -> Self {
        let mut sightings = Self::default();
        for task in tasks {
            sightings.insert(task);
        }
        sightings
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::model::RemoteValue;

    fn task(id: u64) -> RemoteTask {
        let mut task = RemoteTask::new(id.into(), ExternalId::from(7));
        task.fields
            .insert(Field::Title, RemoteValue::text("Water the beds").into());
        task.fields.insert(Field::Parent, RemoteValue::text("3").into());
        task
    }

    #[test]
    fn an_item_comes_out_as_it_was_put_in() {
        let mut deep = task(2);
        let nested = (0..200).fold(Value::Null, |inside, _| json!([inside]));
        deep.metadata.insert("deep".to_owned(), nested);
        deep.metadata.insert("number".to_owned(), json!(0.1));
        let sightings: Sightings = [task(1), deep.clone()].into_iter().collect();
        assert_eq!(sightings.get(&ExternalId::from(1)), Some(task(1)));
        assert_eq!(
            sightings.get(&ExternalId::from(2)),
            Some(deep),
            "too deep to be parsed, and there all the same"
        );
        assert_eq!(sightings.get(&ExternalId::from(3)), None);
        let brief = sightings.brief(&ExternalId::from(1)).unwrap();
        assert_eq!(
            (brief.title.as_str(), brief.parent.as_ref()),
            ("Water the beds", Some(&ExternalId::from(3)))
        );
    }
}
