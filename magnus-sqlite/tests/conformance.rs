//! The hub on SQLite keeps every promise of a store.

use std::sync::Arc;

use magnus_core::store::{ServiceStore, TaskStore};
use magnus_sqlite::SqliteStore;
use magnus_testkit::conformance::store::ManualClock;
use tempfile::TempDir;

async fn sqlite(clock: Arc<ManualClock>) -> (Arc<dyn TaskStore>, TempDir) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("hub.db");
    let path = path.to_str().expect("a path in Unicode");
    let store = SqliteStore::open_with_clock(path, clock).await.expect("a new database");
    (Arc::new(store), directory)
}

magnus_testkit::store_tests!(sqlite);

async fn service(clock: Arc<ManualClock>) -> (Arc<dyn ServiceStore>, TempDir) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("hub.db");
    let path = path.to_str().expect("a path in Unicode");
    let store = SqliteStore::open_with_clock(path, clock).await.expect("a new database");
    (Arc::new(store), directory)
}

magnus_testkit::service_store_tests!(service);

async fn breakdowns(clock: Arc<ManualClock>) -> (Arc<SqliteStore>, TempDir) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("hub.db");
    let path = path.to_str().expect("a path in Unicode");
    let store = SqliteStore::open_with_clock(path, clock).await.expect("a new database");
    (Arc::new(store), directory)
}

magnus_testkit::breakdown_store_tests!(breakdowns);
