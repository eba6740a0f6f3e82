//! First contact where a person says which items are the same.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod support;

use std::sync::Arc;

use magnus_core::engine::{RunContext, SyncEngine};
use magnus_core::hub::{Hub, HubErrorKind, MatchChoice};
use magnus_core::model::{ExternalId, Field, LinkState, MatchPolicy, RunRequest, RunState, SkipReason, Value};
use magnus_core::reconcile::{Proposal, proposals};
use support::bench::Bench;
use support::toy::{Habits, Toy};

struct Asked {
    bench: Bench,
    toy: Toy,
    hub: Hub,
}

impl Asked {
    async fn new(policy: MatchPolicy) -> Self {
        let toy = Toy::new("toy", Habits::exact());
        let bench = Bench::with(vec![toy.clone()], |settings| settings.options.matching = policy).await;
        let hub = Hub::new(Arc::new(bench.store.clone()));
        Self { bench, toy, hub }
    }

    async fn proposals(&self) -> Vec<Proposal> {
        let request = RunRequest::new(self.bench.toys[0].1);
        let plan = self.bench.engine.plan(request, RunContext::detached()).await.unwrap();
        proposals(&plan)
    }

    /// Items in the tool, and tasks in the hub.
    async fn sizes(&self) -> (usize, usize) {
        let items = self.toy.state().items.len();
        (items, self.bench.tasks().await.len())
    }

    async fn decide(&self, item: u64, choice: MatchChoice) {
        let found = self.proposals().await;
        let connection = self.bench.toys[0].1;
        let external = ExternalId::from(item);
        self.hub
            .decide_match(connection, &found, &external, choice)
            .await
            .unwrap();
    }

    async fn refused(&self, item: u64, choice: MatchChoice) -> HubErrorKind {
        let found = self.proposals().await;
        let connection = self.bench.toys[0].1;
        let external = ExternalId::from(item);
        let error = self.hub.decide_match(connection, &found, &external, choice).await;
        error.unwrap_err().kind()
    }
}

#[tokio::test]
async fn under_ask_even_a_sure_pair_waits_and_the_rest_goes_on() {
    let asked = Asked::new(MatchPolicy::Ask).await;
    let task = asked.bench.add("same").await;
    asked.bench.add("only here").await;
    let item = asked.toy.add(" same ");
    asked.toy.add("only there");
    let end = asked.bench.sync(0).await;
    assert_eq!(end.state, RunState::Completed, "{end:?}");
    let waiting = end
        .report
        .items
        .iter()
        .filter(|item| item.reason == Some(SkipReason::AmbiguousMatch));
    assert_eq!(waiting.count(), 2, "{end:#?}");
    assert_eq!(asked.sizes().await, (3, 3));
    let found = asked.proposals().await;
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0].pair(), Some((task, &ExternalId::from(item))));
    let before = asked.bench.writes();
    asked.bench.sync(0).await;
    assert_eq!(asked.bench.writes(), before, "asking is quiet");
}

#[tokio::test]
async fn what_is_the_same_is_joined_by_the_next_run_and_merged() {
    let asked = Asked::new(MatchPolicy::Ask).await;
    let task = asked.bench.add("same").await;
    let item = asked.toy.add("same");
    asked.toy.edit(item, Field::Description, &Value::text("told there"));
    asked.bench.sync(0).await;
    asked.decide(item, MatchChoice::With(task)).await;
    asked.bench.settle().await;
    let links = asked.bench.links(0).await;
    assert_eq!(links.len(), 1);
    assert_eq!((links[0].task_id, links[0].state), (task, LinkState::Live));
    assert_eq!(
        asked.bench.store_task(task).await.description.as_deref(),
        Some("told there")
    );
    assert_eq!(asked.sizes().await, (1, 1));
    assert!(asked.proposals().await.is_empty());
}

#[tokio::test]
async fn a_person_knows_what_titles_do_not_tell() {
    let asked = Asked::new(MatchPolicy::Ask).await;
    let task = asked.bench.add("water the tomatoes").await;
    asked
        .bench
        .set(0, |settings| settings.direction = magnus_core::model::Direction::Pull)
        .await;
    let item = asked.toy.add("tomatoes: water");
    asked.decide(item, MatchChoice::With(task)).await;
    asked.bench.settle().await;
    assert_eq!(asked.bench.tasks().await.len(), 1);
    let held = asked.bench.conflicts().await;
    assert_eq!(
        (held.len(), held[0].field),
        (1, Field::Title),
        "which title is right is another question"
    );
}

#[tokio::test]
async fn what_is_none_of_them_becomes_a_new_task_and_the_hubs_is_made_in_the_tool() {
    let asked = Asked::new(MatchPolicy::Ask).await;
    let task = asked.bench.add("same").await;
    let item = asked.toy.add("same");
    asked.toy.edit(item, Field::Description, &Value::text("another one"));
    asked.bench.sync(0).await;
    asked.decide(item, MatchChoice::New).await;
    asked.bench.settle().await;
    assert_eq!(asked.sizes().await, (2, 2));
    let links = asked.bench.links(0).await;
    assert!(links.iter().all(|link| link.state == LinkState::Live), "{links:#?}");
    let other = links
        .iter()
        .find(|link| link.external_id == ExternalId::from(item))
        .unwrap();
    assert_ne!(other.task_id, task);
    let made = asked.bench.store_task(other.task_id).await;
    assert_eq!(made.description.as_deref(), Some("another one"));
    assert_eq!(made.source_tool.unwrap().as_str(), "toy");
    assert!(asked.bench.conflicts().await.is_empty());
}

#[tokio::test]
async fn several_of_one_title_are_told_apart_under_exact_title_too() {
    let asked = Asked::new(MatchPolicy::ExactTitle).await;
    let tasks = [asked.bench.add("twice").await, asked.bench.add("twice").await];
    let items = [asked.toy.add("twice"), asked.toy.add("twice")];
    asked.bench.settle().await;
    let found = asked.proposals().await;
    assert_eq!((found.len(), found[0].tasks.len(), found[0].externals.len()), (1, 2, 2));
    assert_eq!(found[0].pair(), None);
    asked.decide(items[1], MatchChoice::With(tasks[0])).await;
    asked.decide(items[0], MatchChoice::With(tasks[1])).await;
    asked.bench.settle().await;
    assert_eq!(asked.sizes().await, (2, 2));
    for (task, item) in tasks.iter().zip([items[1], items[0]]) {
        let links = asked.bench.links(0).await;
        let link = links.iter().find(|link| link.task_id == *task).unwrap();
        assert_eq!(
            (link.external_id.clone(), link.state),
            (ExternalId::from(item), LinkState::Live)
        );
    }
}

#[tokio::test]
async fn all_sure_pairs_are_accepted_at_once() {
    let asked = Asked::new(MatchPolicy::Ask).await;
    for number in 0..200 {
        asked
            .bench
            .add(&format!("{} {number}", if number < 150 { "both" } else { "hub" }))
            .await;
        asked
            .toy
            .add(&format!("{} {number}", if number < 150 { "both" } else { "tool" }));
    }
    asked.bench.add("twice").await;
    asked.toy.add("twice");
    asked.toy.add("twice");
    asked.bench.sync(0).await;
    let found = asked.proposals().await;
    let decided = asked
        .hub
        .accept_sure_matches(asked.bench.toys[0].1, &found)
        .await
        .unwrap();
    assert_eq!((found.len(), decided), (151, 150));
    asked.bench.settle().await;
    let links = asked.bench.links(0).await;
    assert_eq!(links.len(), 250, "150 the same, and 50 made on each side");
    assert!(links.iter().all(|link| link.state == LinkState::Live));
    assert_eq!(asked.sizes().await, (252, 251));
    assert_eq!(asked.proposals().await.len(), 1, "what is not sure still waits");
}

#[tokio::test]
async fn what_cannot_be_is_refused() {
    let asked = Asked::new(MatchPolicy::Ask).await;
    let task = asked.bench.add("linked").await;
    let linked = asked.toy.add("linked");
    let free = asked.toy.add("free");
    asked.bench.sync(0).await;
    asked.decide(linked, MatchChoice::With(task)).await;
    let taken = asked.refused(linked, MatchChoice::With(task)).await;
    assert_eq!(taken, HubErrorKind::Conflict);
    let other = asked.refused(free, MatchChoice::With(task)).await;
    assert_eq!(
        other,
        HubErrorKind::Conflict,
        "the free one was taken over by itself, and the task is linked"
    );
    let nobody = asked.refused(9_999, MatchChoice::With(task)).await;
    assert_eq!(nobody, HubErrorKind::Conflict);
    assert_eq!(asked.refused(9_999, MatchChoice::New).await, HubErrorKind::NotFound);
    let elsewhere = asked.hub.add_project("Elsewhere").await.unwrap();
    let far = asked
        .hub
        .add_task(magnus_core::hub::NewTask::new(elsewhere.id, "far"))
        .await
        .unwrap();
    assert_eq!(
        asked.refused(9_999, MatchChoice::With(far.id)).await,
        HubErrorKind::Invalid
    );
}

#[tokio::test]
async fn an_item_that_was_never_there_makes_and_deletes_nothing() {
    let asked = Asked::new(MatchPolicy::Ask).await;
    let task = asked.bench.add("here").await;
    asked.decide(9_999, MatchChoice::With(task)).await;
    asked.bench.settle().await;
    assert_eq!(asked.toy.state().creates, 0, "a person said that it is there");
    assert!(!asked.bench.store_task(task).await.is_deleted());
    let end = asked.bench.sync(0).await;
    let said = end.report.items.iter().find(|item| item.task_id == Some(task)).unwrap();
    assert_eq!(said.reason, Some(SkipReason::Uncertain), "{said:?}");
    // A slip is taken back by naming another one.
    let there = asked.toy.add("there");
    asked.decide(there, MatchChoice::With(task)).await;
    asked.bench.settle().await;
    let links = asked.bench.links(0).await;
    let found = (links[0].task_id, links[0].external_id.clone(), links[0].state);
    assert_eq!((links.len(), found), (1, (task, there.into(), LinkState::Live)));
}
