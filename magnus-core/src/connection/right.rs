//! The right to write, known to whatever a run calls, however deep.

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
