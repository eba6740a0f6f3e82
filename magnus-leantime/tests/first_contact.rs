//! A hub of ten thousand tasks meets an empty instance that limits its requests.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "support/bench.rs"]
mod bench;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bench::Bench;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use magnus_core::engine::RunContext;
use magnus_core::model::{RunState, Task};
use magnus_core::store::{Changeset, Fence, TaskStore, TaskWrite, Unit};
use magnus_testkit::sim::leantime::{Dialect, LeantimeOptions, LeantimeSimulator};
use magnus_testkit::transport::RouterTransport;
use magnus_transport::{Transport, TransportError};
use serde_json::Value;
use tokio::time::{Instant, sleep};

/// The way to an instance that takes its time as a real one does: 0.1 s per request and 5 to 8 ms per call.
#[derive(Debug)]
struct Unhurried {
    instance: RouterTransport,
    refused: Arc<AtomicUsize>,
    longest: Arc<std::sync::Mutex<Duration>>,
}

#[async_trait]
impl Transport for Unhurried {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let body: Value = serde_json::from_slice(request.body()).unwrap_or_default();
        let mut took = Duration::from_millis(100);
        for call in body.as_array().unwrap_or(&Vec::new()) {
            let writes = call["method"] == "leantime.rpc.Tickets.addTicket";
            took += Duration::from_millis(if writes { 8 } else { 5 });
        }
        sleep(took).await;
        let response = self.instance.send(request).await?;
        if response.status() == StatusCode::TOO_MANY_REQUESTS {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        let mut longest = self.longest.lock().unwrap();
        *longest = longest.max(took);
        Ok(response)
    }
}

async fn first_contact(dialect: Dialect, limit: u32, tasks: usize) {
    let simulator = LeantimeSimulator::new(LeantimeOptions::dialect(dialect).rate_limit_per_minute(limit));
    let refused = Arc::new(AtomicUsize::new(0));
    let longest = Arc::default();
    let transport = Unhurried {
        instance: RouterTransport::new(simulator.router()),
        refused: Arc::clone(&refused),
        longest: Arc::clone(&longest),
    };
    let bench = Bench::over(simulator, Arc::new(transport), |settings| {
        settings.options.guard.creations.count = 1_000_000;
    })
    .await;
    let mut changeset = Changeset::new();
    for n in 0..tasks {
        let task = Box::new(Task::new(bench.hub, format!("Task {n}"), chrono::Utc::now()));
        changeset.units.push(Unit {
            tasks: vec![TaskWrite::Insert { task, guard: None }],
            ..Unit::default()
        });
    }
    bench.store.commit(Fence::Hub, changeset).await.unwrap();

    let plan = bench.plan().await;
    assert_eq!(
        plan.notifying_writes,
        u64::try_from(tasks).unwrap(),
        "each mails the members"
    );
    let foreseen = plan.foreseen().unwrap();
    let context = RunContext::detached();
    let mut progress = context.progress.subscribe();
    let begun = Instant::now();
    let told = tokio::spawn(async move {
        let told = progress
            .wait_for(|progress| progress.foreseen_seconds.is_some())
            .await
            .unwrap()
            .foreseen_seconds;
        (told.unwrap(), Instant::now())
    });
    let end = bench.try_sync_in(context).await;
    let end = end.unwrap_or_else(|error| panic!("{error}"));
    let took = begun.elapsed();
    assert_eq!(end.state, RunState::Completed, "{:?}", end.message);
    assert_eq!(bench.simulator.tickets().len(), tasks);
    assert_eq!(refused.load(Ordering::Relaxed), 0, "no request came too early");
    assert!(*longest.lock().unwrap() <= Duration::from_secs(20), "{longest:?}");
    let close = |foreseen: Duration, took: Duration| {
        assert!(
            foreseen.abs_diff(took) <= took / 5,
            "{limit} a minute: foreseen {foreseen:?}, took {took:?}"
        );
    };
    close(foreseen, took);
    let (told, at) = told.await.unwrap();
    close(Duration::from_secs(told), took - (at - begun));
    if limit == 10 {
        assert!(took > Duration::from_secs(240), "{took:?}");
    }
    bench.is_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_tasks_at_ten_requests_a_minute() {
    first_contact(Dialect::V373, 10, 10_000).await;
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_tasks_at_a_hundred_and_twenty_requests_a_minute() {
    first_contact(Dialect::V398, 120, 10_000).await;
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_was_lowered_is_learned_from_one_refusal() {
    let simulator = LeantimeSimulator::new(LeantimeOptions::dialect(Dialect::V398).rate_limit_per_minute(5));
    let refused = Arc::new(AtomicUsize::new(0));
    let transport = Unhurried {
        instance: RouterTransport::new(simulator.router()),
        refused: Arc::clone(&refused),
        longest: Arc::default(),
    };
    let bench = Bench::over(simulator, Arc::new(transport), |_| {}).await;
    for n in 0..7 {
        bench.simulator.create_ticket(bench.project, &format!("Task {n}"));
        let end = bench.sync().await;
        assert_eq!(end.state, RunState::Completed, "{:?}", end.message);
    }
    assert_eq!(refused.load(Ordering::Relaxed), 1);
}
