//! Live events: every change of state once and in order, whatever happens to the connection or to the service.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use futures::StreamExt as _;
use http::Request;
use magnus_core::store::ServiceStore;
use magnus_sqlite::SqliteStore;
use magnus_testkit::sim::{CallMatcher, Fault, FaultRule, Gate};
use serde_json::Value;
use support::{Bench, PATIENCE};

/// One event as it came.
#[derive(Debug, Clone)]
struct Event {
    name: String,
    id: Option<i64>,
    data: Value,
}

impl Event {
    /// The run and the state it came to.
    fn change(&self) -> Option<(String, String)> {
        self.id?;
        let word = |key: &str| self.data[key].as_str().unwrap().to_owned();
        Some((word("run_id"), word("status")))
    }
}

/// A listener, as a browser is one.
struct Listener {
    body: BodyDataStream,
    text: String,
}

impl Listener {
    async fn new(bench: &Bench, last: Option<i64>) -> Self {
        use tower::ServiceExt as _;
        let mut request = Request::get("/sync/events");
        if let Some(last) = last {
            request = request.header("last-event-id", last.to_string());
        }
        let response = bench
            .app
            .clone()
            .oneshot(request.body(Body::empty()).unwrap())
            .await
            .unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self {
            body: response.into_body().into_data_stream(),
            text: String::new(),
        }
    }

    /// The next event; `None` once the service ended the stream. Signs of life are left out.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let block: String = self.text.drain(..end + 2).collect();
                if let Some(event) = parse(&block) {
                    return Some(event);
                }
                continue;
            }
            let part = tokio::time::timeout(PATIENCE, self.body.next())
                .await
                .expect("something comes");
            self.text.push_str(std::str::from_utf8(&part?.unwrap()).unwrap());
        }
    }

    /// Events up to and with the first that is so.
    async fn until(&mut self, is_last: impl Fn(&Event) -> bool) -> Vec<Event> {
        let mut events = Vec::new();
        loop {
            let event = self.next().await.expect("the stream goes on");
            let last = is_last(&event);
            events.push(event);
            if last {
                return events;
            }
        }
    }
}

fn parse(block: &str) -> Option<Event> {
    let field = |name: &str| {
        let line = block
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.map(|value| value.trim_start().to_owned())
    };
    Some(Event {
        name: field("event")?,
        id: field("id").map(|id| id.parse().unwrap()),
        data: serde_json::from_str(&field("data")?).unwrap(),
    })
}

fn changes(events: &[Event]) -> Vec<(String, String)> {
    events.iter().filter_map(Event::change).collect()
}

#[tokio::test]
async fn a_run_is_told_from_queued_to_its_end_with_progress_and_items() {
    let bench = Bench::new();
    let id = bench.filled(3).await;
    // The run is held until its progress was told: else it might be over before.
    let gate = Gate::default();
    let tasks = CallMatcher::any().path_contains("work_packages");
    let hold = FaultRule::new(tasks, Fault::Hold(gate.clone())).always();
    bench.openproject.faults().inject(hold);
    let mut listener = Listener::new(&bench, None).await;
    bench.act(&format!("/connections/{id}/sync")).await.is(202);
    let mut events = listener.until(|event| event.name == "run.progress").await;
    gate.open();
    events.extend(listener.until(|event| event.name == "run.finished").await);
    let states: Vec<String> = changes(&events).into_iter().map(|(_, state)| state).collect();
    assert_eq!(states, ["queued", "started", "completed"]);
    let of = |name: &str| events.iter().filter(|event| event.name == name).collect::<Vec<_>>();
    assert_eq!((of("run.queued").len(), of("run.started").len()), (1, 1));
    let items: Vec<&str> = of("run.item")
        .iter()
        .map(|event| event.data["title"].as_str().unwrap())
        .collect();
    assert_eq!(items.len(), 3);
    let progress = &of("run.progress")[0].data["progress"];
    assert!(progress["done"].is_u64() && progress["total"].is_u64(), "{progress}");
    assert!(progress.get("rate").is_some() && progress.get("seconds_left").is_some());
    let end = &of("run.finished")[0].data;
    assert_eq!(
        (&end["display_name"], &end["run"]["counts"]["created"]),
        (&"Work".into(), &3.into())
    );
}

#[tokio::test]
async fn a_halted_run_is_told_as_such() {
    let bench = Bench::new();
    let (_, board) = bench.pair(1).await;
    let strict = serde_json::json!({"sync_frequency": "manual",
        "config": {"guard": {"creations": {"count": 0, "percent": 0}}}});
    bench
        .ask(http::Method::PATCH, &format!("/connections/{board}"), strict)
        .await
        .is(200);
    let project = bench.get("/projects").await.json()["projects"][0]["id"].clone();
    let body = serde_json::json!({"project_id": project, "title": "New"});
    bench.post("/tasks", body).await.is(201);
    let mut listener = Listener::new(&bench, None).await;
    bench.act(&format!("/connections/{board}/sync?wait=true")).await.is(200);
    let events = listener.until(|event| event.name == "run.halted").await;
    assert_eq!(changes(&events).last().unwrap().1, "halted");
}

async fn sqlite(directory: &tempfile::TempDir) -> (SqliteStore, Arc<dyn ServiceStore>) {
    let path = directory.path().join("hub.db");
    let store = SqliteStore::open(path.to_str().unwrap()).await.unwrap();
    (store.clone(), Arc::new(store))
}

#[tokio::test]
async fn whoever_comes_back_is_told_what_was_missed_even_over_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let (first_store, store) = sqlite(&directory).await;
    let bench = Bench::with(store, |_| {});
    let id = bench.filled(2).await;
    let sync = format!("/connections/{id}/sync?wait=true");

    let mut steady = Listener::new(&bench, Some(0)).await;
    bench.act(&sync).await.is(200);
    let mut heard = steady.until(|event| event.name == "run.finished").await;
    // Gone here; two runs go by unheard, one of them in the life of the next service.
    let last = heard.iter().filter_map(|event| event.id).next_back();
    drop(steady);
    bench.act(&sync).await.is(200);
    bench.orchestrator.shutdown(Duration::from_secs(5)).await;
    bench.shutdown.cancel();
    first_store.close().await;

    let (_, store) = sqlite(&directory).await;
    let bench = Bench::over(store, bench.openproject, bench.leantime, |_| {});
    bench.act(&sync).await.is(200);
    let mut back = Listener::new(&bench, last).await;
    let sequence = bench.store.last_run_event().await.unwrap();
    heard.extend(back.until(|event| event.id == Some(sequence)).await);
    // And live from there on.
    bench.act(&sync).await.is(200);
    heard.extend(back.until(|event| event.name == "run.finished").await);

    let runs = bench.get("/sync/runs").await.json();
    let runs = runs["runs"].as_array().unwrap().iter().rev();
    let expected: Vec<(String, String)> = runs
        .flat_map(|run| {
            let id = run["id"].as_str().unwrap().to_owned();
            ["queued", "started", "completed"].map(|state| (id.clone(), state.to_owned()))
        })
        .collect();
    assert_eq!((expected.len(), changes(&heard)), (12, expected));
    let ids: Vec<i64> = heard.iter().filter_map(|event| event.id).collect();
    assert!(ids.windows(2).all(|pair| pair[0] < pair[1]), "{ids:?}");
}

#[tokio::test]
async fn what_another_process_does_is_told_too() {
    let directory = tempfile::tempdir().unwrap();
    let (_, store) = sqlite(&directory).await;
    let bench = Bench::with(store, |_| {});
    let id = bench.filled(1).await;
    let (_, other) = sqlite(&directory).await;
    let other = Bench::over(other, bench.openproject.clone(), bench.leantime.clone(), |_| {});
    let mut listener = Listener::new(&bench, None).await;
    other.act(&format!("/connections/{id}/sync?wait=true")).await.is(200);
    let events = listener.until(|event| event.name == "run.finished").await;
    let states: Vec<String> = changes(&events).into_iter().map(|(_, state)| state).collect();
    assert_eq!(states, ["queued", "started", "completed"]);
}

#[tokio::test]
async fn who_reads_too_slowly_is_dropped_and_misses_nothing_by_coming_back() {
    let bench = Bench::new();
    let id = bench.filled(0).await;
    let mut slow = Listener::new(&bench, None).await;
    let before = bench.store.last_run_event().await.unwrap();
    // Each run is told by three events at least, of which the listener reads none.
    for _ in 0..120 {
        bench.act(&format!("/connections/{id}/sync?wait=true")).await;
    }
    let newest = bench.store.last_run_event().await.unwrap();
    let mut another = Listener::new(&bench, Some(before)).await;
    another.until(|event| event.id == Some(newest)).await;

    let mut heard = Vec::new();
    while let Some(event) = slow.next().await {
        heard.push(event);
    }
    let last = heard.iter().filter_map(|event| event.id).next_back().unwrap_or(before);
    assert!(last < newest, "it was dropped");
    let metrics = bench.get("/metrics").await.is(200).text;
    assert!(metrics.contains("magnus_event_listeners_dropped_total 1"), "{metrics}");

    let mut back = Listener::new(&bench, Some(last)).await;
    heard.extend(back.until(|event| event.id == Some(newest)).await);
    let ids: Vec<i64> = heard.iter().filter_map(|event| event.id).collect();
    let expected: Vec<i64> = (before + 1..=newest).collect();
    assert_eq!(ids, expected);
}

#[tokio::test]
async fn a_quiet_stream_shows_that_it_lives_and_ends_with_the_service() {
    let bench = Bench::with(Arc::new(magnus_core::memory::MemoryStore::new()), |options| {
        options.heartbeat = Duration::from_millis(20);
    });
    let mut listener = Listener::new(&bench, None).await;
    let sign = tokio::time::timeout(PATIENCE, listener.body.next())
        .await
        .expect("a sign of life");
    assert_eq!(
        std::str::from_utf8(&sign.unwrap().unwrap()).unwrap(),
        ": still here\n\n"
    );
    bench.shutdown.cancel();
    assert!(listener.next().await.is_none());
}

#[tokio::test]
async fn a_run_that_goes_on_shows_its_progress_and_can_be_cancelled() {
    let bench = Bench::new();
    let id = bench.filled(3).await;
    let gate = Gate::default();
    let tasks = CallMatcher::any().path_contains("work_packages");
    bench
        .openproject
        .faults()
        .inject(FaultRule::new(tasks, Fault::Hold(gate.clone())).always());
    let started = bench.act(&format!("/connections/{id}/sync")).await.is(202).json();
    gate.reached(1).await;
    let path = format!("/sync/runs/{}", started["run_id"].as_str().unwrap());
    let run = bench.get(&path).await.is(200).json();
    assert_eq!(
        (&run["status"], &run["progress"]["phase"]),
        (&"started".into(), &"observing".into())
    );
    let status = bench.get("/sync/status").await.is(200);
    assert_eq!(status.says(), "1 sync operations in progress.");
    bench.act(&format!("{path}/undo")).await.is(409);
    bench
        .ask(http::Method::DELETE, &format!("/connections/{id}"), Value::Null)
        .await
        .is(409);
    // One more waits behind it, and a further one joins that.
    let sync = format!("/connections/{id}/sync");
    let second = bench.act(&sync).await.is(202).json();
    let third = bench.act(&sync).await.is(202).json();
    assert_eq!((&second["joined"], &third["joined"]), (&false.into(), &true.into()));
    assert_eq!(second["run_id"], third["run_id"]);
    let waiting = format!("/sync/runs/{}/cancel", second["run_id"].as_str().unwrap());
    assert_eq!(bench.act(&waiting).await.is(200).json()["status"], "cancelled");

    let cancelled = bench.act(&format!("{path}/cancel")).await.is(202).json();
    assert_eq!(cancelled["status"], "cancelling");
    gate.open();
    bench.orchestrator.idle().await;
    assert_eq!(bench.get(&path).await.json()["status"], "cancelled");
    assert_eq!(bench.get("/sync/status").await.says(), "All syncs complete.");
}
