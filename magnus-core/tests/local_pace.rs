//! The pace book within one process keeps every promise of one.

use std::sync::Arc;

use magnus_core::layer::{LocalPaceBook, PaceBook};

async fn local() -> (Arc<dyn PaceBook>, ()) {
    (Arc::new(LocalPaceBook::new()), ())
}

magnus_testkit::pace_book_tests!(local);
