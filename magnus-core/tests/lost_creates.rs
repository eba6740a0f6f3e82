//! Creates whose answers were lost, on a tool with a place for a marker of the operation.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use magnus_core::hub::Hub;
use magnus_core::model::{ExternalId, Field, LinkState, RunState, TaskId, Value};
use support::bench::Bench;
use support::toy::{Habits, Mishap, Toy};

fn marking() -> Toy {
    Toy::new(
        "toy",
        Habits {
            marker: true,
            ..Habits::exact()
        },
    )
}

async fn lost(titles: &[&str], mishap: Mishap) -> (Bench, Toy, Vec<TaskId>) {
    let toy = marking();
    let bench = Bench::new(vec![toy.clone()]).await;
    let mut tasks = Vec::new();
    for title in titles {
        tasks.push(bench.add(title).await);
    }
    toy.state().mishaps = vec![mishap; titles.len()];
    assert_eq!(bench.sync(0).await.state, RunState::Partial);
    (bench, toy, tasks)
}

/// Creates that arrived, and items in the tool.
fn sizes(toy: &Toy) -> (u64, usize) {
    let state = toy.state();
    (state.creates, state.items.len())
}

async fn item_of(bench: &Bench, task: TaskId) -> ExternalId {
    let links = bench.links(0).await;
    let link = links.into_iter().find(|link| link.task_id == task).unwrap();
    assert_eq!(link.state, LinkState::Live);
    link.external_id
}

#[tokio::test]
async fn the_marker_decides_whatever_the_item_is_called_by_now() {
    let (bench, toy, tasks) = lost(&["sent"], Mishap::AnswerLost).await;
    let made = toy.find("sent")[0];
    toy.edit(made, Field::Title, &Value::text("renamed by a person"));
    // What else our user made meanwhile, under the title that was sent, is not it.
    let other = toy.add("sent");
    toy.state().items.get_mut(&other).unwrap().ours = true;
    bench.settle().await;
    assert_eq!(item_of(&bench, tasks[0]).await, ExternalId::from(made));
    assert_eq!(bench.store_task(tasks[0]).await.title, "renamed by a person");
    assert_eq!(sizes(&toy), (1, 2));
}

#[tokio::test]
async fn the_marker_is_found_also_if_the_item_is_nobodys_that_we_know() {
    let (bench, toy, tasks) = lost(&["sent"], Mishap::AnswerLost).await;
    let made = toy.find("sent")[0];
    // The key is another user's by now.
    toy.state().items.get_mut(&made).unwrap().ours = false;
    bench.settle().await;
    assert_eq!(item_of(&bench, tasks[0]).await, ExternalId::from(made));
    assert_eq!(toy.state().creates, 1);
}

#[tokio::test]
async fn equal_creates_that_wait_together_are_told_apart() {
    let (bench, toy, tasks) = lost(&["same", "same"], Mishap::AnswerLost).await;
    let journal = magnus_core::store::LinkStore::unsettled_intents(&bench.store, bench.toys[0].1);
    let wanted: BTreeMap<TaskId, String> = journal
        .await
        .unwrap()
        .into_iter()
        .map(|intent| (intent.task_id, intent.id.to_string()))
        .collect();
    // A person has edited one of them: it is known which.
    let made = toy.find("same");
    toy.edit(made[1], Field::Description, &Value::text("the second"));
    bench.settle().await;
    for task in &tasks {
        let item: u64 = item_of(&bench, *task).await.as_str().parse().unwrap();
        assert_eq!(toy.state().items[&item].marker.as_ref(), Some(&wanted[task]));
        let described = bench.store_task(*task).await.description.is_some();
        assert_eq!(described, item == made[1]);
    }
    assert_eq!(sizes(&toy), (2, 2));
}

#[tokio::test]
async fn one_that_never_arrived_is_sent_again() {
    let (bench, toy, tasks) = lost(&["sent"], Mishap::NeverArrived).await;
    bench.settle().await;
    item_of(&bench, tasks[0]).await;
    assert_eq!(sizes(&toy), (1, 1));
}

#[tokio::test]
async fn two_items_with_one_marker_are_for_a_person_to_tell() {
    let (bench, toy, tasks) = lost(&["sent"], Mishap::AnswerLost).await;
    let made = toy.find("sent")[0];
    // Somebody has copied it, marker and all.
    let copy = toy.add("a copy");
    {
        let mut state = toy.state();
        let marker = state.items[&made].marker.clone();
        state.items.get_mut(&copy).unwrap().marker = marker;
    }
    bench.sync(0).await;
    let waiting = Hub::new(Arc::new(bench.store.clone())).uncertain(None).await.unwrap();
    assert_eq!(waiting.len(), 1);
    assert_eq!(waiting[0].task_id, tasks[0]);
    assert_eq!(toy.state().creates, 1);
}

#[tokio::test]
async fn a_marker_that_the_tool_dropped_leaves_it_as_without() {
    let (bench, toy, tasks) = lost(&["sent"], Mishap::AnswerLost).await;
    let made = toy.find("sent")[0];
    toy.state().items.get_mut(&made).unwrap().marker = None;
    bench.settle().await;
    assert_eq!(item_of(&bench, tasks[0]).await, ExternalId::from(made));
    assert_eq!(toy.state().creates, 1);
}

#[tokio::test]
async fn an_item_with_the_marker_of_another_operation_is_no_candidate() {
    let (bench, toy, tasks) = lost(&["sent"], Mishap::NeverArrived).await;
    // Another program of ours, with a hub of its own, made this one.
    let other = toy.add("sent elsewhere");
    {
        let mut state = toy.state();
        let item = state.items.get_mut(&other).unwrap();
        item.ours = true;
        item.marker = Some(magnus_core::model::IntentId::generate().to_string());
    }
    bench.settle().await;
    item_of(&bench, tasks[0]).await;
    assert_eq!(toy.find("sent").len(), 1, "sent again, and not held for a person");
}

#[tokio::test]
async fn without_the_capability_no_marker_is_sent() {
    let toy = Toy::new("toy", Habits::exact());
    let bench = Bench::new(vec![toy.clone()]).await;
    bench.add("sent").await;
    bench.settle().await;
    assert!(toy.state().items.values().all(|item| item.marker.is_none()));
}

/// A tool that puts another parent in its place does so also of a create whose answer was lost, and whose item somebody has
/// worked on since.
#[tokio::test]
async fn a_parent_that_a_tool_put_in_place_of_a_lost_creates_is_no_edit() {
    let toy = Toy::new(
        "toy",
        Habits {
            marker: true,
            ..Habits::exact()
        },
    );
    let bench = Bench::new(vec![toy.clone()]).await;
    let (wanted, other) = (toy.add("wanted"), toy.add("other"));
    bench.settle().await;
    let task = bench.add("new").await;
    let parent = bench.task("wanted").await.id;
    bench.edit(task, Field::Parent, Value::Task(parent)).await;
    toy.state().mishaps.push(Mishap::AnswerLost);
    bench.sync(0).await;
    let id = toy.find("new")[0];
    assert_eq!(toy.state().items[&id].fields[&Field::Parent], wanted.to_string());
    toy.edit_raw(id, Field::Parent, other.to_string().into());
    toy.edit(id, Field::Description, &Value::text("worked on"));
    bench.settle().await;
    let task = bench.store_task(task).await;
    assert_eq!(task.description.as_deref(), Some("worked on"));
    assert_eq!(task.parent_id, Some(parent), "nothing was agreed on");
}
