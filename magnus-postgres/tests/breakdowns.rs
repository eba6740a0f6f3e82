//! The hub on Postgres keeps every promise of a store of breakdowns.

use std::sync::Arc;

use magnus_postgres::{PostgresOptions, PostgresStore};
use magnus_testkit::conformance::store::ManualClock;
use magnus_testkit::postgres::Database;

async fn postgres(clock: Arc<ManualClock>) -> (Arc<PostgresStore>, Database) {
    let database = Database::new().await;
    let options = PostgresOptions::new().clock(clock).connections(4);
    let store = PostgresStore::open_with(database.url(), options)
        .await
        .expect("a new database");
    (Arc::new(store), database)
}

magnus_testkit::breakdown_store_tests!(postgres);
