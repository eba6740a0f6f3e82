//! What every program that runs syncs listens to: signals to stop, how long its leases last, and what is kept of its runs.

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

/// How long runs stay in the log: 90 days, or what `MAGNUS_RUN_LOG_DAYS` says; `None` for ever.
pub(crate) fn log_kept() -> Result<Option<Duration>, Failure> {
    const DAY: u64 = 24 * 60 * 60;
    let Ok(days) = std::env::var("MAGNUS_RUN_LOG_DAYS") else {
        return Ok(Some(Duration::from_secs(90 * DAY)));
    };
    match days.parse::<u64>() {
        Ok(0) => Ok(None),
        Ok(days @ 1..=36_500) => Ok(Some(Duration::from_secs(days * DAY))),
        _ => Err(Failure::usage(format!(
            "MAGNUS_RUN_LOG_DAYS is {days:?}; it takes a whole number of days up to 36500, 0 to keep all runs"
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
