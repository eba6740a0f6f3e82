//! Breakdowns with models that do as told, on the in-memory hub, in paused time.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use serde_json::json;
use tokio::time::Instant;

use super::*;
use crate::breakdown::{Budget, Draft, DraftRequest, METADATA_KEY};
use crate::clock::Clock;
use crate::event::Event;
use crate::hub::NewTask;
use crate::memory::MemoryStore;
use crate::model::{BreakdownState, Project, Task, Timestamp, TokenCount};
use crate::store::BreakdownClaim;

const SECOND: Duration = Duration::from_secs(1);

/// A clock that goes as tokio's paused time does.
#[derive(Debug)]
struct PausedClock(Instant);

impl Clock for PausedClock {
    fn now(&self) -> Timestamp {
        chrono::DateTime::UNIX_EPOCH + self.0.elapsed()
    }
}

/// What the model does when it is asked.
#[derive(Debug, Clone)]
enum Act {
    Answer(String),
    Refuse,
    Panic,
    Hang,
}

/// A model that does as told, one thing after the other, and then answers well.
#[derive(Debug)]
struct Model {
    acts: Mutex<VecDeque<Act>>,
    asked: Mutex<Vec<DraftRequest>>,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
}

fn good() -> String {
    let subtask = |title: &str| json!({ "title": title, "description": "", "estimated_hours": 1, "priority": "low", "depends_on": [] });
    json!({
        "subtasks": [subtask("Dig"), subtask("Sow"), subtask("Water")], "total_estimate": 3,
        "suggested_sprint_points": 2, "notes": "",
    })
    .to_string()
}

#[async_trait]
impl TaskBreakdown for Model {
    fn model(&self) -> ModelInfo {
        ModelInfo {
            provider: "test".to_owned(),
            model: "model".to_owned(),
            prompt_version: "1".to_owned(),
        }
    }

    async fn draft(&self, request: DraftRequest) -> Result<Draft, BreakdownError> {
        self.asked.lock().unwrap().push(request);
        let now = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_at_once.fetch_max(now, Ordering::SeqCst);
        let act = self.acts.lock().unwrap().pop_front();
        tokio::time::sleep(SECOND).await;
        self.at_once.fetch_sub(1, Ordering::SeqCst);
        let text = match act.unwrap_or_else(|| Act::Answer(good())) {
            Act::Answer(text) => text,
            Act::Refuse => return Err(BreakdownError::new(BreakdownErrorKind::Unauthorized, "ask", "bad key")),
            Act::Panic => panic!("on purpose"),
            Act::Hang => std::future::pending().await,
        };
        let tokens = TokenCount { input: 100, output: 50 };
        Ok(Draft { text, tokens })
    }
}

struct Bench {
    store: Arc<MemoryStore>,
    hub: Hub,
    model: Arc<Model>,
    clock: Arc<dyn Clock>,
    project: Project,
}

impl Bench {
    async fn new(acts: impl IntoIterator<Item = Act>) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(PausedClock(Instant::now()));
        let store = Arc::new(MemoryStore::with_clock(Arc::clone(&clock)));
        let hub = Hub::new(Arc::clone(&store) as _).with_clock(Arc::clone(&clock));
        let project = hub.add_project("Garden").await.unwrap();
        let model = Model {
            acts: Mutex::new(acts.into_iter().collect()),
            asked: Mutex::default(),
            at_once: AtomicUsize::new(0),
            most_at_once: AtomicUsize::new(0),
        };
        Self {
            store,
            hub,
            model: Arc::new(model),
            clock,
            project,
        }
    }

    fn options(&self) -> BreakdownOptions {
        BreakdownOptions::new().clock(Arc::clone(&self.clock))
    }

    /// What a process does.
    fn open(&self, options: BreakdownOptions) -> Breakdowns {
        let model: Arc<dyn TaskBreakdown> = Arc::<Model>::clone(&self.model);
        Breakdowns::new(
            Arc::clone(&self.store) as _,
            Arc::clone(&self.store) as _,
            model,
            options,
        )
    }

    async fn task(&self, title: &str) -> Task {
        self.hub.add_task(NewTask::new(self.project.id, title)).await.unwrap()
    }

    async fn read(&self, task: &Task) -> Task {
        use crate::store::HubStore as _;
        self.store.tasks(vec![task.id]).await.unwrap().pop().unwrap()
    }

    fn asked(&self) -> usize {
        self.model.asked.lock().unwrap().len()
    }
}

/// Waits until the model was asked this often.
async fn asked(bench: &Bench, times: usize) {
    while bench.asked() < times {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_breakdown_ends_as_a_proposal_on_its_task() {
    let bench = Bench::new([]).await;
    let task = bench.task("Grow tomatoes").await;
    let breakdowns = bench.open(bench.options());
    tokio::time::advance(SECOND).await;
    let handle = breakdowns.start(task.id).await.unwrap();
    assert!(!handle.joined() && handle.task() == task.id);
    let job = handle.wait().await.unwrap();
    assert_eq!((job.state, job.attempts), (BreakdownState::Completed, 1));
    let breakdown = job.breakdown.unwrap();
    assert_eq!(breakdown.provenance.tokens.total(), 150);
    let after = bench.read(&task).await;
    assert_eq!(after.metadata[METADATA_KEY]["job_id"], json!(handle.id().to_string()));
    assert!(after.updated_at > task.updated_at && after.field_times.is_empty());
    assert_eq!(crate::breakdown::proposal_in(&after), Some(breakdown));
}

#[tokio::test(start_paused = true)]
async fn a_second_request_for_a_task_joins_and_the_model_is_asked_once() {
    let bench = Bench::new([]).await;
    let task = bench.task("Grow tomatoes").await;
    let breakdowns = bench.open(bench.options());
    let starts = (0..5).map(|_| breakdowns.start(task.id));
    let handles = futures::future::try_join_all(starts).await.unwrap();
    assert_eq!(handles.iter().filter(|handle| handle.joined()).count(), 4);
    for handle in handles {
        assert_eq!(handle.wait().await.unwrap().state, BreakdownState::Completed);
    }
    assert_eq!(bench.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_bad_answer_is_sent_back_once_with_what_is_wrong() {
    let bad = Act::Answer("I would rather not.".to_owned());
    let bench = Bench::new([bad.clone(), Act::Answer(good()), bad.clone(), bad]).await;
    let task = bench.task("Grow tomatoes").await;
    let breakdowns = bench.open(bench.options());
    let good = breakdowns.start(task.id).await.unwrap().wait().await.unwrap();
    assert_eq!(good.state, BreakdownState::Completed);
    assert_eq!(
        good.breakdown.unwrap().provenance.tokens.total(),
        300,
        "both answers count"
    );
    let correction = bench.model.asked.lock().unwrap()[1].correction.clone().unwrap();
    assert_eq!(correction.answer, "I would rather not.");
    assert_eq!(correction.errors, ["the answer holds no JSON object"]);

    let before = bench.read(&task).await;
    let failed = breakdowns.start(task.id).await.unwrap().wait().await.unwrap();
    assert_eq!((failed.state, bench.asked()), (BreakdownState::Failed, 4));
    assert_eq!(failed.raw.as_deref(), Some("I would rather not."));
    assert!(failed.error_message.unwrap().contains("no JSON object"));
    assert_eq!(
        bench.read(&task).await,
        before,
        "nothing is written without a good answer"
    );
}

#[tokio::test(start_paused = true)]
async fn what_the_model_said_is_kept_in_bounds() {
    let long = Act::Answer("🍅".repeat(30_000));
    let bench = Bench::new([long.clone(), long]).await;
    let task = bench.task("Grow tomatoes").await;
    let failed = bench
        .open(bench.options())
        .start(task.id)
        .await
        .unwrap()
        .wait()
        .await
        .unwrap();
    assert!(failed.raw.unwrap().len() < 17 * 1024);
}

#[tokio::test(start_paused = true)]
async fn a_model_that_refuses_panics_or_hangs_is_the_failure_of_that_job_alone() {
    let bench = Bench::new([Act::Refuse, Act::Panic, Act::Hang]).await;
    let breakdowns = bench.open(bench.options().concurrency(1));
    for expected in ["bad key", "on purpose", "within 180 s"] {
        let task = bench.task(expected).await;
        let job = breakdowns.start(task.id).await.unwrap().wait().await.unwrap();
        assert_eq!(job.state, BreakdownState::Failed);
        assert!(job.error_message.as_deref().unwrap().contains(expected), "{job:?}");
    }
    let task = bench.task("Good").await;
    let job = breakdowns.start(task.id).await.unwrap().wait().await.unwrap();
    assert_eq!(job.state, BreakdownState::Completed);
}

#[tokio::test(start_paused = true)]
async fn a_budget_of_tokens_is_kept() {
    let bench = Bench::new([]).await;
    let task = bench.task("Grow tomatoes").await;
    let budget = Budget {
        tokens: 149,
        ..Budget::default()
    };
    let breakdowns = bench.open(bench.options().budget(budget));
    let job = breakdowns.start(task.id).await.unwrap().wait().await.unwrap();
    assert_eq!(job.state, BreakdownState::Failed);
    assert!(job.error_message.unwrap().contains("150 tokens, and 149 are allowed"));
}

#[tokio::test(start_paused = true)]
async fn never_more_are_asked_at_once_than_allowed() {
    let bench = Bench::new([]).await;
    let breakdowns = bench.open(bench.options().concurrency(3));
    let mut handles = Vec::new();
    for number in 0..200 {
        let task = bench.task(&format!("Task {number}")).await;
        handles.push(breakdowns.start(task.id).await.unwrap());
    }
    let asks = (0..20).map(|_| breakdowns.ask(BreakdownInput::new("Something else")));
    assert_eq!(futures::future::try_join_all(asks).await.unwrap().len(), 20);
    for handle in handles {
        assert_eq!(handle.wait().await.unwrap().state, BreakdownState::Completed);
    }
    assert_eq!(bench.model.most_at_once.load(Ordering::SeqCst), 3);
}

#[tokio::test(start_paused = true)]
async fn a_job_is_cancelled_while_it_waits_and_while_it_goes_on() {
    let bench = Bench::new([Act::Hang]).await;
    let breakdowns = bench.open(bench.options().concurrency(1));
    let (first, second) = (bench.task("First").await, bench.task("Second").await);
    let going = breakdowns.start(first.id).await.unwrap();
    asked(&bench, 1).await;
    let waiting = breakdowns.start(second.id).await.unwrap();
    assert_eq!(
        breakdowns.cancel(waiting.id()).await.unwrap().state,
        BreakdownState::Cancelled
    );
    assert_eq!(waiting.wait().await.unwrap().state, BreakdownState::Cancelled);
    breakdowns.cancel(going.id()).await.unwrap();
    let cancelled = going.wait().await.unwrap();
    assert_eq!(cancelled.state, BreakdownState::Cancelled);
    assert_eq!(breakdowns.cancel(going.id()).await.unwrap(), cancelled);
    assert!(!bench.read(&first).await.metadata.contains_key(METADATA_KEY));
    let unknown = breakdowns.cancel(BreakdownId::generate()).await.unwrap_err();
    assert_eq!(unknown.kind(), BreakdownErrorKind::NotFound);
}

#[tokio::test(start_paused = true)]
async fn a_cancellation_by_another_process_is_heeded() {
    let bench = Bench::new([Act::Hang]).await;
    let task = bench.task("Grow tomatoes").await;
    let one = bench.open(bench.options());
    let handle = one.start(task.id).await.unwrap();
    asked(&bench, 1).await;
    let other = bench.open(bench.options());
    assert!(other.cancel(handle.id()).await.unwrap().cancel_requested);
    assert_eq!(handle.wait().await.unwrap().state, BreakdownState::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_leaves_jobs_to_the_next_process() {
    let bench = Bench::new([Act::Hang]).await;
    let task = bench.task("Grow tomatoes").await;
    let one = bench.open(bench.options());
    let handle = one.start(task.id).await.unwrap();
    asked(&bench, 1).await;
    one.shutdown().await;
    assert_eq!(
        handle.wait().await.unwrap_err().kind(),
        BreakdownErrorKind::ShuttingDown
    );
    assert_eq!(
        one.start(task.id).await.unwrap_err().kind(),
        BreakdownErrorKind::ShuttingDown
    );
    assert_eq!(one.job(handle.id()).await.unwrap().state, BreakdownState::Interrupted);
    let next = bench.open(bench.options());
    let handle = next.start(task.id).await.unwrap();
    assert!(handle.joined());
    let job = handle.wait().await.unwrap();
    assert_eq!(
        (job.state, job.attempts, bench.asked()),
        (BreakdownState::Completed, 2, 2)
    );
}

#[tokio::test(start_paused = true)]
async fn the_job_of_a_dead_process_is_tried_again_and_ends_with_one_proposal() {
    let bench = Bench::new([]).await;
    let task = bench.task("Grow tomatoes").await;
    let job = bench.store.enqueue_breakdown(task.id).await.unwrap().job;
    // It died after the proposal was put on the task, and before it said so.
    let ttl = 30 * SECOND;
    let dead = bench
        .store
        .claim_breakdown("dead".to_owned(), ttl)
        .await
        .unwrap()
        .unwrap();
    let model = bench.model.as_ref();
    let budget = Budget::default();
    let proposal = propose(model, BreakdownInput::new("x"), bench.clock.as_ref(), budget)
        .await
        .unwrap();
    let put = bench.hub.propose_breakdown(&dead, &proposal).await.unwrap();

    let breakdowns = bench.open(bench.options());
    let ended = breakdowns.start(task.id).await.unwrap().wait().await.unwrap();
    assert_eq!(
        (ended.id, ended.state, ended.attempts),
        (job.id, BreakdownState::Completed, 2)
    );
    assert_eq!(ended.breakdown, Some(proposal));
    assert_eq!((bench.asked(), bench.read(&task).await), (1, put));
    let end = crate::store::BreakdownEnd::without(BreakdownState::Failed, None);
    assert!(
        !bench
            .store
            .finish_breakdown(BreakdownClaim::of(&dead), end)
            .await
            .unwrap()
    );
}

#[tokio::test(start_paused = true)]
async fn what_kills_every_process_is_given_up() {
    let bench = Bench::new([]).await;
    let task = bench.task("Grow tomatoes").await;
    bench.store.enqueue_breakdown(task.id).await.unwrap();
    for turn in 0..5 {
        let dead = bench
            .store
            .claim_breakdown(format!("dead {turn}"), SECOND)
            .await
            .unwrap();
        assert!(dead.is_some());
        tokio::time::advance(SECOND).await;
        bench.store.interrupt_abandoned_breakdowns().await.unwrap();
    }
    let breakdowns = bench.open(bench.options());
    let job = breakdowns.start(task.id).await.unwrap().wait().await.unwrap();
    assert_eq!((job.state, bench.asked()), (BreakdownState::Failed, 0));
    assert!(job.error_message.unwrap().contains("5 attempts"));
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_gone_is_not_broken_down() {
    let bench = Bench::new([]).await;
    let breakdowns = bench.open(bench.options());
    let unknown = breakdowns.start(TaskId::generate()).await.unwrap_err();
    assert_eq!(unknown.kind(), BreakdownErrorKind::NotFound);
    let task = bench.task("Gone").await;
    bench.hub.delete_task(task.id).await.unwrap();
    assert_eq!(
        breakdowns.start(task.id).await.unwrap_err().kind(),
        BreakdownErrorKind::NotFound
    );
    assert_eq!(bench.asked(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_proposal_is_accepted_and_discarded_and_all_of_it_is_told() {
    let bench = Bench::new([]).await;
    let task = bench.task("Grow tomatoes").await;
    let (sender, mut events) = tokio::sync::broadcast::channel(100);
    let teller = Teller {
        here: Some(sender),
        elsewhere: None,
    };
    let model: Arc<dyn TaskBreakdown> = Arc::<Model>::clone(&bench.model);
    let store = &bench.store;
    let breakdowns = Breakdowns::telling(
        Arc::clone(store) as _,
        Arc::clone(store) as _,
        model,
        bench.options(),
        teller,
    );
    let job = breakdowns.start(task.id).await.unwrap().wait().await.unwrap();
    let accepted = breakdowns.accept(job.id, Some(vec![1])).await.unwrap();
    assert_eq!(accepted.created, 1);
    assert_eq!(breakdowns.accept(job.id, Some(vec![1])).await.unwrap().created, 0);
    assert!(breakdowns.discard(job.id).await.unwrap().discarded_at.is_some());
    breakdowns.discard(job.id).await.unwrap();
    assert_eq!(
        breakdowns.accept(job.id, None).await.unwrap_err().kind(),
        BreakdownErrorKind::Conflict
    );
    assert!(!bench.read(&task).await.metadata.contains_key(METADATA_KEY));
    assert_eq!(breakdowns.accepted(&job).await.unwrap().len(), 1, "what was made stays");
    let mut told = Vec::new();
    while let Ok(event) = events.try_recv() {
        if let Event::Breakdown { news, .. } = event {
            told.push(news);
        }
    }
    use BreakdownNews::{Accepted, Completed, Discarded, Queued, Started};
    assert_eq!(told, [Queued, Started, Completed, Accepted, Discarded]);
}
