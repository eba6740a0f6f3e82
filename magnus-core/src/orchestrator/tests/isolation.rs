//! One connection's trouble is not another's.

use super::*;

#[tokio::test(start_paused = true)]
async fn two_tools_together_take_no_longer_than_the_slower_one() {
    let house = House::new();
    let (a, b) = (house.connection("a").await, house.connection("b").await);
    house.behave(a, |_, context| steps(context, 10, Duration::from_millis(300)));
    house.behave(b, |_, context| steps(context, 9, Duration::from_millis(300)));
    let orchestrator = house.orchestrator();
    let begun = Instant::now();
    let alone = orchestrator.start(RunRequest::new(a)).await.unwrap();
    alone.wait().await.unwrap();
    let slower = begun.elapsed();
    let begun = Instant::now();
    for (_, handle) in orchestrator.start_all(None).await.unwrap() {
        assert_eq!(handle.unwrap().wait().await.unwrap().state, RunState::Completed);
    }
    assert!(
        begun.elapsed() < slower.mul_f32(1.2),
        "{:?} together, {slower:?} alone",
        begun.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_hangs_delays_no_other() {
    let house = House::new();
    let (hanging, well) = (house.connection("hanging").await, house.connection("well").await);
    house.behave(hanging, |_, _| std::future::pending());
    house.behave(well, |_, context| steps(context, 3, SECOND));
    let orchestrator = house.orchestrator();
    orchestrator.start(RunRequest::new(hanging)).await.unwrap();
    let begun = Instant::now();
    orchestrator
        .start(RunRequest::new(well))
        .await
        .unwrap()
        .wait()
        .await
        .unwrap();
    assert_eq!(begun.elapsed(), 3 * SECOND);
    assert_eq!(orchestrator.status(20).await.unwrap().in_progress.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_the_failure_of_that_run_with_its_message_and_of_no_other() {
    let house = House::new();
    let (bad, well) = (house.connection("bad").await, house.connection("well").await);
    house.behave(bad, |_, _| async { panic!("index {} of nothing", 7) });
    house.behave(well, |_, context| steps(context, 3, SECOND));
    let orchestrator = house.orchestrator();
    let well = orchestrator.start(RunRequest::new(well)).await.unwrap();
    let run = orchestrator
        .start(RunRequest::new(bad))
        .await
        .unwrap()
        .wait()
        .await
        .unwrap();
    assert_eq!(run.state, RunState::Failed);
    assert!(run.error_message.unwrap().contains("index 7 of nothing"));
    assert_eq!(well.wait().await.unwrap().state, RunState::Completed);
    house.behave(bad, |_, _| async { completed() });
    let run = orchestrator
        .start(RunRequest::new(bad))
        .await
        .unwrap()
        .wait()
        .await
        .unwrap();
    assert_eq!(run.state, RunState::Completed, "a panic leaves nothing locked");
}

#[tokio::test(start_paused = true)]
async fn no_more_runs_go_on_at_once_than_allowed_in_all() {
    let house = House::new();
    for name in ["a", "b", "c", "d", "e"] {
        let connection = house.connection(name).await;
        house.behave(connection, |_, context| steps(context, 1, SECOND));
    }
    let orchestrator = house.builder().concurrency(2).build();
    let begun = Instant::now();
    orchestrator.start_all(None).await.unwrap();
    orchestrator.idle().await;
    assert_eq!(house.engine.most_at_once.load(Ordering::SeqCst), 2);
    assert_eq!((house.calls().len(), begun.elapsed()), (5, 3 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn runs_against_one_host_wait_for_each_other_and_hold_up_no_other_host() {
    let house = House::new();
    let a = house.connection_to("a", "https://one.example/a").await;
    let b = house.connection_to("b", "https://ONE.example/b").await;
    let other = house.connection("other").await;
    for connection in [a, b, other] {
        house.behave(connection, |_, context| steps(context, 1, SECOND));
    }
    let orchestrator = house.builder().concurrency(2).concurrency_per_host(1).build();
    let begun = Instant::now();
    orchestrator.start(RunRequest::new(a)).await.unwrap();
    orchestrator.start(RunRequest::new(b)).await.unwrap();
    orchestrator
        .start(RunRequest::new(other))
        .await
        .unwrap()
        .wait()
        .await
        .unwrap();
    assert_eq!(
        begun.elapsed(),
        SECOND,
        "a queue before one host uses up nothing of the others"
    );
    orchestrator.idle().await;
    assert_eq!(begun.elapsed(), 2 * SECOND);
}
