//! What a person does in the hub at any moment of a run: before each thing that the run asks of the store.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::FutureExt;
use magnus_core::hub::Hub;
use magnus_core::memory::MemoryStore;
use magnus_core::model::{
    ConflictPolicy, ConnectionSettings, DeletionPolicy, Field, LinkState, ProjectId, RunRequest, RunState, Status,
    TaskId, TaskPatch, Value,
};
use magnus_core::store::{Changeset, CommitOutcome, Fence, HubStore, StoreError, TaskStore};
use magnus_testkit::clock::SetClock;
use magnus_testkit::watched::Watch;
use support::bench::Bench;
use support::toy::{Habits, Happening, Toy};

/// Counts what is asked of the store, and does something before the chosen question.
#[derive(Debug, Clone, Default)]
struct AtQuestion(Arc<Chosen>);

#[derive(Debug, Default)]
struct Chosen {
    chosen: usize,
    asked: AtomicUsize,
    deed: Mutex<Option<Happening>>,
}

impl AtQuestion {
    fn at(chosen: usize, deed: impl FnOnce() + Send + 'static) -> Self {
        Self(Arc::new(Chosen {
            chosen,
            asked: AtomicUsize::default(),
            deed: Mutex::new(Some(Happening(Box::new(deed)))),
        }))
    }

    fn ask(&self) {
        if self.0.asked.fetch_add(1, Ordering::Relaxed) + 1 == self.0.chosen {
            let deed = self.0.deed.lock().unwrap().take().unwrap();
            (deed.0)();
        }
    }

    fn was_reached(&self) -> bool {
        self.0.deed.lock().unwrap().is_none()
    }
}

#[async_trait]
impl Watch for AtQuestion {
    async fn before(&self, _: &'static str) {
        self.ask();
    }

    async fn commit(
        &self,
        store: &dyn TaskStore,
        fence: Fence,
        changeset: Changeset,
    ) -> Result<CommitOutcome, StoreError> {
        self.ask();
        store.commit(fence, changeset).await
    }
}

const ALL_KINDS: [&str; 8] = [
    "at rest",
    "edited here",
    "edited there",
    "edited on both sides",
    "deleted here",
    "deleted there",
    "new here",
    "new there",
];

fn options(settings: &mut ConnectionSettings) {
    settings.options.deletions = DeletionPolicy::Delete;
    settings.options.conflicts = ConflictPolicy::HubWins;
}

/// A bench on which a run has something of every kind to do.
async fn with_everything_to_do(habits: Habits) -> (Bench, Toy) {
    let toy = Toy::new("toy", habits);
    let bench = Bench::with(vec![toy.clone()], options).await;
    for title in &ALL_KINDS[..6] {
        toy.add(title);
    }
    bench.settle().await;
    let item = |title: &str| toy.find(title)[0];
    let gone = item("deleted there");
    toy.delete(gone);
    // Believed only once two runs in a row have seen it gone.
    bench.sync(0).await;
    bench.add("new here").await;
    toy.add("new there");
    for title in ["edited here", "edited on both sides"] {
        let task = bench.task(title).await.id;
        bench.edit(task, Field::Status, Value::Status(Status::Review)).await;
    }
    for title in ["edited there", "edited on both sides"] {
        let item = item(title);
        toy.edit(item, Field::Status, &Value::Status(Status::Done));
    }
    bench.delete(bench.task("deleted here").await.id).await;
    (bench, toy)
}

/// What a person writes: one value that nobody else touches, and one that many do.
fn of_the_person() -> [(Field, Value); 2] {
    [
        (Field::Description, Value::text("of the person")),
        (Field::Status, Value::Status(Status::InProgress)),
    ]
}

/// What a person does, at once, to every task that can be seen at that moment.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Deed {
    Edit,
    Delete,
    Restore,
}

impl Deed {
    /// The tasks to which it was done. What is deleted by then, or is not any more, is not among them: the person is told so.
    async fn done(self, hub: &Hub, store: &MemoryStore, project: ProjectId) -> Vec<TaskId> {
        let tasks = store.tasks_of_project(project).await.unwrap();
        let mut done = Vec::new();
        for task in tasks {
            let answer = match self {
                Self::Edit => hub.edit_task(task.id, of_the_person().into_iter().collect()).await,
                Self::Delete => hub.delete_task(task.id).await,
                Self::Restore => hub.restore_task(task.id).await,
            };
            done.extend(answer.ok().map(|task| task.id));
        }
        done
    }
}

/// Has a person do something before the chosen question of a run. Answers to what it was done, once it was.
fn person(bench: &mut Bench, chosen: usize, deed: Deed) -> (AtQuestion, Arc<Mutex<Vec<TaskId>>>) {
    let hub = Hub::new(Arc::new(bench.store.clone())).with_clock(Arc::<SetClock>::clone(&bench.clock));
    let (store, project) = (bench.store.clone(), bench.project);
    let done = Arc::<Mutex<Vec<TaskId>>>::default();
    let into = Arc::clone(&done);
    let watch = AtQuestion::at(chosen, move || {
        let tasks = deed.done(&hub, &store, project).now_or_never();
        *into.lock().unwrap() = tasks.expect("the store in memory never waits");
    });
    bench.watched(watch.clone());
    (watch, done)
}

async fn assert_nothing_is_doubled(bench: &Bench, toy: &Toy, told: &str) {
    let tasks = bench.tasks().await;
    for title in ALL_KINDS {
        assert!(toy.find(title).len() <= 1, "{title} is doubled in the tool: {told}");
        let tasks = tasks.values().filter(|task| task.title == title).count();
        assert!(tasks <= 1, "{title} is doubled in the hub: {told}");
    }
}

/// What was edited is there, on every side that has it.
async fn assert_the_edit_stands(bench: &Bench, toy: &Toy, done: &[TaskId], told: &str) {
    let links = bench.links(0).await;
    for id in done {
        let task = bench.store_task(*id).await;
        assert!(!task.is_deleted(), "{:?} was deleted over an edit: {told}", task.title);
        let live = links
            .iter()
            .find(|link| link.task_id == *id && link.state == LinkState::Live);
        for (field, value) in of_the_person() {
            assert_eq!(task.get(field), value, "{told}: {task:?}");
            if let Some(link) = live {
                let item: u64 = link.external_id.as_str().parse().unwrap();
                assert_eq!(toy.value(item, field), value, "{told}: {task:?}");
            }
        }
    }
}

#[tokio::test]
async fn nothing_that_a_person_does_during_a_run_is_lost_or_doubled() {
    for habits in [Habits::exact(), Habits::loose()] {
        for deed in [Deed::Edit, Deed::Delete, Deed::Restore] {
            let mut moments = 0;
            loop {
                let (mut bench, toy) = with_everything_to_do(habits).await;
                let (watch, done) = person(&mut bench, moments + 1, deed);
                bench.sync(0).await;
                if !watch.was_reached() {
                    break;
                }
                moments += 1;
                let told = format!("{deed:?} before question {moments}, {habits:?}");
                bench.settle().await;
                assert_nothing_is_doubled(&bench, &toy, &told).await;
                let done = done.lock().unwrap().clone();
                assert!(!done.is_empty() || deed == Deed::Restore, "{told}");
                match deed {
                    Deed::Edit => assert_the_edit_stands(&bench, &toy, &done, &told).await,
                    Deed::Delete => {
                        for id in done {
                            let task = bench.store_task(id).await;
                            assert!(task.is_deleted(), "{:?} came back: {told}", task.title);
                            // Where the tool's own edit had not been seen, that is kept.
                            let kept = task.title == "edited there" || task.title == "edited on both sides";
                            assert!(kept || toy.find(&task.title).is_empty(), "{:?}: {told}", task.title);
                        }
                    }
                    Deed::Restore => {
                        for id in done {
                            let task = bench.store_task(id).await;
                            assert!(!task.is_deleted(), "{:?} went again: {told}", task.title);
                            assert_eq!(toy.find(&task.title).len(), 1, "{:?}: {told}", task.title);
                        }
                    }
                }
            }
            assert!(moments > 20, "a run asks more than {moments} things of the store");
        }
    }
}

#[tokio::test]
async fn what_a_person_edits_while_a_run_is_undone_stands() {
    for habits in [Habits::exact(), Habits::loose()] {
        let mut moments = 0;
        loop {
            let (mut bench, toy) = with_everything_to_do(habits).await;
            let connection = bench.toys[0].1;
            let run = bench.run(RunRequest::new(connection)).await;
            let (watch, done) = person(&mut bench, moments + 1, Deed::Edit);
            bench.run(RunRequest::undoing(connection, run.id)).await;
            if !watch.was_reached() {
                break;
            }
            moments += 1;
            let told = format!("edit before question {moments} of an undoing, {habits:?}");
            bench.settle().await;
            assert_nothing_is_doubled(&bench, &toy, &told).await;
            let done = done.lock().unwrap().clone();
            assert!(done.len() >= 5, "{told}");
            assert_the_edit_stands(&bench, &toy, &done, &told).await;
        }
        assert!(moments > 20, "an undoing asks more than {moments} things of the store");
    }
}

/// Somebody who edits a task whenever the engine is about to plan it.
#[derive(Debug)]
struct Busy {
    store: MemoryStore,
    task: TaskId,
    edits: Arc<AtomicUsize>,
}

#[async_trait]
impl Watch for Busy {
    async fn before(&self, method: &'static str) {
        if method == "links_of_tasks" {
            let edit = self.edits.fetch_add(1, Ordering::Relaxed);
            let words = Value::text(format!("edit {edit}"));
            let patch: TaskPatch = [(Field::Description, words)].into_iter().collect();
            let hub = Hub::new(Arc::new(self.store.clone()));
            hub.edit_task(self.task, patch).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_run_ends_although_somebody_goes_on_editing() {
    let toy = Toy::new("toy", Habits::exact());
    let mut bench = Bench::new(vec![toy.clone()]).await;
    let item = toy.add("task");
    bench.settle().await;
    let task = bench.task("task").await.id;
    let edits = Arc::<AtomicUsize>::default();
    bench.watched(Busy {
        store: bench.store.clone(),
        task,
        edits: Arc::clone(&edits),
    });
    let end = bench.sync(0).await;
    assert_eq!(end.state, RunState::Completed, "{end:?}");
    let edits = edits.load(Ordering::Relaxed);
    assert!((2..=5).contains(&edits), "planned {edits} times");
    bench.watched(AtQuestion::default());
    bench.settle().await;
    let last = Value::text(format!("edit {}", edits - 1));
    assert_eq!(toy.value(item, Field::Description), last);
}
