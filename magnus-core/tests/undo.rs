//! A run is undone: what it wrote goes back, what people did since stays, and the next sync leaves it so.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod support;

use magnus_core::engine::{RunContext, RunErrorKind, SyncEngine};
use magnus_core::model::{
    ConnectionSettings, DeletionPolicy, Direction, Field, LinkState, Rule, Run, RunId, RunRequest, RunState,
    SkipReason, Status, Value,
};
use magnus_core::reconcile::PlannedAction;
use magnus_core::store::{Changeset, Fence, HubStore, LinkStore, MappingWrite, TaskStore};
use support::bench::Bench;
use support::toy::{Habits, Mishap, Toy};

async fn one(habits: Habits) -> (Bench, Toy) {
    let toy = Toy::new("toy", habits);
    (Bench::new(vec![toy.clone()]).await, toy)
}

async fn sync(bench: &Bench) -> Run {
    bench.run(RunRequest::new(bench.toys[0].1)).await
}

async fn undo(bench: &Bench, run: RunId) -> Run {
    bench.run(RunRequest::undoing(bench.toys[0].1, run)).await
}

async fn assert_quiet(bench: &Bench) {
    let before = bench.writes();
    for _ in 0..2 {
        let end = bench.sync(0).await;
        assert_eq!((bench.writes(), end.state), (before, RunState::Completed), "{end:?}");
    }
}

#[tokio::test]
async fn what_was_sent_to_the_tool_is_taken_back_and_stays_so() {
    for habits in [Habits::exact(), Habits::loose()] {
        let (bench, toy) = one(habits).await;
        let id = toy.add("task");
        toy.edit(id, Field::Description, &Value::text("of the tool"));
        sync(&bench).await;
        let before = toy.state().items[&id].fields.clone();
        let task = bench.task("task").await;
        bench.edit(task.id, Field::Description, Value::text("of the hub")).await;
        bench.edit(task.id, Field::Status, Value::Status(Status::Review)).await;
        let run = sync(&bench).await;
        assert_ne!(toy.state().items[&id].fields, before);
        let undone = undo(&bench, run.id).await;
        assert_eq!(undone.state, RunState::Completed, "{undone:?}");
        assert_eq!(undone.report.counts.tasks.updated, 1);
        assert_eq!(toy.state().items[&id].fields, before, "to the letter");
        let kept = bench.store_task(task.id).await;
        assert_eq!(kept.description.as_deref(), Some("of the hub"), "a person's edit stays");
        assert_quiet(&bench).await;
        // An edit goes on from there.
        bench.edit(task.id, Field::Status, Value::Status(Status::Done)).await;
        bench.sync(0).await;
        assert_eq!(toy.value(id, Field::Status), Value::Status(Status::Done));
    }
}

#[tokio::test]
async fn what_was_taken_over_into_the_hub_goes_back_to_what_it_was() {
    let (bench, toy) = one(Habits::exact()).await;
    let id = toy.add("task");
    sync(&bench).await;
    toy.edit(id, Field::Title, &Value::text("renamed"));
    toy.edit(id, Field::Description, &Value::text("words"));
    let run = sync(&bench).await;
    let task = bench.task("renamed").await;
    bench
        .edit(task.id, Field::Description, Value::text("better words"))
        .await;
    let undone = undo(&bench, run.id).await;
    let task = bench.store_task(task.id).await;
    assert_eq!(task.title, "task");
    assert_eq!(task.description.as_deref(), Some("better words"));
    let item = &undone.report.items[0];
    assert!(item.detail.contains("changed_since: description: "), "{item:?}");
    let history = bench.store.history(task.id).await.unwrap();
    let told = history.iter().rfind(|entry| entry.field == Some(Field::Title)).unwrap();
    assert_eq!((told.rule, told.run_id), (Rule::Undone, Some(undone.id)));
    bench.settle().await;
    assert_eq!(
        toy.value(id, Field::Title),
        Value::text("renamed"),
        "the tool keeps its own"
    );
    assert_eq!(bench.store_task(task.id).await.title, "task");
}

#[tokio::test]
async fn what_a_run_made_is_removed_on_either_side_and_never_made_again() {
    let (bench, toy) = one(Habits::exact()).await;
    toy.add("from the tool");
    bench.add("from the hub").await;
    let run = sync(&bench).await;
    let undone = undo(&bench, run.id).await;
    assert_eq!(undone.state, RunState::Completed, "{undone:?}");
    assert_eq!(undone.report.counts.tasks.deleted, 2, "{undone:?}");
    assert_eq!(toy.find("from the hub").len(), 0);
    assert_eq!(toy.find("from the tool").len(), 1);
    assert!(
        bench
            .tasks()
            .await
            .values()
            .all(|task| task.is_deleted() == (task.title == "from the tool"))
    );
    let mut states: Vec<LinkState> = bench.links(0).await.iter().map(|link| link.state).collect();
    states.sort_unstable_by_key(ToString::to_string);
    assert_eq!(states, [LinkState::GoneLocal, LinkState::GoneRemote]);
    assert_quiet(&bench).await;
    assert_eq!(toy.state().items.len(), 1);
}

#[tokio::test]
async fn what_people_changed_since_is_left_alone_and_said_so() {
    let (bench, toy) = one(Habits::exact()).await;
    toy.add("taken over");
    let made = bench.add("made").await;
    let linked = toy.add("linked");
    bench.add("linked").await;
    let run = sync(&bench).await;
    let taken = bench.task("taken over").await;
    bench.edit(taken.id, Field::Status, Value::Status(Status::Review)).await;
    let made_there = toy.find("made")[0];
    toy.edit(made_there, Field::Description, &Value::text("a person's"));
    let plan = bench
        .engine
        .plan(RunRequest::undoing(bench.toys[0].1, run.id), RunContext::detached())
        .await
        .unwrap();
    let items = &plan.mappings[0].items;
    assert_eq!(items.len(), 2, "{items:?}");
    assert!(items.iter().all(|item| {
        item.action == PlannedAction::Skip
            && item
                .reason
                .as_ref()
                .is_some_and(|reason| reason.code == SkipReason::ChangedSince)
    }));
    let before = bench.writes();
    let undone = undo(&bench, run.id).await;
    assert_eq!(bench.writes(), before, "{undone:?}");
    assert_eq!(undone.report.counts.tasks.skipped, 2);
    assert!(!bench.store_task(made).await.is_deleted());
    assert_eq!(toy.find("made").len(), 1);
    assert!(toy.state().items.contains_key(&linked));
}

#[tokio::test]
async fn a_deletion_carried_over_into_the_hub_is_taken_back() {
    let toy = Toy::new("toy", Habits::exact());
    let delete = |settings: &mut ConnectionSettings| settings.options.deletions = DeletionPolicy::Delete;
    let bench = Bench::with(vec![toy.clone()], delete).await;
    let id = toy.add("task");
    sync(&bench).await;
    let task = bench.task("task").await;
    toy.delete(id);
    sync(&bench).await;
    let run = sync(&bench).await;
    assert!(bench.store_task(task.id).await.is_deleted());
    undo(&bench, run.id).await;
    assert!(!bench.store_task(task.id).await.is_deleted());
    assert_quiet(&bench).await;
    assert!(toy.state().items.is_empty(), "it is not made anew in the tool");
}

#[tokio::test]
async fn a_large_undoing_halts_and_a_person_confirms_it() {
    let toy = Toy::new("toy", Habits::exact());
    let bench = Bench::with(vec![toy.clone()], |settings| {
        settings.options.guard.creations.count = 1000;
    })
    .await;
    for number in 0..40 {
        bench.add(&format!("task {number}")).await;
    }
    let run = sync(&bench).await;
    assert_eq!(toy.state().items.len(), 40);
    let halted = undo(&bench, run.id).await;
    assert_eq!(
        (halted.state, toy.state().items.len()),
        (RunState::Halted, 40),
        "{halted:?}"
    );
    let undone = bench.run(halted.confirmation()).await;
    assert_eq!(undone.state, RunState::Completed, "{undone:?}");
    assert_eq!(toy.state().items.len(), 0);
    assert_quiet(&bench).await;
}

#[tokio::test]
async fn a_run_that_is_not_there_or_not_of_this_connection_is_refused() {
    let (one, other) = (Toy::new("one", Habits::exact()), Toy::new("other", Habits::exact()));
    let bench = Bench::new(vec![one, other]).await;
    let run = sync(&bench).await;
    for (connection, run) in [(0, RunId::generate()), (1, run.id)] {
        let request = RunRequest::undoing(bench.toys[connection].1, run);
        let error = bench.try_request(request).await.unwrap_err();
        assert_eq!(error.kind(), RunErrorKind::NothingToUndo, "{error}");
    }
}

#[tokio::test]
async fn a_pull_is_undone_although_another_tool_has_got_it_meanwhile() {
    let (one, other) = (Toy::new("one", Habits::exact()), Toy::new("other", Habits::exact()));
    let bench = Bench::new(vec![one.clone(), other.clone()]).await;
    one.add("taken over");
    let run = sync(&bench).await;
    bench.sync(1).await;
    assert_eq!(other.find("taken over").len(), 1);
    let task = bench.task("taken over").await;
    let undone = undo(&bench, run.id).await;
    assert_eq!(undone.report.counts.tasks.deleted, 1, "{undone:?}");
    assert!(bench.store_task(task.id).await.is_deleted());
    assert_eq!(one.find("taken over").len(), 1);
}

#[tokio::test]
async fn a_pull_is_not_undone_where_another_tool_had_the_same_item_before() {
    for merged in [false, true] {
        let (one, other) = (Toy::new("one", Habits::exact()), Toy::new("other", Habits::exact()));
        let bench = Bench::with(vec![one.clone(), other.clone()], |settings| {
            settings.options.deletions = DeletionPolicy::Delete;
        })
        .await;
        let theirs = other.add("in both");
        let ours = one.add("in both");
        if merged {
            one.edit(ours, Field::Description, &Value::text("words"));
        }
        let run = sync(&bench).await;
        bench.sync(1).await;
        assert_eq!(bench.links(1).await.len(), 1, "matched");
        let task = bench.task("in both").await.id;
        let undone = undo(&bench, run.id).await;
        let said = undone.report.items.iter().find(|item| item.task_id == Some(task));
        assert_eq!(
            said.and_then(|item| item.reason),
            Some(SkipReason::ChangedSince),
            "{undone:?}"
        );
        bench.settle().await;
        assert!(!bench.store_task(task).await.is_deleted());
        assert_eq!(other.find("in both"), [theirs], "no run of ours has made it");
    }
}

#[tokio::test]
async fn a_parent_stays_if_one_of_its_children_stays() {
    let (bench, toy) = one(Habits::exact()).await;
    let (parent, child) = (toy.add("parent"), toy.add("child"));
    toy.edit_raw(child, Field::Parent, parent.to_string().into());
    let run = sync(&bench).await;
    let worked_on = bench.task("child").await;
    bench
        .edit(worked_on.id, Field::Status, Value::Status(Status::Review))
        .await;
    let undone = undo(&bench, run.id).await;
    assert_eq!(undone.report.counts.tasks.skipped, 2, "{undone:?}");
    let tasks = bench.tasks().await;
    assert!(tasks.values().all(|task| !task.is_deleted()), "{tasks:#?}");
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_is_a_later_change_like_any_other() {
    let (bench, toy) = one(Habits::exact()).await;
    let id = toy.add("task");
    sync(&bench).await;
    let task = bench.task("task").await;
    bench.edit(task.id, Field::Status, Value::Status(Status::Review)).await;
    let run = sync(&bench).await;
    bench.edit(task.id, Field::Status, Value::Status(Status::Done)).await;
    toy.state().mishaps = vec![Mishap::AnswerLost];
    sync(&bench).await;
    sync(&bench).await;
    let undone = undo(&bench, run.id).await;
    assert_eq!(undone.report.counts.tasks.skipped, 1, "{undone:?}");
    assert_eq!(toy.value(id, Field::Status), Value::Status(Status::Done));
}

/// The run had taken a task out from below another one, which a person has put below it since, or deleted.
#[tokio::test]
async fn rule_25_a_task_does_not_go_back_below_what_is_below_it_or_gone() {
    for deleted in [false, true] {
        let (bench, toy) = one(Habits::exact()).await;
        let (inner, outer) = (toy.add("inner"), toy.add("outer"));
        toy.edit_raw(inner, Field::Parent, outer.to_string().into());
        sync(&bench).await;
        let [inner_task, outer_task] = [bench.task("inner").await.id, bench.task("outer").await.id];
        assert_eq!(bench.store_task(inner_task).await.parent_id, Some(outer_task));
        toy.edit(inner, Field::Parent, &Value::Empty);
        let run = sync(&bench).await;
        assert_eq!(bench.store_task(inner_task).await.parent_id, None);
        if deleted {
            bench.delete(outer_task).await;
        } else {
            bench.edit(outer_task, Field::Parent, Value::Task(inner_task)).await;
        }
        let undone = undo(&bench, run.id).await;
        assert_eq!(bench.store_task(inner_task).await.parent_id, None);
        let said = undone
            .report
            .items
            .iter()
            .find(|item| item.task_id == Some(inner_task))
            .unwrap();
        assert_eq!(said.reason, Some(SkipReason::CannotUndo), "{said:?}");
        assert!(said.detail.contains("what it was below is"), "{said:?}");
    }
}

/// A person edits in the hub after the run; the undoing leaves that field, and the edit goes out.
#[tokio::test]
async fn an_edit_since_the_run_is_not_taken_for_agreed_on() {
    let (bench, toy) = one(Habits::exact()).await;
    let id = toy.add("task");
    toy.edit(id, Field::Description, &Value::text("of the tool"));
    sync(&bench).await;
    let task = bench.task("task").await.id;
    bench.edit(task, Field::Description, Value::text("first")).await;
    let run = sync(&bench).await;
    bench.edit(task, Field::Description, Value::text("second")).await;
    let undone = undo(&bench, run.id).await;
    let said = undone
        .report
        .items
        .iter()
        .find(|item| item.task_id == Some(task))
        .unwrap();
    assert_eq!(said.reason, Some(SkipReason::ChangedSince), "{said:?}");
    bench.settle().await;
    assert_eq!(toy.value(id, Field::Description), Value::text("second"));
    assert_eq!(bench.store_task(task).await.description.as_deref(), Some("second"));
}

#[tokio::test]
async fn what_a_connection_or_a_project_may_not_do_now_an_undoing_does_not_do_either() {
    for switched_off in [false, true] {
        let (bench, toy) = one(Habits::exact()).await;
        let id = toy.add("task");
        sync(&bench).await;
        let task = bench.task("task").await.id;
        bench.edit(task, Field::Description, Value::text("of the hub")).await;
        bench.add("new").await;
        let run = sync(&bench).await;
        let writes = toy.state().writes;
        if switched_off {
            let mut mapping = bench.store.mappings(bench.toys[0].1).await.unwrap().remove(0);
            let expected = Some(mapping.version);
            mapping.enabled = false;
            let write = MappingWrite { mapping, expected };
            let changes = Changeset {
                mappings: vec![write],
                ..Changeset::new()
            };
            assert_eq!(bench.store.commit(Fence::Hub, changes).await.unwrap().stale_rows, 0);
        } else {
            bench.set(0, |settings| settings.direction = Direction::Pull).await;
        }
        let undone = undo(&bench, run.id).await;
        let after = toy.state().writes;
        assert_eq!((after, toy.find("new").len()), (writes, 1), "{undone:?}");
        assert_eq!(toy.value(id, Field::Description), Value::text("of the hub"));
        let skipped = undone
            .report
            .items
            .iter()
            .filter(|item| item.reason == Some(SkipReason::Direction));
        assert_eq!(skipped.count(), if switched_off { 0 } else { 2 }, "{undone:?}");
        assert_eq!(undone.report.problems.len(), usize::from(switched_off), "{undone:?}");
    }
}

/// The hub keeps its parent, and no later run sends it again.
#[tokio::test]
async fn an_undone_parent_stays_undone() {
    let (bench, toy) = one(Habits::exact()).await;
    let (first, second, child) = (toy.add("first"), toy.add("second"), toy.add("child"));
    toy.edit_raw(child, Field::Parent, first.to_string().into());
    sync(&bench).await;
    let (task, other) = (bench.task("child").await.id, bench.task("second").await.id);
    bench.edit(task, Field::Parent, Value::Task(other)).await;
    let run = sync(&bench).await;
    let above = || toy.state().items[&child].fields[&Field::Parent].clone();
    assert_eq!(above(), second.to_string());
    undo(&bench, run.id).await;
    assert_eq!(above(), first.to_string());
    bench.settle().await;
    assert_eq!(above(), first.to_string(), "it was undone");
    assert_eq!(
        bench.store_task(task).await.parent_id,
        Some(other),
        "a person's edit stays"
    );
    // Whoever changes it again is heard.
    bench.edit(task, Field::Parent, Value::Empty).await;
    bench.settle().await;
    assert_eq!(above(), serde_json::Value::Null);
}
