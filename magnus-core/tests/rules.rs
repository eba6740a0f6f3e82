//! Rules of a run, each as the story that taught it. Those that are not told here stand beside the module that holds
//! them; `tests/tests/rules.rs` finds them all.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod support;

use std::sync::Arc;

use futures::FutureExt;
use magnus_core::hub::Hub;
use magnus_core::model::{
    ConflictPolicy, ConflictState, DeletionPolicy, ExternalId, Field, LinkState, RunRequest, RunState, Status, Task,
    Trigger, Value,
};
use magnus_core::store::{Changeset, Fence, TaskStore, TaskWrite, Unit};
use support::bench::Bench;
use support::toy::{Habits, Happening, Mishap, Toy};

async fn one(habits: Habits) -> (Bench, Toy) {
    let toy = Toy::new("toy", habits);
    (Bench::new(vec![toy.clone()]).await, toy)
}

fn raw(words: &str) -> serde_json::Value {
    format!("<p>{words}</p>").into()
}

/// We send a title; before it is read back, somebody of the tool edits the description. It is an edit, and is pulled.
#[tokio::test]
async fn rule_1_a_write_moves_the_bases_of_its_own_fields_and_of_no_others() {
    let (bench, toy) = one(Habits::loose()).await;
    let id = toy.add("task");
    bench.sync(0).await;
    let task = bench.task("task").await;
    bench.edit(task.id, Field::Title, Value::text("ours")).await;
    toy.state().meddle_after = Some((id, Field::Description, raw("theirs")));
    bench.settle().await;
    assert_eq!(bench.task("ours").await.description.as_deref(), Some("theirs"));
    assert_eq!(toy.value(id, Field::Description), Value::text("theirs"));
}

/// We send a title; somebody changes the very same field before it is read back. What comes back is his, not ours.
#[tokio::test]
async fn rule_2_a_foreign_value_that_is_read_back_is_a_foreign_edit() {
    let (bench, toy) = one(Habits::loose()).await;
    let id = toy.add("task");
    bench.sync(0).await;
    let task = bench.task("task").await;
    bench.edit(task.id, Field::Description, Value::text("ours")).await;
    toy.state().meddle_after = Some((id, Field::Description, raw("theirs")));
    bench.settle().await;
    assert_eq!(bench.store_task(task.id).await.description.as_deref(), Some("theirs"));
    assert_eq!(toy.value(id, Field::Description), Value::text("theirs"));
}

/// The hub is edited again while its first edit is on its way: the second one is sent, too.
#[tokio::test]
async fn rule_3_the_base_is_the_value_that_was_sent() {
    let (bench, toy) = one(Habits::exact()).await;
    let id = toy.add("task");
    bench.sync(0).await;
    let task = bench.task("task").await;
    bench.edit(task.id, Field::Description, Value::text("first")).await;
    // The answer is lost after the first edit went out, and the second is made before it is settled.
    toy.state().mishaps = vec![Mishap::AnswerLost];
    bench.sync(0).await;
    assert_eq!(toy.value(id, Field::Description), Value::text("first"));
    bench.edit(task.id, Field::Description, Value::text("second")).await;
    bench.settle().await;
    assert_eq!(toy.value(id, Field::Description), Value::text("second"));
    assert_eq!(bench.store_task(task.id).await.description.as_deref(), Some("second"));
    assert!(bench.conflicts().await.is_empty());
}

/// The hub wins over an edit of the tool, the answer is lost, and the tool is edited once more: both edits are on record.
#[tokio::test]
async fn rule_5_the_loser_of_a_lost_write_is_on_record() {
    let toy = Toy::new("toy", Habits::exact());
    let bench = Bench::with(vec![toy.clone()], |settings| {
        settings.options.conflicts = ConflictPolicy::HubWins;
    })
    .await;
    let id = toy.add("task");
    bench.sync(0).await;
    let task = bench.task("task").await;
    bench.edit(task.id, Field::Description, Value::text("ours")).await;
    toy.edit(id, Field::Description, &Value::text("their first"));
    toy.state().mishaps = vec![Mishap::AnswerLost];
    bench.sync(0).await;
    toy.edit(id, Field::Description, &Value::text("their second"));
    bench.settle().await;
    let there = toy.value(id, Field::Description);
    let kept: Vec<Value> = bench
        .conflicts()
        .await
        .into_iter()
        .map(|conflict| conflict.remote_value)
        .collect();
    assert!(kept.contains(&Value::text("their first")), "{kept:?}");
    assert!(
        there == Value::text("their second") || kept.contains(&Value::text("their second")),
        "{there:?} {kept:?}"
    );
}

/// A tool lists rows twice: each is one task.
#[tokio::test]
async fn rule_12_rows_are_deduplicated_by_id() {
    for habits in [Habits::exact(), Habits::loose()] {
        let (bench, toy) = one(habits).await;
        toy.state().stutters = true;
        toy.add("one");
        toy.add("two");
        let end = bench.sync(0).await;
        assert_eq!(
            (end.state, end.report.counts.tasks.created),
            (RunState::Completed, 2),
            "{end:?}"
        );
        assert_eq!((bench.tasks().await.len(), bench.links(0).await.len()), (2, 2));
    }
}

/// A conflict is held; the next incremental run does not list the item. It is read all the same: the hub's other edit goes
/// out, and the conflict stays what it is.
#[tokio::test]
async fn rule_13_what_is_not_listed_is_not_unchanged() {
    let (bench, toy) = one(Habits::exact()).await;
    let id = toy.add("task");
    bench.sync(0).await;
    let task = bench.task("task").await;
    bench.edit(task.id, Field::Description, Value::text("ours")).await;
    toy.edit(id, Field::Description, &Value::text("theirs"));
    bench.sync(0).await;
    // The listing goes on from what was touched last, and this is another item.
    toy.add("later");
    bench.sync(0).await;
    bench.edit(task.id, Field::Status, Value::Status(Status::Review)).await;
    let request = RunRequest::new(bench.toys[0].1).trigger(Trigger::Ripple);
    let end = bench.try_request(request).await.unwrap();
    assert_eq!(end.state, RunState::Completed, "{end:?}");
    assert_eq!(toy.value(id, Field::Status), Value::Status(Status::Review));
    assert_eq!(toy.value(id, Field::Description), Value::text("theirs"));
    let conflicts = bench.conflicts().await;
    assert_eq!((conflicts.len(), conflicts[0].state), (1, ConflictState::Open));
}

/// One of two projects cannot be read: an item that moved there may be the counterpart of a hub task, so nothing is
/// created.
#[tokio::test]
async fn rule_14_nothing_is_created_on_a_partial_view() {
    let (bench, toy) = one(Habits::exact()).await;
    toy.state().projects.insert(2, ("Beta".to_owned(), true));
    bench.sync(0).await;
    bench.add("new").await;
    toy.state().broken.insert(2);
    let end = bench.sync(0).await;
    assert_eq!(end.state, RunState::Partial, "{end:?}");
    assert_eq!(toy.state().creates, 0);
    toy.state().broken.clear();
    bench.sync(0).await;
    assert_eq!(toy.find("new").len(), 1);
}

/// What is gone on one side is a state of the link: nothing is matched with it or made anew, and what comes back is joined
/// again.
#[tokio::test]
async fn rule_21_gone_is_a_state_of_the_link_and_what_comes_back_revives_it() {
    for habits in [Habits::exact(), Habits::loose()] {
        let (bench, toy) = one(habits).await;
        let id = toy.add("task");
        bench.sync(0).await;
        let task = bench.task("task").await;
        let item = toy.state().items[&id].clone();
        toy.delete(id);
        bench.settle().await;
        assert_eq!(bench.links(0).await[0].state, LinkState::GoneRemote);
        assert_eq!((bench.tasks().await.len(), toy.state().creates), (1, 0));
        toy.state().items.insert(id, item);
        toy.edit(id, Field::Description, &Value::text("back again"));
        bench.settle().await;
        assert_eq!(bench.links(0).await[0].state, LinkState::Live);
        assert_eq!(
            bench.store_task(task.id).await.description.as_deref(),
            Some("back again")
        );

        bench.delete(task.id).await;
        bench.settle().await;
        assert_eq!(bench.links(0).await[0].state, LinkState::GoneLocal);
        let hub = Hub::new(Arc::new(bench.store.clone()));
        hub.restore_task(task.id).await.unwrap();
        bench.settle().await;
        assert_eq!(bench.links(0).await[0].state, LinkState::Live);
        assert_eq!((bench.tasks().await.len(), toy.state().items.len()), (1, 1));
        assert!(hub.restore_task(task.id).await.is_err(), "it is not deleted");
    }
}

/// A parent is gone in the tool; the children that point to it there are not taken apart in the hub, and nothing is sent
/// that refers to what is gone.
#[tokio::test]
async fn rule_24_references_to_what_is_gone_are_neither_sent_nor_taken_over() {
    let toy = Toy::new("toy", Habits::exact());
    let bench = Bench::with(vec![toy.clone()], |settings| {
        settings.options.deletions = DeletionPolicy::Keep
    })
    .await;
    let parent = toy.add("parent");
    let child = toy.add("child");
    toy.edit_raw(child, Field::Parent, parent.to_string().into());
    bench.sync(0).await;
    toy.delete(parent);
    bench.settle().await;
    let task = bench.task("child").await;
    assert_eq!(
        task.parent_id,
        Some(bench.task("parent").await.id),
        "the hub keeps both"
    );
    let orphan = bench.add("another child").await;
    bench
        .edit(orphan, Field::Parent, Value::Task(bench.task("parent").await.id))
        .await;
    bench.settle().await;
    let made = toy.find("another child")[0];
    let sent = toy.state().items[&made]
        .fields
        .get(&Field::Parent)
        .cloned()
        .unwrap_or_default();
    assert!(sent.is_null(), "a dead reference was sent: {sent}");
    assert_eq!(
        bench.store_task(orphan).await.parent_id,
        Some(bench.task("parent").await.id)
    );
}

/// Rights come and go while we look: an item that is not there, in a project that reads as open, is looked for once more.
#[tokio::test]
async fn rule_20_what_is_absent_only_before_its_project_was_seen_is_not_gone() {
    for habits in [Habits::exact(), Habits::loose()] {
        let (bench, toy) = one(habits).await;
        let id = toy.add("task");
        bench.sync(0).await;
        toy.state().blinks.insert(id, 1);
        toy.state().unlisted.insert(id);
        bench.sync(0).await;
        let link = &bench.links(0).await[0];
        assert_eq!((link.state, link.absent_since), (LinkState::Live, None));
        toy.state().blinks.insert(id, 2);
        bench.sync(0).await;
        assert_eq!(
            bench.links(0).await[0].state,
            LinkState::GoneRemote,
            "under `keep` one such run is enough"
        );
    }
}

/// A parent is gone in the tool when a new child of it is to be made there.
#[tokio::test]
async fn rule_24_what_is_found_gone_in_this_run_is_not_referred_to() {
    let (bench, toy) = one(Habits::exact()).await;
    let parent = toy.add("parent");
    bench.sync(0).await;
    let above = bench.task("parent").await.id;
    toy.delete(parent);
    let child = bench.add("child").await;
    bench.edit(child, Field::Parent, Value::Task(above)).await;
    bench.sync(0).await;
    let made = toy.find("child")[0];
    let sent = toy.state().items[&made].fields.get(&Field::Parent).cloned();
    assert!(
        sent.as_ref().is_none_or(serde_json::Value::is_null),
        "a dead reference was sent: {sent:?}"
    );
}

/// A person turns a link to another item: what refers to the old one was never sent.
#[tokio::test]
async fn rule_24_children_follow_when_their_parents_link_is_turned() {
    let (bench, toy) = one(Habits::exact()).await;
    let (wrong, child) = (toy.add("parent"), toy.add("child"));
    toy.edit_raw(child, Field::Parent, wrong.to_string().into());
    bench.settle().await;
    let above = bench.task("parent").await.id;
    let right = toy.add("the real one");
    let link = bench
        .links(0)
        .await
        .into_iter()
        .find(|link| link.task_id == above)
        .unwrap();
    let mut turned = link.clone();
    turned.external_id = ExternalId::from(right);
    bench.relink(turned).await;
    bench.settle().await;
    assert_eq!(
        toy.state().items[&child].fields[&Field::Parent],
        serde_json::json!(right.to_string())
    );
}

/// At first contact both sides have the child under a parent, and the hub does not know the tool's.
#[tokio::test]
async fn rule_24_a_parent_that_was_never_agreed_on_is_not_replaced() {
    let (bench, toy) = one(Habits::exact()).await;
    let child = bench.add("child").await;
    let above = bench.add("parent").await;
    bench.edit(child, Field::Parent, Value::Task(above)).await;
    let (unknown, theirs) = (toy.add("unknown"), toy.add("child"));
    toy.state().unlisted.insert(unknown);
    toy.edit_raw(theirs, Field::Parent, unknown.to_string().into());
    for _ in 0..3 {
        bench.sync(0).await;
        assert_eq!(
            toy.state().items[&theirs].fields[&Field::Parent],
            serde_json::json!(unknown.to_string())
        );
    }
    assert_eq!(bench.links(0).await.len(), 2, "the child is the one that the tool has");
    assert_eq!(bench.store_task(child).await.parent_id, Some(above));
}

/// The key is another user's, who sees the project but not all of its items.
#[tokio::test]
async fn rule_20_what_another_user_does_not_see_is_not_gone() {
    let toy = Toy::new("toy", Habits::exact());
    let bench = Bench::with(vec![toy.clone()], |settings| {
        settings.options.deletions = DeletionPolicy::Delete
    })
    .await;
    let (hidden, seen) = (toy.add("hidden"), toy.add("seen"));
    bench.settle().await;
    let item = toy.state().items.remove(&hidden).unwrap();
    toy.state().user = 7;
    for _ in 0..3 {
        let end = bench.sync(0).await;
        let skipped = end.report.items.iter().find(|item| item.title == "hidden").unwrap();
        assert!(skipped.detail.contains("another user's"), "{skipped:?}");
    }
    assert!(bench.tasks().await.values().all(|task| !task.is_deleted()));
    // Once the new user sees all that was seen before, what then goes is gone.
    toy.state().items.insert(hidden, item);
    bench.settle().await;
    toy.delete(seen);
    bench.settle().await;
    assert!(bench.task("seen").await.is_deleted());
    assert!(!bench.task("hidden").await.is_deleted());
}

/// The tool has no place for the hub's value and comes up with one of its own: nothing was agreed on, so its value does not
/// replace the hub's unseen, and the hub's goes out once it can be held.
#[tokio::test]
async fn rule_7_what_the_tool_could_not_take_is_not_replaced_by_what_it_puts_there() {
    let (bench, toy) = one(Habits::exact()).await;
    let task = bench.add("task").await;
    let tags = |words: &[&str]| Value::tags(words.iter().map(|word| (*word).to_owned()).collect());
    bench.edit(task, Field::Tags, tags(&["red, green"])).await;
    bench.sync(0).await;
    let id = toy.find("task")[0];
    toy.edit(id, Field::Tags, &tags(&["blue"]));
    bench.sync(0).await;
    assert_eq!(bench.store_task(task).await.get(Field::Tags), tags(&["red, green"]));
    assert_eq!(bench.conflicts().await.len(), 1);
    bench.edit(task, Field::Tags, tags(&["red"])).await;
    bench.sync(0).await;
    assert_eq!(bench.conflicts().await.len(), 1, "still for a person to decide");
}

/// While a run has planned to take an item over, another connection takes over one of the same title.
#[tokio::test]
async fn rule_15_what_appears_between_plan_and_commit_is_matched_again() {
    let (bench, toy) = one(Habits::exact()).await;
    let contested = toy.add("contested");
    bench.sync(0).await;
    let task = bench.task("contested").await;
    bench.edit(task.id, Field::Description, Value::text("ours")).await;
    toy.edit(contested, Field::Description, &Value::text("theirs"));
    let id = toy.add("new");
    // Between plan and commit the tool is asked who made the conflicting edit.
    let (store, project) = (bench.store.clone(), bench.project);
    toy.state().when_asked_who = Some(Happening(Box::new(move || {
        let task = Task::new(project, "new", "2026-11-22T12:00:00Z".parse().unwrap());
        let unit = Unit {
            tasks: vec![TaskWrite::Insert {
                task: Box::new(task),
                guard: None,
            }],
            ..Unit::default()
        };
        let commit = store.commit(Fence::Hub, Changeset::of(vec![unit]));
        let done = commit.now_or_never().expect("the store in memory never waits");
        assert!(done.unwrap().stale.is_empty());
    })));
    bench.sync(0).await;
    assert!(toy.state().when_asked_who.is_none(), "it happened");
    let made = bench.task("new").await;
    let link = bench.links(0).await.into_iter().find(|link| link.task_id == made.id);
    assert_eq!(link.map(|link| link.external_id), Some(ExternalId::from(id)));
}

/// The create's answer is lost, and somebody edits what it made. With a marker it is surely ours, and the edit is an edit;
/// by its title alone it may be a stranger's: then what differs is for a person to decide.
#[tokio::test]
async fn rule_19_what_was_sent_is_what_the_sides_agree_on_after_an_adoption() {
    for marker in [true, false] {
        let (bench, toy) = one(Habits {
            marker,
            ..Habits::exact()
        })
        .await;
        let task = bench.add("task").await;
        bench.edit(task, Field::Description, Value::text("sent")).await;
        toy.state().mishaps.push(Mishap::AnswerLost);
        bench.sync(0).await;
        let id = toy.find("task")[0];
        toy.edit(id, Field::Description, &Value::text("edited since"));
        bench.settle().await;
        let open = bench.conflicts().await.len();
        let description = bench.store_task(task).await.description;
        let expected = if marker { (0, "edited since") } else { (1, "sent") };
        assert_eq!(
            (open, description.as_deref()),
            (expected.0, Some(expected.1)),
            "marker: {marker}"
        );
        assert_eq!(toy.value(id, Field::Description), Value::text("edited since"));
        // What was sent and stands there is agreed on: an edit of the hub goes out.
        bench.edit(task, Field::Title, Value::text("renamed")).await;
        bench.settle().await;
        assert_eq!(toy.value(id, Field::Title), Value::text("renamed"));
    }
}

/// The project is listed as open, and reads as closed when an item of it is missing.
#[tokio::test]
async fn rule_20_an_absence_in_a_project_that_does_not_read_as_open_proves_nothing() {
    for habits in [Habits::exact(), Habits::loose()] {
        let (bench, toy) = one(habits).await;
        let id = toy.add("task");
        bench.sync(0).await;
        toy.delete(id);
        toy.state().closing.insert(1);
        let end = bench.sync(0).await;
        let link = &bench.links(0).await[0];
        assert_eq!((link.state, link.absent_since), (LinkState::Live, None), "{end:?}");
        assert!(end.report.items[0].detail.contains("closed"), "{end:?}");
        toy.state().closing.clear();
        bench.sync(0).await;
        assert_eq!(bench.links(0).await[0].state, LinkState::GoneRemote);
    }
}

/// Each side puts one of two tasks below the other one: taking both would close a circle.
#[tokio::test]
async fn rule_25_a_parent_that_would_close_a_circle_is_for_a_person_to_decide() {
    let (bench, toy) = one(Habits::exact()).await;
    let (a, b) = (toy.add("a"), toy.add("b"));
    bench.sync(0).await;
    let [hub_a, hub_b] = [bench.task("a").await.id, bench.task("b").await.id];
    bench.edit(hub_a, Field::Parent, Value::Task(hub_b)).await;
    toy.edit_raw(b, Field::Parent, a.to_string().into());
    bench.sync(0).await;
    assert_eq!(bench.store_task(hub_b).await.parent_id, None);
    let conflicts = bench.conflicts().await;
    let fields: Vec<_> = conflicts
        .iter()
        .map(|conflict| (conflict.task_id, conflict.field))
        .collect();
    assert_eq!(fields, [(hub_b, Field::Parent)]);
}

/// Each of three tasks gets a parent, two in the tool and one in the hub: any two may be, all three close a circle.
#[tokio::test]
async fn rule_25_parents_that_are_taken_over_together_close_no_circle() {
    let (bench, toy) = one(Habits::exact()).await;
    let [a, b, c] = ["a", "b", "c"].map(|title| toy.add(title));
    bench.sync(0).await;
    let hub = [
        bench.task("a").await.id,
        bench.task("b").await.id,
        bench.task("c").await.id,
    ];
    toy.edit_raw(a, Field::Parent, b.to_string().into());
    toy.edit_raw(c, Field::Parent, a.to_string().into());
    bench.edit(hub[1], Field::Parent, Value::Task(hub[2])).await;
    bench.sync(0).await;
    let mut at = Some(hub[0]);
    for _ in 0..3 {
        let Some(task) = at else { break };
        at = bench.store_task(task).await.parent_id;
    }
    assert_eq!(at, None, "the way up has an end");
    assert!(
        bench
            .conflicts()
            .await
            .iter()
            .any(|conflict| conflict.field == Field::Parent)
    );
}

/// Parent and child change places in the tool: that is no conflict.
#[tokio::test]
async fn rule_25_a_parent_and_a_child_that_change_places_are_no_circle() {
    for first_is_child in [true, false] {
        let (bench, toy) = one(Habits::exact()).await;
        let (one, two) = (toy.add("one"), toy.add("two"));
        let (child, parent) = if first_is_child { (one, two) } else { (two, one) };
        toy.edit_raw(child, Field::Parent, parent.to_string().into());
        bench.settle().await;
        toy.edit_raw(child, Field::Parent, serde_json::Value::Null);
        toy.edit_raw(parent, Field::Parent, child.to_string().into());
        let end = bench.sync(0).await;
        assert_eq!(end.state, RunState::Completed, "{end:?}");
        assert!(bench.conflicts().await.is_empty());
        let (of_child, of_parent) = if first_is_child { ("one", "two") } else { ("two", "one") };
        let above = bench.task(of_child).await;
        assert_eq!(above.parent_id, None);
        assert_eq!(bench.task(of_parent).await.parent_id, Some(above.id));
    }
}

/// The same the other way round: the tool refuses whatever closes a circle as it stands there.
#[tokio::test]
async fn rule_25_a_parent_and_a_child_that_change_places_in_the_hub_do_so_in_the_tool() {
    for first_is_child in [true, false] {
        let (bench, toy) = one(Habits::exact()).await;
        toy.state().refuses_circles = true;
        let (one, two) = (toy.add("one"), toy.add("two"));
        let (child, parent) = if first_is_child { (one, two) } else { (two, one) };
        toy.edit_raw(child, Field::Parent, parent.to_string().into());
        bench.settle().await;
        let (of_child, of_parent) = if first_is_child { ("one", "two") } else { ("two", "one") };
        let (of_child, of_parent) = (bench.task(of_child).await.id, bench.task(of_parent).await.id);
        bench.edit(of_child, Field::Parent, Value::Empty).await;
        bench.edit(of_parent, Field::Parent, Value::Task(of_child)).await;
        bench.settle().await;
        let above = |id: u64| toy.state().items[&id].fields[&Field::Parent].clone();
        assert_eq!(
            (above(child), above(parent)),
            (serde_json::Value::Null, child.to_string().into())
        );
    }
}

/// A parent in one project, a child in another: a circle across them is one all the same.
#[tokio::test]
async fn rule_25_no_circle_is_closed_across_projects() {
    let (bench, toy) = one(Habits::exact()).await;
    toy.state().projects.insert(2, ("Aaa".to_owned(), true));
    let (a, b) = (toy.add("a"), toy.add("b"));
    bench.settle().await;
    let (of_a, of_b) = (bench.task("a").await.id, bench.task("b").await.id);
    toy.state().refuses_circles = true;
    bench.edit(of_b, Field::Parent, Value::Task(of_a)).await;
    toy.move_to(b, 2);
    toy.edit_raw(a, Field::Parent, b.to_string().into());
    bench.settle().await;
    let mut seen = Vec::new();
    let mut next = Some(of_a);
    while let Some(task) = next {
        assert!(!seen.contains(&task), "a circle");
        seen.push(task);
        next = bench.store_task(task).await.parent_id;
    }
    assert!(!bench.conflicts().await.is_empty(), "a person is asked");
}

/// A task is brought back while the key is one of a user who does not see its item.
#[tokio::test]
async fn rule_20_a_task_whose_item_another_user_does_not_see_is_not_made_anew() {
    let (bench, toy) = one(Habits::exact()).await;
    let id = toy.add("task");
    toy.add("seen");
    bench.settle().await;
    let task = bench.task("task").await.id;
    bench.delete(task).await;
    bench.settle().await;
    let item = toy.state().items.remove(&id).unwrap();
    toy.state().user = 7;
    Hub::new(Arc::new(bench.store.clone()))
        .restore_task(task)
        .await
        .unwrap();
    for _ in 0..3 {
        let end = bench.sync(0).await;
        let skipped = end.report.items.iter().find(|item| item.title == "task").unwrap();
        assert!(skipped.detail.contains("another user's"), "{skipped:?}");
    }
    assert_eq!(toy.state().creates, 0);
    toy.state().items.insert(id, item);
    bench.settle().await;
    assert_eq!((toy.find("task"), bench.links(0).await.len()), (vec![id], 2));
}

/// The tool's parent is not known yet: it is no agreement on none, and is taken over once it is.
#[tokio::test]
async fn rule_7_what_could_not_be_told_is_taken_over_once_it_can() {
    let (bench, toy) = one(Habits::exact()).await;
    let (parent, child) = (toy.add("parent"), toy.add("child"));
    let later = toy.add("later");
    toy.state().unlisted.insert(parent);
    toy.edit_raw(child, Field::Parent, parent.to_string().into());
    bench.sync(0).await;
    assert_eq!(bench.task("child").await.parent_id, None);
    toy.edit_raw(later, Field::Parent, parent.to_string().into());
    bench.sync(0).await;
    assert_eq!(bench.task("later").await.parent_id, None);
    toy.state().unlisted.clear();
    toy.edit(parent, Field::Description, &Value::text("seen now"));
    bench.settle().await;
    let above = Some(bench.task("parent").await.id);
    assert_eq!(
        bench.task("child").await.parent_id,
        above,
        "unknown when it was taken over"
    );
    assert_eq!(bench.task("later").await.parent_id, above, "unknown when it changed");
}

/// A conflict is held, its item is not listed, and no version would refuse a write that was decided on what the tool no
/// longer has.
#[tokio::test]
async fn rule_13_what_is_not_listed_is_not_unchanged_where_no_version_tells() {
    let (bench, toy) = one(Habits {
        versions: false,
        ..Habits::exact()
    })
    .await;
    let id = toy.add("task");
    bench.sync(0).await;
    let task = bench.task("task").await.id;
    bench.edit(task, Field::Description, Value::text("ours")).await;
    toy.edit(id, Field::Description, &Value::text("theirs"));
    bench.sync(0).await;
    toy.add("later");
    bench.sync(0).await;
    bench.edit(task, Field::Status, Value::Status(Status::Review)).await;
    let request = RunRequest::new(bench.toys[0].1).trigger(Trigger::Ripple);
    bench.try_request(request).await.unwrap();
    assert_eq!(toy.value(id, Field::Status), Value::Status(Status::Review));
    assert_eq!(toy.value(id, Field::Description), Value::text("theirs"));
    assert_eq!(bench.conflicts().await[0].state, ConflictState::Open);
}

/// The hub takes its side of a conflict back: the tool's edit, which no list shows any more, is taken over.
#[tokio::test]
async fn rule_13_what_is_in_conflict_is_read_although_nothing_else_asks_for_it() {
    let (bench, toy) = one(Habits::exact()).await;
    let id = toy.add("task");
    toy.edit(id, Field::Description, &Value::text("old"));
    bench.sync(0).await;
    let task = bench.task("task").await.id;
    bench.edit(task, Field::Description, Value::text("ours")).await;
    toy.edit(id, Field::Description, &Value::text("theirs"));
    bench.sync(0).await;
    toy.add("later");
    bench.sync(0).await;
    bench.edit(task, Field::Description, Value::text("old")).await;
    let request = RunRequest::new(bench.toys[0].1).trigger(Trigger::Ripple);
    bench.try_request(request).await.unwrap();
    assert_eq!(bench.store_task(task).await.description.as_deref(), Some("theirs"));
    assert_eq!(bench.conflicts().await[0].state, ConflictState::Closed);
}
