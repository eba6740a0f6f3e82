//! Schedules kept, in paused time.

use super::*;
use crate::model::{SyncFrequency, Trigger};

impl House {
    async fn scheduled(&self, name: &str, frequency: SyncFrequency) -> ConnectionId {
        let id = self.connection(name).await;
        let mut settings = self.store.connection(id).await.unwrap().unwrap();
        settings.frequency = frequency;
        self.store.save_connection(settings).await.unwrap();
        id
    }

    /// Keeps schedules for so long, on the same paused time as the store.
    async fn keep(&self, orchestrator: &Orchestrator, clock: &Arc<PausedClock>, time: Duration) {
        let kept = orchestrator.keep_schedules(Arc::new(self.store.clone()), Arc::clone(clock) as Arc<dyn Clock>);
        assert!(
            tokio::time::timeout(time, kept).await.is_err(),
            "it goes on until shut down"
        );
    }

    fn on(clock: &Arc<PausedClock>) -> Self {
        Self {
            store: MemoryStore::with_clock(Arc::clone(clock) as Arc<dyn Clock>),
            engine: Arc::default(),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn each_frequency_is_kept_after_the_first_run_that_a_person_asked_for() {
    let clock = PausedClock::new();
    let house = House::on(&clock);
    let realtime = house.scheduled("realtime", SyncFrequency::Realtime).await;
    let hourly = house.scheduled("hourly", SyncFrequency::Hourly).await;
    let manual = house.scheduled("manual", SyncFrequency::Manual).await;
    let orchestrator = house.orchestrator();
    house.keep(&orchestrator, &clock, 3600 * SECOND).await;
    assert_eq!(house.calls(), [], "nobody asked for a first run");

    for connection in [realtime, hourly, manual] {
        let handle = orchestrator.start(RunRequest::new(connection)).await.unwrap();
        handle.wait().await.unwrap();
    }
    house
        .keep(&orchestrator, &clock, 2 * 3600 * SECOND + 900 * SECOND)
        .await;
    let calls = [realtime, hourly, manual].map(|connection| house.calls_of(connection));
    // Every minute, with an offset of up to a tenth and a look each 5 seconds.
    assert!((110..=136).contains(&calls[0]), "{calls:?}");
    assert_eq!(calls[1..], [3, 1]);
    let scheduled = house.calls().into_iter().skip(3);
    assert!(
        scheduled
            .into_iter()
            .all(|request| request.trigger == Trigger::Schedule)
    );
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_fails_is_tried_less_and_less_and_a_halted_one_not_at_all() {
    let clock = PausedClock::new();
    let house = House::on(&clock);
    let failing = house.scheduled("failing", SyncFrequency::Realtime).await;
    let halted = house.scheduled("halted", SyncFrequency::Realtime).await;
    house.behave(failing, |_, _| async { ended(RunState::Failed) });
    house.behave(halted, |_, _| async { ended(RunState::Halted) });
    let orchestrator = house.orchestrator();
    for connection in [failing, halted] {
        let handle = orchestrator.start(RunRequest::new(connection)).await.unwrap();
        handle.wait().await.unwrap();
    }
    house.keep(&orchestrator, &clock, 3600 * SECOND).await;
    let tried = house.calls_of(failing);
    assert!((4..=7).contains(&tried), "{tried}");
    assert_eq!(house.calls_of(halted), 1);
    // A person is not kept waiting.
    let handle = orchestrator.start(RunRequest::new(failing)).await.unwrap();
    assert_eq!(handle.wait().await.unwrap().state, RunState::Failed);
}

#[tokio::test(start_paused = true)]
async fn a_nudge_runs_what_is_kept_in_real_time_and_nothing_else() {
    let clock = PausedClock::new();
    let house = House::on(&clock);
    let realtime = house.scheduled("realtime", SyncFrequency::Realtime).await;
    let hourly = house.scheduled("hourly", SyncFrequency::Hourly).await;
    let orchestrator = house.orchestrator();
    let nudge = |connection| orchestrator.nudge(&house.store, connection, Trigger::Webhook);
    assert!(nudge(realtime).await.unwrap().is_none(), "nobody asked for a first run");
    for connection in [realtime, hourly] {
        let handle = orchestrator.start(RunRequest::new(connection)).await.unwrap();
        handle.wait().await.unwrap();
    }
    assert!(nudge(hourly).await.unwrap().is_none());
    let run = nudge(realtime).await.unwrap().unwrap().wait().await.unwrap();
    assert_eq!(run.request.trigger, Trigger::Webhook);

    // What a person changed in the hub flows out at once where it is kept in real time.
    let project = house.shared_project(&[realtime, hourly]).await;
    house.store.commit(Fence::Hub, new_task(project)).await.unwrap();
    let started = orchestrator.nudge_due(&house.store).await.unwrap();
    let connections: Vec<_> = started.iter().map(super::super::RunHandle::connection).collect();
    assert_eq!(connections, [realtime]);
}

#[tokio::test(start_paused = true)]
async fn of_two_processes_that_find_the_same_run_due_one_queues_it() {
    let clock = PausedClock::new();
    let house = House::on(&clock);
    let connection = house.scheduled("realtime", SyncFrequency::Realtime).await;
    let (one, two) = (house.orchestrator(), house.orchestrator());
    one.start(RunRequest::new(connection))
        .await
        .unwrap()
        .wait()
        .await
        .unwrap();
    tokio::time::sleep(120 * SECOND).await;
    house.behave(connection, |_, context| steps(context, 100, SECOND));
    // What the second one has read before the first one queued a run, which is under way by the time it decides.
    let read = house.store.fork(Arc::clone(&clock) as Arc<dyn Clock>);
    let started = one.start_scheduled(&house.store, clock.as_ref()).await.unwrap();
    started[0]
        .progress()
        .wait_for(|progress| progress.done > 0)
        .await
        .unwrap();
    assert!(two.start_scheduled(&read, clock.as_ref()).await.unwrap().is_empty());
    assert_eq!(house.runs().await.len(), 2);
    two.shutdown(SECOND).await;
    one.shutdown(SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn schedules_end_with_the_orchestrator() {
    let clock = PausedClock::new();
    let house = House::on(&clock);
    let orchestrator = house.orchestrator();
    let store = Arc::new(house.store.clone());
    let keeper = orchestrator.clone();
    let kept = tokio::spawn(async move { keeper.keep_schedules(store, clock).await });
    orchestrator.shutdown(SECOND).await;
    kept.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_log_is_pruned_of_what_is_older_than_it_is_kept() {
    let clock = PausedClock::new();
    let house = House::on(&clock);
    let connection = house.connection("a").await;
    let orchestrator = house.orchestrator();
    let run = |trigger| {
        let start = orchestrator.start(RunRequest::new(connection).trigger(trigger));
        async move { start.await.unwrap().wait().await.unwrap().id }
    };
    let mut runs = Vec::new();
    for trigger in [Trigger::Schedule, Trigger::Schedule, Trigger::Manual, Trigger::Schedule] {
        runs.push(run(trigger).await);
        tokio::time::sleep(SECOND).await;
    }
    let keep = 10 * 3600 * SECOND;
    let kept = orchestrator.keep_log(Arc::new(house.store.clone()), clock, keep);
    let mut kept = std::pin::pin!(kept);
    tokio::time::timeout(keep - 60 * SECOND, &mut kept).await.unwrap_err();
    assert_eq!(house.runs().await.len(), 4, "none is old enough");
    tokio::time::timeout(2 * 3600 * SECOND, &mut kept).await.unwrap_err();
    let left: Vec<_> = house.runs().await.iter().map(|run| run.id).collect();
    assert_eq!(
        left,
        [runs[3], runs[2]],
        "the newest, and the newest that a person asked for"
    );
    orchestrator.shutdown(SECOND).await;
    kept.await;
}
