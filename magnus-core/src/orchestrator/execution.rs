//! One run from its claim to the moment the engine lets go of it.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::ending::{Conclusion, Stop, judge, write_down};
use super::heartbeat::Heartbeat;
use super::shared::Shared;
use crate::connection::in_right_of;
use crate::engine::{LeaseWatch, Progress, RunContext};
use crate::event::Event;
use crate::model::{Run, RunReport, RunState};
use crate::store::{Fence, Lease, StoreError};

/// The shortest time between two events of progress of one run.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);

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
    let (conclusion, stop) = watch_over(shared, run, context, &lost).await;
    companions.shutdown().await;

    let counts = entry.progress.borrow().counts;
    let counted = RunReport {
        counts,
        ..RunReport::default()
    };
    let verdict = judge(conclusion, stop, counted);
    if verdict.state == RunState::Interrupted && stop == Some(Stop::Shutdown) {
        shared.stopping.note_interrupted(run.id);
    }
    write_down(shared, run, verdict).await
}

async fn watch_over(
    shared: &Shared,
    run: &Run,
    context: RunContext,
    lost: &CancellationToken,
) -> (Conclusion, Option<Stop>) {
    let cancellation = context.cancellation.clone();
    let work = in_right_of(context.lease.clone(), shared.engine.run(run.request.clone(), context));
    let work = AssertUnwindSafe(work).catch_unwind();
    let mut work = std::pin::pin!(work);
    let mut stop = None;
    let stopping = &shared.stopping;
    loop {
        let reason = tokio::select! {
            biased;
            ended = &mut work => {
                let end = match ended {
                    Ok(ended) => Conclusion::Ended(Box::new(ended)),
                    Err(payload) => Conclusion::Panicked(panic_message(payload.as_ref())),
                };
                return (end, stop);
            }
            () = stopping.leave.cancelled() => return (Conclusion::Dropped, stop.or(Some(Stop::Shutdown))),
            () = lost.cancelled(), if stop.is_none() => Stop::LeaseLost,
            () = cancellation.cancelled(), if stop.is_none() => Stop::Asked,
            () = stopping.stop.cancelled(), if stop.is_none() => Stop::Shutdown,
            () = sleep(shared.options.patience), if stop.is_some() => return (Conclusion::Dropped, stop),
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
