//! What a service asks of a store: see [`service_store_tests!`](crate::service_store_tests).

mod standing;

use std::sync::Arc;
use std::time::Duration;

use chrono::NaiveDate;
use magnus_core::model::{
    AccessScope, AccessToken, ConnectionId, Priority, Run, RunId, RunReport, RunRequest, RunState, Status, Task,
    TokenId, ToolName, Trigger,
};
use magnus_core::store::{
    OnceAnswer, OnceRequest, RunDigest, RunQuery, ServiceStore, StoreError, StoreErrorKind, TaskOrder, TaskSearch,
    TaskSource,
};
use uuid::Uuid;

pub use standing::{
    conflicts_are_listed_page_by_page, how_runs_stand_is_told_of_every_connection,
    links_and_open_conflicts_are_counted, lists_show_reports_in_brief,
};

use super::world::{assert_kind, insert_task};
use super::{Checked, ManualClock, World};

/// Makes a test of each rule for a store that a service can be built on.
///
/// The factory is an async function that takes an `Arc<`[`ManualClock`]`>` and answers a new empty
/// `Arc<dyn ServiceStore>` and whatever must live as long as it.
#[macro_export]
macro_rules! service_store_tests {
    ($factory:path) => {
        $crate::service_store_tests! { $factory:
            every_change_of_state_is_an_event_in_order
            runs_are_listed_page_by_page
            runs_are_filtered_by_connection_and_state
            a_digest_tells_what_a_schedule_needs
            how_runs_stand_is_told_of_every_connection
            links_and_open_conflicts_are_counted
            conflicts_are_listed_page_by_page
            lists_show_reports_in_brief
            old_runs_are_pruned_in_batches_but_for_what_schedules_go_by
            tasks_are_searched
            tasks_are_ordered_and_every_page_follows_the_last
            tasks_are_counted
            tokens_are_kept_found_and_forgotten
            a_request_is_begun_once_and_keeps_its_first_answer
            a_request_is_forgotten_after_a_day
        }
    };
    ($factory:path: $($rule:ident)+) => {
        $(
            #[::tokio::test]
            async fn $rule() {
                use $crate::conformance::store::{ManualClock, service};
                let clock = ::std::sync::Arc::new(ManualClock::new());
                let (store, _keep) = $factory(::std::sync::Arc::clone(&clock)).await;
                let world = service::ServiceWorld::new(store, clock).await.expect("a new store takes connections");
                service::$rule(world).await.expect("the store answers");
            }
        )+
    };
}

/// A [`World`] in a store that a service can be built on.
#[derive(Debug)]
pub struct ServiceWorld {
    service: Arc<dyn ServiceStore>,
    world: World,
}

impl ServiceWorld {
    /// Fills an empty store.
    ///
    /// # Errors
    /// Whatever the store answers.
    pub async fn new(service: Arc<dyn ServiceStore>, clock: Arc<ManualClock>) -> Result<Self, StoreError> {
        service.ping().await?;
        let world = World::new(Arc::clone(&service) as _, clock).await?;
        Ok(Self { service, world })
    }

    async fn enqueue(&self, connection: ConnectionId, trigger: Trigger) -> Result<Run, StoreError> {
        let request = RunRequest::new(connection).trigger(trigger);
        Ok(self.service.enqueue_run(request).await?.run)
    }

    /// Runs `here` from beginning to end.
    async fn run(&self, trigger: Trigger, state: RunState) -> Result<RunId, StoreError> {
        let run = self.enqueue(self.world.here, trigger).await?;
        self.world.clock.advance(Duration::from_millis(10));
        self.service.claim_run(self.world.fence()).await?;
        self.world.clock.advance(Duration::from_millis(10));
        self.service
            .finish_run(run.id, state, RunReport::default(), None)
            .await?;
        Ok(run.id)
    }

    async fn found(&self, search: TaskSearch) -> Result<Vec<String>, StoreError> {
        let page = self.service.search_tasks(search).await?;
        Ok(page.tasks.into_iter().map(|task| task.title).collect())
    }
}

/// Each change of a run's state is an event, in order, with rising numbers; what changes no state is none.
///
/// # Errors
/// Whatever the store answers.
pub async fn every_change_of_state_is_an_event_in_order(world: ServiceWorld) -> Checked {
    let store = &world.service;
    assert_eq!(
        (store.last_run_event().await?, store.run_events(0, 10).await?),
        (0, vec![])
    );
    let first = world.run(Trigger::Manual, RunState::Partial).await?;
    let second = world.enqueue(world.world.here, Trigger::Manual).await?.id;
    world.enqueue(world.world.here, Trigger::Schedule).await?;
    store.request_cancel(second).await?;
    store.request_cancel(second).await?;
    let events = store.run_events(0, 10).await?;
    let told: Vec<_> = events.iter().map(|event| (event.run_id, event.state)).collect();
    let expected = [
        (first, RunState::Queued),
        (first, RunState::Started),
        (first, RunState::Partial),
        (second, RunState::Queued),
        (second, RunState::Cancelled),
    ];
    assert_eq!(told, expected);
    assert!(events.windows(2).all(|pair| pair[0].sequence < pair[1].sequence));
    assert!(events.iter().all(|event| event.connection_id == world.world.here));
    let ended = store.run(first).await?.expect("the run is there");
    assert_eq!(
        (Some(events[0].at), Some(events[1].at), Some(events[2].at)),
        (Some(ended.queued_at), ended.started_at, ended.completed_at)
    );
    assert_eq!(store.last_run_event().await?, events[4].sequence);
    assert_eq!(store.run_events(events[1].sequence, 2).await?, events[2..4]);

    // A run that dies is told of, too.
    world.enqueue(world.world.here, Trigger::Manual).await?;
    store.claim_run(world.world.fence()).await?;
    world.world.clock.advance(Duration::from_secs(3600));
    store.interrupt_abandoned().await?;
    let last = store.run_events(events[4].sequence, 10).await?;
    let states: Vec<_> = last.iter().map(|event| event.state).collect();
    let anew = RunState::Queued;
    assert_eq!(
        states,
        [RunState::Queued, RunState::Started, RunState::Interrupted, anew]
    );
    Ok(())
}

/// Page after page, every run is seen once, newest first.
///
/// # Errors
/// Whatever the store answers.
pub async fn runs_are_listed_page_by_page(world: ServiceWorld) -> Checked {
    let mut ids = Vec::new();
    for _ in 0..7 {
        ids.push(world.run(Trigger::Manual, RunState::Completed).await?);
    }
    ids.reverse();
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = world.service.run_page(RunQuery::default().page(3, after)).await?;
        seen.extend(page.runs.iter().map(|run| run.id));
        assert!(page.next.is_none() || page.next == seen.last().copied());
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, ids);
    let unknown = RunQuery::default().page(3, Some(RunId::generate()));
    assert_eq!(world.service.run_page(unknown).await?.runs, []);
    Ok(())
}

/// Old runs go, oldest first and no more than asked for at once, with their events; what schedules go by stays.
///
/// # Errors
/// Whatever the store answers.
pub async fn old_runs_are_pruned_in_batches_but_for_what_schedules_go_by(world: ServiceWorld) -> Checked {
    let store = &world.service;
    let by_person = world.run(Trigger::Manual, RunState::Failed).await?;
    let mut gone = Vec::new();
    for _ in 0..3 {
        gone.push(world.run(Trigger::Schedule, RunState::Completed).await?);
    }
    let succeeded = world.run(Trigger::Schedule, RunState::Partial).await?;
    gone.push(world.run(Trigger::Schedule, RunState::Failed).await?);
    let newest = world.run(Trigger::Schedule, RunState::Failed).await?;
    let elsewhere = world.enqueue(world.world.there, Trigger::Schedule).await?.id;
    let before = store.run_digest(world.world.here).await?;

    let ended = store.run(gone[1]).await?.expect("the run is there").completed_at;
    let ended = ended.expect("the run is over");
    assert_eq!(store.prune_runs(ended, 10).await?, 1, "only what ended before");
    world.world.clock.advance(Duration::from_secs(3600));
    let now = world.world.now();
    assert_eq!(store.prune_runs(now, 2).await?, 2, "no more than asked for");
    assert!(store.run(gone[2]).await?.is_none(), "the oldest first");
    assert!(store.run(gone[3]).await?.is_some());
    assert_eq!(store.prune_runs(now, 2).await?, 1);
    assert_eq!(store.prune_runs(now, 2).await?, 0);

    for id in gone {
        assert_eq!(store.run(id).await?, None);
    }
    for id in [by_person, succeeded, newest, elsewhere] {
        assert!(store.run(id).await?.is_some(), "{id} was kept");
    }
    let after = store.run_digest(world.world.here).await?;
    assert_eq!(
        (after.newest, after.last_success_at, after.asked_by_person),
        (before.newest, before.last_success_at, before.asked_by_person)
    );
    let told = store.run_events(0, 100).await?;
    assert!(
        !told.is_empty()
            && told
                .iter()
                .all(|event| [by_person, succeeded, newest, elsewhere].contains(&event.run_id))
    );
    Ok(())
}

/// Both filters are applied.
///
/// # Errors
/// Whatever the store answers.
pub async fn runs_are_filtered_by_connection_and_state(world: ServiceWorld) -> Checked {
    let failed = world.run(Trigger::Manual, RunState::Failed).await?;
    let completed = world.run(Trigger::Manual, RunState::Completed).await?;
    let there = world.enqueue(world.world.there, Trigger::Manual).await?.id;
    let here = RunQuery::default().connection(Some(world.world.here));
    for (query, expected) in [
        (here.clone(), vec![completed, failed]),
        (here.state(Some(RunState::Failed)), vec![failed]),
        (RunQuery::default().state(Some(RunState::Queued)), vec![there]),
    ] {
        let page = world.service.run_page(query.clone()).await?;
        let ids: Vec<_> = page.runs.iter().map(|run| run.id).collect();
        assert_eq!((ids, page.next), (expected, None), "{query:?}");
    }
    Ok(())
}

/// The newest run, the last success, whether a person asked, and failures in a row.
///
/// # Errors
/// Whatever the store answers.
pub async fn a_digest_tells_what_a_schedule_needs(world: ServiceWorld) -> Checked {
    let here = world.world.here;
    assert_eq!(world.service.run_digest(here).await?, RunDigest::default());
    world.run(Trigger::Webhook, RunState::Failed).await?;
    let digest = world.service.run_digest(here).await?;
    assert_eq!(
        (digest.asked_by_person, digest.last_success_at, digest.failures_in_a_row),
        (false, None, 1)
    );
    let good = world.run(Trigger::Manual, RunState::Partial).await?;
    let good = world.service.run(good).await?.expect("the run is there");
    for _ in 0..2 {
        world.run(Trigger::Schedule, RunState::Failed).await?;
    }
    let waiting = world.enqueue(here, Trigger::Schedule).await?;
    let digest = world.service.run_digest(here).await?;
    let expected = RunDigest {
        newest: Some(waiting),
        last_success_at: good.completed_at,
        asked_by_person: true,
        failures_in_a_row: 2,
    };
    assert_eq!(digest, expected);
    assert_eq!(
        world.service.run_digest(ConnectionId::generate()).await?,
        RunDigest::default()
    );
    Ok(())
}

/// The tasks of the tests of searching.
async fn searchable(world: &ServiceWorld) -> Checked {
    let day = |day| NaiveDate::from_ymd_opt(2026, 11, day);
    let base = |title: &str, minutes: u64| {
        world.world.clock.advance(Duration::from_secs(minutes));
        Task {
            updated_at: world.world.now(),
            ..world.world.task(title)
        }
    };
    let tasks = [
        Task {
            due_date: day(3),
            priority: Priority::Low,
            ..base("Banana", 3)
        },
        Task {
            due_date: day(1),
            status: Status::Done,
            description: Some("Peel the APPLE first".to_owned()),
            ..base("cherry", 1)
        },
        Task {
            source_tool: Some(ToolName::new("leantime")),
            priority: Priority::Critical,
            ..base("Apple 100%_pie", 2)
        },
        Task {
            due_date: day(2),
            archived_at: Some(world.world.now()),
            ..base("Date", 5)
        },
        Task {
            deleted_at: Some(world.world.now()),
            ..base("Elder", 4)
        },
    ];
    world.world.commit_all(tasks.iter().map(insert_task).collect()).await?;
    Ok(())
}

/// Each filter is applied; signs that mean something to a database mean themselves.
///
/// # Errors
/// Whatever the store answers.
pub async fn tasks_are_searched(world: ServiceWorld) -> Checked {
    searchable(&world).await?;
    let by = |change: &dyn Fn(&mut TaskSearch)| {
        let mut search = TaskSearch::default();
        search.order = TaskOrder::Title;
        change(&mut search);
        search
    };
    let text = |text: &str| by(&|search| search.text = Some(text.to_owned()));
    for (search, expected) in [
        (by(&|_| {}), vec!["Apple 100%_pie", "Banana", "Date", "cherry"]),
        (text("apple"), vec!["Apple 100%_pie", "cherry"]),
        (text("%_P"), vec!["Apple 100%_pie"]),
        (text("%"), vec!["Apple 100%_pie"]),
        (text("  banana "), vec!["Banana"]),
        (text("' OR 1=1 --"), vec![]),
        (by(&|search| search.status = Some(Status::Done)), vec!["cherry"]),
        (by(&|search| search.priority = Some(Priority::Low)), vec!["Banana"]),
        (
            by(&|search| search.source = Some(TaskSource::Tool(ToolName::new("leantime")))),
            vec!["Apple 100%_pie"],
        ),
        (
            by(&|search| search.source = Some(TaskSource::Hub)),
            vec!["Banana", "Date", "cherry"],
        ),
        (
            by(&|search| search.due_before = NaiveDate::from_ymd_opt(2026, 11, 3)),
            vec!["Date", "cherry"],
        ),
        (by(&|search| search.open_only = true), vec!["Apple 100%_pie", "Banana"]),
        (by(&|search| search.deleted = true), vec!["Elder"]),
        (
            by(&|search| search.project_id = Some(magnus_core::model::ProjectId::generate())),
            vec![],
        ),
    ] {
        assert_eq!(world.found(search.clone()).await?, expected, "{search:?}");
        assert_eq!(
            world.service.count_tasks(search.clone()).await?.total,
            expected.len() as u64,
            "{search:?}"
        );
    }
    Ok(())
}

/// In each order, page after page, every task is seen once.
///
/// # Errors
/// Whatever the store answers.
pub async fn tasks_are_ordered_and_every_page_follows_the_last(world: ServiceWorld) -> Checked {
    searchable(&world).await?;
    for (order, expected) in [
        (TaskOrder::Newest, ["Date", "Apple 100%_pie", "cherry", "Banana"]),
        (TaskOrder::Updated, ["Date", "Apple 100%_pie", "cherry", "Banana"]),
        (TaskOrder::Due, ["cherry", "Date", "Banana", "Apple 100%_pie"]),
        (TaskOrder::Priority, ["Apple 100%_pie", "cherry", "Date", "Banana"]),
        (TaskOrder::Title, ["Apple 100%_pie", "Banana", "Date", "cherry"]),
    ] {
        for limit in 1..=4 {
            let mut search = TaskSearch::default();
            (search.order, search.limit) = (order, limit);
            let mut seen = Vec::new();
            loop {
                let page = world.service.search_tasks(search.clone()).await?;
                seen.extend(page.tasks.into_iter().map(|task| task.title));
                search.after = page.next;
                if search.after.is_none() {
                    break;
                }
            }
            assert_eq!(seen, expected, "{order}, {limit} at a time");
        }
    }
    Ok(())
}

/// Counts by source, status and priority, each adding up to the total.
///
/// # Errors
/// Whatever the store answers.
pub async fn tasks_are_counted(world: ServiceWorld) -> Checked {
    searchable(&world).await?;
    let counts = world.service.count_tasks(TaskSearch::default()).await?;
    assert_eq!(counts.total, 4);
    let leantime = TaskSource::Tool(ToolName::new("leantime"));
    assert_eq!(counts.by_source, [(TaskSource::Hub, 3), (leantime, 1)].into());
    assert_eq!(counts.by_status, [(Status::Todo, 3), (Status::Done, 1)].into());
    let priorities = [(Priority::Critical, 1), (Priority::Medium, 2), (Priority::Low, 1)];
    assert_eq!(counts.by_priority, priorities.into());
    Ok(())
}

/// A token is found by its hash; its name and hash are its own.
///
/// # Errors
/// Whatever the store answers.
pub async fn tokens_are_kept_found_and_forgotten(world: ServiceWorld) -> Checked {
    let store = &world.service;
    let token = |name: &str, hash: &str, scope| AccessToken {
        id: TokenId::generate(),
        name: name.to_owned(),
        scope,
        hash: hash.to_owned(),
        created_at: world.world.now(),
    };
    let reader = token("reader", "aa", AccessScope::Read);
    let admin = token("admin", "bb", AccessScope::Admin);
    store.add_token(reader.clone()).await?;
    store.add_token(admin.clone()).await?;
    for taken in [
        token("reader", "cc", AccessScope::Read),
        token("other", "aa", AccessScope::Read),
    ] {
        assert_kind(store.add_token(taken).await, StoreErrorKind::Conflict);
    }
    assert_eq!(store.tokens().await?, [admin.clone(), reader.clone()]);
    assert_eq!(store.token_by_hash("bb".to_owned()).await?, Some(admin.clone()));
    assert_eq!(store.token_by_hash("BB".to_owned()).await?, None);
    assert!(store.delete_token(admin.id).await? && !store.delete_token(admin.id).await?);
    assert_eq!(store.tokens().await?, [reader]);
    Ok(())
}

fn once(key: &str) -> OnceRequest {
    OnceRequest {
        key: key.to_owned(),
        fingerprint: format!("of {key}"),
        reserved: Uuid::now_v7(),
    }
}

fn answer(body: &str) -> OnceAnswer {
    OnceAnswer {
        status: 201,
        body: body.to_owned(),
    }
}

/// Of requests under one key the first counts, and so does its first answer; a refused one may be sent anew.
///
/// # Errors
/// Whatever the store answers.
pub async fn a_request_is_begun_once_and_keeps_its_first_answer(world: ServiceWorld) -> Checked {
    let store = &world.service;
    let first = once("key");
    let begun = store.begin_once(first.clone()).await?;
    assert_eq!(
        (begun.is_new, begun.reserved, begun.answer),
        (true, first.reserved, None)
    );
    let again = OnceRequest {
        fingerprint: "another".to_owned(),
        ..once("key")
    };
    let known = store.begin_once(again.clone()).await?;
    assert_eq!(
        (known.is_new, known.fingerprint.as_str(), known.reserved, known.answer),
        (false, "of key", first.reserved, None)
    );
    store.settle_once("key".to_owned(), answer("made")).await?;
    store.settle_once("key".to_owned(), answer("other")).await?;
    store.forget_once("key".to_owned()).await?;
    assert_eq!(store.begin_once(again).await?.answer, Some(answer("made")));

    assert!(store.begin_once(once("refused")).await?.is_new);
    store.forget_once("refused".to_owned()).await?;
    assert!(store.begin_once(once("refused")).await?.is_new);
    Ok(())
}

/// A key may be used for something else a day later.
///
/// # Errors
/// Whatever the store answers.
pub async fn a_request_is_forgotten_after_a_day(world: ServiceWorld) -> Checked {
    assert!(world.service.begin_once(once("key")).await?.is_new);
    world.world.clock.advance(Duration::from_secs(23 * 3600));
    assert!(!world.service.begin_once(once("key")).await?.is_new);
    world.world.clock.advance(Duration::from_secs(2 * 3600));
    assert!(world.service.begin_once(once("key")).await?.is_new);
    Ok(())
}
