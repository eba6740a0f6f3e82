//! An adapter: tasks in a JSON file. `tests/custom_connection.rs` holds it to the rules for all adapters.

use std::{collections::BTreeMap, fs, path::PathBuf, sync::Arc, sync::Mutex, sync::PoisonError};

use async_trait::async_trait;
use magnus_core::connection::{ConnectionErrorKind as Kind, *};
use magnus_core::model::{ExternalId, Field, RemoteProject, RemoteTask, RemoteValue, Status, ToolName, Value};

type Answer<T> = Result<T, ConnectionError>;
type Tasks = BTreeMap<u64, BTreeMap<Field, RemoteValue>>;

/// The file's path; whoever holds the lock may use the file.
#[derive(Debug)]
pub(crate) struct JsonFile(pub(crate) Mutex<PathBuf>);

#[derive(Debug)]
struct PlainWords;

impl Translator for PlainWords {
    fn decode(&self, _: &ExternalId, field: Field, value: &RemoteValue) -> Decoded {
        let value = match (field, value.as_text()) {
            (Field::Title, Some(text)) => Some(Value::text(text)),
            (Field::Status, Some(name)) => name.parse().ok().map(Value::Status),
            _ => None,
        };
        let value = value.filter(|value| value.fits(field)).map(Decoded::Exact);
        value.unwrap_or_else(|| Decoded::Unresolved(format!("this is no {field}")))
    }
    fn encode(&self, _: &ExternalId, field: Field, value: &Value) -> Encoded {
        if matches!(field, Field::Title | Field::Status) && value.fits(field) {
            return Encoded::Value(RemoteValue::text(value.to_string()));
        }
        Encoded::Unholdable(format!("the file has no place for {field} {value}"))
    }
    fn is_default(&self, _: &ExternalId, field: Field, value: &RemoteValue) -> bool {
        field == Field::Status && value.as_text() == Some(Status::Todo.as_str())
    }
}

fn error(kind: Kind, message: impl ToString) -> ConnectionError {
    ConnectionError::new(kind, "json_file", message.to_string())
}

fn show(id: &ExternalId, tasks: &Tasks) -> Answer<RemoteTask> {
    let found = tasks.get(&id.as_str().parse().unwrap_or(0));
    let fields = found.ok_or_else(|| error(Kind::NotFound, "no such task"))?.iter();
    let mut task = RemoteTask::new(id.clone(), 1.into());
    task.fields = fields.map(|(field, value)| (*field, value.clone().into())).collect();
    Ok(task)
}

impl JsonFile {
    /// Reads the tasks, lets them be changed, and writes them back if they were.
    fn open<T>(&self, change: impl FnOnce(&mut Tasks) -> Answer<T>) -> Answer<T> {
        let path = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = fs::read(&*path).map_err(|away| error(Kind::Unavailable, away))?;
        let before: Tasks = serde_json::from_slice(&bytes).map_err(|odd| error(Kind::Protocol, odd))?;
        let mut tasks = before.clone();
        let answer = change(&mut tasks)?;
        if tasks != before {
            fs::write(&*path, serde_json::json!(tasks).to_string()).map_err(|full| error(Kind::Unavailable, full))?;
        }
        Ok(answer)
    }
    fn apply(tasks: &mut Tasks, write: RemoteWrite) -> Answer<Written> {
        let (id, fields, before) = match write {
            RemoteWrite::Create(task) => (ExternalId::from(tasks.len() as u64 + 1), task.fields, None),
            RemoteWrite::Update(task) => (task.id.clone(), task.fields, Some(show(&task.id, tasks)?)),
            RemoteWrite::Delete(_) => return Err(error(Kind::Unsupported, "tasks stay in the file")),
        };
        let row = tasks.entry(id.as_str().parse().unwrap_or(0)).or_default();
        row.entry(Field::Status).or_insert_with(|| RemoteValue::text("todo"));
        row.extend(fields);
        let written = WrittenTask::new(show(&id, tasks)?, before, false);
        Ok(Written::Task(Box::new(written)))
    }
}

#[async_trait]
impl Connection for JsonFile {
    fn capabilities(&self) -> Capabilities {
        let fields = [Field::Title, Field::Status].map(|field| (field, FieldSupport::ReadWrite));
        Capabilities::new(ToolName::new("json_file"), "localhost", fields.into())
    }
    async fn check(&self) -> Answer<Identity> {
        self.open(|_| Ok(Identity::new(1.into(), "owner of the file")))
    }
    async fn translator(&self, _: Vec<ExternalId>) -> Answer<Arc<dyn Translator>> {
        Ok(Arc::new(PlainWords))
    }
    async fn list_projects(&self, _: ListProjects) -> Answer<Page<RemoteProject>> {
        Ok(Page::whole(vec![RemoteProject::new(1.into(), "The file")]))
    }
    async fn list_tasks(&self, request: ListTasks) -> Answer<Page<RemoteTask>> {
        match (request.project.as_str(), request.changed_since) {
            ("1", None) => self.open(|tasks| tasks.keys().map(|id| show(&(*id).into(), tasks)).collect()),
            ("1", _) => Err(error(Kind::Unsupported, "the file keeps no times")),
            _ => Err(error(Kind::NotFound, "the file is one project")),
        }
        .map(Page::whole)
    }
    async fn read(&self, requests: Vec<ReadTask>) -> Answer<Vec<Reading>> {
        self.open(|tasks| {
            let found = |request: &ReadTask| show(&request.id, tasks).map(Box::new);
            let read = |request| found(request).map_or(Reading::Absent, Reading::Present);
            Ok(requests.iter().map(read).collect())
        })
    }
    async fn write(&self, writes: Vec<RemoteWrite>) -> Vec<Answer<Written>> {
        let write = |write| self.open(|tasks| Self::apply(tasks, write));
        writes.into_iter().map(write).collect()
    }
    async fn find_created(&self, request: FindCreated) -> Answer<Vec<RemoteTask>> {
        let mut tasks = self.list_tasks(ListTasks::new(request.project)).await?.items;
        let after = request.after.unwrap_or_else(|| 0.into());
        tasks.retain(|task| task.id.compare_by_age(&after).is_gt());
        Ok(tasks)
    }
}
