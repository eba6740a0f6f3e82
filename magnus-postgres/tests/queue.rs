//! The queue that machines share keeps every promise of a queue.
#![cfg(feature = "workers")]

use std::sync::Arc;

use magnus_core::queue::RunQueue;
use magnus_postgres::{GraphileQueue, PostgresOptions, PostgresStore};
use magnus_testkit::postgres::Database;

async fn graphile() -> (Arc<dyn RunQueue>, Database) {
    let database = Database::new().await;
    let store = PostgresStore::open_with(database.url(), PostgresOptions::new().connections(6))
        .await
        .expect("a new database");
    let queue = GraphileQueue::open(&store, 4).await.expect("a new queue");
    (Arc::new(queue), database)
}

magnus_testkit::queue_tests!(graphile);
