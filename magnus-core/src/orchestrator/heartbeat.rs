//! Keeps a lease for as long as its run goes on.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

use super::shared::Shared;
use crate::model::RunId;
use crate::store::Lease;

/// What a heartbeat needs to know and to tell.
#[derive(Debug)]
pub(super) struct Heartbeat {
    pub(super) lease: Lease,
    pub(super) run: RunId,
    /// Until when the lease stands by our own monotonic clock: counted from before it was asked for, so that we let go
    /// before the store does.
    pub(super) deadline: watch::Sender<Option<Instant>>,
    /// Cancelled when somebody asked, in whatever process, for the run to stop.
    pub(super) cancellation: CancellationToken,
    /// Cancelled when the lease is lost.
    pub(super) lost: CancellationToken,
}

impl Heartbeat {
    /// Beats until the lease is lost; dropped when the run is over.
    pub(super) async fn beat(self, shared: Arc<Shared>, mut stands_until: Instant) {
        let ttl = shared.options.lease_ttl;
        let mut next = Instant::now() + ttl / 3;
        loop {
            sleep_until(next.min(stands_until)).await;
            let asked_at = Instant::now();
            match timeout_at(stands_until, shared.store.renew_lease(self.lease.clone(), ttl)).await {
                Ok(Ok(true)) => {
                    stands_until = asked_at + ttl;
                    self.deadline.send_replace(Some(stands_until));
                    next = asked_at + ttl / 3;
                }
                Ok(Ok(false)) => {
                    self.deadline.send_replace(Some(asked_at));
                    break;
                }
                Ok(Err(error)) => {
                    tracing::warn!(run = %self.run, %error, "the lease could not be prolonged");
                    next = asked_at + ttl / 10;
                }
                Err(_) => {}
            }
            if Instant::now() >= stands_until {
                break;
            }
            self.look_for_a_cancellation(&shared).await;
        }
        tracing::warn!(run = %self.run, connection = %self.lease.connection_id, "the lease was lost");
        self.lost.cancel();
    }

    async fn look_for_a_cancellation(&self, shared: &Shared) {
        match shared.store.run(self.run).await {
            Ok(Some(run)) if run.cancel_requested => self.cancellation.cancel(),
            Ok(_) => {}
            Err(error) => tracing::warn!(run = %self.run, %error, "the run log could not be read"),
        }
    }
}
