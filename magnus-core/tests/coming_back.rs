//! What was gone and is there again, what moved on both sides, and what is kept since somebody worked on it.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod support;

use std::sync::Arc;

use magnus_core::hub::Hub;
use magnus_core::model::{
    Conflict, ConflictState, DeletionPolicy, Direction, Field, LinkState, ProjectId, Rule, RunRequest, SkipReason,
    Status, Value,
};
use magnus_core::store::HubStore;
use support::bench::Bench;
use support::toy::{Habits, Mishap, Toy};

async fn with(policy: DeletionPolicy, toys: Vec<Toy>) -> Bench {
    Bench::with(toys, move |settings| settings.options.deletions = policy).await
}

fn hub(bench: &Bench) -> Hub {
    Hub::new(Arc::new(bench.store.clone()))
}

#[tokio::test]
async fn rule_21_a_task_that_is_brought_back_is_made_anew_wherever_it_is_gone() {
    for (policy, habits) in [
        (DeletionPolicy::Delete, Habits::exact()),
        (DeletionPolicy::Delete, Habits::loose()),
        (DeletionPolicy::Keep, Habits::exact()),
    ] {
        let toys = [Toy::new("one", habits), Toy::new("other", habits)];
        let bench = with(policy, toys.to_vec()).await;
        let first = toys[0].add("task");
        bench.settle().await;
        let task = bench.task("task").await;
        toys[0].delete(first);
        bench.settle().await;
        if policy == DeletionPolicy::Keep {
            bench.delete(task.id).await;
            bench.settle().await;
        }
        assert!(bench.store_task(task.id).await.is_deleted());
        let kept = if policy == DeletionPolicy::Keep { 1 } else { 0 };
        assert_eq!((toys[0].find("task").len(), toys[1].find("task").len()), (0, kept));

        hub(&bench).restore_task(task.id).await.unwrap();
        bench.settle().await;
        assert_eq!(bench.tasks().await.len(), 1);
        for (index, toy) in toys.iter().enumerate() {
            assert_eq!(toy.find("task").len(), 1, "{policy:?}: in {}", toy.name);
            let links = bench.links(index).await;
            assert_eq!(
                links.iter().map(|link| link.state).collect::<Vec<_>>(),
                [LinkState::Live]
            );
            assert_eq!(links[0].external_id.as_str(), toy.find("task")[0].to_string());
        }
    }
}

#[tokio::test]
async fn rule_21_an_item_that_comes_back_after_its_deletion_was_carried_over_brings_its_task_back() {
    for policy in [DeletionPolicy::Delete, DeletionPolicy::Archive] {
        let toy = Toy::new("toy", Habits::exact()).with_archive();
        let bench = with(policy, vec![toy.clone()]).await;
        let id = toy.add("task");
        bench.settle().await;
        let task = bench.task("task").await;
        let item = toy.state().items[&id].clone();
        toy.delete(id);
        bench.settle().await;
        let gone = bench.store_task(task.id).await;
        assert!(gone.is_deleted() || gone.archived_at.is_some(), "{gone:?}");
        toy.state().items.insert(id, item);
        toy.edit(id, Field::Description, &Value::text("back"));
        bench.settle().await;
        let back = bench.store_task(task.id).await;
        assert_eq!(
            (back.deleted_at, back.archived_at, back.description.as_deref()),
            (None, None, Some("back"))
        );
        let story = bench.store.history(task.id).await.unwrap();
        assert!(story.iter().any(|entry| entry.rule == Rule::CameBack), "{story:#?}");
    }
}

/// A run that only pushes may not bring the task back; nor may it leave link and task in a state in which the next one deletes
/// the item that came back.
#[tokio::test]
async fn rule_21_an_item_that_comes_back_is_not_deleted_since_a_run_that_only_pushes_saw_it_first() {
    for policy in [DeletionPolicy::Delete, DeletionPolicy::Archive] {
        let toy = Toy::new("toy", Habits::exact()).with_archive();
        let bench = with(policy, vec![toy.clone()]).await;
        let id = toy.add("task");
        bench.settle().await;
        let task = bench.task("task").await.id;
        let item = toy.state().items[&id].clone();
        toy.delete(id);
        bench.settle().await;
        let before = bench.store_task(task).await;
        assert!(before.is_deleted() || before.archived_at.is_some(), "{before:?}");
        toy.state().items.insert(id, item);
        let mut push = RunRequest::new(bench.toys[0].1);
        push.direction = Some(Direction::Push);
        let end = bench.try_request(push).await.unwrap();
        assert_eq!(bench.store_task(task).await, before);
        let said = end.report.items.iter().find(|item| item.task_id == Some(task));
        assert_eq!(
            said.and_then(|item| item.reason),
            Some(SkipReason::Direction),
            "{:?}",
            end.report
        );
        bench.settle().await;
        let back = bench.store_task(task).await;
        assert_eq!((back.deleted_at, back.archived_at), (None, None), "{policy:?}");
        assert_eq!(toy.find("task"), [id], "{policy:?}");
        assert_eq!(bench.links(0).await[0].state, LinkState::Live);
    }
}

#[tokio::test]
async fn what_the_tool_has_never_got_counts_as_work_when_it_deletes_the_item() {
    let toy = Toy::new("toy", Habits::exact());
    let bench = with(DeletionPolicy::Delete, vec![toy.clone()]).await;
    let (kept, gone) = (toy.add("worked on"), toy.add("left alone"));
    bench.settle().await;
    let [worked_on, left_alone] = [bench.task("worked on").await.id, bench.task("left alone").await.id];
    // The toy has no place for it.
    bench
        .edit(worked_on, Field::StartDate, Value::Date("2026-12-01".parse().unwrap()))
        .await;
    toy.delete(kept);
    toy.delete(gone);
    bench.settle().await;
    assert!(!bench.store_task(worked_on).await.is_deleted());
    assert!(bench.store_task(left_alone).await.is_deleted());
}

#[tokio::test]
async fn rule_23_a_child_whose_parent_is_gone_is_not_worked_on_for_that() {
    let toy = Toy::new("toy", Habits::exact());
    let bench = with(DeletionPolicy::Delete, vec![toy.clone()]).await;
    let (parent, child) = (toy.add("parent"), toy.add("child"));
    toy.edit_raw(child, Field::Parent, parent.to_string().into());
    bench.settle().await;
    let tasks = [bench.task("parent").await.id, bench.task("child").await.id];
    for task in tasks {
        bench.delete(task).await;
    }
    // The parent goes in the tool, too, and the tool empties what referred to it.
    toy.delete(parent);
    toy.edit_raw(child, Field::Parent, serde_json::Value::Null);
    bench.settle().await;
    assert!(toy.state().items.is_empty(), "{:?}", toy.state().items);
}

async fn project_of(bench: &Bench, task: magnus_core::model::TaskId) -> ProjectId {
    bench.store_task(task).await.project_id
}

#[tokio::test]
async fn a_task_that_two_tools_move_apart_stays_where_it_is_until_somebody_decides() {
    let toys = [Toy::new("one", Habits::exact()), Toy::new("other", Habits::exact())];
    for toy in &toys {
        for (id, name) in [(2, "Beta"), (3, "Gamma")] {
            toy.state().projects.insert(id, (name.to_owned(), true));
            toy.add_to(id, &format!("{name} of {}", toy.name));
        }
    }
    let bench = Bench::new(toys.to_vec()).await;
    let first = toys[0].add("task");
    bench.settle().await;
    // Both tools' projects meet in the hub.
    let task = bench.task("task").await;
    let second = toys[1].find("task")[0];
    toys[0].move_to(first, 2);
    toys[1].move_to(second, 3);
    bench.sync(0).await;
    let moved_to = project_of(&bench, task.id).await;
    assert_ne!(moved_to, bench.project);
    let end = bench.sync(1).await;
    let held = end
        .report
        .items
        .iter()
        .find(|item| item.task_id == Some(task.id))
        .unwrap();
    assert!(held.detail.contains("move either to where the other is"), "{held:?}");
    bench.settle().await;
    assert_eq!(project_of(&bench, task.id).await, moved_to);
    let place = |toy: &Toy, id: u64| toy.state().items[&id].project;
    assert_eq!((place(&toys[0], first), place(&toys[1], second)), (2, 3));
    // Other fields go on, and the move that was followed is in its story.
    bench.edit(task.id, Field::Description, Value::text("goes on")).await;
    bench.settle().await;
    assert_eq!(toys[1].value(second, Field::Description), Value::text("goes on"));
    let story = bench.store.history(task.id).await.unwrap();
    let moves = story.iter().filter(|entry| entry.rule == Rule::Moved);
    let moves: Vec<_> = moves.map(|entry| (entry.before.clone(), entry.after.clone())).collect();
    assert_eq!(moves, [(Value::text("Alpha"), Value::text("Beta"))]);
}

/// Our own archiving is no edit of the tool's, also if its answer was lost.
#[tokio::test]
async fn a_task_that_is_brought_back_comes_out_of_the_archive_as_it_was() {
    for lost in [false, true] {
        let toy = Toy::new("toy", Habits::exact()).with_archive();
        let bench = with(DeletionPolicy::Archive, vec![toy.clone()]).await;
        let id = toy.add("task");
        bench.settle().await;
        let task = bench.task("task").await.id;
        bench.edit(task, Field::Status, Value::Status(Status::InProgress)).await;
        bench.settle().await;
        bench.delete(task).await;
        if lost {
            toy.state().mishaps = vec![Mishap::AnswerLost];
        }
        bench.settle().await;
        assert_eq!(
            toy.value(id, Field::Status),
            Value::Status(Status::Cancelled),
            "archived; lost: {lost}"
        );
        let told = bench.store.history(task).await.unwrap();
        assert!(
            told.iter().any(|entry| entry.rule == Rule::Deleted),
            "lost: {lost}: {told:#?}"
        );
        hub(&bench).restore_task(task).await.unwrap();
        bench.settle().await;
        let hub = bench.store_task(task).await.status;
        assert_eq!(hub, Status::InProgress, "lost: {lost}");
        assert_eq!(
            toy.value(id, Field::Status),
            Value::Status(Status::InProgress),
            "lost: {lost}"
        );
        let links = bench.links(0).await;
        assert_eq!((links.len(), links[0].state), (1, LinkState::Live), "lost: {lost}");
        assert_eq!(toy.state().items.len(), 1, "lost: {lost}");
    }
}

/// What nobody has decided on yet does not go with a deletion.
#[tokio::test]
async fn an_item_with_an_open_conflict_is_kept_on_the_side_where_it_still_is() {
    for in_tool in [true, false] {
        let toy = Toy::new("toy", Habits::exact());
        let bench = with(DeletionPolicy::Delete, vec![toy.clone()]).await;
        let (id, task) = (toy.add("task"), bench.add("task").await);
        toy.edit(id, Field::Description, &Value::text("tool"));
        bench.edit(task, Field::Description, Value::text("hub")).await;
        bench.settle().await;
        let open = |conflicts: Vec<Conflict>| conflicts.iter().filter(|one| one.state == ConflictState::Open).count();
        assert_eq!(open(bench.conflicts().await), 1);
        if in_tool {
            toy.delete(id);
        } else {
            bench.delete(task).await;
        }
        bench.settle().await;
        let task = bench.store_task(task).await;
        assert_eq!(task.is_deleted(), !in_tool, "nobody but the person deletes it");
        assert_eq!(toy.state().items.contains_key(&id), !in_tool);
        assert_eq!(open(bench.conflicts().await), 0, "there is nothing left to decide");
    }
}

#[tokio::test]
async fn an_edit_of_a_value_that_the_hub_does_not_know_keeps_the_item() {
    let toy = Toy::new("toy", Habits::exact());
    let bench = with(DeletionPolicy::Delete, vec![toy.clone()]).await;
    let id = toy.add("task");
    toy.edit_raw(id, Field::Parent, "999".into());
    bench.settle().await;
    let task = bench.task("task").await.id;
    bench.delete(task).await;
    toy.edit_raw(id, Field::Parent, "998".into());
    bench.settle().await;
    assert!(toy.state().items.contains_key(&id), "it was edited since");
}
