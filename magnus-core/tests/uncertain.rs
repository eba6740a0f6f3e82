//! A create whose answer was lost, and whose item cannot be told for sure: a person looks and says what it is.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod support;

use std::sync::Arc;

use magnus_core::hub::{Finding, Hub, HubErrorKind};
use magnus_core::model::{
    DeletionPolicy, ExternalId, Field, Intent, IntentId, LinkState, RunState, SkipReason, TaskId, Value,
};
use support::bench::Bench;
use support::toy::{Habits, Mishap, Toy};

/// The answer to a create is lost, and the item is renamed before anybody looks.
async fn uncertain() -> (Bench, Toy, Hub, TaskId, u64) {
    let toy = Toy::new("toy", Habits::exact());
    let bench = Bench::new(vec![toy.clone()]).await;
    let task = bench.add("sent").await;
    toy.state().mishaps = vec![Mishap::AnswerLost];
    assert_eq!(bench.sync(0).await.state, RunState::Partial);
    let made = toy.find("sent")[0];
    toy.edit(made, Field::Title, &Value::text("renamed by a person"));
    let end = bench.sync(0).await;
    assert_eq!(end.state, RunState::Partial, "{end:?}");
    let hub = Hub::new(Arc::new(bench.store.clone()));
    (bench, toy, hub, task, made)
}

async fn only(hub: &Hub) -> Intent {
    let mut found = hub.uncertain(None).await.unwrap();
    assert_eq!(found.len(), 1);
    found.remove(0)
}

#[tokio::test]
async fn rule_18_it_waits_for_a_person_and_holds_what_is_new_in_the_tool() {
    let (bench, toy, hub, task, _) = uncertain().await;
    assert_eq!(only(&hub).await.task_id, task);
    toy.add("new");
    let before = bench.writes();
    bench.sync(0).await;
    assert_eq!(bench.writes(), before);
}

/// While nobody knows what became of a create, its task is no candidate for anybody else's item.
#[tokio::test]
async fn rule_18_its_task_is_not_matched_with_a_strangers_item_meanwhile() {
    let (bench, toy, hub, task, made) = uncertain().await;
    let strangers = toy.add("sent");
    for _ in 0..2 {
        let end = bench.sync(0).await;
        assert!(bench.links(0).await.is_empty(), "{end:?}");
        let said: Vec<_> = end.report.items.iter().filter_map(|item| item.reason).collect();
        assert!(said.contains(&SkipReason::Uncertain), "{end:?}");
    }
    assert_eq!(only(&hub).await.task_id, task);
    hub.settle(only(&hub).await.id, Finding::Is(ExternalId::from(made)))
        .await
        .unwrap();
    bench.settle().await;
    assert_eq!((bench.tasks().await.len(), toy.state().items.len()), (2, 2));
    assert_eq!(bench.store_task(task).await.title, "renamed by a person");
    let other = bench.task("sent").await;
    let links = bench.links(0).await;
    let link = links.iter().find(|link| link.task_id == other.id).unwrap();
    assert_eq!(link.external_id, ExternalId::from(strangers));
}

#[tokio::test]
async fn the_item_that_a_person_names_is_joined_and_edits_since_are_edits() {
    let (bench, toy, hub, task, made) = uncertain().await;
    let intent = only(&hub).await;
    hub.settle(intent.id, Finding::Is(ExternalId::from(made)))
        .await
        .unwrap();
    bench.settle().await;
    assert_eq!(bench.links(0).await[0].state, LinkState::Live, "it was seen");
    assert_eq!(toy.state().items.len(), 1);
    assert_eq!(bench.store_task(task).await.title, "renamed by a person");
    assert!(hub.uncertain(None).await.unwrap().is_empty());
    let again = hub.settle(intent.id, Finding::SendAgain).await.unwrap_err();
    assert_eq!(again.kind(), HubErrorKind::Conflict, "{again}");
}

#[tokio::test]
async fn one_that_did_not_take_place_is_sent_again() {
    let (bench, toy, hub, task, _) = uncertain().await;
    hub.settle(only(&hub).await.id, Finding::SendAgain).await.unwrap();
    bench.settle().await;
    assert_eq!(toy.find("sent").len(), 1);
    assert_eq!(bench.store_task(task).await.title, "sent");
    assert_eq!(bench.tasks().await.len(), 2, "the other item is one of its own");
}

#[tokio::test]
async fn an_item_that_is_another_task_already_is_refused() {
    let toy = Toy::new("toy", Habits::exact());
    let bench = Bench::new(vec![toy.clone()]).await;
    let linked = toy.add("linked");
    bench.sync(0).await;
    bench.add("sent").await;
    toy.state().mishaps = vec![Mishap::AnswerLost];
    bench.sync(0).await;
    let made = toy.find("sent")[0];
    toy.edit(made, Field::Title, &Value::text("renamed"));
    bench.sync(0).await;
    let hub = Hub::new(Arc::new(bench.store.clone()));
    let intent = only(&hub).await;
    let error = hub
        .settle(intent.id, Finding::Is(ExternalId::from(linked)))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), HubErrorKind::Conflict, "{error}");
    assert_eq!(only(&hub).await, intent, "nothing is lost");
    let error = hub.settle(IntentId::generate(), Finding::SendAgain).await.unwrap_err();
    assert_eq!(error.kind(), HubErrorKind::NotFound, "{error}");
}

#[tokio::test]
async fn an_item_that_is_named_but_not_there_deletes_nothing() {
    let (bench, toy, hub, task, made) = uncertain().await;
    bench
        .set(0, |settings| settings.options.deletions = DeletionPolicy::Delete)
        .await;
    let intent = only(&hub).await;
    hub.settle(intent.id, Finding::Is(ExternalId::from(made + 1000)))
        .await
        .unwrap();
    for _ in 0..3 {
        bench.sync(0).await;
    }
    assert!(!bench.store_task(task).await.is_deleted());
    let before = bench.writes();
    let end = bench.sync(0).await;
    assert_eq!(bench.writes(), before, "and it is quiet");
    let said = end.report.items.iter().find(|item| item.task_id == Some(task)).unwrap();
    assert_eq!(said.reason, Some(SkipReason::Uncertain), "{said:?}");
    assert!(said.detail.contains(&(made + 1000).to_string()), "{said:?}");
    assert!(toy.state().items.contains_key(&made));
}

#[tokio::test]
async fn a_wrong_item_is_corrected_before_any_run_has_seen_it() {
    let (bench, toy, hub, task, made) = uncertain().await;
    let intent = only(&hub).await;
    for named in [made + 1000, made] {
        hub.settle(intent.id, Finding::Is(ExternalId::from(named)))
            .await
            .unwrap();
    }
    bench.settle().await;
    let links = bench.links(0).await;
    assert_eq!(links.len(), 1);
    assert_eq!(
        (links[0].external_id.clone(), links[0].state),
        (ExternalId::from(made), LinkState::Live)
    );
    assert_eq!(
        bench.store_task(task).await.title,
        "renamed by a person",
        "edits since are edits"
    );
    assert_eq!(toy.state().creates, 1);
}

#[tokio::test]
async fn a_wrong_item_that_was_joined_already_is_let_go() {
    let (bench, toy, hub, task, made) = uncertain().await;
    let wrong = toy.add("somebody's");
    toy.edit(wrong, Field::Description, &Value::text("of the wrong one"));
    let intent = only(&hub).await;
    hub.settle(intent.id, Finding::Is(ExternalId::from(wrong)))
        .await
        .unwrap();
    // The right one is taken over as a new task meanwhile, unless it waits: it is renamed only after the correction.
    bench
        .set(0, |settings| settings.direction = magnus_core::model::Direction::Push)
        .await;
    bench.settle().await;
    bench
        .set(0, |settings| {
            settings.direction = magnus_core::model::Direction::Bidirectional
        })
        .await;
    hub.settle(intent.id, Finding::Is(ExternalId::from(made)))
        .await
        .unwrap();
    bench.settle().await;
    let links = bench.links(0).await;
    let link = links.iter().find(|link| link.task_id == task).unwrap();
    assert_eq!(
        (link.external_id.clone(), link.state),
        (ExternalId::from(made), LinkState::Live)
    );
    // The titles differ, and nobody knows which is right: a person says.
    let held = bench.conflicts().await;
    assert!(
        held.iter()
            .any(|conflict| conflict.field == Field::Title && conflict.task_id == task),
        "{held:#?}"
    );
    // The wrong one is an item of its own again, with all that it has.
    let other = links
        .iter()
        .find(|link| link.external_id == ExternalId::from(wrong))
        .unwrap();
    assert_ne!(other.task_id, task);
    assert_eq!(
        bench.store_task(other.task_id).await.description.as_deref(),
        Some("of the wrong one")
    );
    assert_eq!(toy.state().items.len(), 2);
}

#[tokio::test]
async fn an_item_that_is_another_task_by_now_is_no_correction() {
    let (bench, toy, hub, _, made) = uncertain().await;
    let intent = only(&hub).await;
    hub.settle(intent.id, Finding::Is(ExternalId::from(made)))
        .await
        .unwrap();
    let other = toy.add("another");
    bench.settle().await;
    let error = hub
        .settle(intent.id, Finding::Is(ExternalId::from(other)))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), HubErrorKind::Conflict, "{error}");
    // Saying the same again is no error.
    let before = bench.writes();
    hub.settle(intent.id, Finding::Is(ExternalId::from(made)))
        .await
        .unwrap();
    assert_eq!(bench.writes(), before);
}

/// A task that was brought back is made in the tool anew, and the answer is lost: the item that a person names takes the place
/// of the one that is gone.
#[tokio::test]
async fn an_item_that_is_named_for_a_task_that_was_brought_back_is_joined() {
    let toy = Toy::new("toy", Habits::exact());
    let bench = Bench::new(vec![toy.clone()]).await;
    let gone = toy.add("sent");
    bench.sync(0).await;
    let task = bench.task("sent").await.id;
    toy.delete(gone);
    bench.delete(task).await;
    bench.settle().await;
    let hub = Hub::new(Arc::new(bench.store.clone()));
    hub.restore_task(task).await.unwrap();
    toy.state().mishaps = vec![Mishap::AnswerLost];
    bench.sync(0).await;
    let made = toy.find("sent")[0];
    toy.edit(made, Field::Title, &Value::text("renamed by a person"));
    bench.sync(0).await;
    hub.settle(only(&hub).await.id, Finding::Is(ExternalId::from(made)))
        .await
        .unwrap();
    bench.settle().await;
    let links = bench.links(0).await;
    assert_eq!(links.len(), 1);
    assert_eq!(
        (links[0].external_id.clone(), links[0].state),
        (ExternalId::from(made), LinkState::Live)
    );
    assert_eq!(bench.store_task(task).await.title, "renamed by a person");
    assert_eq!((bench.tasks().await.len(), toy.state().items.len()), (1, 1));
}

/// The hub has taken over what a wrongly named item says; the right one, as it was sent, is not written over with that.
#[tokio::test]
async fn what_a_wrong_item_said_is_not_sent_to_the_right_one_unseen() {
    let toy = Toy::new("toy", Habits::exact());
    let bench = Bench::new(vec![toy.clone()]).await;
    let task = bench.add("sent").await;
    bench.edit(task, Field::Description, Value::text("as sent")).await;
    toy.state().mishaps = vec![Mishap::AnswerLost];
    bench.sync(0).await;
    let made = toy.find("sent")[0];
    toy.edit(made, Field::Title, &Value::text("renamed"));
    bench.sync(0).await;
    let hub = Hub::new(Arc::new(bench.store.clone()));
    let wrong = toy.add("sent");
    toy.edit(wrong, Field::Description, &Value::text("of the wrong one"));
    let intent = only(&hub).await;
    hub.settle(intent.id, Finding::Is(ExternalId::from(wrong)))
        .await
        .unwrap();
    toy.state().unlisted.insert(made);
    bench.sync(0).await;
    assert_eq!(
        bench.store_task(task).await.description.as_deref(),
        Some("of the wrong one")
    );
    bench.delete(task).await;
    bench.sync(0).await;
    hub.restore_task(task).await.unwrap();
    toy.state().unlisted.clear();
    hub.settle(intent.id, Finding::Is(ExternalId::from(made)))
        .await
        .unwrap();
    bench.settle().await;
    assert_eq!(toy.value(made, Field::Description), Value::text("as sent"));
    assert!(!bench.conflicts().await.is_empty(), "a person says");
}

/// A change was on its way to the wrong item when a person named the right one: what became of it says nothing of that one.
#[tokio::test]
async fn a_lost_change_of_the_wrong_item_says_nothing_of_the_right_one() {
    let (bench, toy, hub, task, made) = uncertain().await;
    let wrong = toy.add("sent");
    toy.state().unlisted.insert(made);
    let intent = only(&hub).await;
    hub.settle(intent.id, Finding::Is(ExternalId::from(wrong)))
        .await
        .unwrap();
    bench.settle().await;
    bench
        .edit(task, Field::Description, Value::text("for the wrong one"))
        .await;
    toy.state().mishaps = vec![Mishap::AnswerLost];
    bench.sync(0).await;
    assert_eq!(toy.value(wrong, Field::Description), Value::text("for the wrong one"));
    toy.state().unlisted.clear();
    toy.edit(made, Field::Description, &Value::text("of the right one"));
    hub.settle(intent.id, Finding::Is(ExternalId::from(made)))
        .await
        .unwrap();
    bench.settle().await;
    assert_eq!(
        bench.store_task(task).await.description.as_deref(),
        Some("for the wrong one"),
        "not replaced unseen"
    );
    let held = bench.conflicts().await;
    assert!(
        held.iter().any(|conflict| conflict.field == Field::Description),
        "{held:#?}"
    );
}

/// A number was mistyped: once a run has looked, the create can be sent again.
#[tokio::test]
async fn an_item_that_was_named_and_is_not_there_is_no_end() {
    let (bench, toy, hub, task, made) = uncertain().await;
    let intent = only(&hub).await.id;
    hub.settle(intent, Finding::Is(ExternalId::from(9_999))).await.unwrap();
    let early = hub.settle(intent, Finding::SendAgain).await.unwrap_err();
    assert!(early.to_string().contains("no run has looked"), "{early}");
    toy.delete(made);
    bench.sync(0).await;
    hub.settle(intent, Finding::SendAgain).await.unwrap();
    bench.settle().await;
    let links = bench.links(0).await;
    assert_eq!(
        (links.len(), links[0].task_id, links[0].state),
        (1, task, LinkState::Live)
    );
    assert_eq!(toy.state().items.len(), 1);
}
