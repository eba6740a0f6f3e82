//! Runs that follow from runs, and syncing everything until it is quiet.

use tokio_util::sync::CancellationToken;

use super::*;
use crate::model::{SyncFrequency, Trigger};
use crate::queue::{LocalQueue, RunQueue};

#[tokio::test(start_paused = true)]
async fn what_a_run_changes_in_the_hub_reaches_the_other_connections() {
    let house = House::new();
    let (a, b) = (house.connection("a").await, house.connection("b").await);
    let project = house.shared_project(&[a, b]).await;
    let orchestrator = house.orchestrator();
    orchestrator
        .start(RunRequest::new(b))
        .await
        .unwrap()
        .wait()
        .await
        .unwrap();
    house.change_hub(a, project, 1);
    orchestrator.start(RunRequest::new(a)).await.unwrap();
    orchestrator.idle().await;
    let calls: Vec<_> = house
        .calls()
        .iter()
        .map(|request| (request.connection_id, request.trigger))
        .collect();
    assert_eq!(
        calls,
        [(b, Trigger::Manual), (a, Trigger::Manual), (b, Trigger::Ripple)]
    );
    assert!(house.store.due_connections().await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_nobody_ran_or_that_runs_only_when_asked_does_not_follow() {
    let house = House::new();
    let (a, never) = (house.connection("a").await, house.connection("never").await);
    let reserved = house.connection("reserved").await;
    let mut settings = house.store.connection(reserved).await.unwrap().unwrap();
    settings.frequency = SyncFrequency::Manual;
    house.store.save_connection(settings).await.unwrap();
    let unasked = house.connection("unasked").await;
    let project = house.shared_project(&[a, never, reserved, unasked]).await;
    let orchestrator = house.orchestrator();
    // What stands in the log of another program was asked for by nobody here.
    let by_itself = RunRequest::new(unasked).trigger(Trigger::Schedule);
    for request in [RunRequest::new(reserved), by_itself] {
        orchestrator.start(request).await.unwrap().wait().await.unwrap();
    }
    house.change_hub(a, project, 1);
    orchestrator.start(RunRequest::new(a)).await.unwrap();
    orchestrator.idle().await;
    let calls = [never, reserved, unasked].map(|connection| house.calls_of(connection));
    assert_eq!(calls, [0, 1, 1]);
    assert_eq!(house.store.due_connections().await.unwrap().len(), 3, "they stay due");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_ran_long_ago_follows_however_often_others_ran_since() {
    let house = House::new();
    let (a, seldom) = (house.connection("a").await, house.connection("seldom").await);
    let project = house.shared_project(&[a, seldom]).await;
    let orchestrator = house.orchestrator();
    for connection in std::iter::once(seldom).chain(std::iter::repeat_n(a, 300)) {
        let run = orchestrator.start(RunRequest::new(connection)).await.unwrap();
        run.wait().await.unwrap();
    }
    house.change_hub(a, project, 1);
    orchestrator.start(RunRequest::new(a)).await.unwrap();
    orchestrator.idle().await;
    assert_eq!(house.calls_of(seldom), 2);
}

#[tokio::test(start_paused = true)]
async fn a_halted_connection_waits_for_a_person() {
    let house = House::new();
    let (a, halted) = (house.connection("a").await, house.connection("halted").await);
    let project = house.shared_project(&[a, halted]).await;
    house.behave(halted, |_, _| async { ended(RunState::Halted) });
    let orchestrator = house.orchestrator();
    orchestrator
        .start(RunRequest::new(halted))
        .await
        .unwrap()
        .wait()
        .await
        .unwrap();
    house.change_hub(a, project, 1);
    orchestrator.start(RunRequest::new(a)).await.unwrap();
    orchestrator.idle().await;
    assert_eq!(house.calls_of(halted), 1);
}

#[tokio::test(start_paused = true)]
async fn two_tools_that_never_agree_do_not_run_for_ever() {
    let house = House::new();
    let (a, b) = (house.connection("a").await, house.connection("b").await);
    let project = house.shared_project(&[a, b]).await;
    let orchestrator = house.orchestrator();
    orchestrator
        .start(RunRequest::new(b))
        .await
        .unwrap()
        .wait()
        .await
        .unwrap();
    house.change_hub(a, project, usize::MAX);
    house.change_hub(b, project, usize::MAX);
    orchestrator.start(RunRequest::new(a)).await.unwrap();
    orchestrator.idle().await;
    assert_eq!(house.calls_of(a) + house.calls_of(b), 2 + 5);
}

#[tokio::test(start_paused = true)]
async fn two_tools_that_never_agree_do_not_run_for_ever_in_two_processes_either() {
    let house = House::new();
    let queue = Arc::new(LocalQueue::new(2));
    let (a, b) = (house.connection("a").await, house.connection("b").await);
    let project = house.shared_project(&[a, b]).await;
    let process = || {
        let queue: Arc<dyn RunQueue> = Arc::<LocalQueue>::clone(&queue);
        house.builder().queue(queue).build()
    };
    let front = process();
    let stop = CancellationToken::new();
    // Each takes only what is told to it: whoever queues a run seldom is the one that carries it out.
    let workers = [process(), process()].map(|worker| {
        let stop = stop.clone();
        tokio::spawn(async move { worker.work(stop, SECOND).await })
    });
    front.start(RunRequest::new(b)).await.unwrap().wait().await.unwrap();
    house.change_hub(a, project, usize::MAX);
    house.change_hub(b, project, usize::MAX);
    front.start(RunRequest::new(a)).await.unwrap();
    tokio::time::sleep(600 * SECOND).await;
    assert_eq!(house.calls_of(a) + house.calls_of(b), 2 + 5);
    stop.cancel();
    for worker in workers {
        worker.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn syncing_everything_goes_on_until_nothing_is_due() {
    let house = House::new();
    let (a, b) = (house.connection("a").await, house.connection("b").await);
    let project = house.shared_project(&[a, b]).await;
    house.change_hub(a, project, 2);
    let orchestrator = house.orchestrator();
    let all = orchestrator.sync_all(None).await.unwrap();
    orchestrator.idle().await;
    assert!(all.quiet && all.refused.is_empty());
    // b runs again for what a changed in the first round; nothing makes a due again.
    assert_eq!((all.rounds, house.calls_of(a), house.calls_of(b)), (2, 1, 2));
    assert_eq!(all.runs.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn syncing_everything_ends_after_five_rounds_and_says_that_it_is_not_quiet() {
    let house = House::new();
    let (a, b) = (house.connection("a").await, house.connection("b").await);
    let project = house.shared_project(&[a, b]).await;
    house.change_hub(a, project, usize::MAX);
    house.change_hub(b, project, usize::MAX);
    let orchestrator = house.orchestrator();
    let all = orchestrator.sync_all(None).await.unwrap();
    orchestrator.idle().await;
    assert_eq!((all.rounds, all.quiet), (5, false));
    assert_eq!((house.calls_of(a), house.calls_of(b)), (5, 5));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_fails_is_not_run_round_after_round() {
    let house = House::new();
    let (a, down) = (house.connection("a").await, house.connection("down").await);
    let project = house.shared_project(&[a, down]).await;
    house.change_hub(a, project, usize::MAX);
    house.behave(down, |_, context| async move {
        tokio::time::sleep(SECOND).await;
        drop(context);
        Err(RunError::new(RunErrorKind::Connection, "the host is down"))
    });
    let all = house.orchestrator().sync_all(None).await.unwrap();
    assert_eq!((all.rounds, all.quiet), (1, false));
    assert_eq!((house.calls_of(a), house.calls_of(down)), (1, 1));
}
