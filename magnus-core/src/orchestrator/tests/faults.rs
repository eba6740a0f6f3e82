//! A hub that fails for a while or for good.

use super::faulty_store::FaultyStore;
use super::*;
use crate::event::Event;
use crate::model::Trigger;
use crate::store::{LeaseAnswer, LeaseStore};

fn faulty(house: &House) -> (Arc<FaultyStore>, Orchestrator) {
    let store = Arc::new(FaultyStore::new(house.store.clone()));
    let engine: Arc<dyn SyncEngine> = Arc::clone(&house.engine) as _;
    let orchestrator = Orchestrator::builder(Arc::clone(&store) as Arc<dyn TaskStore>, engine).build();
    (store, orchestrator)
}

#[tokio::test(start_paused = true)]
async fn a_request_that_cannot_be_written_down_is_refused() {
    let house = House::new();
    let connection = house.connection("a").await;
    let (store, orchestrator) = faulty(&house);
    store.fail("enqueue_run", 1);
    let error = orchestrator.start(RunRequest::new(connection)).await.unwrap_err();
    assert_eq!(error.kind(), RunErrorKind::Store);
    assert!(error.to_string().contains("the disk is full"));
    orchestrator.idle().await;
    assert!(house.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_fails_for_a_moment_delays_a_run_and_loses_none() {
    for method in [
        "unfinished_runs",
        "connection",
        "acquire_lease",
        "claim_run",
        "finish_run",
        "release_lease",
    ] {
        let house = House::new();
        let connection = house.connection("a").await;
        let (store, orchestrator) = faulty(&house);
        store.fail(method, 3);
        let handle = orchestrator.start(RunRequest::new(connection)).await.unwrap();
        assert_eq!(handle.wait().await.unwrap().state, RunState::Completed, "{method}");
        orchestrator.idle().await;
        assert_eq!(house.calls().len(), 1, "{method}");
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_is_told_when_the_hub_fails_for_good() {
    for method in ["unfinished_runs", "claim_run", "finish_run"] {
        let house = House::new();
        let connection = house.connection("a").await;
        let (store, orchestrator) = faulty(&house);
        store.fail(method, usize::MAX);
        let handle = orchestrator.start(RunRequest::new(connection)).await.unwrap();
        assert_eq!(handle.wait().await.unwrap_err().kind(), RunErrorKind::Store, "{method}");
        orchestrator.idle().await;
        // Nothing is blocked: once the hub is well, the next request runs.
        store.fail(method, 0);
        let handle = orchestrator.start(RunRequest::new(connection)).await.unwrap();
        assert_eq!(handle.wait().await.unwrap().state, RunState::Completed, "{method}");
        assert_eq!(orchestrator.status(20).await.unwrap().in_progress.len(), 0, "{method}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_that_fails_now_and_then_keeps_the_lease() {
    let house = House::new();
    let connection = house.connection("a").await;
    house.behave(connection, |_, context| steps(context, 100, SECOND));
    let (store, orchestrator) = faulty(&house);
    store.fail("renew_lease", 4);
    let run = orchestrator
        .start(RunRequest::new(connection))
        .await
        .unwrap()
        .wait()
        .await
        .unwrap();
    assert_eq!(run.state, RunState::Completed, "{:?}", run.error_message);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_cannot_be_prolonged_is_let_go_before_the_hub_gives_it_away() {
    let house = House::new();
    let connection = house.connection("a").await;
    house.behave(connection, |request, context| async move {
        if request.trigger == Trigger::Resume {
            return completed();
        }
        context.cancellation.cancelled().await;
        assert!(!context.lease.stands());
        ended(RunState::Cancelled)
    });
    let (store, orchestrator) = faulty(&house);
    store.fail("renew_lease", usize::MAX);
    let begun = Instant::now();
    let run = orchestrator
        .start(RunRequest::new(connection))
        .await
        .unwrap()
        .wait()
        .await
        .unwrap();
    assert_eq!((run.state, begun.elapsed()), (RunState::Interrupted, 30 * SECOND));
    orchestrator.idle().await;
    assert_eq!(house.runs().await[0].state, RunState::Completed, "it goes on at once");
    let answer = house
        .store
        .acquire_lease(connection, "next".into(), SECOND)
        .await
        .unwrap();
    assert!(matches!(answer, LeaseAnswer::Granted(_)));
}

#[tokio::test(start_paused = true)]
async fn a_queued_run_that_nobody_looks_after_is_taken_up_with_the_schedules() {
    let clock = PausedClock::new();
    let house = House {
        store: MemoryStore::with_clock(Arc::clone(&clock) as Arc<dyn Clock>),
        engine: Arc::default(),
    };
    let given_up = house.connection("given up").await;
    let left = house.connection("left").await;
    let (store, orchestrator) = faulty(&house);
    let mut events = orchestrator.subscribe();
    // The hub is away for longer than a lane waits.
    store.fail("claim_run", 7);
    let handle = orchestrator.start(RunRequest::new(given_up)).await.unwrap();
    assert_eq!(handle.wait().await.unwrap_err().kind(), RunErrorKind::Store);
    orchestrator.idle().await;
    // A process that was stopped left another one queued.
    house.store.enqueue_run(RunRequest::new(left)).await.unwrap();
    assert_eq!(house.calls(), []);

    let service = Arc::new(house.store.clone());
    let kept = orchestrator.keep_schedules(service, clock);
    let both_end = async {
        let mut over = Vec::new();
        while over.len() < 2 {
            if let Event::RunFinished { connection_id, .. } = events.recv().await.unwrap() {
                over.push(connection_id);
            }
        }
    };
    tokio::select! {
        () = kept => panic!("schedules are kept until the end"),
        () = both_end => {}
        () = tokio::time::sleep(600 * SECOND) => panic!("they are queued for ever: {:#?}", house.runs().await),
    }
    let runs = house.runs().await;
    assert!(runs.iter().all(|run| run.state == RunState::Completed), "{runs:#?}");
    assert_eq!(runs.len(), 2, "nothing was asked for anew");
}
