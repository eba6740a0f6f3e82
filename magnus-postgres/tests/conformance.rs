//! The hub on Postgres keeps every promise of a store.

use std::sync::Arc;

use magnus_core::store::{ServiceStore, TaskStore};
use magnus_postgres::{PostgresOptions, PostgresStore};
use magnus_testkit::conformance::store::ManualClock;
use magnus_testkit::postgres::Database;

async fn postgres(clock: Arc<ManualClock>) -> (Arc<dyn TaskStore>, Database) {
    let database = Database::new().await;
    let options = PostgresOptions::new().clock(clock).connections(4);
    let store = PostgresStore::open_with(database.url(), options)
        .await
        .expect("a new database");
    (Arc::new(store), database)
}

magnus_testkit::store_tests!(postgres);

async fn service(clock: Arc<ManualClock>) -> (Arc<dyn ServiceStore>, Database) {
    let database = Database::new().await;
    let options = PostgresOptions::new().clock(clock).connections(4);
    let store = PostgresStore::open_with(database.url(), options)
        .await
        .expect("a new database");
    (Arc::new(store), database)
}

magnus_testkit::service_store_tests!(service);
