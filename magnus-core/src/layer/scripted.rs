//! A connection that answers by a script, for the tests of the layers.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::around::WriteResult;
use crate::connection::{
    Capabilities, Connection, ConnectionError, ConnectionErrorKind, CreateTask, FindCreated, Identity, ListIds,
    ListProjects, ListTasks, Page, ProjectReading, ReadTask, Reading, RemoteWrite, Translator, Written,
};
use crate::model::{ExternalId, Field, LastChange, RemoteProject, RemoteTask, RemoteValue, ToolName};

type Step = Result<(), ConnectionError>;

/// Takes one step of its script per read and per written item; past the end all goes well.
#[derive(Debug)]
pub(super) struct Scripted {
    state: Mutex<State>,
    delay: Duration,
}

#[derive(Debug)]
struct State {
    steps: VecDeque<Step>,
    reads: Vec<&'static str>,
    batches: Vec<Vec<RemoteWrite>>,
}

pub(super) fn error(kind: ConnectionErrorKind) -> ConnectionError {
    ConnectionError::new(kind, "scripted", "as the script says")
}

pub(super) fn create(title: &str) -> RemoteWrite {
    let fields = BTreeMap::from([(Field::Title, RemoteValue::text(title))]);
    RemoteWrite::Create(CreateTask {
        project: ExternalId::from(1),
        fields,
        marker: None,
    })
}

impl Scripted {
    pub(super) fn new(steps: impl IntoIterator<Item = Step>) -> Arc<Self> {
        let state = State {
            steps: steps.into_iter().collect(),
            reads: Vec::new(),
            batches: Vec::new(),
        };
        Arc::new(Self {
            state: Mutex::new(state),
            delay: Duration::ZERO,
        })
    }

    /// The same script, each call taking this long.
    pub(super) fn each_taking(self: Arc<Self>, delay: Duration) -> Arc<Self> {
        let mut this = Arc::into_inner(self).expect("a script is not shared before it is used");
        this.delay = delay;
        Arc::new(this)
    }

    pub(super) fn calls(&self) -> usize {
        self.reads().len() + self.batches().len()
    }

    pub(super) fn reads(&self) -> Vec<&'static str> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).reads.clone()
    }

    pub(super) fn batches(&self) -> Vec<Vec<RemoteWrite>> {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .batches
            .clone()
    }

    async fn answer<T>(&self, method: &'static str, answer: T) -> Result<T, ConnectionError> {
        let step = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.reads.push(method);
            state.steps.pop_front()
        };
        tokio::time::sleep(self.delay).await;
        step.unwrap_or(Ok(())).map(|()| answer)
    }
}

#[async_trait]
impl Connection for Scripted {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new(ToolName::new("scripted"), "scripted.example", BTreeMap::new())
    }

    async fn check(&self) -> Result<Identity, ConnectionError> {
        let identity = Identity {
            id: ExternalId::from(1),
            name: "Ada".into(),
            version: None,
            notes: Vec::new(),
        };
        self.answer("check", identity).await
    }

    async fn translator(&self, _: Vec<ExternalId>) -> Result<Arc<dyn Translator>, ConnectionError> {
        self.answer("translator", ()).await?;
        Err(error(ConnectionErrorKind::Unsupported))
    }

    async fn list_projects(&self, _: ListProjects) -> Result<Page<RemoteProject>, ConnectionError> {
        self.answer("list_projects", Page::whole(Vec::new())).await
    }

    async fn list_tasks(&self, _: ListTasks) -> Result<Page<RemoteTask>, ConnectionError> {
        self.answer("list_tasks", Page::whole(Vec::new())).await
    }

    async fn list_ids(&self, _: ListIds) -> Result<Page<ExternalId>, ConnectionError> {
        self.answer("list_ids", Page::whole(Vec::new())).await
    }

    async fn read(&self, _: Vec<ReadTask>) -> Result<Vec<Reading>, ConnectionError> {
        self.answer("read", Vec::new()).await
    }

    async fn read_project(&self, _: ExternalId) -> Result<ProjectReading, ConnectionError> {
        self.answer("read_project", ProjectReading::Closed).await
    }

    async fn write(&self, writes: Vec<RemoteWrite>) -> Vec<WriteResult> {
        let results = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let steps: Vec<Step> = writes
                .iter()
                .map(|_| state.steps.pop_front().unwrap_or(Ok(())))
                .collect();
            state.batches.push(writes);
            steps
        };
        tokio::time::sleep(self.delay).await;
        results
            .into_iter()
            .map(|step| step.map(|()| Written::Deleted))
            .collect()
    }

    async fn find_created(&self, _: FindCreated) -> Result<Vec<RemoteTask>, ConnectionError> {
        self.answer("find_created", Vec::new()).await
    }

    async fn last_change(&self, _: ReadTask) -> Result<Option<LastChange>, ConnectionError> {
        self.answer("last_change", None).await
    }

    async fn list_descendants(&self, _: ReadTask) -> Result<Vec<RemoteTask>, ConnectionError> {
        self.answer("list_descendants", Vec::new()).await
    }
}
