//! One job, from its claim to its end.

use std::time::Duration;

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::Shared;
use crate::breakdown::{BreakdownError, BreakdownErrorKind, BreakdownInput, job_in, proposal_in, propose};
use crate::model::{Breakdown, BreakdownId, BreakdownJob, BreakdownState, Task};
use crate::store::{BreakdownClaim, BreakdownEnd};

const OPERATION: &str = "break down";

/// How often, and with what pause, the end of a job is written down again if the store does not take it.
const LAST_TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(200);

/// A job is going on here for as long as this is there.
struct Going<'a>(&'a Shared, BreakdownId);

impl Drop for Going<'_> {
    fn drop(&mut self) {
        self.0.running().remove(&self.1);
    }
}

/// How the asking came to its end.
enum Asked {
    Ended(Result<Found, BreakdownError>),
    /// Somebody else carries it out by now.
    Lost,
    Stopped,
    Cancelled,
}

/// A proposal, and whether it stands on the task already.
struct Found {
    breakdown: Box<Breakdown>,
    is_there: bool,
}

pub(super) async fn carry_out(shared: &Shared, job: BreakdownJob) {
    let claim = BreakdownClaim::of(&job);
    let cancellation = CancellationToken::new();
    shared.running().insert(job.id, cancellation.clone());
    let _going = Going(shared, job.id);
    shared.teller.tell_state(&job);
    let asked = tokio::select! {
        biased;
        () = shared.stop.cancelled() => Asked::Stopped,
        () = cancellation.cancelled() => Asked::Cancelled,
        () = beat(shared, &claim, &cancellation) => Asked::Lost,
        ended = find(shared, &job) => Asked::Ended(ended),
    };
    let end = match asked {
        Asked::Lost => {
            tracing::warn!(job = %job.id, "the claim was lost; whoever has it now goes on");
            return;
        }
        Asked::Stopped => BreakdownEnd::without(BreakdownState::Interrupted, None),
        Asked::Cancelled => BreakdownEnd::without(BreakdownState::Cancelled, None),
        Asked::Ended(Err(error)) => failed(&error),
        Asked::Ended(Ok(found)) => match put(shared, &job, &claim, found).await {
            Ok(end) => end,
            Err(error) => failed(&error),
        },
    };
    write_down(shared, &job, claim, end).await;
}

/// Asks the model, unless an attempt before got as far as putting the proposal on the task.
async fn find(shared: &Shared, job: &BreakdownJob) -> Result<Found, BreakdownError> {
    let options = &shared.options;
    if job.attempts > options.most_attempts {
        let message = format!("given up after {} attempts that were cut short", options.most_attempts);
        return Err(BreakdownError::new(BreakdownErrorKind::Unavailable, OPERATION, message));
    }
    let store = shared.hub.store().as_ref();
    let task: Option<Task> = store.tasks(vec![job.task_id]).await?.pop();
    let task = task.filter(|task| !task.is_deleted());
    let task = task.ok_or_else(|| BreakdownError::not_found("task", job.task_id))?;
    if job_in(&task) == Some(job.id)
        && let Some(breakdown) = proposal_in(&task)
    {
        return Ok(Found {
            breakdown: Box::new(breakdown),
            is_there: true,
        });
    }
    let input = BreakdownInput::of_task(store, &task).await?;
    let asking = propose(shared.model.as_ref(), input, options.clock.as_ref(), options.budget);
    let breakdown = match timeout(options.budget.time, asking).await {
        Ok(answer) => answer?,
        Err(_) => return Err(too_late(options.budget.time)),
    };
    Ok(Found {
        breakdown: Box::new(breakdown),
        is_there: false,
    })
}

/// Puts the proposal on the task, if the claim still stands and nobody cancelled meanwhile.
async fn put(
    shared: &Shared,
    job: &BreakdownJob,
    claim: &BreakdownClaim,
    found: Found,
) -> Result<BreakdownEnd, BreakdownError> {
    if !found.is_there {
        match shared
            .jobs
            .renew_breakdown(claim.clone(), shared.options.claim_ttl)
            .await?
        {
            Some(now) if now.cancel_requested => {
                return Ok(BreakdownEnd::without(BreakdownState::Cancelled, None));
            }
            Some(_) => {}
            // Whoever has it now writes; what is written down here is refused.
            None => return Ok(BreakdownEnd::without(BreakdownState::Interrupted, None)),
        }
        shared.hub.propose_breakdown(job, &found.breakdown).await?;
    }
    Ok(BreakdownEnd::with(*found.breakdown))
}

/// Gives signs of life, and heeds cancellations; ends when the claim is lost.
async fn beat(shared: &Shared, claim: &BreakdownClaim, cancellation: &CancellationToken) {
    let ttl = shared.options.claim_ttl;
    loop {
        sleep(ttl / 3).await;
        match shared.jobs.renew_breakdown(claim.clone(), ttl).await {
            Ok(Some(job)) if job.cancel_requested => cancellation.cancel(),
            Ok(Some(_)) => {}
            Ok(None) => return,
            // If that goes on, the claim expires, and the next look of anybody says so.
            Err(error) => tracing::warn!(job = %claim.id, %error, "the claim could not be prolonged"),
        }
    }
}

async fn write_down(shared: &Shared, job: &BreakdownJob, claim: BreakdownClaim, end: BreakdownEnd) {
    for turn in 1..=LAST_TRIES {
        match shared.jobs.finish_breakdown(claim.clone(), end.clone()).await {
            Ok(true) => break,
            Ok(false) => {
                tracing::warn!(job = %job.id, "the claim was lost; whoever has it now goes on");
                return;
            }
            Err(error) if turn == LAST_TRIES => {
                tracing::error!(job = %job.id, %error, "the end of a breakdown could not be written down; it is tried again");
                return;
            }
            Err(error) => {
                tracing::warn!(job = %job.id, %error, "the end of a breakdown could not be written down yet");
                sleep(PAUSE * turn).await;
            }
        }
    }
    match shared.jobs.breakdown(job.id).await {
        Ok(Some(ended)) if ended.state.is_final() => shared.tell_end(ended),
        Ok(Some(interrupted)) => shared.teller.tell_state(&interrupted),
        Ok(None) => shared.followed.give_up(job.id),
        // The next look tells those who wait.
        Err(error) => tracing::warn!(job = %job.id, %error, "a breakdown that ended could not be read"),
    }
}

fn failed(error: &BreakdownError) -> BreakdownEnd {
    // A hub that is away for a moment says nothing about the task: it is tried again.
    let state = match error.kind() {
        BreakdownErrorKind::Store => BreakdownState::Interrupted,
        _ => BreakdownState::Failed,
    };
    BreakdownEnd {
        raw: error.raw().map(str::to_owned),
        ..BreakdownEnd::without(state, Some(error.to_string()))
    }
}

pub(super) fn too_late(limit: Duration) -> BreakdownError {
    let message = format!("the model gave no answer within {} s", limit.as_secs());
    BreakdownError::new(BreakdownErrorKind::Timeout, OPERATION, message)
}
