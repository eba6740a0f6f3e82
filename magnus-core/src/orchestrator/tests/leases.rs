//! Other processes on the same hub, living and dead.

use super::*;
use crate::event::Event;
use crate::model::{RunId, SyncFrequency, Trigger};
use crate::orchestrator::RunHandle;
use crate::store::{Lease, LeaseAnswer, LeaseStore};

const TTL: Duration = Duration::from_secs(30);

async fn take(house: &House, connection: ConnectionId, holder: &str) -> Lease {
    match house
        .store
        .acquire_lease(connection, holder.to_owned(), TTL)
        .await
        .unwrap()
    {
        LeaseAnswer::Granted(lease) => lease,
        LeaseAnswer::Held { holder, .. } => panic!("held by {holder}"),
    }
}

/// A process that took a connection's run and then died.
async fn dead_process(house: &House, connection: ConnectionId) -> Run {
    died_with(house, RunRequest::new(connection)).await
}

async fn died_with(house: &House, request: RunRequest) -> Run {
    let connection = request.connection_id;
    house.store.enqueue_run(request).await.unwrap();
    let lease = take(house, connection, "dead process").await;
    house.store.claim_run(Fence::Lease(lease)).await.unwrap().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_lease_held_by_another_process_is_waited_for_and_its_holder_named() {
    let house = House::new();
    let connection = house.connection("a").await;
    take(&house, connection, "process 7 on desk").await;
    let orchestrator = house.orchestrator();
    let mut events = orchestrator.subscribe();
    let handle = orchestrator.start(RunRequest::new(connection)).await.unwrap();
    let begun = Instant::now();
    loop {
        if let Event::RunWaiting { holder, run_id, .. } = events.recv().await.unwrap() {
            assert_eq!((holder.as_str(), run_id), ("process 7 on desk", handle.id()));
            break;
        }
    }
    assert_eq!(handle.waits_for().as_deref(), Some("process 7 on desk"));
    assert_eq!(handle.wait().await.unwrap().state, RunState::Completed);
    assert_eq!(handle.waits_for(), None);
    assert!(
        begun.elapsed() >= TTL - SECOND && begun.elapsed() <= TTL + 2 * SECOND,
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_run_that_another_process_carries_out_is_told_to_who_waits_here() {
    let house = House::new();
    let connection = house.connection("a").await;
    let lease = take(&house, connection, "other").await;
    let orchestrator = house.orchestrator();
    let handle = orchestrator.start(RunRequest::new(connection)).await.unwrap();
    let run = house
        .store
        .claim_run(Fence::Lease(lease.clone()))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(run.id, handle.id());
    tokio::time::sleep(5 * SECOND).await;
    house
        .store
        .finish_run(run.id, RunState::Partial, RunReport::default(), None)
        .await
        .unwrap();
    assert_eq!(handle.wait().await.unwrap().state, RunState::Partial);
    assert!(house.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_process_died_is_not_in_progress_and_is_resumed_as_a_new_run() {
    let house = House::new();
    let connection = house.connection("a").await;
    let dead = dead_process(&house, connection).await;
    let orchestrator = house.orchestrator();
    assert_eq!(
        orchestrator.status(20).await.unwrap().in_progress.len(),
        1,
        "it may yet live"
    );
    assert!(orchestrator.recover().await.unwrap().is_empty());
    tokio::time::sleep(TTL + SECOND).await;
    let status = orchestrator.status(20).await.unwrap();
    let states: Vec<RunState> = status.recent.iter().map(|run| run.state).collect();
    assert_eq!(
        (status.in_progress.len(), states),
        (0, vec![RunState::Queued, RunState::Interrupted])
    );
    let resumed = orchestrator.recover().await.unwrap();
    assert_eq!(resumed.len(), 1);
    let run = resumed[0].wait().await.unwrap();
    assert_ne!(run.id, dead.id);
    assert_eq!((run.state, run.request.trigger), (RunState::Completed, Trigger::Resume));
    assert!(orchestrator.recover().await.unwrap().is_empty(), "once is enough");
}

#[tokio::test(start_paused = true)]
async fn what_a_dead_run_was_asked_for_is_done_together_with_what_waited_behind_it() {
    let house = House::new();
    let connection = house.connection("a").await;
    let (undone, halted) = (RunId::generate(), RunId::generate());
    let asked = RunRequest::undoing(connection, undone)
        .confirm(halted)
        .round(RunRequest::LAST_ROUND);
    died_with(&house, asked).await;
    let webhook = RunRequest::new(connection).trigger(Trigger::Webhook);
    let waiting = house.store.enqueue_run(webhook).await.unwrap().run;
    tokio::time::sleep(TTL + SECOND).await;
    let resumed = house.orchestrator().recover().await.unwrap();
    assert_eq!(resumed.iter().map(RunHandle::id).collect::<Vec<_>>(), [waiting.id]);
    let run = resumed[0].wait().await.unwrap();
    assert_eq!(run.state, RunState::Completed);
    let request = house.calls().pop().unwrap();
    assert_eq!(
        (request.undo, request.confirm, request.sync, request.round),
        (vec![undone], Some(halted), true, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn a_dead_run_that_a_mere_look_found_is_resumed_even_if_it_has_no_schedule() {
    let clock = PausedClock::new();
    let house = House {
        store: MemoryStore::with_clock(Arc::clone(&clock) as Arc<dyn Clock>),
        engine: Arc::default(),
    };
    let connection = house.connection("a").await;
    let mut settings = house.store.connection(connection).await.unwrap().unwrap();
    settings.frequency = SyncFrequency::Manual;
    house.store.save_connection(settings).await.unwrap();
    let orchestrator = house.orchestrator();
    dead_process(&house, connection).await;
    tokio::time::sleep(TTL + SECOND).await;
    // As `magnus status` does, in a process that carries out nothing.
    assert_eq!(house.store.interrupt_abandoned().await.unwrap().len(), 1);
    let mut events = orchestrator.subscribe();
    let kept = orchestrator.keep_schedules(Arc::new(house.store.clone()), clock);
    let over = async { while !matches!(events.recv().await.unwrap(), Event::RunFinished { .. }) {} };
    tokio::select! {
        () = kept => panic!("schedules are kept until the end"),
        () = over => {}
        () = tokio::time::sleep(600 * SECOND) => panic!("nobody resumes it"),
    }
    assert_eq!(house.calls()[0].trigger, Trigger::Resume);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_was_asked_to_stop_before_its_process_died_is_not_resumed() {
    let house = House::new();
    let connection = house.connection("a").await;
    let dead = dead_process(&house, connection).await;
    house.store.request_cancel(dead.id).await.unwrap();
    tokio::time::sleep(TTL + SECOND).await;
    assert!(house.orchestrator().recover().await.unwrap().is_empty());
    assert_eq!(house.runs().await[0].state, RunState::Interrupted);
}

#[tokio::test(start_paused = true)]
async fn a_living_process_that_waits_for_a_dead_one_takes_the_run_up() {
    let house = House::new();
    let connection = house.connection("a").await;
    let lease = take(&house, connection, "dying").await;
    let orchestrator = house.orchestrator();
    let handle = orchestrator.start(RunRequest::new(connection)).await.unwrap();
    house.store.claim_run(Fence::Lease(lease)).await.unwrap().unwrap();
    assert_eq!(handle.wait().await.unwrap().state, RunState::Interrupted);
    orchestrator.idle().await;
    let triggers: Vec<Trigger> = house.calls().iter().map(|request| request.trigger).collect();
    assert_eq!(triggers, [Trigger::Resume]);
}

#[tokio::test(start_paused = true)]
async fn what_a_process_before_left_queued_is_run_after_recovery() {
    let house = House::new();
    let connection = house.connection("a").await;
    house.store.enqueue_run(RunRequest::new(connection)).await.unwrap();
    let handles = house.orchestrator().recover().await.unwrap();
    assert_eq!(handles[0].wait().await.unwrap().state, RunState::Completed);
}

#[tokio::test(start_paused = true)]
async fn a_long_run_keeps_its_lease_by_heartbeat() {
    let house = House::new();
    let connection = house.connection("a").await;
    let store = house.store.clone();
    house.behave(connection, move |_, context| {
        let store = store.clone();
        async move {
            for _ in 0..20 {
                tokio::time::sleep(10 * SECOND).await;
                assert!(context.lease.stands());
                store.commit(context.fence.clone(), Changeset::new()).await?;
            }
            completed()
        }
    });
    let run = house
        .orchestrator()
        .start(RunRequest::new(connection))
        .await
        .unwrap()
        .wait()
        .await
        .unwrap();
    assert_eq!(run.state, RunState::Completed, "{:?}", run.error_message);
}

#[tokio::test(start_paused = true)]
async fn a_lost_lease_stops_the_run_which_is_marked_interrupted() {
    let house = House::new();
    let connection = house.connection("a").await;
    let store = house.store.clone();
    house.behave(connection, move |_, context| {
        let store = store.clone();
        async move {
            let Fence::Lease(lease) = context.fence.clone() else {
                panic!("a run has a lease")
            };
            store.release_lease(lease).await?;
            store
                .acquire_lease(context_connection(&context), "thief".into(), TTL)
                .await?;
            context.cancellation.cancelled().await;
            assert!(!context.lease.stands());
            ended(RunState::Cancelled)
        }
    });
    let run = house
        .orchestrator()
        .start(RunRequest::new(connection))
        .await
        .unwrap()
        .wait()
        .await
        .unwrap();
    assert_eq!(run.state, RunState::Interrupted);
    assert!(run.error_message.unwrap().contains("lease"));
}

fn context_connection(context: &RunContext) -> ConnectionId {
    context.fence.connection().expect("a run has a lease")
}

#[tokio::test(start_paused = true)]
async fn two_processes_on_one_hub_never_run_a_connection_twice_at_once() {
    let house = House::new();
    let connection = house.connection("a").await;
    house.behave(connection, |_, context| steps(context, 3, SECOND));
    let (one, two) = (house.orchestrator(), house.orchestrator());
    let mut handles = Vec::new();
    for _ in 0..3 {
        handles.push(one.start(RunRequest::new(connection)).await.unwrap());
        handles.push(two.start(RunRequest::new(connection)).await.unwrap());
        tokio::time::sleep(SECOND).await;
    }
    for handle in &handles {
        assert_eq!(handle.wait().await.unwrap().state, RunState::Completed);
    }
    assert_eq!(house.engine.overlaps.load(Ordering::SeqCst), 0);
    assert_eq!(
        house.calls().len(),
        house.runs().await.len(),
        "every run was carried out once"
    );
}
