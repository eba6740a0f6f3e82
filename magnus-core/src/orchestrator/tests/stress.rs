//! Starting and stopping from many sides at once, in real time on several threads.

use super::*;

/// Ten tasks start and shut down one orchestrator at the same time, fifty times over, on one hub.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn starts_and_shutdowns_from_many_sides_leave_nothing_behind() {
    let house = Arc::new(House::new());
    let mut connections = Vec::new();
    for name in ["a", "b", "c"] {
        let connection = house.connection(name).await;
        house.behave(connection, |_, context| async move {
            for _ in 0..3 {
                tokio::task::yield_now().await;
                if context.cancellation.is_cancelled() {
                    return ended(RunState::Cancelled);
                }
            }
            completed()
        });
        connections.push(connection);
    }
    for _ in 0..50 {
        let orchestrator = house.orchestrator();
        let tasks = (0..10).map(|number| {
            let (orchestrator, connection) = (orchestrator.clone(), connections[number % 3]);
            tokio::spawn(async move {
                if number % 5 == 4 {
                    orchestrator.shutdown(Duration::from_secs(5)).await;
                    return;
                }
                match orchestrator.start(RunRequest::new(connection)).await {
                    // Every wait ends: with a final state, or because the run had not begun.
                    Ok(handle) => match handle.wait().await {
                        Ok(run) => assert!(run.state.is_final()),
                        Err(error) => assert_eq!(error.kind(), RunErrorKind::ShuttingDown),
                    },
                    Err(error) => assert_eq!(error.kind(), RunErrorKind::ShuttingDown),
                }
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            tokio::time::timeout(Duration::from_secs(30), task)
                .await
                .expect("nobody waits for ever")
                .unwrap();
        }
        assert_eq!(
            house.engine.in_all.load(Ordering::SeqCst),
            0,
            "after a shutdown nothing goes on"
        );
        let started = house.store.unfinished_runs().await.unwrap();
        assert!(started.iter().all(|run| run.state == RunState::Queued));
    }
    assert_eq!(house.engine.overlaps.load(Ordering::SeqCst), 0);
}

/// A request that comes in while the lane before it is about to end is the one that is easily forgotten.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_request_that_meets_a_lane_about_to_end_is_not_forgotten() {
    let house = Arc::new(House::new());
    let orchestrator = house.orchestrator();
    let mut tasks = Vec::new();
    for name in ["a", "b", "c", "d"] {
        let connection = house.connection(name).await;
        let orchestrator = orchestrator.clone();
        tasks.push(tokio::spawn(async move {
            for _ in 0..300 {
                let handle = orchestrator.start(RunRequest::new(connection)).await.unwrap();
                assert_eq!(handle.wait().await.unwrap().state, RunState::Completed);
            }
        }));
    }
    for task in tasks {
        tokio::time::timeout(Duration::from_secs(60), task)
            .await
            .expect("nobody waits for ever")
            .unwrap();
    }
    assert_eq!(house.calls().len(), 1_200);
}
