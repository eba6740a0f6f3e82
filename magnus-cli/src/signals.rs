//! What every program that runs syncs listens to: signals to stop, and how long its leases last.

use std::time::Duration;

use crate::failure::Failure;

/// How long a lease lasts without a heartbeat: 30 seconds, or what `MAGNUS_LEASE_SECONDS` says.
pub(crate) fn lease_ttl() -> Result<Duration, Failure> {
    let Ok(seconds) = std::env::var("MAGNUS_LEASE_SECONDS") else {
        return Ok(Duration::from_secs(30));
    };
    match seconds.parse() {
        Ok(seconds @ 1..=3600) => Ok(Duration::from_secs(seconds)),
        _ => Err(Failure::usage(format!(
            "MAGNUS_LEASE_SECONDS is {seconds:?}; it takes a whole number from 1 to 3600"
        ))),
    }
}

/// Ctrl-C, or the signal with which a service manager ends a program.
pub(crate) async fn asked_to_stop() {
    let interrupted = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminated) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = interrupted => {}
                _ = terminated.recv() => {}
            }
            return;
        }
    }
    if interrupted.await.is_err() {
        // Without signals there is nothing to wait for: the sync goes on to its end.
        std::future::pending::<()>().await;
    }
}
