//! Several processes that share the runs of one hub: some only ask and follow, some carry out.

use futures::future::pending;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::event::Event;
use crate::exchange::LocalExchange;
use crate::model::Trigger;
use crate::queue::{LocalQueue, RunQueue};
use crate::store::{LeaseAnswer, LeaseStore};

/// Longer than any test takes: who relies on looking fails.
const NEVER: Duration = Duration::from_secs(100 * 60 * 60);

/// What the processes of a hub have in common.
struct Shop {
    house: House,
    queue: Arc<LocalQueue>,
    exchange: LocalExchange,
}

/// A process that carries out runs.
struct Worker {
    orchestrator: Orchestrator,
    stop: CancellationToken,
    work: JoinHandle<Result<(), RunError>>,
}

impl Shop {
    fn new(at_once: usize) -> Self {
        Self {
            house: House::new(),
            queue: Arc::new(LocalQueue::new(at_once)),
            exchange: LocalExchange::new(),
        }
    }

    fn queue(&self) -> Arc<dyn RunQueue> {
        Arc::<LocalQueue>::clone(&self.queue)
    }

    /// A process that asks for runs and follows them by what it is told.
    fn front(&self) -> Orchestrator {
        self.house
            .builder()
            .queue(self.queue())
            .exchange(Arc::new(self.exchange.another_end()))
            .lease_poll(NEVER)
            .build()
    }

    fn worker(&self, set_up: impl FnOnce(OrchestratorBuilder) -> OrchestratorBuilder) -> Worker {
        let builder = self.house.builder().queue(self.queue());
        let orchestrator = set_up(builder.exchange(Arc::new(self.exchange.another_end()))).build();
        let stop = CancellationToken::new();
        let work = {
            let (orchestrator, stop) = (orchestrator.clone(), stop.clone());
            tokio::spawn(async move { orchestrator.work(stop, 10 * SECOND).await })
        };
        Worker {
            orchestrator,
            stop,
            work,
        }
    }

    /// Waits until a connection has a run that is over, other than these, and answers it.
    async fn newest_end(&self, connection: ConnectionId, but: &[RunState]) -> Run {
        loop {
            let runs = self.house.runs().await;
            let newest = runs.into_iter().find(|run| run.connection_id == connection);
            if let Some(run) = newest.filter(|run| run.state.is_final() && !but.contains(&run.state)) {
                return run;
            }
            tokio::time::sleep(SECOND).await;
        }
    }
}

impl Worker {
    async fn end(self) {
        self.stop.cancel();
        self.work.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_follows_a_run_of_another_process_is_told_how_far_it_is_and_how_it_ended() {
    let shop = Shop::new(2);
    let connection = shop.house.connection("a").await;
    shop.house.behave(connection, |_, context| steps(context, 10, SECOND));
    let (front, worker) = (shop.front(), shop.worker(|worker| worker));
    let mut events = front.subscribe();
    let handle = front.start(RunRequest::new(connection)).await.unwrap();
    let mut told = Vec::new();
    while !matches!(told.last(), Some(Event::RunFinished { .. })) {
        told.push(events.recv().await.unwrap());
    }
    assert!(matches!(told[0], Event::RunQueued { run_id, .. } if run_id == handle.id()));
    assert!(matches!(told[1], Event::RunStarted { run_id, .. } if run_id == handle.id()));
    let progress = told.iter().filter(|event| matches!(event, Event::RunProgress { .. }));
    assert!(progress.count() >= 3, "{told:?}");
    assert!(handle.progress().borrow().done >= 3);
    assert_eq!(handle.wait().await.unwrap().state, RunState::Completed);
    assert_eq!(shop.house.calls_of(connection), 1);
    worker.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_bystander_is_told_of_runs_too_and_knows_how_far_they_are() {
    let shop = Shop::new(2);
    let connection = shop.house.connection("a").await;
    shop.house.behave(connection, |_, context| steps(context, 10, SECOND));
    let (front, bystander, worker) = (shop.front(), shop.front(), shop.worker(|worker| worker));
    let mut events = bystander.subscribe();
    let id = front.start(RunRequest::new(connection)).await.unwrap().id();
    let mut seen = 0;
    loop {
        match events.recv().await.unwrap() {
            Event::RunProgress { run_id, progress, .. } => {
                let known = bystander.progress(run_id).expect("the run is known");
                assert_eq!(known.borrow().done, progress.done);
                seen = progress.done;
            }
            Event::RunFinished { run_id, state, .. } => {
                assert_eq!((run_id, state), (id, RunState::Completed));
                break;
            }
            _ => {}
        }
    }
    assert!(seen >= 3, "{seen}");
    assert!(bystander.progress(id).is_none(), "what is over is forgotten");
    worker.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_run_is_cancelled_from_another_process_without_waiting_for_a_heartbeat() {
    let shop = Shop::new(2);
    let connection = shop.house.connection("a").await;
    shop.house.behave(connection, |_, context| steps(context, 1000, SECOND));
    let worker = shop.worker(|worker| worker.lease_ttl(NEVER));
    let front = shop.front();
    let mut events = front.subscribe();
    let handle = front.start(RunRequest::new(connection)).await.unwrap();
    while !matches!(events.recv().await.unwrap(), Event::RunStarted { .. }) {}
    let begun = Instant::now();
    front.cancel(handle.id()).await.unwrap();
    assert_eq!(handle.wait().await.unwrap().state, RunState::Cancelled);
    assert!(begun.elapsed() <= 5 * SECOND, "{:?}", begun.elapsed());
    worker.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_is_asked_to_stop_hands_its_run_over() {
    let shop = Shop::new(2);
    let connection = shop.house.connection("a").await;
    let first = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&first);
    shop.house.behave(connection, move |_, context| {
        let steps_to_do = if count.fetch_add(1, Ordering::SeqCst) == 0 {
            1000
        } else {
            1
        };
        steps(context, steps_to_do, SECOND)
    });
    let worker = shop.worker(|worker| worker);
    let front = shop.front();
    let mut events = front.subscribe();
    let handle = front.start(RunRequest::new(connection)).await.unwrap();
    while !matches!(events.recv().await.unwrap(), Event::RunStarted { .. }) {}
    worker.end().await;
    assert_eq!(handle.wait().await.unwrap().state, RunState::Interrupted);
    let other = shop.worker(|worker| worker);
    let resumed = shop.newest_end(connection, &[RunState::Interrupted]).await;
    assert_eq!(
        (resumed.state, resumed.request.trigger),
        (RunState::Completed, Trigger::Resume)
    );
    assert_eq!(shop.house.engine.overlaps.load(Ordering::SeqCst), 0);
    other.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_a_dead_process_left_behind_is_taken_up_whatever_it_had_done_before_it_died() {
    let shop = Shop::new(4);
    let store = &shop.house.store;
    let mut connections = Vec::new();
    for name in ["queued", "marked", "marked as well"] {
        let connection = shop.house.connection(name).await;
        connections.push(connection);
        // It died before it could announce the run.
        store.enqueue_run(RunRequest::new(connection)).await.unwrap();
        if name != "queued" {
            let answer = store
                .acquire_lease(connection, "dead".to_owned(), SECOND)
                .await
                .unwrap();
            let LeaseAnswer::Granted(lease) = answer else {
                panic!("{answer:?}")
            };
            store.claim_run(Fence::Lease(lease)).await.unwrap().unwrap();
        }
    }
    tokio::time::sleep(2 * SECOND).await;
    // Another one marked their runs, and died before it could queue them anew.
    assert_eq!(store.interrupt_abandoned().await.unwrap().len(), 2);
    let worker = shop.worker(|worker| worker);
    for connection in connections {
        let run = shop.newest_end(connection, &[RunState::Interrupted]).await;
        assert_eq!(run.state, RunState::Completed);
    }
    worker.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_host_that_hangs_does_not_use_up_the_turns_of_others() {
    let shop = Shop::new(3);
    let worker = shop.worker(|worker| worker.concurrency(3).concurrency_per_host(1));
    let front = shop.front();
    for name in ["a", "b", "c", "d", "e"] {
        let connection = shop.house.connection_to(name, "https://hangs.example").await;
        shop.house.behave(connection, |_, _| pending());
        front.start(RunRequest::new(connection)).await.unwrap();
    }
    let other = shop.house.connection("other").await;
    let handle = front.start(RunRequest::new(other)).await.unwrap();
    assert_eq!(handle.wait().await.unwrap().state, RunState::Completed);
    assert_eq!(shop.house.engine.most_at_once.load(Ordering::SeqCst), 2);
    worker.orchestrator.shutdown(Duration::ZERO).await;
    worker.end().await;
}
