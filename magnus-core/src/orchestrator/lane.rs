//! One connection's way from queued to over, again and again until nothing is queued.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::ending;
use super::execution::carry_out;
use super::limits::Turn;
use super::shared::Shared;
use crate::engine::{RunError, RunErrorKind};
use crate::event::Event;
use crate::model::{ConnectionId, RunState};
use crate::store::{Fence, Lease, LeaseAnswer};

/// A lane gives up after this many failures of the store in a row; the next request wakes it again, and so do the schedules.
const MOST_FAILURES: u32 = 5;

/// What to do after a look at the connection.
pub(super) enum Next {
    /// Look again now.
    Look,
    /// Look again after this time: another process has the connection.
    Wait(Duration),
    /// Nothing is left.
    Stop,
}

pub(super) async fn drive(shared: Arc<Shared>, connection: ConnectionId) {
    let closed = &shared.stopping.closed;
    let mut failures = 0;
    while !closed.is_cancelled() {
        let looked = if shared.queue.is_some() {
            super::attending::follow(&shared, connection).await
        } else {
            look(&shared, connection, None).await
        };
        let wait = match looked {
            Ok(Next::Look) => {
                failures = 0;
                continue;
            }
            Ok(Next::Stop) => return,
            Ok(Next::Wait(wait)) => {
                failures = 0;
                wait
            }
            Err(error) => {
                failures += 1;
                tracing::warn!(%connection, %error, failures, "the hub does not answer well");
                if failures >= MOST_FAILURES {
                    shared.give_up_waiting(connection, error.kind(), &error.to_string());
                    return;
                }
                Duration::from_millis(200) * 2_u32.pow(failures)
            }
        };
        tokio::select! {
            () = sleep(wait) => {}
            () = closed.cancelled() => {}
        }
    }
    let message = super::shutting_down().to_string();
    shared.give_up_waiting(connection, RunErrorKind::ShuttingDown, &message);
}

/// Looks whether something is queued, and carries it out. Whoever has no turn yet waits for one.
pub(super) async fn look(
    shared: &Arc<Shared>,
    connection: ConnectionId,
    turn: Option<&Turn>,
) -> Result<Next, RunError> {
    let standing = stand(shared, connection).await?;
    if !standing.queued {
        if !standing.elsewhere {
            return Ok(Next::Stop);
        }
        // The process that runs it may have died meanwhile.
        super::recovery::take_up_abandoned(shared).await?;
        return Ok(Next::Wait(shared.options.lease_poll));
    }
    let Some(settings) = shared.store.connection(connection).await? else {
        let message = "the connection was deleted before the run began";
        shared.give_up_waiting(connection, RunErrorKind::UnknownConnection, message);
        return Ok(Next::Stop);
    };
    let _turn = match turn {
        Some(_) => None,
        None => tokio::select! {
            turn = shared.limits.turn(&settings.url) => Some(turn),
            () = shared.stopping.closed.cancelled() => return Ok(Next::Look),
        },
    };
    let asked_at = Instant::now();
    let options = &shared.options;
    match shared
        .store
        .acquire_lease(connection, options.holder.clone(), options.lease_ttl)
        .await?
    {
        LeaseAnswer::Held { holder, .. } => {
            tell_holder(shared, connection, &holder);
            Ok(Next::Wait(options.lease_poll))
        }
        LeaseAnswer::Granted(lease) => run_what_is_queued(shared, lease, asked_at).await,
    }
}

/// Where the runs of a connection stand that are not over.
pub(super) struct Standing {
    /// One is queued.
    queued: bool,
    /// One that somebody here waits for goes on in another process.
    elsewhere: bool,
}

/// Looks at the run log, and tells those who wait for runs that are over.
async fn stand(shared: &Shared, connection: ConnectionId) -> Result<Standing, RunError> {
    let unfinished = shared.store.unfinished_runs().await?;
    let mut standing = tell_those_who_wait(shared, connection).await?;
    standing.queued |= unfinished
        .iter()
        .any(|run| run.connection_id == connection && run.state == RunState::Queued);
    Ok(standing)
}

/// Tells those who wait for runs of a connection that are over, and answers where the others stand.
pub(super) async fn tell_those_who_wait(shared: &Shared, connection: ConnectionId) -> Result<Standing, RunError> {
    let mut standing = Standing {
        queued: false,
        elsewhere: false,
    };
    for id in shared.registry.waiting(connection) {
        match shared.store.run(id).await? {
            Some(run) if run.state.is_final() => shared.tell_end_here(run),
            Some(run) if run.state == RunState::Queued => standing.queued = true,
            Some(_) => standing.elsewhere = true,
            None => {
                let message = "the run is no longer in the log; was its connection deleted?";
                let kind = RunErrorKind::UnknownConnection;
                shared.registry.end(
                    id,
                    super::registry::Ended::Unknown {
                        kind,
                        message: message.to_owned(),
                    },
                );
            }
        }
    }
    Ok(standing)
}

fn tell_holder(shared: &Shared, connection: ConnectionId, holder: &str) {
    for run_id in shared.registry.waiting(connection) {
        if shared.registry.set_holder(run_id, holder) {
            shared.tell_here(Event::RunWaiting {
                run_id,
                connection_id: connection,
                holder: holder.to_owned(),
            });
        }
    }
}

async fn run_what_is_queued(shared: &Arc<Shared>, lease: Lease, asked_at: Instant) -> Result<Next, RunError> {
    let claimed = if shared.stopping.closed.is_cancelled() {
        Ok(None)
    } else {
        shared.store.claim_run(Fence::Lease(lease.clone())).await
    };
    let Ok(Some(run)) = claimed else {
        shared.store.release_lease(lease).await?;
        claimed?;
        return Ok(Next::Look);
    };
    let written = carry_out(shared, &run, &lease, asked_at).await;
    if let Err(error) = shared.store.release_lease(lease).await {
        tracing::warn!(run = %run.id, %error, "the lease could not be freed and will expire");
    }
    ending::tell(shared, &run, written).await;
    super::ripple::follow_up(shared, &run).await;
    Ok(Next::Look)
}
