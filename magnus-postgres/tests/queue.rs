//! The queue that machines share keeps every promise of a queue.
#![cfg(feature = "workers")]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use magnus_core::model::ConnectionId;
use magnus_core::queue::{Attended, Carrier, DeadLetter, RunQueue};
use magnus_postgres::{GraphileQueue, PostgresOptions, PostgresStore};
use magnus_testkit::postgres::Database;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

async fn graphile() -> (Arc<dyn RunQueue>, Database) {
    let database = Database::new().await;
    let store = PostgresStore::open_with(database.url(), PostgresOptions::new().connections(6))
        .await
        .expect("a new database");
    let queue = GraphileQueue::open(&store, 4).await.expect("a new queue");
    (Arc::new(queue), database)
}

magnus_testkit::queue_tests!(graphile);

async fn change_jobs(database: &Database, change: &'static str) {
    let mut connection = database.connect().await;
    let done = sqlx::query(change).execute(&mut connection).await.unwrap();
    assert_eq!(done.rows_affected(), 1);
}

#[tokio::test]
async fn word_that_was_given_up_is_a_dead_letter_until_it_is_told_again() {
    let (queue, database) = graphile().await;
    let connection = ConnectionId::generate();
    queue.announce(connection).await.unwrap();
    assert_eq!(queue.dead_letters().await.unwrap(), []);
    change_jobs(
        &database,
        "UPDATE public_queue._private_jobs SET attempts = max_attempts, last_error = 'on purpose'",
    )
    .await;
    let letter = DeadLetter {
        connection,
        reason: "on purpose".to_owned(),
    };
    assert_eq!(queue.dead_letters().await.unwrap(), [letter]);
    queue.announce(connection).await.unwrap();
    assert_eq!(queue.dead_letters().await.unwrap(), []);
}

/// Tells which connections it attends to.
#[derive(Debug)]
struct Attentive(mpsc::UnboundedSender<ConnectionId>);

#[async_trait]
impl Carrier for Attentive {
    async fn attend(&self, connection: ConnectionId) -> Attended {
        self.0.send(connection).unwrap();
        Attended::Done
    }
}

#[tokio::test]
async fn word_that_a_worker_took_which_then_died_is_heard_when_it_is_told_again() {
    let (queue, database) = graphile().await;
    let connection = ConnectionId::generate();
    queue.announce(connection).await.unwrap();
    change_jobs(
        &database,
        "UPDATE public_queue._private_jobs SET attempts = 1, locked_at = now(), locked_by = 'dead'",
    )
    .await;
    queue.announce(connection).await.unwrap();
    let (attended, mut heard) = mpsc::unbounded_channel();
    let stop = CancellationToken::new();
    let work = {
        let (queue, stop) = (Arc::clone(&queue), stop.clone());
        tokio::spawn(async move { queue.work(Arc::new(Attentive(attended)), stop).await })
    };
    let first = tokio::time::timeout(Duration::from_secs(60), heard.recv()).await;
    assert_eq!(first.unwrap(), Some(connection));
    stop.cancel();
    work.await.unwrap().unwrap();
    assert_eq!(
        queue.dead_letters().await.unwrap(),
        [],
        "what it had taken is nobody's any more"
    );
}
