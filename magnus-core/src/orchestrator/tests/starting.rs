//! Starting, joining, refusing, and what the status says.

use super::*;
use crate::event::Event;
use crate::model::{Direction, Trigger};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn twenty_starts_at_once_make_one_run_or_one_and_one_queued() {
    let house = House::new();
    let connection = house.connection("a").await;
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let opened = Arc::clone(&gate);
    house.behave(connection, move |_, _| {
        let gate = Arc::clone(&opened);
        async move {
            gate.acquire().await.unwrap().forget();
            completed()
        }
    });
    let orchestrator = house.orchestrator();
    let starts = (0..20).map(|_| {
        let orchestrator = orchestrator.clone();
        tokio::spawn(async move { orchestrator.start(RunRequest::new(connection)).await })
    });
    let mut handles = Vec::new();
    for start in starts.collect::<Vec<_>>() {
        handles.push(start.await.unwrap().unwrap());
    }
    gate.add_permits(20);
    for handle in &handles {
        assert_eq!(handle.wait().await.unwrap().state, RunState::Completed);
    }
    let runs = house.runs().await;
    assert!((1..=2).contains(&runs.len()), "{} runs", runs.len());
    assert_eq!(house.calls().len(), runs.len());
    assert_eq!(house.engine.overlaps.load(Ordering::SeqCst), 0);
    assert_eq!(handles.iter().filter(|handle| !handle.joined()).count(), runs.len());
}

#[tokio::test(start_paused = true)]
async fn a_request_that_meets_a_running_one_waits_behind_it_with_options_merged() {
    let house = House::new();
    let connection = house.connection("a").await;
    house.behave(connection, |_, context| steps(context, 1, SECOND));
    let orchestrator = house.orchestrator();
    let first = orchestrator.start(RunRequest::new(connection)).await.unwrap();
    first.progress().wait_for(|_| true).await.unwrap();
    tokio::task::yield_now().await;
    while house.calls().is_empty() {
        tokio::task::yield_now().await;
    }
    let pull = RunRequest::new(connection)
        .direction(Some(Direction::Pull))
        .trigger(Trigger::Schedule);
    let second = orchestrator.start(pull).await.unwrap();
    let push = RunRequest::new(connection).direction(Some(Direction::Push));
    let third = orchestrator.start(push).await.unwrap();
    assert_eq!(second.id(), third.id());
    assert!(third.joined() && !second.joined());
    second.wait().await.unwrap();
    let request = house.calls().pop().unwrap();
    assert_eq!(
        (request.direction, request.trigger),
        (Some(Direction::Bidirectional), Trigger::Manual)
    );
    assert_eq!(house.calls().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_the_engine_refuses_is_neither_queued_nor_run() {
    let house = House::new();
    let connection = house.connection("a").await;
    let kinds = [
        RunErrorKind::UnknownConnection,
        RunErrorKind::Disabled,
        RunErrorKind::UnknownTool,
        RunErrorKind::DirectionTooWide,
    ];
    let orchestrator = house.orchestrator();
    for kind in kinds {
        house.engine.refused.lock().unwrap().insert(connection, kind);
        let error = orchestrator.start(RunRequest::new(connection)).await.unwrap_err();
        assert_eq!((error.kind(), error.connection()), (kind, Some(connection)));
    }
    orchestrator.idle().await;
    assert!(house.runs().await.is_empty() && house.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn start_all_starts_every_enabled_connection_and_one_refusal_stops_no_other() {
    let house = House::new();
    let (a, b, off) = (
        house.connection("a").await,
        house.connection("b").await,
        house.connection("off").await,
    );
    let mut settings = house.store.connection(off).await.unwrap().unwrap();
    settings.enabled = false;
    house.store.save_connection(settings).await.unwrap();
    house
        .engine
        .refused
        .lock()
        .unwrap()
        .insert(a, RunErrorKind::DirectionTooWide);
    let answers = house.orchestrator().start_all(Some(Direction::Pull)).await.unwrap();
    assert_eq!(answers.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [a, b]);
    assert_eq!(
        answers[0].1.as_ref().unwrap_err().kind(),
        RunErrorKind::DirectionTooWide
    );
    let run = answers[1].1.as_ref().unwrap().wait().await.unwrap();
    assert_eq!(
        (run.state, run.request.direction),
        (RunState::Completed, Some(Direction::Pull))
    );
}

#[tokio::test(start_paused = true)]
async fn after_a_failure_the_status_says_failed_with_the_reason_and_nothing_in_progress() {
    let house = House::new();
    let connection = house.connection("a").await;
    house.behave(connection, |_, _| async {
        Err(RunError::new(
            RunErrorKind::Connection,
            "list_projects: unavailable: answered 500",
        ))
    });
    let orchestrator = house.orchestrator();
    let run = orchestrator
        .start(RunRequest::new(connection))
        .await
        .unwrap()
        .wait()
        .await
        .unwrap();
    assert_eq!(run.state, RunState::Failed);
    let status = orchestrator.status(20).await.unwrap();
    assert_eq!((status.in_progress.len(), status.queued.len()), (0, 0));
    assert_eq!(
        status.recent[0].error_message.as_deref(),
        Some("list_projects: unavailable: answered 500")
    );
    assert!(status.recent[0].completed_at.is_some());
}

#[tokio::test(start_paused = true)]
async fn the_status_counts_all_that_goes_on_not_only_the_recent() {
    let house = House::new();
    for name in ["a", "b", "c"] {
        let connection = house.connection(name).await;
        house.behave(connection, |_, context| steps(context, 1, SECOND));
    }
    let orchestrator = house.orchestrator();
    orchestrator.start_all(None).await.unwrap();
    while house.calls().len() < 3 {
        tokio::task::yield_now().await;
    }
    let status = orchestrator.status(1).await.unwrap();
    assert_eq!((status.in_progress.len(), status.recent.len()), (3, 1));
    orchestrator.idle().await;
    assert_eq!(orchestrator.status(1).await.unwrap().in_progress.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn events_and_progress_tell_a_run_from_queued_to_finished() {
    let house = House::new();
    let connection = house.connection("a").await;
    house.behave(connection, |_, context| steps(context, 3, SECOND));
    let orchestrator = house.orchestrator();
    let mut events = orchestrator.subscribe();
    let handle = orchestrator.start(RunRequest::new(connection)).await.unwrap();
    let mut progress = handle.progress();
    assert_eq!(progress.wait_for(|progress| progress.done == 3).await.unwrap().done, 3);
    handle.wait().await.unwrap();
    assert!(
        orchestrator.progress(handle.id()).is_none(),
        "a run that is over is forgotten"
    );
    let mut names = Vec::new();
    while let Ok(event) = events.try_recv() {
        names.push(match event {
            Event::RunQueued { .. } => "queued",
            Event::RunStarted { .. } => "started",
            Event::RunProgress { .. } => "progress",
            Event::RunFinished { state, .. } => state.as_str(),
            Event::RunWaiting { .. } => "waiting",
            Event::CancelRequested { .. } => "cancel",
            Event::Breakdown { .. } => "breakdown",
        });
    }
    assert_eq!(names[..2], ["queued", "started"]);
    assert_eq!(names.last(), Some(&"completed"));
    assert!(
        names.iter().filter(|name| **name == "progress").count() >= 2,
        "{names:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_a_run_of_a_deleted_connection_is_told() {
    let house = House::new();
    let connection = house.connection("a").await;
    house.behave(connection, |_, context| steps(context, 1, SECOND));
    let orchestrator = house.orchestrator();
    let handle = orchestrator.start(RunRequest::new(connection)).await.unwrap();
    while house.calls().is_empty() {
        tokio::task::yield_now().await;
    }
    house.store.delete_connection(connection).await.unwrap();
    assert_eq!(handle.wait().await.unwrap_err().kind(), RunErrorKind::UnknownConnection);
    orchestrator.idle().await;
}
