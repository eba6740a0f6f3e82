//! The run log: one started, one queued.

use std::time::Duration;

use magnus_core::model::{
    ConnectionId, Counts, Direction, ItemOutcome, Run, RunId, RunReport, RunRequest, RunState, Scope, SkipReason,
    Trigger,
};
use magnus_core::store::{Fence, StoreError, StoreErrorKind};

use super::world::{TTL, assert_kind, granted};
use super::{Checked, World};

impl World {
    async fn enqueue(&self) -> Result<Run, StoreError> {
        Ok(self.store.enqueue_run(RunRequest::new(self.here)).await?.run)
    }

    async fn claim(&self) -> Result<Run, StoreError> {
        Ok(self.store.claim_run(self.fence()).await?.expect("a run is queued"))
    }

    async fn state_of(&self, id: RunId) -> Result<RunState, StoreError> {
        Ok(self.store.run(id).await?.expect("the run is there").state)
    }
}

/// A request that meets a queued run joins it, and both are covered.
///
/// # Errors
/// Whatever the store answers.
pub async fn a_second_request_joins_the_queued_run(world: World) -> Checked {
    let base = RunRequest::new(world.here).trigger(Trigger::Schedule);
    let pull = base.clone().direction(Some(Direction::Pull)).scope(Scope::Tasks);
    let push = base
        .direction(Some(Direction::Push))
        .scope(Scope::Tasks)
        .trigger(Trigger::Manual);
    let first = world.store.enqueue_run(pull.clone()).await?;
    assert_eq!(
        (first.joined, &first.run.request, first.run.state),
        (false, &pull, RunState::Queued)
    );
    assert_eq!((first.run.queued_at, first.run.started_at), (world.now(), None));
    let second = world.store.enqueue_run(push.clone()).await?;
    assert_eq!((second.joined, second.run.id), (true, first.run.id));
    assert_eq!(second.run.request, pull.merged(&push));
    assert_eq!(world.store.run(first.run.id).await?, Some(second.run));
    assert!(
        !world.store.enqueue_run(RunRequest::new(world.there)).await?.joined,
        "another connection's is its own"
    );
    assert_kind(
        world.store.enqueue_run(RunRequest::new(ConnectionId::generate())).await,
        StoreErrorKind::NotFound,
    );
    Ok(())
}

/// While one run is started, the next request waits behind it, and all further ones join that.
///
/// # Errors
/// Whatever the store answers.
pub async fn one_run_is_started_and_one_waits(world: World) -> Checked {
    let first = world.enqueue().await?;
    let started = world.claim().await?;
    assert_eq!(
        (started.id, started.state, started.started_at),
        (first.id, RunState::Started, Some(world.now()))
    );
    let second = world.enqueue().await?;
    let third = world.enqueue().await?;
    assert!(second.id != first.id && third.id == second.id);
    let unfinished: Vec<_> = world.store.unfinished_runs().await?.iter().map(|run| run.id).collect();
    assert_eq!(unfinished, [first.id, second.id]);
    Ok(())
}

/// Requests that arrive at once become one run.
///
/// # Errors
/// Whatever the store answers.
pub async fn of_many_requests_at_once_one_run_is_queued(world: World) -> Checked {
    let requests = (0..8).map(|_| world.store.enqueue_run(RunRequest::new(world.here)));
    let mut new = 0;
    for answer in futures::future::join_all(requests).await {
        new += u32::from(!answer?.joined);
    }
    assert_eq!((new, world.store.unfinished_runs().await?.len()), (1, 1));
    Ok(())
}

/// Only the holder of the lease takes a run, and there may be none to take.
///
/// # Errors
/// Whatever the store answers.
pub async fn only_the_holder_of_the_lease_claims(world: World) -> Checked {
    assert_eq!(world.store.claim_run(world.fence()).await?, None);
    let run = world.enqueue().await?;
    assert_kind(world.store.claim_run(Fence::Hub).await, StoreErrorKind::Usage);
    world.clock.advance(TTL);
    assert_kind(world.store.claim_run(world.fence()).await, StoreErrorKind::Fenced);
    assert_eq!(world.state_of(run.id).await?, RunState::Queued);
    Ok(())
}

/// Whoever takes over the lease finds the run of the dead holder, marks it, and goes on with what it was asked.
///
/// # Errors
/// Whatever the store answers.
pub async fn a_claim_interrupts_the_run_of_a_dead_holder(world: World) -> Checked {
    world.enqueue().await?;
    let dead = world.claim().await?;
    world.clock.advance(TTL);
    let fence = Fence::Lease(granted(
        world.store.acquire_lease(world.here, "other".to_owned(), TTL).await?,
    ));
    let next = world.store.claim_run(fence.clone()).await?.expect("it is resumed");
    assert_ne!(next.id, dead.id);
    assert_eq!(
        (next.state, next.queued_at, next.started_at),
        (RunState::Started, world.now(), Some(world.now()))
    );
    assert_eq!(next.request, dead.request.clone().trigger(Trigger::Resume));
    let read = world.store.run(dead.id).await?.expect("the run is there");
    assert_eq!(
        (read.state, read.completed_at),
        (RunState::Interrupted, Some(world.now()))
    );
    assert!(read.error_message.is_some());
    assert_eq!(unfinished(&world).await?, [next.id]);
    Ok(())
}

async fn unfinished(world: &World) -> Result<Vec<RunId>, StoreError> {
    let runs = world.store.unfinished_runs().await?;
    Ok(runs.iter().map(|run| run.id).collect())
}

/// What an interrupted run was asked is asked again by the run that waited behind it, whoever marks it: an undo and a
/// confirmation are not lost.
///
/// # Errors
/// Whatever the store answers.
pub async fn what_an_interrupted_run_was_asked_is_not_lost(world: World) -> Checked {
    let store = &world.store;
    let mut fence = world.fence();
    for marked_by in ["the next claim", "a look", "its own end"] {
        let (undone, halted) = (RunId::generate(), RunId::generate());
        let asked = RunRequest::undoing(world.here, undone)
            .confirm(halted)
            .direction(Some(Direction::Push));
        store.enqueue_run(asked).await?;
        let dead = store.claim_run(fence.clone()).await?.expect("a run is queued");
        let webhook = RunRequest::new(world.here)
            .direction(Some(Direction::Pull))
            .trigger(Trigger::Webhook);
        let waiting = store.enqueue_run(webhook).await?.run;
        if marked_by == "its own end" {
            let end = store.finish_run(dead.id, RunState::Interrupted, RunReport::default(), None);
            end.await?;
        } else {
            world.clock.advance(TTL);
            if marked_by == "a look" {
                store.interrupt_abandoned().await?;
            }
            let lease = store.acquire_lease(world.here, marked_by.to_owned(), TTL).await?;
            fence = Fence::Lease(granted(lease));
        }
        let next = store.claim_run(fence.clone()).await?.expect("a run waits");
        assert_eq!(next.id, waiting.id, "{marked_by}");
        let request = next.request;
        assert_eq!(
            (request.undo, request.confirm, request.sync, request.direction),
            (vec![undone], Some(halted), true, Some(Direction::Bidirectional)),
            "{marked_by}"
        );
        assert_eq!(world.state_of(dead.id).await?, RunState::Interrupted, "{marked_by}");
        store
            .finish_run(next.id, RunState::Completed, RunReport::default(), None)
            .await?;
    }
    assert_eq!(unfinished(&world).await?, []);
    Ok(())
}

/// A run that was interrupted while nothing waited behind it is queued anew; one that a person asked to stop is not.
///
/// # Errors
/// Whatever the store answers.
pub async fn an_interrupted_run_is_queued_anew_unless_it_was_to_stop(world: World) -> Checked {
    for is_asked_to_stop in [false, true] {
        world.enqueue().await?;
        let run = world.claim().await?;
        if is_asked_to_stop {
            world.store.request_cancel(run.id).await?;
        }
        let end = || {
            let (store, report) = (&world.store, RunReport::default());
            store.finish_run(run.id, RunState::Interrupted, report, None)
        };
        end().await?;
        let queued = world.store.unfinished_runs().await?;
        if is_asked_to_stop {
            assert_eq!(queued, []);
            continue;
        }
        assert_eq!(queued.len(), 1);
        assert_eq!(
            (queued[0].state, &queued[0].request),
            (RunState::Queued, &run.request.clone().trigger(Trigger::Resume))
        );
        // It ends once, and is queued anew once.
        world.store.request_cancel(queued[0].id).await?;
        end().await?;
        assert_eq!(unfinished(&world).await?, []);
    }
    Ok(())
}

/// Of many who decided on the same newest run that another is due, one queues it, also if it is under way before the others
/// come.
///
/// # Errors
/// Whatever the store answers.
pub async fn of_many_who_decide_on_the_same_run_one_queues_the_next(world: World) -> Checked {
    let store = &world.store;
    let request = || RunRequest::new(world.here).trigger(Trigger::Schedule);
    let unknown = store.enqueue_run_after(RunId::generate(), request());
    assert_eq!(unknown.await?, None);
    let first = world.enqueue().await?;
    world.claim().await?;
    store
        .finish_run(first.id, RunState::Completed, RunReport::default(), None)
        .await?;
    world.clock.advance(Duration::from_secs(1));
    let of_other = RunRequest::new(world.there);
    assert_eq!(store.enqueue_run_after(first.id, of_other).await?, None);
    let all = (0..8).map(|_| store.enqueue_run_after(first.id, request()));
    let mut queued = Vec::new();
    for answer in futures::future::join_all(all).await {
        queued.extend(answer?);
    }
    assert_eq!(queued.len(), 1);
    assert!(!queued[0].joined);
    assert_eq!(world.claim().await?.id, queued[0].run.id);
    assert_eq!(store.enqueue_run_after(first.id, request()).await?, None);
    assert_eq!(unfinished(&world).await?, [queued[0].run.id]);
    Ok(())
}

/// A run keeps the first end it came to, with its whole report.
///
/// # Errors
/// Whatever the store answers.
pub async fn a_run_ends_once(world: World) -> Checked {
    world.enqueue().await?;
    let run = world.claim().await?;
    world.clock.advance(Duration::from_secs(5));
    let mut report = RunReport {
        problems: vec!["one mapping was not read".to_owned()],
        ..RunReport::default()
    };
    report.counts.tasks = Counts {
        created: 3,
        failed: 1,
        conflicted: 2,
        ..Counts::default()
    };
    report.push_item(ItemOutcome {
        task_id: None,
        external_id: None,
        title: "Task".to_owned(),
        outcome: "failed".to_owned(),
        detail: "refused".to_owned(),
        reason: Some(SkipReason::Quarantined),
    });
    let finish = |state, report| {
        world
            .store
            .finish_run(run.id, state, report, Some("one failed".to_owned()))
    };
    assert_kind(finish(RunState::Queued, report.clone()).await, StoreErrorKind::Usage);
    finish(RunState::Partial, report.clone()).await?;
    let ended = Run {
        state: RunState::Partial,
        report,
        error_message: Some("one failed".to_owned()),
        completed_at: Some(world.now()),
        ..run.clone()
    };
    assert_eq!(world.store.run(run.id).await?.as_ref(), Some(&ended));
    world.clock.advance(Duration::from_secs(5));
    finish(RunState::Completed, RunReport::default()).await?;
    assert_eq!(world.store.run(run.id).await?, Some(ended));
    let unknown = world
        .store
        .finish_run(RunId::generate(), RunState::Failed, RunReport::default(), None);
    assert_kind(unknown.await, StoreErrorKind::NotFound);
    Ok(())
}

/// Cancelling ends a run that waits, and asks a run that goes on.
///
/// # Errors
/// Whatever the store answers.
pub async fn a_queued_run_is_cancelled_at_once_and_a_started_one_is_asked(world: World) -> Checked {
    let queued = world.enqueue().await?;
    let cancelled = world.store.request_cancel(queued.id).await?.expect("the run is there");
    assert_eq!(
        (cancelled.state, cancelled.completed_at),
        (RunState::Cancelled, Some(world.now()))
    );

    let next = world.enqueue().await?;
    assert_ne!(next.id, queued.id);
    world.claim().await?;
    let asked = world.store.request_cancel(next.id).await?.expect("the run is there");
    assert_eq!((asked.state, asked.cancel_requested), (RunState::Started, true));
    assert_eq!(world.store.run(next.id).await?, Some(asked));

    world
        .store
        .finish_run(next.id, RunState::Completed, RunReport::default(), None)
        .await?;
    let done = world.store.run(next.id).await?;
    assert_eq!(world.store.request_cancel(next.id).await?, done);
    assert_eq!(world.store.request_cancel(RunId::generate()).await?, None);
    Ok(())
}

/// A started run whose lease is free or expired is not in progress.
///
/// # Errors
/// Whatever the store answers.
pub async fn a_started_run_without_a_lease_is_interrupted(world: World) -> Checked {
    world.enqueue().await?;
    let run = world.claim().await?;
    let waiting = world.enqueue().await?;
    assert_eq!(world.store.interrupt_abandoned().await?, []);
    world.clock.advance(TTL);
    let abandoned = world.store.interrupt_abandoned().await?;
    assert_eq!(abandoned.iter().map(|run| run.id).collect::<Vec<_>>(), [run.id]);
    assert_eq!(world.store.run(run.id).await?.as_ref(), abandoned.first());
    assert_eq!(abandoned.first().map(|run| run.state), Some(RunState::Interrupted));
    assert_eq!(world.state_of(waiting.id).await?, RunState::Queued);
    assert_eq!(world.store.interrupt_abandoned().await?, []);
    Ok(())
}

/// The newest runs come first in the log, the oldest among those that are not over.
///
/// # Errors
/// Whatever the store answers.
pub async fn runs_are_listed_by_age(world: World) -> Checked {
    let mut ids = Vec::new();
    for _ in 0..5 {
        let run = world.enqueue().await?;
        world.store.request_cancel(run.id).await?;
        world.clock.advance(Duration::from_secs(1));
        ids.push(run.id);
    }
    let there = world.store.enqueue_run(RunRequest::new(world.there)).await?.run.id;
    world.clock.advance(Duration::from_secs(1));
    let here = world.enqueue().await?.id;
    ids.extend([there, here]);
    ids.reverse();
    let listed = |runs: Vec<Run>| runs.iter().map(|run| run.id).collect::<Vec<_>>();
    assert_eq!(listed(world.store.recent_runs(4).await?), ids[..4]);
    assert_eq!(listed(world.store.recent_runs(100).await?), ids);
    assert_eq!(listed(world.store.unfinished_runs().await?), [there, here]);
    let of_here: Vec<RunId> = ids.iter().copied().filter(|id| *id != there).collect();
    assert_eq!(listed(world.store.recent_runs_of(world.here, 100).await?), of_here);
    assert_eq!(listed(world.store.recent_runs_of(world.here, 3).await?), of_here[..3]);
    assert_eq!(listed(world.store.recent_runs_of(world.there, 100).await?), [there]);
    assert_eq!(world.store.recent_runs_of(ConnectionId::generate(), 100).await?, []);
    Ok(())
}

/// A schedule, a webhook or what another run changed is no person who asks.
///
/// # Errors
/// Whatever the store answers.
pub async fn whether_a_person_ever_asked_is_known(world: World) -> Checked {
    for trigger in [Trigger::Schedule, Trigger::Webhook, Trigger::Ripple] {
        let run = world
            .store
            .enqueue_run(RunRequest::new(world.here).trigger(trigger))
            .await?
            .run;
        world.store.request_cancel(run.id).await?;
        assert!(!world.store.asked_by_person(world.here).await?, "{trigger}");
    }
    let run = world.enqueue().await?;
    world.store.request_cancel(run.id).await?;
    assert!(world.store.asked_by_person(world.here).await?);
    assert!(!world.store.asked_by_person(world.there).await?);
    Ok(())
}
