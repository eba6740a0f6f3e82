//! The queue within one process keeps every promise of a queue.

use std::sync::Arc;

use magnus_core::queue::{LocalQueue, RunQueue};

async fn local() -> (Arc<dyn RunQueue>, ()) {
    (Arc::new(LocalQueue::new(4)), ())
}

magnus_testkit::queue_tests!(local);
