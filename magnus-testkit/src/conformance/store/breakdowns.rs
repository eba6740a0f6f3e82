//! What every [`BreakdownStore`] must do: see [`breakdown_store_tests!`](crate::breakdown_store_tests).

use std::sync::Arc;
use std::time::Duration;

use magnus_core::model::{
    Breakdown, BreakdownId, BreakdownJob, BreakdownState, Priority, ProposedSubtask, Provenance, TaskId, TokenCount,
};
use magnus_core::store::{
    BreakdownClaim, BreakdownEnd, BreakdownQuery, BreakdownStore, StoreError, StoreErrorKind, TaskStore,
};

use super::world::{TTL, assert_kind};
use super::{Checked, ManualClock, World};

/// Makes a test of each rule for a store of breakdowns.
///
/// The factory is an async function that takes an `Arc<`[`ManualClock`]`>` and answers an `Arc` of a new empty store,
/// which keeps tasks as well, and whatever must live as long as it.
#[macro_export]
macro_rules! breakdown_store_tests {
    ($factory:path) => {
        $crate::breakdown_store_tests! { $factory:
            a_second_request_for_a_task_joins_until_it_is_over
            of_many_requests_for_a_task_at_once_one_is_queued
            an_unknown_task_is_not_broken_down
            the_oldest_is_claimed_first_and_each_once
            of_many_claims_at_once_each_gets_another_one
            a_proposal_survives_with_all_its_parts
            a_failure_keeps_its_reason_and_what_the_model_said
            a_claim_that_expired_is_interrupted_and_tried_again
            a_lost_claim_is_neither_renewed_nor_ended
            one_that_waits_is_cancelled_at_once_and_one_that_runs_is_asked
            a_proposal_is_discarded_once
            breakdowns_are_listed_newest_first
            old_ones_are_pruned_in_batches_but_for_what_may_yet_be_accepted
        }
    };
    ($factory:path: $($rule:ident)+) => {
        $(
            #[::tokio::test]
            async fn $rule() {
                use $crate::conformance::store::{ManualClock, breakdowns};
                let clock = ::std::sync::Arc::new(ManualClock::new());
                let (store, _keep) = $factory(::std::sync::Arc::clone(&clock)).await;
                let world = breakdowns::BreakdownWorld::new(::std::sync::Arc::clone(&store) as _, store as _, clock).await;
                breakdowns::$rule(world.expect("a new store takes connections")).await.expect("the store answers");
            }
        )+
    };
}

/// A [`World`] in a store that keeps breakdowns.
#[derive(Debug)]
pub struct BreakdownWorld {
    jobs: Arc<dyn BreakdownStore>,
    world: World,
}

impl BreakdownWorld {
    /// Fills an empty store.
    ///
    /// # Errors
    /// Whatever the store answers.
    pub async fn new(
        store: Arc<dyn TaskStore>,
        jobs: Arc<dyn BreakdownStore>,
        clock: Arc<ManualClock>,
    ) -> Result<Self, StoreError> {
        let world = World::new(store, clock).await?;
        Ok(Self { jobs, world })
    }

    /// Queues a breakdown of a new task, a moment after the one before.
    async fn queue(&self, title: &str) -> Result<BreakdownJob, StoreError> {
        self.world.clock.advance(Duration::from_secs(1));
        let task = self.world.add_task(title).await?;
        let queued = self.jobs.enqueue_breakdown(task.id).await?;
        assert!(!queued.joined);
        Ok(queued.job)
    }

    async fn claim(&self, holder: &str) -> Result<BreakdownJob, StoreError> {
        let claimed = self.jobs.claim_breakdown(holder.to_owned(), TTL).await?;
        Ok(claimed.expect("something waits"))
    }

    /// Carries out the oldest that waits, a moment later.
    async fn end_next(&self, end: impl Fn(&Self) -> BreakdownEnd) -> Checked {
        let running = self.claim("one").await?;
        self.world.clock.advance(Duration::from_secs(1));
        assert!(
            self.jobs
                .finish_breakdown(BreakdownClaim::of(&running), end(self))
                .await?
        );
        Ok(())
    }

    async fn read(&self, id: BreakdownId) -> Result<BreakdownJob, StoreError> {
        Ok(self.jobs.breakdown(id).await?.expect("it is there"))
    }
}

fn proposal(at: magnus_core::model::Timestamp) -> Breakdown {
    let subtask = |title: &str, depends_on: &[usize]| ProposedSubtask {
        title: title.to_owned(),
        description: "With \"care\"\nand 🍅".to_owned(),
        estimated_hours: 1.25,
        priority: Priority::High,
        depends_on: depends_on.to_vec(),
    };
    Breakdown {
        subtasks: vec![subtask("Dig", &[]), subtask("Sow", &[0]), subtask("Water", &[0, 1])],
        total_estimate: 3.75,
        suggested_sprint_points: 3,
        notes: "In spring".to_owned(),
        provenance: Provenance {
            model: "model".to_owned(),
            provider: "provider".to_owned(),
            prompt_version: "1".to_owned(),
            content_hash: "ab".repeat(32),
            tokens: TokenCount {
                input: 700,
                output: 300,
            },
            duration_ms: 1234,
            at,
        },
    }
}

/// As long as a breakdown of a task is not final, another request joins it; afterwards one begins anew.
///
/// # Errors
/// Whatever the store answers.
pub async fn a_second_request_for_a_task_joins_until_it_is_over(world: BreakdownWorld) -> Checked {
    let job = world.queue("Garden").await?;
    let again = world.jobs.enqueue_breakdown(job.task_id).await?;
    assert!(again.joined);
    assert_eq!(again.job, job);
    let running = world.claim("one").await?;
    let again = world.jobs.enqueue_breakdown(job.task_id).await?;
    assert_eq!((again.joined, again.job.id), (true, job.id));
    let end = BreakdownEnd::without(BreakdownState::Interrupted, None);
    assert!(world.jobs.finish_breakdown(BreakdownClaim::of(&running), end).await?);
    assert!(world.jobs.enqueue_breakdown(job.task_id).await?.joined);
    let running = world.claim("one").await?;
    let end = BreakdownEnd::without(BreakdownState::Failed, None);
    assert!(world.jobs.finish_breakdown(BreakdownClaim::of(&running), end).await?);
    let anew = world.jobs.enqueue_breakdown(job.task_id).await?;
    assert!(!anew.joined && anew.job.id != job.id);
    Ok(())
}

/// Of requests that come at the same moment one queues a job and the others join it.
///
/// # Errors
/// Whatever the store answers.
pub async fn of_many_requests_for_a_task_at_once_one_is_queued(world: BreakdownWorld) -> Checked {
    let task = world.world.add_task("Garden").await?;
    let requests = (0..10).map(|_| world.jobs.enqueue_breakdown(task.id));
    let answers = futures::future::try_join_all(requests).await?;
    assert_eq!(answers.iter().filter(|answer| !answer.joined).count(), 1);
    assert!(answers.iter().all(|answer| answer.job.id == answers[0].job.id));
    Ok(())
}

/// What is not there cannot be broken down.
///
/// # Errors
/// Whatever the store answers.
pub async fn an_unknown_task_is_not_broken_down(world: BreakdownWorld) -> Checked {
    let unknown = world.jobs.enqueue_breakdown(TaskId::generate()).await;
    assert_kind(unknown, StoreErrorKind::NotFound);
    assert_eq!(world.jobs.breakdown(BreakdownId::generate()).await?, None);
    assert_eq!(world.jobs.cancel_breakdown(BreakdownId::generate()).await?, None);
    assert_eq!(world.jobs.discard_breakdown(BreakdownId::generate()).await?, None);
    Ok(())
}

/// Jobs are carried out in the order in which they were asked for.
///
/// # Errors
/// Whatever the store answers.
pub async fn the_oldest_is_claimed_first_and_each_once(world: BreakdownWorld) -> Checked {
    let first = world.queue("First").await?;
    let second = world.queue("Second").await?;
    let claimed = world.claim("one").await?;
    assert_eq!((claimed.id, claimed.state), (first.id, BreakdownState::Running));
    assert_eq!((claimed.attempts, claimed.holder.as_deref()), (1, Some("one")));
    assert_eq!(claimed.started_at, Some(world.world.now()));
    assert_eq!(world.claim("two").await?.id, second.id);
    assert_eq!(world.jobs.claim_breakdown("three".to_owned(), TTL).await?, None);
    Ok(())
}

/// Of processes that claim at the same moment each gets a job of its own.
///
/// # Errors
/// Whatever the store answers.
pub async fn of_many_claims_at_once_each_gets_another_one(world: BreakdownWorld) -> Checked {
    for title in ["One", "Two", "Three"] {
        world.queue(title).await?;
    }
    let claims = (0..6).map(|holder| world.jobs.claim_breakdown(format!("process {holder}"), TTL));
    let claimed = futures::future::try_join_all(claims).await?;
    let mut ids: Vec<BreakdownId> = claimed.into_iter().flatten().map(|job| job.id).collect();
    // One that lost a race may have come back with nothing, and asks again.
    while let Some(job) = world.jobs.claim_breakdown("late".to_owned(), TTL).await? {
        ids.push(job.id);
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 3);
    Ok(())
}

/// Nothing of a proposal is lost or rounded.
///
/// # Errors
/// Whatever the store answers.
pub async fn a_proposal_survives_with_all_its_parts(world: BreakdownWorld) -> Checked {
    let job = world.queue("Garden").await?;
    let running = world.claim("one").await?;
    let proposal = proposal(world.world.now());
    world.world.clock.advance(Duration::from_secs(3));
    let end = BreakdownEnd::with(proposal.clone());
    assert!(world.jobs.finish_breakdown(BreakdownClaim::of(&running), end).await?);
    let expected = BreakdownJob {
        state: BreakdownState::Completed,
        holder: None,
        breakdown: Some(proposal),
        completed_at: Some(world.world.now()),
        ..running
    };
    assert_eq!(world.read(job.id).await?, expected);
    Ok(())
}

/// Why it failed, and on what, can be read afterwards.
///
/// # Errors
/// Whatever the store answers.
pub async fn a_failure_keeps_its_reason_and_what_the_model_said(world: BreakdownWorld) -> Checked {
    let job = world.queue("Garden").await?;
    let running = world.claim("one").await?;
    let end = BreakdownEnd {
        raw: Some("I am a \"teapot\" 🫖".to_owned()),
        ..BreakdownEnd::without(BreakdownState::Failed, Some("no JSON".to_owned()))
    };
    assert!(world.jobs.finish_breakdown(BreakdownClaim::of(&running), end).await?);
    let failed = world.read(job.id).await?;
    assert_eq!(failed.state, BreakdownState::Failed);
    assert_eq!(failed.error_message.as_deref(), Some("no JSON"));
    assert_eq!(failed.raw.as_deref(), Some("I am a \"teapot\" 🫖"));
    let refused = BreakdownEnd::without(BreakdownState::Running, None);
    let refused = world.jobs.finish_breakdown(BreakdownClaim::of(&running), refused).await;
    assert_kind(refused, StoreErrorKind::Usage);
    Ok(())
}

/// A job whose process died is not running for ever.
///
/// # Errors
/// Whatever the store answers.
pub async fn a_claim_that_expired_is_interrupted_and_tried_again(world: BreakdownWorld) -> Checked {
    let job = world.queue("Garden").await?;
    let claim = BreakdownClaim::of(&world.claim("one").await?);
    world.world.clock.advance(TTL / 2);
    assert!(world.jobs.renew_breakdown(claim, TTL).await?.is_some());
    world.world.clock.advance(TTL - Duration::from_secs(1));
    assert_eq!(world.jobs.interrupt_abandoned_breakdowns().await?, []);
    world.world.clock.advance(Duration::from_secs(1));
    let interrupted = world.jobs.interrupt_abandoned_breakdowns().await?;
    assert_eq!(interrupted.len(), 1);
    assert_eq!(interrupted[0].state, BreakdownState::Interrupted);
    assert_eq!(
        (interrupted[0].holder.as_deref(), interrupted[0].completed_at),
        (None, None)
    );
    let again = world.claim("two").await?;
    assert_eq!((again.id, again.attempts), (job.id, 2));

    world.jobs.cancel_breakdown(job.id).await?;
    world.world.clock.advance(TTL);
    let cancelled = world.jobs.interrupt_abandoned_breakdowns().await?;
    assert_eq!(cancelled[0].state, BreakdownState::Cancelled, "that was asked for");
    assert_eq!(world.jobs.claim_breakdown("three".to_owned(), TTL).await?, None);
    Ok(())
}

/// Whoever lost a claim changes nothing any more, not even under the same name.
///
/// # Errors
/// Whatever the store answers.
pub async fn a_lost_claim_is_neither_renewed_nor_ended(world: BreakdownWorld) -> Checked {
    let job = world.queue("Garden").await?;
    let lost = BreakdownClaim::of(&world.claim("one").await?);
    world.world.clock.advance(TTL);
    assert_eq!(world.jobs.renew_breakdown(lost.clone(), TTL).await?, None);
    world.jobs.interrupt_abandoned_breakdowns().await?;
    let holds = world.claim("one").await?;
    assert_eq!(world.jobs.renew_breakdown(lost.clone(), TTL).await?, None);
    let end = BreakdownEnd::with(proposal(world.world.now()));
    assert!(!world.jobs.finish_breakdown(lost, end).await?);
    assert_eq!(world.read(job.id).await?, holds);
    Ok(())
}

/// A cancellation takes effect at once where nothing goes on, and is told to whoever is at work.
///
/// # Errors
/// Whatever the store answers.
pub async fn one_that_waits_is_cancelled_at_once_and_one_that_runs_is_asked(world: BreakdownWorld) -> Checked {
    let waits = world.queue("Waits").await?;
    let cancelled = world.jobs.cancel_breakdown(waits.id).await?.expect("it is there");
    assert_eq!(cancelled.state, BreakdownState::Cancelled);
    assert_eq!(cancelled.completed_at, Some(world.world.now()));
    let runs = world.queue("Runs").await?;
    let claim = BreakdownClaim::of(&world.claim("one").await?);
    let asked = world.jobs.cancel_breakdown(runs.id).await?.expect("it is there");
    assert_eq!((asked.state, asked.cancel_requested), (BreakdownState::Running, true));
    let told = world
        .jobs
        .renew_breakdown(claim.clone(), TTL)
        .await?
        .expect("it is held");
    assert!(told.cancel_requested);
    let end = BreakdownEnd::without(BreakdownState::Cancelled, None);
    assert!(world.jobs.finish_breakdown(claim, end).await?);
    let over = world.read(runs.id).await?;
    assert_eq!(world.jobs.cancel_breakdown(runs.id).await?, Some(over));
    Ok(())
}

/// A proposal is turned down once, and only a proposal can be.
///
/// # Errors
/// Whatever the store answers.
pub async fn a_proposal_is_discarded_once(world: BreakdownWorld) -> Checked {
    let job = world.queue("Garden").await?;
    let early = world.jobs.discard_breakdown(job.id).await?.expect("it is there");
    assert_eq!(early.discarded_at, None, "there is nothing to discard yet");
    let claim = BreakdownClaim::of(&world.claim("one").await?);
    let end = BreakdownEnd::with(proposal(world.world.now()));
    world.jobs.finish_breakdown(claim, end).await?;
    let at = Some(world.world.now());
    let discarded = world.jobs.discard_breakdown(job.id).await?.expect("it is there");
    assert_eq!(
        (discarded.discarded_at, discarded.state),
        (at, BreakdownState::Completed)
    );
    world.world.clock.advance(TTL);
    let again = world.jobs.discard_breakdown(job.id).await?.expect("it is there");
    assert_eq!(again.discarded_at, at);
    Ok(())
}

/// The list can be narrowed to a task, and to what is not over.
///
/// # Errors
/// Whatever the store answers.
pub async fn breakdowns_are_listed_newest_first(world: BreakdownWorld) -> Checked {
    let first = world.queue("First").await?;
    let second = world.queue("Second").await?;
    world.jobs.cancel_breakdown(first.id).await?;
    let ids = |jobs: Vec<BreakdownJob>| jobs.into_iter().map(|job| job.id).collect::<Vec<_>>();
    let all = world.jobs.breakdowns(BreakdownQuery::default()).await?;
    assert_eq!(ids(all), [second.id, first.id]);
    let unfinished = world.jobs.breakdowns(BreakdownQuery::unfinished()).await?;
    assert_eq!(ids(unfinished), [second.id]);
    let of_first = world.jobs.breakdowns(BreakdownQuery::of_task(first.task_id)).await?;
    assert_eq!(ids(of_first), [first.id]);
    Ok(())
}

/// What is over and done with does not pile up for ever; of each task the newest job stays, and the newest proposal.
///
/// # Errors
/// Whatever the store answers.
pub async fn old_ones_are_pruned_in_batches_but_for_what_may_yet_be_accepted(world: BreakdownWorld) -> Checked {
    let first = world.queue("Garden").await?;
    let proposes = |world: &BreakdownWorld| BreakdownEnd::with(proposal(world.world.now()));
    let fails = |_: &BreakdownWorld| BreakdownEnd::without(BreakdownState::Failed, None);
    let mut ids = vec![first.id];
    world.end_next(proposes).await?;
    for end in [fails, proposes, fails, fails] as [fn(&BreakdownWorld) -> BreakdownEnd; 4] {
        ids.push(world.jobs.enqueue_breakdown(first.task_id).await?.job.id);
        world.end_next(end).await?;
    }
    let other = world.queue("Cellar").await?;
    world.end_next(fails).await?;
    let waiting = world.queue("Attic").await?;

    let oldest_end = world.read(ids[0]).await?.completed_at.expect("it is over");
    assert_eq!(
        world.jobs.prune_breakdowns(oldest_end, 10).await?,
        0,
        "only what ended before"
    );
    world.world.clock.advance(Duration::from_secs(1));
    let now = world.world.now();
    assert_eq!(world.jobs.prune_breakdowns(now, 2).await?, 2, "no more than asked for");
    assert_eq!(world.jobs.breakdown(ids[0]).await?, None);
    assert_eq!(world.jobs.prune_breakdowns(now, 2).await?, 1);
    assert_eq!(world.jobs.prune_breakdowns(now, 2).await?, 0);
    let query = BreakdownQuery::of_task(first.task_id);
    let left: Vec<BreakdownId> = world.jobs.breakdowns(query).await?.iter().map(|job| job.id).collect();
    assert_eq!(left, [ids[4], ids[2]], "the newest, and the newest proposal");
    world.read(other.id).await?;
    assert_eq!(world.read(waiting.id).await?, waiting);
    Ok(())
}
