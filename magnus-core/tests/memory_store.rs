//! The in-memory hub keeps every promise of a store.

use std::sync::Arc;

use magnus_core::memory::MemoryStore;
use magnus_core::store::{ServiceStore, TaskStore};
use magnus_testkit::conformance::store::ManualClock;

async fn memory(clock: Arc<ManualClock>) -> (Arc<dyn TaskStore>, ()) {
    (Arc::new(MemoryStore::with_clock(clock)), ())
}

magnus_testkit::store_tests!(memory);

async fn service(clock: Arc<ManualClock>) -> (Arc<dyn ServiceStore>, ()) {
    (Arc::new(MemoryStore::with_clock(clock)), ())
}

magnus_testkit::service_store_tests!(service);

async fn breakdowns(clock: Arc<ManualClock>) -> (Arc<MemoryStore>, ()) {
    (Arc::new(MemoryStore::with_clock(clock)), ())
}

magnus_testkit::breakdown_store_tests!(breakdowns);
