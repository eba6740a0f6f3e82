//! The one task that claims jobs and sees to it that they are carried out.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use super::Shared;
use super::carry_out::carry_out;

/// Keeps the desk until it is to stop; tells when nothing goes on any more.
pub(super) async fn keep(shared: Arc<Shared>, over: watch::Sender<bool>) {
    let mut jobs = JoinSet::new();
    let mut looks = interval(shared.options.look_every);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = shared.stop.cancelled() => break,
            Some(ended) = jobs.join_next(), if !jobs.is_empty() => note(ended),
            () = shared.wake.notified() => {}
            _ = looks.tick() => look(&shared).await,
        }
        fill(&shared, &mut jobs).await;
    }
    while let Some(ended) = jobs.join_next().await {
        note(ended);
    }
    shared.followed.close();
    over.send_replace(true);
}

/// Claims jobs for as long as there are turns.
async fn fill(shared: &Arc<Shared>, jobs: &mut JoinSet<()>) {
    while let Ok(turn) = Arc::clone(&shared.turns).try_acquire_owned() {
        let claimed = shared
            .jobs
            .claim_breakdown(shared.holder.clone(), shared.options.claim_ttl)
            .await;
        match claimed {
            Ok(Some(job)) => {
                let shared = Arc::clone(shared);
                jobs.spawn(async move {
                    carry_out(&shared, job).await;
                    drop(turn);
                });
            }
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(%error, "no breakdown can be begun at present");
                return;
            }
        }
    }
}

/// Looks for what died with other processes, and what ended in them.
async fn look(shared: &Shared) {
    match shared.jobs.interrupt_abandoned_breakdowns().await {
        Ok(abandoned) => {
            for job in abandoned {
                tracing::warn!(job = %job.id, task = %job.task_id, "the process that carried it out died");
                if job.state.is_final() {
                    shared.tell_end(job);
                } else {
                    shared.teller.tell_state(&job);
                }
            }
        }
        Err(error) => tracing::warn!(%error, "breakdowns of dead processes cannot be looked for at present"),
    }
    for id in shared.followed.ids() {
        if shared.running().contains_key(&id) {
            continue;
        }
        match shared.jobs.breakdown(id).await {
            // It was told to all when it ended, by whoever carried it out.
            Ok(Some(job)) if job.state.is_final() => shared.followed.end(job),
            Ok(Some(_)) => {}
            Ok(None) => shared.followed.give_up(id),
            Err(error) => tracing::warn!(job = %id, %error, "a breakdown cannot be looked at at present"),
        }
    }
}

/// Jobs catch what their model does; this would be a defect of the store or of the desk itself.
fn note(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a breakdown ended badly; it is found when its claim expires");
    }
}
