//! One run from its claim to the final state in the log.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::heartbeat::Heartbeat;
use super::registry::Ended;
use super::shared::Shared;
use crate::engine::{LeaseWatch, Progress, RunContext, RunEnd, RunError, RunErrorKind};
use crate::event::Event;
use crate::model::{Run, RunReport, RunState};
use crate::store::{Fence, Lease, StoreError, StoreErrorKind};

/// The shortest time between two events of progress of one run.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);

/// How often the end of a run is tried to be written down.
const WRITE_TRIES: u32 = 5;

/// Why a run was asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    Asked,
    Shutdown,
    LeaseLost,
}

impl Stop {
    const fn state(self) -> RunState {
        match self {
            Self::Asked => RunState::Cancelled,
            Self::Shutdown | Self::LeaseLost => RunState::Interrupted,
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Asked => "cancelled on request",
            Self::Shutdown => "the process was shut down",
            Self::LeaseLost => "the lease of the connection was lost to another process, or could not be prolonged",
        }
    }
}

/// How the engine let go of a run.
enum Let {
    Ended(Result<RunEnd, RunError>),
    Panicked(String),
    /// It did not stop in time and was dropped between two polls, as if the process had died.
    Dropped,
}

/// Lets the engine run, watches over it, and writes down how it ended.
pub(super) async fn carry_out(
    shared: &Arc<Shared>,
    run: &Run,
    lease: &Lease,
    asked_at: Instant,
) -> Result<(), StoreError> {
    let entry = shared.registry.activate(run.id, run.connection_id);
    shared.tell(Event::RunStarted {
        run_id: run.id,
        connection_id: run.connection_id,
    });
    if run.cancel_requested {
        entry.cancellation.cancel();
    }
    let stands_until = asked_at + shared.options.lease_ttl;
    let (deadline, watched) = watch::channel(Some(stands_until));
    let lost = CancellationToken::new();
    let heartbeat = Heartbeat {
        lease: lease.clone(),
        run: run.id,
        deadline,
        cancellation: entry.cancellation.clone(),
        lost: lost.clone(),
    };
    // In tasks of their own, so that an engine that computes for long does not hold them up; gone when dropped.
    let mut companions = JoinSet::new();
    companions.spawn(heartbeat.beat(Arc::clone(shared), stands_until));
    companions.spawn(tell_progress(
        Arc::clone(shared),
        run.clone(),
        entry.progress.subscribe(),
    ));

    let context = RunContext {
        run_id: run.id,
        fence: Fence::Lease(lease.clone()),
        lease: LeaseWatch::new(watched),
        cancellation: entry.cancellation.clone(),
        progress: entry.progress.clone(),
    };
    let (end, stop) = watch_over(shared, run, context, &lost).await;
    companions.shutdown().await;

    let counts = entry.progress.borrow().counts;
    let fallback = RunReport {
        counts,
        ..RunReport::default()
    };
    let (state, report, message) = judge(end, stop, fallback);
    if state == RunState::Interrupted && stop == Some(Stop::Shutdown) {
        shared.stopping.note_interrupted(run.id);
    }
    write_down(shared, run, state, report, message).await
}

async fn watch_over(shared: &Shared, run: &Run, context: RunContext, lost: &CancellationToken) -> (Let, Option<Stop>) {
    let cancellation = context.cancellation.clone();
    let work = AssertUnwindSafe(shared.engine.run(run.request.clone(), context)).catch_unwind();
    let mut work = std::pin::pin!(work);
    let mut stop = None;
    let stopping = &shared.stopping;
    loop {
        let reason = tokio::select! {
            biased;
            ended = &mut work => {
                let end = match ended {
                    Ok(ended) => Let::Ended(ended),
                    Err(payload) => Let::Panicked(panic_message(payload.as_ref())),
                };
                return (end, stop);
            }
            () = stopping.leave.cancelled() => return (Let::Dropped, stop.or(Some(Stop::Shutdown))),
            () = lost.cancelled(), if stop.is_none() => Stop::LeaseLost,
            () = cancellation.cancelled(), if stop.is_none() => Stop::Asked,
            () = stopping.stop.cancelled(), if stop.is_none() => Stop::Shutdown,
            () = sleep(shared.options.patience), if stop.is_some() => return (Let::Dropped, stop),
        };
        cancellation.cancel();
        stop = Some(reason);
    }
}

fn panic_message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("(no message)").to_owned()
}

/// The final state of a run, what it did, and why it is not complete.
fn judge(end: Let, stop: Option<Stop>, fallback: RunReport) -> (RunState, RunReport, Option<String>) {
    let stopped = |default: Stop| stop.unwrap_or(default);
    match end {
        Let::Ended(Ok(end)) => match end.state {
            RunState::Cancelled => {
                let stop = stopped(Stop::Asked);
                (
                    stop.state(),
                    end.report,
                    end.message.or_else(|| Some(stop.words().to_owned())),
                )
            }
            state if state.is_final() => (state, end.report, end.message),
            state => {
                let message = format!("the engine ended the run in the state {state}, which is no end; a defect");
                (RunState::Failed, end.report, Some(message))
            }
        },
        Let::Ended(Err(error)) => {
            let stop = match error.kind() {
                RunErrorKind::Cancelled => Some(stopped(Stop::Asked)),
                RunErrorKind::LeaseLost => Some(Stop::LeaseLost),
                RunErrorKind::ShuttingDown => Some(Stop::Shutdown),
                _ => None,
            };
            let state = stop.map_or(RunState::Failed, Stop::state);
            (state, error.report().clone(), Some(error.to_string()))
        }
        Let::Panicked(message) => (
            RunState::Failed,
            fallback,
            Some(format!("the run panicked: {message}; a defect of Magnus or an adapter")),
        ),
        Let::Dropped => {
            let stop = stopped(Stop::Shutdown);
            let message = format!(
                "{}; it did not stop in time, what was under way is settled by the next run",
                stop.words()
            );
            (stop.state(), fallback, Some(message))
        }
    }
}

/// Writes down how a run ended, several times if need be: a run that is over must not look as if it went on.
async fn write_down(
    shared: &Shared,
    run: &Run,
    state: RunState,
    report: RunReport,
    message: Option<String>,
) -> Result<(), StoreError> {
    let mut tries = 1;
    loop {
        let error = match shared
            .store
            .finish_run(run.id, state, report.clone(), message.clone())
            .await
        {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        if tries == WRITE_TRIES || error.kind() == StoreErrorKind::NotFound {
            tracing::error!(run = %run.id, %state, %error, "the end of the run could not be written down");
            return Err(error);
        }
        sleep(Duration::from_millis(100) * 2_u32.pow(tries)).await;
        tries += 1;
    }
}

/// Tells everybody how the run ended, as the log has it.
pub(super) async fn tell(shared: &Shared, run: &Run, written: Result<(), StoreError>) {
    let logged = match written {
        Ok(()) => shared.store.run(run.id).await,
        Err(error) => Err(error),
    };
    let error = match logged {
        Ok(Some(run)) => return shared.tell_end(run),
        Ok(None) => RunError::new(
            RunErrorKind::UnknownConnection,
            "the connection was deleted while it was synced",
        ),
        Err(error) if error.kind() == StoreErrorKind::NotFound => RunError::new(
            RunErrorKind::UnknownConnection,
            "the connection was deleted while it was synced",
        ),
        Err(error) => error.into(),
    };
    shared.registry.end(
        run.id,
        Ended::Unknown {
            kind: error.kind(),
            message: error.to_string(),
        },
    );
}

async fn tell_progress(shared: Arc<Shared>, run: Run, mut progress: watch::Receiver<Progress>) {
    while progress.changed().await.is_ok() {
        let now = *progress.borrow_and_update();
        shared.tell(Event::RunProgress {
            run_id: run.id,
            connection_id: run.connection_id,
            progress: now,
        });
        sleep(PROGRESS_EVERY).await;
    }
}
