//! A hub that fails for a while or for good.

use super::faulty_store::FaultyStore;
use super::*;
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
    house.behave(connection, |_, context| async move {
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
    let answer = house
        .store
        .acquire_lease(connection, "next".into(), SECOND)
        .await
        .unwrap();
    assert!(matches!(answer, LeaseAnswer::Granted(_)));
}
