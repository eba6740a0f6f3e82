//! The engine with this adapter: what a user relies on, end to end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use magnus_core::engine::{Engine, RunContext, RunEnd, RunError, SyncEngine};
use magnus_core::memory::MemoryStore;
use magnus_core::model::{ConnectionId, Field, ProjectId, RunRequest, RunState, Task, TaskId, TaskPatch, Value};
use magnus_core::secret::{SecretError, SecretStore};
use magnus_core::store::{
    Changeset, Fence, HubStore, LeaseAnswer, LeaseStore, LinkStore, SettingsStore, TaskStore, TaskWrite, Unit,
};
use magnus_openproject::OpenProjectConnector;
use magnus_testkit::sim::openproject::{OpenProjectOptions, OpenProjectSimulator};
use magnus_testkit::transport::RouterTransport;
use secrecy::SecretString;

use crate::support::settings;

#[derive(Debug)]
struct OneKey(String);

#[async_trait]
impl SecretStore for OneKey {
    async fn get(&self, _: ConnectionId) -> Result<Option<SecretString>, SecretError> {
        Ok(Some(SecretString::from(self.0.clone())))
    }

    async fn put(&self, _: ConnectionId, _: SecretString) -> Result<(), SecretError> {
        Ok(())
    }

    async fn delete(&self, _: ConnectionId) -> Result<(), SecretError> {
        Ok(())
    }
}

pub(crate) struct Hub {
    store: MemoryStore,
    engine: Engine,
    connection: ConnectionId,
    pub(crate) tool: OpenProjectSimulator,
}

impl Hub {
    pub(crate) async fn new(tool: OpenProjectSimulator) -> Self {
        let store = MemoryStore::default();
        let connector = OpenProjectConnector::new(Arc::new(RouterTransport::new(tool.router())));
        let engine =
            Engine::new(Arc::new(store.clone()), Arc::new(OneKey(tool.api_key()))).with_connector(Arc::new(connector));
        let saved = store
            .save_connection(settings("https://openproject.test"))
            .await
            .expect("saved");
        Self {
            store,
            engine,
            connection: saved.id,
            tool,
        }
    }

    pub(crate) async fn sync(&self) -> RunEnd {
        self.try_sync().await.expect("a run")
    }

    pub(crate) async fn try_sync(&self) -> Result<RunEnd, RunError> {
        let lease = self
            .store
            .acquire_lease(self.connection, "test".to_owned(), Duration::from_secs(60))
            .await
            .expect("a store");
        let LeaseAnswer::Granted(lease) = lease else {
            panic!("held: {lease:?}")
        };
        let mut context = RunContext::detached();
        context.fence = Fence::Lease(lease.clone());
        let end = self.engine.run(RunRequest::new(self.connection), context).await;
        self.store.release_lease(lease).await.expect("released");
        end
    }

    /// Syncs again: nothing may be written anywhere.
    pub(crate) async fn assert_quiet(&self) {
        let (tool, rows) = (self.tool.writes(), self.store.changed_rows().total());
        let end = self.sync().await;
        assert_eq!(end.state, RunState::Completed, "{end:#?}");
        assert_eq!(self.tool.writes(), tool, "{:#?}", self.tool.accepted_writes());
        assert_eq!(self.store.changed_rows().total(), rows, "{end:#?}");
    }

    pub(crate) async fn tasks(&self) -> Vec<Task> {
        let links = self.store.links(self.connection).await.expect("links");
        let ids: BTreeSet<TaskId> = links.iter().map(|link| link.task_id).collect();
        self.store.tasks(ids.into_iter().collect()).await.expect("tasks")
    }

    pub(crate) async fn by_title(&self) -> BTreeMap<String, Task> {
        self.tasks()
            .await
            .into_iter()
            .map(|task| (task.title.clone(), task))
            .collect()
    }

    async fn commit(&self, write: TaskWrite) {
        let unit = Unit {
            tasks: vec![write],
            ..Unit::default()
        };
        let outcome = self
            .store
            .commit(Fence::Hub, Changeset::of(vec![unit]))
            .await
            .expect("committed");
        assert!(outcome.stale.is_empty());
    }

    pub(crate) async fn edit(&self, mut task: Task, changes: Vec<(Field, Value)>) {
        let expected = task.version;
        let patch: TaskPatch = changes.into_iter().collect();
        patch.apply(&mut task, chrono::Utc::now()).expect("values that fit");
        self.commit(TaskWrite::Update {
            task: Box::new(task),
            expected,
        })
        .await;
    }

    pub(crate) async fn add(&self, project: ProjectId, title: &str, change: impl FnOnce(&mut Task)) {
        let mut task = Task::new(project, title, chrono::Utc::now());
        change(&mut task);
        self.commit(TaskWrite::Insert {
            task: Box::new(task),
            guard: None,
        })
        .await;
    }
}

async fn seeded(options: OpenProjectOptions, count: usize) -> (Hub, u64, Vec<u64>) {
    let tool = OpenProjectSimulator::new(options);
    let project = tool.create_project("Garden", "garden");
    let made = tool.seed_project(project, count, 11);
    (Hub::new(tool).await, project, made)
}

#[tokio::test]
async fn a_first_sync_brings_everything_and_the_second_writes_nothing() {
    for options in [
        OpenProjectOptions::default(),
        OpenProjectOptions::strict(),
        OpenProjectOptions::default().page_size_max(17),
    ] {
        let (hub, _, made) = seeded(options, 150).await;
        let end = hub.sync().await;
        assert_eq!(end.state, RunState::Completed, "{end:#?}");
        assert_eq!(hub.tasks().await.len(), made.len());
        let by_title = hub.by_title().await;
        for item in hub.tool.work_packages() {
            let task = &by_title[&item.subject];
            assert_eq!(
                task.description.clone().unwrap_or_default(),
                item.description,
                "byte for byte"
            );
            assert_eq!(task.due_date, item.due_date);
            assert_eq!(task.parent_id.is_some(), item.parent_id.is_some());
        }
        assert_eq!(hub.tool.writes(), 0);
        hub.assert_quiet().await;
    }
}

#[tokio::test]
async fn edits_on_both_sides_meet_and_then_it_is_quiet() {
    let (hub, project, made) = seeded(OpenProjectOptions::default(), 20).await;
    hub.sync().await;
    let title = |id: u64| hub.tool.work_package(id).map(|item| item.subject).unwrap_or_default();
    let (first, second) = (made[0], made[1]);
    let due = "2026-12-24".parse().expect("a date");
    let task = hub.by_title().await[&title(first)].clone();
    hub.edit(
        task,
        vec![
            (Field::DueDate, Value::Date(due)),
            (Field::StartDate, Value::Empty),
            (Field::Description, Value::text("From the hub\r\n")),
        ],
    )
    .await;
    hub.tool
        .edit_work_package(first, |item| item.estimated_minutes = Some(90));
    hub.tool
        .edit_work_package(second, |item| item.subject = "Renamed in the tool".to_owned());
    let hub_project = hub.tasks().await[0].project_id;
    hub.add(hub_project, "Made in the hub", |task| task.due_date = Some(due))
        .await;
    let made_in_tool = hub.tool.create_work_package(project, "Made in the tool");

    let end = hub.sync().await;
    assert_eq!(end.state, RunState::Completed, "{end:#?}");
    let item = hub.tool.work_package(first).expect("there");
    assert_eq!(
        (item.due_date, item.description.as_str(), item.estimated_minutes),
        (Some(due), "From the hub\r\n", Some(90))
    );
    let tasks = hub.by_title().await;
    assert_eq!(
        tasks[&title(first)].estimated_minutes,
        Some(90),
        "merged, and not overwritten"
    );
    assert!(tasks.contains_key("Renamed in the tool") && tasks.contains_key(&title(made_in_tool)));
    let created = hub
        .tool
        .work_packages()
        .into_iter()
        .filter(|item| item.subject == "Made in the hub")
        .collect::<Vec<_>>();
    assert_eq!(created.len(), 1);
    assert_eq!(
        (created[0].due_date, created[0].author_id),
        (Some(due), hub.tool.sync_user())
    );
    hub.assert_quiet().await;
}

#[tokio::test]
async fn a_create_whose_answer_is_lost_is_not_made_twice() {
    use magnus_testkit::sim::{CallMatcher, Fault, FaultRule};
    let (hub, _, _) = seeded(OpenProjectOptions::default(), 5).await;
    hub.sync().await;
    let project = hub.tasks().await[0].project_id;
    hub.add(project, "Lost on the way", |_| ()).await;
    hub.tool
        .faults()
        .inject(FaultRule::new(CallMatcher::any().method("POST"), Fault::LoseAnswer));
    hub.sync().await;
    for _ in 0..3 {
        hub.sync().await;
    }
    let made = hub
        .tool
        .work_packages()
        .into_iter()
        .filter(|item| item.subject == "Lost on the way")
        .count();
    assert_eq!(made, 1);
    hub.assert_quiet().await;
}

#[tokio::test]
async fn losing_access_deletes_nothing() {
    let (hub, project, made) = seeded(OpenProjectOptions::default(), 12).await;
    hub.sync().await;
    for _ in 0..3 {
        hub.tool.remove_membership(project, hub.tool.sync_user());
        for _ in 0..2 {
            let end = hub.try_sync().await;
            assert!(
                !end.is_ok_and(|end| end.state == RunState::Completed),
                "a run that read nothing is not completed"
            );
        }
        let tasks = hub.tasks().await;
        assert_eq!(tasks.len(), made.len());
        assert!(
            tasks
                .iter()
                .all(|task| !task.is_deleted() && task.archived_at.is_none())
        );
        hub.tool.set_role(
            project,
            hub.tool.sync_user(),
            magnus_testkit::sim::openproject::Role::Member,
        );
        hub.sync().await;
    }
    assert_eq!(hub.tool.work_packages().len(), made.len());
    hub.assert_quiet().await;
}

#[tokio::test]
async fn a_status_that_the_workflow_refuses_is_sent_once_and_the_rest_arrives() {
    use magnus_testkit::sim::openproject::Workflow;
    let options = OpenProjectOptions::default().workflow(Workflow::new([(1, 7), (7, 12)]));
    let tool = OpenProjectSimulator::new(options);
    let project = tool.create_project("Strict", "strict");
    let item = tool.create_work_package(project, "Jumps");
    let hub = Hub::new(tool).await;
    hub.sync().await;
    let task = hub.by_title().await["Jumps"].clone();
    let done = Value::Status(magnus_core::model::Status::Done);
    hub.edit(
        task,
        vec![(Field::Status, done), (Field::Description, Value::text("arrives"))],
    )
    .await;
    hub.sync().await;
    let now = hub.tool.work_package(item).expect("there");
    assert_eq!((now.status_id, now.description.as_str()), (1, "arrives"));
    hub.sync().await;
    hub.tool.reset_counts();
    hub.sync().await;
    let patches = hub
        .tool
        .requests()
        .into_iter()
        .filter(|((method, _), _)| method == "PATCH")
        .count();
    assert_eq!(patches, 0, "the refusal is remembered");
    assert_eq!(
        hub.by_title().await["Jumps"].status,
        magnus_core::model::Status::Done,
        "and the hub keeps its value"
    );
}

#[tokio::test]
async fn what_the_tool_makes_of_a_value_does_not_swing() {
    let tool = OpenProjectSimulator::new(OpenProjectOptions::strict());
    let project = tool.create_project("Strict", "strict");
    let item = tool.create_work_package(project, "Weekend");
    let parent = tool.create_work_package(project, "Parent");
    let hub = Hub::new(tool).await;
    hub.sync().await;
    let task = hub.by_title().await["Weekend"].clone();
    let parent_task = hub.by_title().await["Parent"].id;
    let saturday = "2026-05-02".parse().expect("a date");
    let changes = vec![
        (Field::DueDate, Value::Date(saturday)),
        (Field::EstimatedHours, Value::Minutes(600)),
        (Field::Parent, Value::Task(parent_task)),
    ];
    hub.edit(task, changes).await;
    hub.sync().await;
    hub.sync().await;
    let now = hub.tool.work_package(item).expect("there");
    assert_eq!(
        (now.due_date, now.estimated_minutes, now.parent_id),
        ("2026-05-04".parse().ok(), Some(600), Some(parent))
    );
    let tasks = hub.by_title().await;
    assert_eq!(
        tasks["Weekend"].remaining_minutes,
        Some(600),
        "derived by the tool, and pulled"
    );
    assert_eq!(
        tasks["Parent"].due_date, now.due_date,
        "derived by the tool, and pulled"
    );
    hub.assert_quiet().await;
}

#[tokio::test]
async fn a_deleted_item_stays_in_the_hub_and_is_not_made_again() {
    let (hub, _, made) = seeded(OpenProjectOptions::default(), 10).await;
    hub.sync().await;
    let leaf = made
        .iter()
        .rev()
        .find(|id| hub.tool.work_packages().iter().all(|item| item.parent_id != Some(**id)));
    hub.tool.delete_work_package(*leaf.expect("a leaf"));
    for _ in 0..3 {
        hub.sync().await;
    }
    assert_eq!(hub.tool.work_packages().len(), made.len() - 1);
    assert_eq!(
        hub.tasks().await.iter().filter(|task| !task.is_deleted()).count(),
        made.len()
    );
    hub.assert_quiet().await;
}

#[tokio::test]
async fn a_quiet_run_of_a_thousand_tasks_in_three_projects_stays_within_its_requests() {
    let tool = OpenProjectSimulator::new(OpenProjectOptions::default());
    for (index, count) in [400, 350, 250].into_iter().enumerate() {
        let project = tool.create_project(&format!("Project {index}"), &format!("p{index}"));
        tool.seed_project(project, count, index as u64);
    }
    let hub = Hub::new(tool).await;
    hub.sync().await;
    assert_eq!(hub.tasks().await.len(), 1000);
    hub.tool.reset_counts();
    hub.assert_quiet().await;
    assert!(hub.tool.recorder().total() <= 6 + 3 * 3, "{:#?}", hub.tool.requests());
}

#[tokio::test]
async fn a_status_that_the_tool_replaces_on_create_is_reported_and_not_taken_for_agreed() {
    use magnus_testkit::sim::openproject::Workflow;
    let options = OpenProjectOptions::default().workflow(Workflow::new([(1, 7), (7, 12)]));
    let tool = OpenProjectSimulator::new(options);
    let project = tool.create_project("Strict", "strict");
    tool.create_work_package(project, "There");
    let hub = Hub::new(tool).await;
    hub.sync().await;
    let hub_project = hub.tasks().await[0].project_id;
    hub.add(hub_project, "Waits", |task| {
        task.status = magnus_core::model::Status::Blocked
    })
    .await;
    hub.sync().await;
    let end = hub.sync().await;
    let tasks = hub.by_title().await;
    assert_eq!(
        tasks["Waits"].status,
        magnus_core::model::Status::Blocked,
        "the hub keeps its value"
    );
    let made = hub.tool.work_packages().pop().expect("created");
    assert_eq!((made.subject.as_str(), made.status_id), ("Waits", 1));
    assert!(
        format!("{:?}", end.report).contains("another value in its place"),
        "{:#?}",
        end.report
    );
    hub.assert_quiet().await;
}
