//! Shorthands for the rules: a connection with its project and tables.

use std::collections::BTreeMap;
use std::sync::Arc;

use magnus_core::connection::{
    Capabilities, Connection, ConnectionError, ConnectionExt as _, CreateTask, Decoded, DeleteTask, Encoded,
    FieldSupport, FindCreated, ListTasks, ProjectReading, ReadTask, Reading, RemoteWrite, Translator, UpdateTask,
    Written, WrittenTask,
};
use magnus_core::model::{ExternalId, Field, IntentId, RemoteTask, RemoteValue, Value};

use super::{ConnectionFixture, samples};

pub(super) type Fields = BTreeMap<Field, RemoteValue>;

/// What a read said: whether it told nothing false, or why it failed.
pub(super) type Said = (&'static str, Result<bool, ConnectionError>);

pub(super) struct Bench<'f> {
    pub(super) fixture: &'f dyn ConnectionFixture,
    pub(super) connection: Arc<dyn Connection>,
    pub(super) project: ExternalId,
    pub(super) translator: Arc<dyn Translator>,
}

impl<'f> Bench<'f> {
    pub(super) async fn new(fixture: &'f dyn ConnectionFixture) -> Result<Self, ConnectionError> {
        let connection = fixture.connect().await;
        let project = fixture.project();
        let translator = connection.translator(vec![project.clone()]).await?;
        Ok(Self {
            fixture,
            connection,
            project,
            translator,
        })
    }

    pub(super) fn can(&self) -> Capabilities {
        self.connection.capabilities()
    }

    /// The fields that can be written with a value of the hub.
    pub(super) fn writable(&self) -> Vec<Field> {
        let can = self.can();
        let writable = |field: &&Field| can.field(**field) == Some(FieldSupport::ReadWrite) && **field != Field::Parent;
        Field::ALL.iter().filter(writable).copied().collect()
    }

    /// Whether parents can be set.
    pub(super) fn has_parents(&self) -> Option<()> {
        (self.can().field(Field::Parent) == Some(FieldSupport::ReadWrite)).then_some(())
    }

    pub(super) fn encode(&self, field: Field, value: &Value) -> Option<RemoteValue> {
        match self.translator.encode(&self.project, field, value) {
            Encoded::Value(value) => Some(value),
            Encoded::Unholdable(_) => None,
        }
    }

    pub(super) fn decode(&self, field: Field, value: &RemoteValue) -> Decoded {
        self.translator.decode(&self.project, field, value)
    }

    /// A field of a task in the hub's terms, as far as it has a meaning there.
    pub(super) fn value(&self, task: &RemoteTask, field: Field) -> Option<Value> {
        match self.decode(field, task.value(field)?) {
            Decoded::Exact(value) | Decoded::Approximate(value) => Some(value),
            Decoded::Unresolved(_) => None,
        }
    }

    /// The different values, in the tool's form, that the rules write into a field.
    pub(super) fn samples(&self, field: Field) -> Vec<RemoteValue> {
        let mut found: Vec<RemoteValue> = Vec::new();
        for value in samples::of(field, self.fixture.assignee()) {
            if let Some(value) = self.encode(field, &value)
                && !found.contains(&value)
            {
                found.push(value);
            }
        }
        found
    }

    pub(super) fn titled(&self, title: &str) -> Fields {
        let value = self.encode(Field::Title, &Value::text(title));
        Fields::from([(Field::Title, value.expect("a short title can be held"))])
    }

    pub(super) async fn write_one(&self, write: RemoteWrite) -> Result<Written, ConnectionError> {
        let mut results = self.connection.write(vec![write]).await;
        assert_eq!(results.len(), 1, "one result per write");
        results.remove(0)
    }

    pub(super) fn creation(&self, fields: Fields) -> RemoteWrite {
        RemoteWrite::Create(CreateTask {
            project: self.project.clone(),
            fields,
            marker: None,
        })
    }

    pub(super) fn change(&self, task: &RemoteTask, fields: Fields) -> RemoteWrite {
        RemoteWrite::Update(UpdateTask {
            id: task.id.clone(),
            project: task.project.clone(),
            move_to: None,
            version: task.version.clone(),
            fields,
        })
    }

    pub(super) fn deletion(&self, task: &ExternalId) -> RemoteWrite {
        RemoteWrite::Delete(DeleteTask {
            id: task.clone(),
            project: self.project.clone(),
        })
    }

    pub(super) async fn create_with(&self, fields: Fields) -> Result<RemoteTask, ConnectionError> {
        Ok(task_of(self.write_one(self.creation(fields)).await?).task)
    }

    pub(super) async fn create(&self, title: &str) -> Result<RemoteTask, ConnectionError> {
        self.create_with(self.titled(title)).await
    }

    pub(super) async fn create_marked(&self, title: &str, operation: IntentId) -> Result<RemoteTask, ConnectionError> {
        let create = RemoteWrite::Create(CreateTask {
            project: self.project.clone(),
            fields: self.titled(title),
            marker: Some(operation),
        });
        Ok(task_of(self.write_one(create).await?).task)
    }

    pub(super) async fn found_by_marker(
        &self,
        after: Option<&ExternalId>,
        operation: IntentId,
    ) -> Result<Vec<RemoteTask>, ConnectionError> {
        let request = FindCreated {
            project: self.project.clone(),
            after: after.cloned(),
            markers: vec![operation],
        };
        self.connection.find_created(request).await
    }

    pub(super) async fn update(&self, task: &RemoteTask, fields: Fields) -> Result<WrittenTask, ConnectionError> {
        Ok(task_of(self.write_one(self.change(task, fields)).await?))
    }

    pub(super) fn reading(&self, task: &ExternalId) -> ReadTask {
        ReadTask {
            id: task.clone(),
            project: self.project.clone(),
        }
    }

    pub(super) async fn read(&self, task: &ExternalId) -> Result<Reading, ConnectionError> {
        let mut readings = self.connection.read(vec![self.reading(task)]).await?;
        assert_eq!(readings.len(), 1, "one answer per request");
        Ok(readings.remove(0))
    }

    pub(super) async fn present(&self, task: &ExternalId) -> Result<RemoteTask, ConnectionError> {
        match self.read(task).await? {
            Reading::Present(found) => Ok(*found),
            other => panic!("task {task} is there, in its project, but reads {other:?}"),
        }
    }

    pub(super) async fn list(&self) -> Result<Vec<RemoteTask>, ConnectionError> {
        let request = ListTasks::new(self.project.clone());
        Ok(self.connection.all_tasks(request).await?.0)
    }

    /// The listed tasks of this title.
    pub(super) async fn find(&self, title: &str) -> Result<Vec<RemoteTask>, ConnectionError> {
        let mut tasks = self.list().await?;
        tasks.retain(|task| self.is_titled(task, title));
        Ok(tasks)
    }

    pub(super) fn is_titled(&self, task: &RemoteTask, title: &str) -> bool {
        self.value(task, Field::Title)
            .is_some_and(|value| value.is_same(&Value::text(title), Field::Title))
    }

    pub(super) async fn found_created(&self, after: Option<&ExternalId>) -> Result<Vec<RemoteTask>, ConnectionError> {
        let request = FindCreated {
            project: self.project.clone(),
            after: after.cloned(),
            markers: Vec::new(),
        };
        self.connection.find_created(request).await
    }

    /// Every kind of read, asked for a task that our user made: what each said.
    pub(super) async fn every_read(&self, task: &ExternalId) -> Vec<Said> {
        let connection = &self.connection;
        let listed = self
            .list()
            .await
            .map(|tasks| tasks.iter().any(|found| found.id == *task));
        let project = connection.read_project(self.project.clone()).await;
        let projects = connection.all_projects().await;
        let mut said = vec![
            ("check", connection.check().await.map(|_| true)),
            (
                "translator",
                connection.translator(vec![self.project.clone()]).await.map(|_| true),
            ),
            (
                "list_projects",
                projects.map(|found| found.iter().any(|project| project.id == self.project)),
            ),
            ("list_tasks", listed),
            ("read", self.read(task).await.map(|reading| reading != Reading::Absent)),
            (
                "read_project",
                project.map(|found| !matches!(found, ProjectReading::Absent | ProjectReading::Closed)),
            ),
            (
                "find_created",
                self.found_created(None)
                    .await
                    .map(|found| found.iter().any(|found| found.id == *task)),
            ),
        ];
        if self.can().id_sweep {
            let ids = connection.all_ids(self.project.clone()).await;
            said.push(("list_ids", ids.map(|ids| ids.contains(task))));
        }
        if self.has_parents().is_some() {
            let below = connection.list_descendants(self.reading(task)).await;
            said.push(("list_descendants", below.map(|_| true)));
        }
        said
    }

    /// The first page of the list, for rules that walk by themselves.
    pub(super) fn list_request(&self) -> ListTasks {
        ListTasks::new(self.project.clone())
    }
}

pub(super) fn task_of(written: Written) -> WrittenTask {
    match written {
        Written::Task(task) => *task,
        Written::Deleted => panic!("the write left a task behind, but the answer is `Deleted`"),
    }
}

/// The values of all fields that both show, without those in `except`, which must be the same.
pub(super) fn assert_same_fields(before: &RemoteTask, after: &RemoteTask, except: &[Field], when: &str) {
    for (field, shown) in before.fields.iter() {
        if except.contains(field) {
            continue;
        }
        if let Some(now) = after.fields.get(field) {
            assert_eq!(now, shown, "{field} is as it was after {when}");
        }
    }
}
