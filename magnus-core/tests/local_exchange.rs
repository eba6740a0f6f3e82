//! The exchange within one process keeps every promise of an exchange.

use std::sync::Arc;

use magnus_core::exchange::LocalExchange;
use magnus_testkit::conformance::exchange::Ends;

async fn local() -> (Ends, ()) {
    let one = LocalExchange::new();
    let other = one.another_end();
    ([Arc::new(one), Arc::new(other)], ())
}

magnus_testkit::exchange_tests!(local);
