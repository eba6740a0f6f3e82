//! A tool in memory whose values differ from the hub's in form, with the habits that engines stumble over.

mod answering;
mod connection;
mod habits;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};

use magnus_core::connection::{Decoded, Encoded, Translator};
use magnus_core::model::{ExternalId, Field, LastChange, RemoteValue, Value};
use magnus_testkit::clock::SetClock;

use habits::default_raw;
pub(crate) use habits::{Habits, Tables};

/// What goes wrong with the next write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mishap {
    /// It takes place and the answer is lost.
    AnswerLost,
    /// It never arrives and no answer comes.
    NeverArrived,
    /// The tool says 500 and has done nothing.
    Refused,
}

#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) project: u64,
    pub(crate) fields: BTreeMap<Field, serde_json::Value>,
    pub(crate) version: u64,
    pub(crate) stamp: u64,
    pub(crate) ours: bool,
    pub(crate) marker: Option<String>,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) items: BTreeMap<u64, Item>,
    pub(crate) projects: BTreeMap<u64, (String, bool)>,
    pub(crate) hidden: HashSet<u64>,
    pub(crate) next: u64,
    pub(crate) stamp: u64,
    pub(crate) writes: u64,
    pub(crate) reads: u64,
    pub(crate) creates: u64,
    pub(crate) mishaps: Vec<Mishap>,
    pub(crate) down: bool,
    pub(crate) refuse: HashMap<Field, String>,
    /// An item with this title is refused as a whole.
    pub(crate) poison: Option<String>,
    pub(crate) meddle: Option<(u64, Field, serde_json::Value)>,
    /// Somebody's edit that takes place right after our write, before it is read back.
    pub(crate) meddle_after: Option<(u64, Field, serde_json::Value)>,
    /// Projects whose tasks cannot be listed.
    pub(crate) broken: HashSet<u64>,
    /// Whether each row is listed twice.
    pub(crate) stutters: bool,
    pub(crate) meddled_over: Vec<serde_json::Value>,
    /// Values that a robot of the tool puts back whenever something else is written there.
    pub(crate) insists: BTreeMap<Field, serde_json::Value>,
    /// Whose key it is: this beside the usual one.
    pub(crate) user: u64,
    /// Projects that are listed as open and read as closed.
    pub(crate) closing: HashSet<u64>,
    /// What happens when the tool is asked who changed something.
    pub(crate) when_asked_who: Option<Happening>,
    /// What happens while the next write is on its way.
    pub(crate) when_written: Option<Happening>,
    /// How many searches for what we have made will find nothing.
    pub(crate) blind_searches: u32,
    /// Whether an item cannot be put beneath what is below it.
    pub(crate) refuses_circles: bool,
    /// Whether a deletion takes along what is below.
    pub(crate) cascades: bool,
    /// Projects that the tool fails to show one by one.
    pub(crate) unreadable_projects: HashSet<u64>,
    /// Items that the tool fails to show one by one.
    pub(crate) unreadable: HashSet<u64>,
    /// Items that lists leave out.
    pub(crate) unlisted: HashSet<u64>,
    /// Projects in which nothing may be written.
    pub(crate) forbidden: HashSet<u64>,
    /// How many seconds each write takes.
    pub(crate) slow: Option<(Arc<SetClock>, i64)>,
    /// How often the tool will still say that an item is not there, although it is.
    pub(crate) blinks: HashMap<u64, u32>,
    /// Who changed an item last, as the tool tells.
    pub(crate) changed_by: HashMap<u64, LastChange>,
}

impl State {
    /// All items below one.
    fn below(&self, id: u64) -> impl Iterator<Item = u64> {
        let mut found: Vec<u64> = Vec::new();
        let mut above = vec![id];
        while let Some(next) = above.pop() {
            let parent = serde_json::Value::from(next.to_string());
            let children = self
                .items
                .iter()
                .filter(|(_, item)| item.fields.get(&Field::Parent) == Some(&parent));
            let children: Vec<u64> = children.map(|(id, _)| *id).filter(|id| !found.contains(id)).collect();
            above.extend(&children);
            found.extend(children);
        }
        found.into_iter()
    }
}

/// Something that happens at an awkward moment.
pub(crate) struct Happening(pub(crate) Box<dyn FnOnce() + Send>);

impl std::fmt::Debug for Happening {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Happening")
    }
}

/// The tool; clones share one state.
#[derive(Debug, Clone)]
pub(crate) struct Toy {
    pub(crate) name: &'static str,
    pub(crate) habits: Habits,
    archive: bool,
    state: Arc<Mutex<State>>,
}

pub(crate) const FIELDS: [Field; 8] = [
    Field::Title,
    Field::Description,
    Field::Status,
    Field::Priority,
    Field::DueDate,
    Field::EstimatedHours,
    Field::Parent,
    Field::Tags,
];

impl Toy {
    pub(crate) fn new(name: &'static str, habits: Habits) -> Self {
        let state = State {
            next: 1,
            projects: BTreeMap::from([(1, ("Alpha".to_owned(), true))]),
            ..State::default()
        };
        Self {
            name,
            habits,
            archive: false,
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// It can archive.
    pub(crate) fn with_archive(mut self) -> Self {
        self.archive = true;
        self
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Somebody makes an item.
    pub(crate) fn add(&self, title: &str) -> u64 {
        self.add_to(1, title)
    }

    pub(crate) fn add_to(&self, project: u64, title: &str) -> u64 {
        let fields = BTreeMap::from([(Field::Title, Value::text(title))]);
        self.insert(project, self.raw_all(&fields), false)
    }

    fn raw_all(&self, fields: &BTreeMap<Field, Value>) -> BTreeMap<Field, serde_json::Value> {
        fields
            .iter()
            .map(|(field, value)| (*field, self.raw(*field, value)))
            .collect()
    }

    pub(crate) fn raw(&self, field: Field, value: &Value) -> serde_json::Value {
        match Tables(self.habits).encode(&ExternalId::from(1), field, value) {
            Encoded::Value(value) => value.0,
            Encoded::Unholdable(reason) => panic!("the test sets what the tool cannot hold: {reason}"),
        }
    }

    fn insert(&self, project: u64, mut fields: BTreeMap<Field, serde_json::Value>, ours: bool) -> u64 {
        let mut state = self.state();
        let id = state.next;
        state.next += 1;
        state.stamp += 1;
        for field in FIELDS {
            fields.entry(field).or_insert_with(|| default_raw(field));
        }
        let stamp = state.stamp;
        state.items.insert(
            id,
            Item {
                project,
                fields,
                version: 0,
                stamp,
                ours,
                marker: None,
            },
        );
        id
    }

    /// Somebody edits a field. Answers the raw value before.
    pub(crate) fn edit(&self, id: u64, field: Field, value: &Value) -> serde_json::Value {
        let raw = if field == Field::Parent {
            serde_json::Value::Null
        } else {
            self.raw(field, value)
        };
        self.edit_raw(id, field, raw)
    }

    pub(crate) fn edit_raw(&self, id: u64, field: Field, raw: serde_json::Value) -> serde_json::Value {
        let mut state = self.state();
        state.stamp += 1;
        let stamp = state.stamp;
        let item = state.items.get_mut(&id).unwrap();
        item.version += 1;
        item.stamp = stamp;
        item.fields.insert(field, raw).unwrap_or_default()
    }

    /// Somebody makes the edit that waits for the next write.
    pub(crate) fn meddle(&self) {
        let waiting = self.state().meddle.take();
        let Some((id, field, raw)) = waiting else { return };
        let there = self.state().items.contains_key(&id);
        // An edit of what is gone never takes place.
        let without_trace = if there { self.edit_raw(id, field, raw) } else { raw };
        self.state().meddled_over.push(without_trace);
    }

    /// Somebody moves an item to another project.
    pub(crate) fn move_to(&self, id: u64, project: u64) {
        let mut state = self.state();
        state.stamp += 1;
        let stamp = state.stamp;
        let item = state.items.get_mut(&id).unwrap();
        item.project = project;
        item.version += 1;
        item.stamp = stamp;
    }

    /// Somebody deletes an item; its children are left with a dangling parent.
    pub(crate) fn delete(&self, id: u64) {
        self.state().items.remove(&id);
    }

    /// A field in the hub's terms.
    pub(crate) fn value(&self, id: u64, field: Field) -> Value {
        let raw = RemoteValue(self.state().items[&id].fields[&field].clone());
        match Tables(self.habits).decode(&ExternalId::from(1), field, &raw) {
            Decoded::Exact(value) | Decoded::Approximate(value) => value,
            Decoded::Unresolved(reason) => panic!("{reason}"),
        }
    }

    pub(crate) fn find(&self, title: &str) -> Vec<u64> {
        let state = self.state();
        state
            .items
            .iter()
            .filter(|(_, item)| item.fields[&Field::Title] == title)
            .map(|(id, _)| *id)
            .collect()
    }
}
