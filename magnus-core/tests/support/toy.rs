//! A tool in memory whose values differ from the hub's in form, with the habits that engines stumble over.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use magnus_core::connection::{
    Capabilities, Connection, ConnectionError, ConnectionErrorKind, Connector, Decoded, Encoded, FieldSupport,
    FindCreated, Identity, ListIds, ListProjects, ListTasks, Outcome, Page, ProjectReading, ReadTask, Reading,
    RejectedField, RemoteWrite, Translator, Written, WrittenTask,
};
use magnus_core::model::{
    ConnectionSettings, Cursor, ExternalId, Field, LastChange, RemoteField, RemoteProject, RemoteTask, RemoteValue,
    RemoteVersion, Status, Timestamp, ToolName, Value,
};
use secrecy::SecretString;

/// What kind of tool it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Habits {
    /// It has versions and refuses stale writes.
    pub(crate) versions: bool,
    /// It can list what changed, and ids alone.
    pub(crate) incremental: bool,
    /// It has no `blocked` and no `cancelled`.
    pub(crate) few_statuses: bool,
    /// It wraps texts in tags and trims them.
    pub(crate) markup: bool,
    /// Writes per call.
    pub(crate) batch: usize,
    /// It has a place for a marker of the operation that made an item.
    pub(crate) marker: bool,
}

impl Habits {
    pub(crate) const fn exact() -> Self {
        Self {
            versions: true,
            incremental: true,
            few_statuses: false,
            markup: false,
            batch: 1,
            marker: false,
        }
    }

    pub(crate) const fn loose() -> Self {
        Self {
            versions: false,
            incremental: false,
            few_statuses: true,
            markup: true,
            batch: 7,
            marker: false,
        }
    }
}

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
    /// Who changed an item last, as the tool tells.
    pub(crate) changed_by: HashMap<u64, LastChange>,
}

/// The tool; clones share one state.
#[derive(Debug, Clone)]
pub(crate) struct Toy {
    pub(crate) name: &'static str,
    pub(crate) habits: Habits,
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
            state: Arc::new(Mutex::new(state)),
        }
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

    fn show(&self, id: u64, item: &Item) -> RemoteTask {
        RemoteTask {
            id: ExternalId::from(id),
            project: ExternalId::from(item.project),
            version: self.habits.versions.then(|| RemoteVersion(item.version.to_string())),
            updated_at: None,
            url: None,
            fields: item
                .fields
                .iter()
                .map(|(field, value)| (*field, RemoteField::from(RemoteValue(value.clone()))))
                .collect(),
            metadata: serde_json::Map::new(),
            marker: item.marker.clone().filter(|_| self.habits.marker),
            skip: None,
        }
    }

    fn readable(&self, operation: &'static str) -> Result<MutexGuard<'_, State>, ConnectionError> {
        let mut state = self.state();
        state.reads += 1;
        if state.down {
            return Err(ConnectionError::new(
                ConnectionErrorKind::Unavailable,
                operation,
                "the toy is switched off",
            ));
        }
        Ok(state)
    }

    fn write_one(&self, write: RemoteWrite) -> Result<Written, ConnectionError> {
        let error = |kind, words: &str| ConnectionError::new(kind, "write", words);
        let mishap = {
            let mut state = self.readable("write")?;
            state.mishaps.pop()
        };
        match mishap {
            Some(Mishap::NeverArrived) => {
                return Err(error(ConnectionErrorKind::Timeout, "lost").with_outcome(Outcome::Unknown));
            }
            Some(Mishap::Refused) => return Err(error(ConnectionErrorKind::Unavailable, "500")),
            Some(Mishap::AnswerLost) | None => {}
        }
        // Without versions, an edit between our reading and our writing is lost for good if our answer is lost too:
        // a limit of such tools that no rule removes.
        if matches!(write, RemoteWrite::Update(_)) && (self.habits.versions || mishap.is_none()) {
            self.meddle();
        }
        let written = self.apply(write)?;
        if let Written::Task(written) = &written {
            self.insist(written.task.id.as_str().parse().unwrap());
        }
        if mishap == Some(Mishap::AnswerLost) {
            return Err(error(ConnectionErrorKind::Timeout, "lost").with_outcome(Outcome::Unknown));
        }
        Ok(written)
    }

    /// The robot looks at what was written, after it was read back.
    fn insist(&self, id: u64) {
        let wanted = self.state().insists.clone();
        for (field, raw) in wanted {
            let now = self.state().items[&id].fields[&field].clone();
            if now != raw {
                self.edit_raw(id, field, raw);
            }
        }
    }

    fn refusals(&self, fields: &BTreeMap<Field, RemoteValue>) -> Result<(), ConnectionError> {
        let state = self.state();
        let title = fields.get(&Field::Title).and_then(RemoteValue::as_text);
        if title.is_some() && title == state.poison.as_deref() {
            let error = ConnectionError::new(ConnectionErrorKind::Rejected, "write", "not this one");
            return Err(error);
        }
        let rejected: Vec<RejectedField> = fields
            .keys()
            .filter_map(|field| {
                Some(RejectedField {
                    field: *field,
                    message: state.refuse.get(field)?.clone(),
                })
            })
            .collect();
        if rejected.is_empty() {
            return Ok(());
        }
        Err(ConnectionError::new(ConnectionErrorKind::Rejected, "write", "").with_rejected(rejected))
    }

    fn apply(&self, write: RemoteWrite) -> Result<Written, ConnectionError> {
        match write {
            RemoteWrite::Create(create) => {
                self.refusals(&create.fields)?;
                let fields = create
                    .fields
                    .into_iter()
                    .map(|(field, value)| (field, value.0))
                    .collect();
                let project = create.project.as_str().parse().unwrap();
                let id = self.insert(project, fields, true);
                let mut state = self.state();
                state.writes += 1;
                state.creates += 1;
                if let Some(item) = state.items.get_mut(&id) {
                    item.marker = create.marker.map(|operation| operation.to_string());
                }
                let task = self.show(id, &state.items[&id]);
                Ok(Written::Task(Box::new(WrittenTask {
                    task,
                    before: None,
                    sole_writer: true,
                })))
            }
            RemoteWrite::Update(update) => {
                self.refusals(&update.fields)?;
                let id: u64 = update.id.as_str().parse().unwrap();
                let mut state = self.state();
                state.stamp += 1;
                let stamp = state.stamp;
                let Some(item) = state.items.get(&id) else {
                    return Err(ConnectionError::new(
                        ConnectionErrorKind::NotFound,
                        "write",
                        "no such item",
                    ));
                };
                let before = self.show(id, item);
                if self.habits.versions && before.version != update.version {
                    return Err(ConnectionError::new(
                        ConnectionErrorKind::VersionConflict,
                        "write",
                        "stale",
                    ));
                }
                let item = state.items.get_mut(&id).unwrap();
                for (field, value) in update.fields {
                    item.fields.insert(field, value.0);
                }
                if let Some(project) = update.move_to {
                    item.project = project.as_str().parse().unwrap();
                }
                item.version += 1;
                item.stamp = stamp;
                state.writes += 1;
                let task = self.show(id, &state.items[&id]);
                let before = (!self.habits.versions).then_some(before);
                let after = state.meddle_after.take();
                let sole_writer = self.habits.versions && after.is_none();
                let task = match after {
                    Some((id, field, raw)) => {
                        drop(state);
                        self.edit_raw(id, field, raw);
                        let state = self.state();
                        self.show(id, &state.items[&id])
                    }
                    None => task,
                };
                Ok(Written::Task(Box::new(WrittenTask {
                    task,
                    before,
                    sole_writer,
                })))
            }
            RemoteWrite::Delete(delete) => {
                let id: u64 = delete.id.as_str().parse().unwrap();
                let mut state = self.state();
                state.items.remove(&id);
                state.writes += 1;
                Ok(Written::Deleted)
            }
        }
    }
}

fn default_raw(field: Field) -> serde_json::Value {
    match field {
        Field::Status => "todo".into(),
        Field::Priority => "medium".into(),
        _ => serde_json::Value::Null,
    }
}

/// The toy's tables.
#[derive(Debug)]
pub(crate) struct Tables(pub(crate) Habits);

impl Translator for Tables {
    fn decode(&self, _: &ExternalId, field: Field, value: &RemoteValue) -> Decoded {
        let unresolved = || Decoded::Unresolved(format!("{value} means nothing"));
        if value.is_null() {
            return Decoded::Exact(Value::Empty);
        }
        let text = value.as_text().unwrap_or_default();
        let decoded = match field {
            Field::Title => Some(Value::text(text)),
            Field::Description => Some(Value::text(
                text.trim_start_matches("<p>").trim_end_matches("</p>").to_owned(),
            )),
            Field::Status => text.parse().ok().map(Value::Status),
            Field::Priority => text.parse().ok().map(Value::Priority),
            Field::DueDate => text.parse().ok().map(Value::Date),
            Field::EstimatedHours => value.0.as_u64().and_then(|n| u32::try_from(n).ok()).map(Value::Minutes),
            Field::Tags => Some(Value::tags(text.split(',').map(str::to_owned).collect::<BTreeSet<_>>())),
            _ => None,
        };
        decoded.map_or_else(unresolved, Decoded::Exact)
    }

    fn encode(&self, _: &ExternalId, field: Field, value: &Value) -> Encoded {
        let text = |text: String| Encoded::Value(RemoteValue::text(text));
        match value {
            Value::Empty => Encoded::Value(RemoteValue::NULL),
            Value::Text(words) if field == Field::Description && self.0.markup => {
                text(format!("<p>{}</p>", words.trim()))
            }
            Value::Text(words) => text(words.clone()),
            Value::Status(status @ (Status::Blocked | Status::Cancelled)) if self.0.few_statuses => {
                Encoded::Unholdable(format!("the toy has no status {status}"))
            }
            Value::Minutes(minutes) => Encoded::Value(RemoteValue((*minutes).into())),
            Value::Tags(tags) => text(tags.iter().cloned().collect::<Vec<_>>().join(",")),
            other => text(other.to_string()),
        }
    }

    fn is_default(&self, _: &ExternalId, field: Field, value: &RemoteValue) -> bool {
        value.0 == default_raw(field)
    }
}

#[async_trait]
impl Connection for Toy {
    fn capabilities(&self) -> Capabilities {
        let fields = FIELDS
            .into_iter()
            .map(|field| (field, FieldSupport::ReadWrite))
            .collect();
        let mut capabilities = Capabilities::new(ToolName::new(self.name), self.name, fields);
        capabilities.incremental = self.habits.incremental;
        capabilities.id_sweep = self.habits.incremental;
        capabilities.versions = self.habits.versions;
        capabilities.delete = true;
        capabilities.batch_size = self.habits.batch;
        capabilities.create_marker = self.habits.marker;
        capabilities
    }

    async fn check(&self) -> Result<Identity, ConnectionError> {
        drop(self.readable("check")?);
        Ok(Identity {
            id: ExternalId::from(1),
            name: "Magnus".to_owned(),
            version: None,
            notes: Vec::new(),
        })
    }

    async fn translator(&self, _: Vec<ExternalId>) -> Result<Arc<dyn Translator>, ConnectionError> {
        drop(self.readable("translator")?);
        Ok(Arc::new(Tables(self.habits)))
    }

    async fn list_projects(&self, _: ListProjects) -> Result<Page<RemoteProject>, ConnectionError> {
        let state = self.readable("list_projects")?;
        let visible = state.projects.iter().filter(|(id, _)| !state.hidden.contains(id));
        Ok(Page::whole(
            visible.map(|(id, (name, open))| project(*id, name, *open)).collect(),
        ))
    }

    async fn list_tasks(&self, request: ListTasks) -> Result<Page<RemoteTask>, ConnectionError> {
        let state = self.readable("list_tasks")?;
        if state.broken.iter().any(|id| request.project == ExternalId::from(*id)) {
            return Err(ConnectionError::new(
                ConnectionErrorKind::Unavailable,
                "list_tasks",
                "500",
            ));
        }
        let since: u64 = request.changed_since.map_or(0, |cursor| cursor.0.parse().unwrap());
        let items = state
            .items
            .iter()
            .filter(|(_, item)| request.project == ExternalId::from(item.project) && item.stamp >= since)
            .flat_map(|(id, item)| vec![self.show(*id, item); if state.stutters { 2 } else { 1 }])
            .collect();
        let cursor = Some(Cursor(state.stamp.to_string()));
        Ok(Page {
            cursor: cursor.filter(|_| self.habits.incremental),
            ..Page::whole(items)
        })
    }

    async fn list_ids(&self, request: ListIds) -> Result<Page<ExternalId>, ConnectionError> {
        let state = self.readable("list_ids")?;
        let items = state
            .items
            .iter()
            .filter(|(_, item)| request.project == ExternalId::from(item.project));
        Ok(Page::whole(items.map(|(id, _)| ExternalId::from(*id)).collect()))
    }

    async fn read(&self, requests: Vec<ReadTask>) -> Result<Vec<Reading>, ConnectionError> {
        let state = self.readable("read")?;
        Ok(requests
            .into_iter()
            .map(|request| {
                let id: u64 = request.id.as_str().parse().unwrap();
                match state.items.get(&id) {
                    Some(item) if state.hidden.contains(&item.project) => Reading::Absent,
                    Some(item) if ExternalId::from(item.project) == request.project => {
                        Reading::Present(Box::new(self.show(id, item)))
                    }
                    Some(item) => Reading::Moved(Box::new(self.show(id, item))),
                    None => Reading::Absent,
                }
            })
            .collect())
    }

    async fn read_project(&self, id: ExternalId) -> Result<ProjectReading, ConnectionError> {
        let state = self.readable("read_project")?;
        let number: u64 = id.as_str().parse().unwrap();
        Ok(
            match state.projects.get(&number).filter(|_| !state.hidden.contains(&number)) {
                Some((name, true)) => ProjectReading::Open(project(number, name, true)),
                Some((_, false)) => ProjectReading::Closed,
                None => ProjectReading::Absent,
            },
        )
    }

    async fn write(&self, writes: Vec<RemoteWrite>) -> Vec<Result<Written, ConnectionError>> {
        writes.into_iter().map(|write| self.write_one(write)).collect()
    }

    async fn find_created(&self, request: FindCreated) -> Result<Vec<RemoteTask>, ConnectionError> {
        let state = self.readable("find_created")?;
        let after: u64 = request.after.map_or(0, |id| id.as_str().parse().unwrap());
        let marked = |item: &Item| {
            let marker = item.marker.as_deref();
            request
                .markers
                .iter()
                .any(|operation| marker == Some(&operation.to_string()))
        };
        let found = state
            .items
            .iter()
            .filter(|(id, item)| (**id > after && item.ours) || marked(item));
        Ok(found.map(|(id, item)| self.show(*id, item)).collect())
    }

    async fn last_change(&self, task: ReadTask) -> Result<Option<LastChange>, ConnectionError> {
        let state = self.readable("last_change")?;
        let id: u64 = task.id.as_str().parse().unwrap();
        Ok(state.changed_by.get(&id).cloned())
    }

    async fn list_descendants(&self, _: ReadTask) -> Result<Vec<RemoteTask>, ConnectionError> {
        Ok(Vec::new())
    }
}

fn project(id: u64, name: &str, open: bool) -> RemoteProject {
    RemoteProject {
        id: ExternalId::from(id),
        name: name.to_owned(),
        description: None,
        open,
        url: None,
    }
}

#[async_trait]
impl Connector for Toy {
    fn tool(&self) -> ToolName {
        ToolName::new(self.name)
    }

    async fn open(&self, _: ConnectionSettings, _: SecretString) -> Result<Arc<dyn Connection>, ConnectionError> {
        Ok(Arc::new(self.clone()))
    }
}

/// A clock that tests set.
#[derive(Debug)]
pub(crate) struct SetClock(Mutex<Timestamp>);

impl SetClock {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new("2026-11-22T12:00:00Z".parse().unwrap())))
    }

    pub(crate) fn advance(&self, seconds: i64) {
        *self.0.lock().unwrap() += chrono::TimeDelta::seconds(seconds);
    }
}

impl magnus_core::clock::Clock for SetClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}
