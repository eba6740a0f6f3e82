//! What every [`RunQueue`] must do.
//!
//! [`queue_tests!`](crate::queue_tests) makes the tests from a factory: an async function that answers a new empty queue which
//! attends to several connections at once, and whatever must live as long as it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use magnus_core::model::ConnectionId;
use magnus_core::queue::{Attended, Carrier, RunQueue};
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Longer than anything here takes on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// Attends as it is told, and tells of it.
#[derive(Debug)]
struct Told {
    answers: Mutex<VecDeque<Attended>>,
    /// Each attention begins only with a permit.
    gate: Semaphore,
    begun: mpsc::UnboundedSender<ConnectionId>,
    ended: Notify,
}

#[async_trait]
impl Carrier for Told {
    async fn attend(&self, connection: ConnectionId) -> Attended {
        self.begun.send(connection).expect("the test listens");
        self.gate.acquire().await.expect("the gate is never closed").forget();
        self.ended.notify_one();
        let answer = self.answers.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        answer.unwrap_or(Attended::Done)
    }
}

/// A queue that is worked on.
struct Bench {
    queue: Arc<dyn RunQueue>,
    told: Arc<Told>,
    begun: mpsc::UnboundedReceiver<ConnectionId>,
    stop: CancellationToken,
    work: Option<JoinHandle<()>>,
}

impl Bench {
    fn new(queue: Arc<dyn RunQueue>, answers: impl IntoIterator<Item = Attended>) -> Self {
        let (sender, begun) = mpsc::unbounded_channel();
        let told = Arc::new(Told {
            answers: Mutex::new(answers.into_iter().collect()),
            gate: Semaphore::new(0),
            begun: sender,
            ended: Notify::new(),
        });
        Self {
            queue,
            told,
            begun,
            stop: CancellationToken::new(),
            work: None,
        }
    }

    fn work(&mut self) {
        let (queue, stop) = (Arc::clone(&self.queue), self.stop.clone());
        let carrier: Arc<dyn Carrier> = Arc::<Told>::clone(&self.told);
        self.work = Some(tokio::spawn(async move {
            queue.work(carrier, stop).await.expect("the queue works");
        }));
    }

    async fn next(&mut self) -> ConnectionId {
        let begun = timeout(PATIENCE, self.begun.recv()).await;
        begun.expect("nobody attends").expect("the carrier is there")
    }

    fn let_go(&self) {
        self.told.gate.add_permits(1);
    }

    async fn stop(mut self) {
        self.stop.cancel();
        if let Some(work) = self.work.take() {
            timeout(PATIENCE, work)
                .await
                .expect("it stops")
                .expect("it does not panic");
        }
        assert!(self.begun.try_recv().is_err(), "nothing else was attended to");
    }
}

async fn announce(queue: &Arc<dyn RunQueue>, connection: ConnectionId) {
    queue.announce(connection).await.expect("the queue takes word");
}

/// What is announced before and during the work is attended to, several at once.
pub async fn what_is_announced_is_attended_to(queue: Arc<dyn RunQueue>) {
    let mut bench = Bench::new(queue, []);
    let (first, second) = (ConnectionId::generate(), ConnectionId::generate());
    announce(&bench.queue, first).await;
    bench.work();
    assert_eq!(bench.next().await, first);
    announce(&bench.queue, second).await;
    assert_eq!(bench.next().await, second, "it does not wait for the first");
    bench.let_go();
    bench.let_go();
    bench.stop().await;
}

/// Word that waits is told once, however often it was announced.
pub async fn word_that_waits_is_one(queue: Arc<dyn RunQueue>) {
    let mut bench = Bench::new(queue, []);
    let (often, last) = (ConnectionId::generate(), ConnectionId::generate());
    for _ in 0..5 {
        announce(&bench.queue, often).await;
    }
    bench.work();
    assert_eq!(bench.next().await, often);
    bench.let_go();
    announce(&bench.queue, last).await;
    assert_eq!(bench.next().await, last);
    bench.let_go();
    bench.stop().await;
}

/// Word that comes while the connection is attended to is not lost.
pub async fn word_that_comes_meanwhile_is_heard_afterwards(queue: Arc<dyn RunQueue>) {
    let mut bench = Bench::new(queue, []);
    let connection = ConnectionId::generate();
    bench.work();
    announce(&bench.queue, connection).await;
    assert_eq!(bench.next().await, connection);
    announce(&bench.queue, connection).await;
    bench.let_go();
    bench.let_go();
    assert_eq!(bench.next().await, connection);
    bench.stop().await;
}

/// What cannot be done now is looked at again, and what failed is tried again.
pub async fn later_comes_and_a_failure_is_tried_again(queue: Arc<dyn RunQueue>) {
    let answers = [
        Attended::Later(Duration::from_millis(10)),
        Attended::Failed("on purpose".to_owned()),
    ];
    let mut bench = Bench::new(queue, answers);
    let connection = ConnectionId::generate();
    bench.work();
    announce(&bench.queue, connection).await;
    for _ in 0..3 {
        assert_eq!(bench.next().await, connection);
        bench.let_go();
    }
    assert_eq!(bench.queue.dead_letters().await.expect("the queue answers"), []);
    bench.stop().await;
}

/// Stopping waits for what was begun, and begins nothing new.
pub async fn stopping_waits_for_what_was_begun(queue: Arc<dyn RunQueue>) {
    let mut bench = Bench::new(queue, []);
    bench.work();
    announce(&bench.queue, ConnectionId::generate()).await;
    bench.next().await;
    bench.stop.cancel();
    let told = Arc::clone(&bench.told);
    let over = bench.work.take().expect("it works");
    assert!(!over.is_finished());
    bench.let_go();
    timeout(PATIENCE, told.ended.notified()).await.expect("it ends");
    timeout(PATIENCE, over)
        .await
        .expect("it stops")
        .expect("it does not panic");
    bench.stop().await;
}

/// Makes a test of each rule for a queue.
#[macro_export]
macro_rules! queue_tests {
    ($factory:path) => {
        $crate::queue_tests! { $factory:
            what_is_announced_is_attended_to,
            word_that_waits_is_one,
            word_that_comes_meanwhile_is_heard_afterwards,
            later_comes_and_a_failure_is_tried_again,
            stopping_waits_for_what_was_begun,
        }
    };
    ($factory:path: $($rule:ident,)+) => {$(
        #[::tokio::test]
        async fn $rule() {
            let (queue, _keep) = $factory().await;
            $crate::conformance::queue::$rule(queue).await;
        }
    )+};
}
