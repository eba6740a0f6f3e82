//! The right to write, known to whatever a run calls, however deep.

use super::{ConnectionError, ConnectionErrorKind};
use crate::engine::LeaseWatch;

tokio::task_local! {
    static RIGHT: LeaseWatch;
}

/// Does something in the right of a lease.
pub(crate) async fn in_right_of<F: Future>(lease: LeaseWatch, work: F) -> F::Output {
    RIGHT.scope(lease, work).await
}

/// Whether the lease in whose right this is called still stands. What is called in nobody's right may write.
pub(crate) fn may_write() -> bool {
    RIGHT.try_with(LeaseWatch::stands).unwrap_or(true)
}

/// Refuses a write for which the lease of the run has run out. An adapter that sends the writes of a batch one by one asks
/// before each: a process may have stood still in the middle.
///
/// # Errors
/// `LeaseLost`: nothing was sent.
pub fn check_right_to_write() -> Result<(), ConnectionError> {
    if may_write() { Ok(()) } else { Err(lease_lost("write")) }
}

pub(crate) fn lease_lost(operation: &'static str) -> ConnectionError {
    let message = "the lease ran out before it was sent; another process may run this connection";
    ConnectionError::new(ConnectionErrorKind::LeaseLost, operation, message)
}
