//! Cancelling and shutting down.

use super::*;
use crate::store::{LeaseAnswer, LeaseStore};

async fn running(house: &House, count: usize) {
    while house.calls().len() < count {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_run_stops_between_two_operations() {
    let house = House::new();
    let connection = house.connection("a").await;
    house.behave(connection, |_, context| steps(context, 100, SECOND));
    let orchestrator = house.orchestrator();
    let handle = orchestrator.start(RunRequest::new(connection)).await.unwrap();
    handle.progress().wait_for(|progress| progress.done == 3).await.unwrap();
    handle.cancel().await.unwrap();
    let run = handle.wait().await.unwrap();
    assert_eq!(run.state, RunState::Cancelled);
    assert_eq!(
        handle.progress().borrow().done,
        4,
        "the operation that was begun was ended"
    );
}

#[tokio::test(start_paused = true)]
async fn a_queued_run_is_cancelled_at_once_and_never_run() {
    let house = House::new();
    let connection = house.connection("a").await;
    house.behave(connection, |_, context| steps(context, 5, SECOND));
    let orchestrator = house.orchestrator();
    let first = orchestrator.start(RunRequest::new(connection)).await.unwrap();
    running(&house, 1).await;
    let second = orchestrator.start(RunRequest::new(connection)).await.unwrap();
    let answer = orchestrator.cancel(second.id()).await.unwrap().unwrap();
    assert_eq!(answer.state, RunState::Cancelled);
    assert_eq!(first.wait().await.unwrap().state, RunState::Completed);
    assert_eq!(second.wait().await.unwrap().state, RunState::Cancelled);
    assert_eq!(house.calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_queues_before_a_host_that_hangs_is_cancelled_at_once() {
    let house = House::new();
    let hanging = house.connection_to("hanging", "https://one.example").await;
    let behind = house.connection_to("behind", "https://one.example").await;
    house.behave(hanging, |_, _| std::future::pending());
    let orchestrator = house.builder().concurrency_per_host(1).build();
    orchestrator.start(RunRequest::new(hanging)).await.unwrap();
    running(&house, 1).await;
    let handle = orchestrator.start(RunRequest::new(behind)).await.unwrap();
    let begun = Instant::now();
    handle.cancel().await.unwrap();
    assert_eq!(handle.wait().await.unwrap().state, RunState::Cancelled);
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_does_not_stop_when_asked_is_dropped_after_a_while() {
    let house = House::new();
    let connection = house.connection("a").await;
    house.behave(connection, |_, _| std::future::pending());
    let orchestrator = house.builder().patience(5 * SECOND).build();
    let handle = orchestrator.start(RunRequest::new(connection)).await.unwrap();
    running(&house, 1).await;
    let begun = Instant::now();
    handle.cancel().await.unwrap();
    let run = handle.wait().await.unwrap();
    assert_eq!((run.state, begun.elapsed()), (RunState::Cancelled, 5 * SECOND));
    assert!(run.error_message.unwrap().contains("did not stop in time"));
}

#[tokio::test(start_paused = true)]
async fn a_run_can_be_cancelled_from_another_process() {
    let house = House::new();
    let connection = house.connection("a").await;
    house.behave(connection, |_, context| steps(context, 1_000, SECOND));
    let (one, two) = (house.orchestrator(), house.orchestrator());
    let handle = one.start(RunRequest::new(connection)).await.unwrap();
    running(&house, 1).await;
    two.cancel(handle.id()).await.unwrap().unwrap();
    assert_eq!(handle.wait().await.unwrap().state, RunState::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn cancelling_what_is_unknown_or_over_changes_nothing() {
    let house = House::new();
    let connection = house.connection("a").await;
    let orchestrator = house.orchestrator();
    assert_eq!(
        orchestrator.cancel(crate::model::RunId::generate()).await.unwrap(),
        None
    );
    let handle = orchestrator.start(RunRequest::new(connection)).await.unwrap();
    let run = handle.wait().await.unwrap();
    assert_eq!(
        orchestrator.cancel(run.id).await.unwrap().map(|run| run.state),
        Some(RunState::Completed)
    );
}

#[tokio::test(start_paused = true)]
async fn shutdown_lets_begun_operations_end_and_marks_the_rest_interrupted() {
    let house = House::new();
    let (tidy, stubborn) = (house.connection("tidy").await, house.connection("stubborn").await);
    let operations = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&operations);
    house.behave(tidy, move |_, context| {
        let counted = Arc::clone(&counted);
        async move {
            while !context.cancellation.is_cancelled() {
                tokio::time::sleep(2 * SECOND).await;
                counted.fetch_add(1, Ordering::SeqCst);
            }
            ended(RunState::Cancelled)
        }
    });
    house.behave(stubborn, |_, _| std::future::pending());
    let orchestrator = house.orchestrator();
    let one = orchestrator.start(RunRequest::new(tidy)).await.unwrap();
    let two = orchestrator.start(RunRequest::new(stubborn)).await.unwrap();
    running(&house, 2).await;
    let queued = orchestrator.start(RunRequest::new(stubborn)).await.unwrap();
    tokio::time::sleep(SECOND).await;

    let begun = Instant::now();
    let mut interrupted = orchestrator.shutdown(5 * SECOND).await;
    assert_eq!(begun.elapsed(), 5 * SECOND);
    interrupted.sort();
    let mut both = vec![one.id(), two.id()];
    both.sort();
    assert_eq!(interrupted, both);
    assert_eq!(
        operations.load(Ordering::SeqCst),
        1,
        "the operation that was begun was ended, no other was begun"
    );
    for handle in [one, two] {
        assert_eq!(handle.wait().await.unwrap().state, RunState::Interrupted);
    }
    assert_eq!(queued.wait().await.unwrap_err().kind(), RunErrorKind::ShuttingDown);
    let status = orchestrator.status(20).await.unwrap();
    // What was cut short waits, joined to what waited already.
    assert_eq!((status.in_progress.len(), status.queued.len()), (0, 2));
    for connection in [tidy, stubborn] {
        let answer = house
            .store
            .acquire_lease(connection, "next process".into(), SECOND)
            .await
            .unwrap();
        assert!(matches!(answer, LeaseAnswer::Granted(_)), "{answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn after_shutdown_nothing_starts_and_a_second_one_changes_nothing() {
    let house = House::new();
    let connection = house.connection("a").await;
    let orchestrator = house.orchestrator();
    assert!(orchestrator.shutdown(SECOND).await.is_empty());
    assert!(orchestrator.shutdown(SECOND).await.is_empty());
    let error = orchestrator.start(RunRequest::new(connection)).await.unwrap_err();
    assert_eq!(error.kind(), RunErrorKind::ShuttingDown);
    assert!(house.runs().await.is_empty());
    orchestrator.idle().await;
}

#[tokio::test(start_paused = true)]
async fn what_a_shutdown_interrupted_is_resumed_by_the_next_process() {
    let house = House::new();
    let connection = house.connection("a").await;
    house.behave(connection, |_, context| steps(context, 10, SECOND));
    let orchestrator = house.orchestrator();
    orchestrator.start(RunRequest::new(connection)).await.unwrap();
    running(&house, 1).await;
    assert_eq!(orchestrator.shutdown(5 * SECOND).await.len(), 1);
    let resumed = house.orchestrator().recover().await.unwrap();
    assert_eq!(resumed[0].wait().await.unwrap().state, RunState::Completed);
}

#[tokio::test(start_paused = true)]
async fn an_undo_that_a_shutdown_interrupted_is_not_lost_behind_what_waited() {
    let house = House::new();
    let connection = house.connection("a").await;
    house.behave(connection, |_, context| steps(context, 10, SECOND));
    let orchestrator = house.orchestrator();
    let undone = crate::model::RunId::generate();
    let undo = RunRequest::undoing(connection, undone);
    orchestrator.start(undo).await.unwrap();
    running(&house, 1).await;
    orchestrator.start(RunRequest::new(connection)).await.unwrap();
    orchestrator.shutdown(5 * SECOND).await;
    let resumed = house.orchestrator().recover().await.unwrap();
    resumed[0].wait().await.unwrap();
    let request = house.calls().pop().unwrap();
    assert_eq!((request.undo, request.sync), (vec![undone], true));
}

#[tokio::test(start_paused = true)]
async fn runs_go_on_to_their_end_when_everybody_lets_the_orchestrator_go() {
    let house = House::new();
    let connection = house.connection("a").await;
    house.behave(connection, |_, context| steps(context, 3, SECOND));
    let orchestrator = house.orchestrator();
    let mut events = orchestrator.subscribe();
    drop(orchestrator.start(RunRequest::new(connection)).await.unwrap());
    running(&house, 1).await;
    drop(orchestrator);
    while events.recv().await.is_ok() {}
    assert_eq!(house.runs().await[0].state, RunState::Completed);
}
