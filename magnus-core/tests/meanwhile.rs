//! What people do in the hub while a round is on its way to the tool.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod support;

use std::sync::Arc;

use futures::FutureExt;
use magnus_core::hub::{Finding, Hub};
use magnus_core::memory::MemoryStore;
use magnus_core::model::{
    DeletionPolicy, Direction, ExternalId, Field, Link, LinkState, Mapping, RunRequest, RunState, Status, TaskId,
    Trigger, Value,
};
use magnus_core::store::{Changeset, Fence, HubStore, LinkStore, LinkWrite, TaskStore, TaskWrite, Unit};
use support::bench::Bench;
use support::toy::{Habits, Happening, Mishap, Toy};

/// Does something while the next write is on its way.
fn meanwhile(toy: &Toy, happening: impl FnOnce() + Send + 'static) {
    toy.state().when_written = Some(Happening(Box::new(happening)));
}

fn commit(store: &MemoryStore, unit: Unit) {
    let done = store.commit(Fence::Hub, Changeset::of(vec![unit])).now_or_never();
    assert!(done.expect("the store in memory never waits").unwrap().stale.is_empty());
}

fn join(store: &MemoryStore, mapping: &Mapping, task: TaskId, item: u64) {
    let link = Link::new(
        mapping,
        task,
        ExternalId::from(item),
        "2026-11-22T12:00:00Z".parse().unwrap(),
    );
    let write = LinkWrite {
        link: Box::new(link),
        expected: None,
    };
    let links = vec![write];
    commit(
        store,
        Unit {
            links,
            ..Unit::default()
        },
    );
}

fn delete(store: &MemoryStore, task: TaskId) {
    let found = store.tasks(vec![task]).now_or_never().unwrap();
    let mut task = found.unwrap().remove(0);
    let expected = task.version;
    task.deleted_at = Some("2026-11-22T12:00:00Z".parse().unwrap());
    let write = TaskWrite::Update {
        task: Box::new(task),
        expected,
    };
    let tasks = vec![write];
    commit(
        store,
        Unit {
            tasks,
            ..Unit::default()
        },
    );
}

#[tokio::test]
async fn what_is_restored_before_its_deletion_is_sent_stays_in_the_tool() {
    let toy = Toy::new("toy", Habits::exact());
    let bench = Bench::with(vec![toy.clone()], |settings| {
        settings.options.deletions = DeletionPolicy::Delete;
    })
    .await;
    let ids = [toy.add("one"), toy.add("two")];
    bench.sync(0).await;
    let tasks: Vec<TaskId> = bench.tasks().await.into_keys().collect();
    for task in &tasks {
        bench.delete(*task).await;
    }
    let hub = Hub::new(Arc::new(bench.store.clone()));
    let both = tasks.clone();
    meanwhile(&toy, move || {
        for task in both {
            hub.restore_task(task).now_or_never().unwrap().unwrap();
        }
    });
    bench.sync(0).await;
    let left = ids.iter().filter(|id| toy.state().items.contains_key(*id)).count();
    assert_eq!(left, 1, "the first one was on its way already");
    bench.settle().await;
    assert!(bench.tasks().await.values().all(|task| !task.is_deleted()));
    let links = bench.links(0).await;
    assert!(links.iter().all(|link| link.state == LinkState::Live), "{links:#?}");
    assert_eq!(toy.state().items.len(), 2, "it is made there anew");
}

#[tokio::test]
async fn what_is_deleted_or_joined_before_it_is_made_in_the_tool_is_not_made_there() {
    let toy = Toy::new("toy", Habits::exact());
    let bench = Bench::with(vec![toy.clone()], |settings| settings.direction = Direction::Push).await;
    let theirs = toy.add("theirs");
    for title in ["one", "two", "three"] {
        bench.add(title).await;
    }
    let tasks: Vec<TaskId> = bench.tasks().await.into_keys().collect();
    let mapping = bench.store.mappings(bench.toys[0].1).await.unwrap().remove(0);
    let (store, gone, joined) = (bench.store.clone(), tasks[1], tasks[2]);
    meanwhile(&toy, move || {
        delete(&store, gone);
        join(&store, &mapping, joined, theirs);
    });
    bench.sync(0).await;
    assert_eq!(toy.state().creates, 1);
    let linked: Vec<TaskId> = bench.links(0).await.iter().map(|link| link.task_id).collect();
    assert_eq!(linked.len(), 2);
    assert!(linked.contains(&tasks[0]) && linked.contains(&tasks[2]), "{linked:?}");
}

/// A person joins a task with an item of the tool at the very moment when another item is made for it: one of the two is
/// too many, and which one is for the person to say.
#[tokio::test]
async fn rule_17_what_is_joined_while_it_is_made_is_not_taken_over_as_a_new_task() {
    for (made_is_it, renamed) in [(true, false), (false, false), (true, true), (false, true)] {
        let toy = Toy::new("toy", Habits::exact());
        let bench = Bench::with(vec![toy.clone()], |settings| settings.direction = Direction::Push).await;
        let theirs = toy.add("theirs");
        let task = bench.add("ours").await;
        let mapping = bench.store.mappings(bench.toys[0].1).await.unwrap().remove(0);
        let store = bench.store.clone();
        meanwhile(&toy, move || join(&store, &mapping, task, theirs));
        let end = bench.sync(0).await;
        assert_eq!(end.state, RunState::Partial, "{end:?}");
        let made = toy.find("ours")[0];
        if renamed {
            toy.edit(made, Field::Title, &Value::text("renamed since"));
        }
        bench
            .set(0, |settings| settings.direction = Direction::Bidirectional)
            .await;
        for _ in 0..2 {
            bench.sync(0).await;
            assert_eq!(bench.tasks().await.len(), 1, "nothing is taken over");
        }
        let hub = Hub::new(Arc::new(bench.store.clone()));
        let waiting = hub.uncertain(None).await.unwrap();
        assert_eq!((waiting.len(), waiting[0].task_id), (1, task));
        let (finding, item, other) = if made_is_it {
            (Finding::Is(ExternalId::from(made)), made, theirs)
        } else {
            (Finding::SendAgain, theirs, made)
        };
        hub.settle(waiting[0].id, finding).await.unwrap();
        bench.settle().await;
        let links = bench.links(0).await;
        assert_eq!((links.len(), toy.state().items.len()), (2, 2));
        for link in links {
            let wanted = if link.task_id == task { item } else { other };
            assert_eq!(
                (link.external_id, link.state),
                (ExternalId::from(wanted), LinkState::Live)
            );
        }
    }
}

/// Of a change that a person has turned to another item meanwhile, nothing is written to the wrong one.
#[tokio::test]
async fn what_is_turned_to_another_item_is_not_written_to_the_old_one() {
    let toy = Toy::new("toy", Habits::exact());
    let bench = Bench::new(vec![toy.clone()]).await;
    let ids = [toy.add("one"), toy.add("two")];
    bench.sync(0).await;
    let links = bench.links(0).await;
    for link in &links {
        bench
            .edit(link.task_id, Field::Status, Value::Status(Status::Done))
            .await;
    }
    let right = [toy.add("right"), toy.add("right, too")];
    bench.set(0, |settings| settings.direction = Direction::Push).await;
    let store = bench.store.clone();
    meanwhile(&toy, move || {
        for (link, right) in links.into_iter().zip(right) {
            let mut turned = link;
            turned.external_id = ExternalId::from(right);
            let write = LinkWrite {
                expected: Some(turned.version),
                link: Box::new(turned),
            };
            let links = vec![write];
            commit(
                &store,
                Unit {
                    links,
                    ..Unit::default()
                },
            );
        }
    });
    bench.sync(0).await;
    let done = |id: &&u64| toy.value(**id, Field::Status) == Value::Status(Status::Done);
    assert_eq!(
        ids.iter().filter(done).count(),
        1,
        "the first one was on its way already"
    );
}

/// A deletion takes along what is below, and a task that is below comes back while its deletion waits: the deletion of what is
/// above would take it along all the same.
#[tokio::test]
async fn rule_22_what_is_restored_meanwhile_is_not_taken_along_with_what_is_above() {
    let toy = Toy::new("toy", Habits::exact());
    toy.state().cascades = true;
    let bench = Bench::with(vec![toy.clone()], |settings| {
        settings.options.deletions = DeletionPolicy::Delete;
    })
    .await;
    let above = toy.add("above");
    let mut newest = above;
    for title in ["one", "two"] {
        newest = toy.add(title);
        toy.edit_raw(newest, Field::Parent, above.to_string().into());
    }
    bench.settle().await;
    let (parent, tasks) = (bench.task("above").await.id, bench.tasks().await);
    for task in tasks.keys() {
        bench.delete(*task).await;
    }
    let hub = Hub::new(Arc::new(bench.store.clone()));
    meanwhile(&toy, move || {
        for task in tasks.into_keys().filter(|task| *task != parent) {
            hub.restore_task(task).now_or_never().unwrap().unwrap();
        }
    });
    bench.sync(0).await;
    bench.settle().await;
    let left: Vec<u64> = toy.state().items.keys().copied().filter(|id| *id <= newest).collect();
    assert_eq!(left.len(), 2, "the first one was on its way already: {left:?}");
    assert!(left.contains(&above));
    assert_eq!(toy.state().items.len(), 3, "and is made there anew");
    let of_item: Vec<TaskId> = bench
        .links(0)
        .await
        .into_iter()
        .filter(|link| link.state == LinkState::Live)
        .map(|link| link.task_id)
        .collect();
    assert_eq!(of_item.len(), 3);
    for task in of_item {
        assert!(!bench.store_task(task).await.is_deleted());
    }
}

/// The deletion of what is below waits after a failure: what is above waits for it, and its deletion is not taken back.
#[tokio::test]
async fn rule_22_a_deletion_waits_for_what_is_below_and_is_not_taken_back() {
    let toy = Toy::new("toy", Habits::exact());
    toy.state().cascades = true;
    let bench = Bench::with(vec![toy.clone()], |settings| {
        settings.options.deletions = DeletionPolicy::Delete;
    })
    .await;
    let (above, below) = (toy.add("above"), toy.add("below"));
    toy.edit_raw(below, Field::Parent, above.to_string().into());
    bench.settle().await;
    let tasks: Vec<TaskId> = bench.tasks().await.into_keys().collect();
    for task in &tasks {
        bench.delete(*task).await;
    }
    for _ in 0..2 {
        // Each time what is below goes first, and fails; between the two nobody asks for a run.
        toy.state().mishaps = vec![Mishap::Refused];
        for trigger in [Trigger::Manual, Trigger::Schedule] {
            let request = RunRequest::new(bench.toys[0].1).trigger(trigger);
            bench.clock.advance(-119);
            bench.try_request(request).await.unwrap();
            assert_eq!(toy.state().items.len(), 2);
            for task in &tasks {
                assert!(bench.store_task(*task).await.is_deleted());
            }
        }
    }
    bench.sync(0).await;
    bench.sync(0).await;
    assert!(toy.state().items.is_empty());
}

/// A child with a child of its own is moved out of what is deleted, to a place that is made in the same run.
#[tokio::test]
async fn rule_22_what_is_moved_out_takes_what_is_below_it_along() {
    let toy = Toy::new("toy", Habits::exact());
    toy.state().cascades = true;
    let bench = Bench::with(vec![toy.clone()], |settings| {
        settings.options.deletions = DeletionPolicy::Delete;
    })
    .await;
    let (top, middle, low) = (toy.add("top"), toy.add("middle"), toy.add("low"));
    toy.edit_raw(middle, Field::Parent, top.to_string().into());
    toy.edit_raw(low, Field::Parent, middle.to_string().into());
    bench.settle().await;
    let new = bench.add("new").await;
    let task = bench.task("middle").await.id;
    bench.edit(task, Field::Parent, Value::Task(new)).await;
    let top_task = bench.task("top").await.id;
    bench.delete(top_task).await;
    bench.settle().await;
    assert!(bench.store_task(top_task).await.is_deleted(), "what the person deleted");
    let left: Vec<bool> = [top, middle, low]
        .iter()
        .map(|id| toy.state().items.contains_key(id))
        .collect();
    assert_eq!(left, [false, true, true]);
}

/// A task is brought back while its item is put into the archive.
#[tokio::test]
async fn what_is_brought_back_while_it_is_archived_keeps_its_status() {
    let toy = Toy::new("toy", Habits::exact()).with_archive();
    let bench = Bench::with(vec![toy.clone()], |settings| {
        settings.options.deletions = DeletionPolicy::Archive;
    })
    .await;
    let id = toy.add("task");
    bench.settle().await;
    let task = bench.task("task").await.id;
    bench.edit(task, Field::Status, Value::Status(Status::InProgress)).await;
    bench.settle().await;
    bench.delete(task).await;
    let hub = Hub::new(Arc::new(bench.store.clone()));
    meanwhile(&toy, move || {
        hub.restore_task(task)
            .now_or_never()
            .expect("the store in memory never waits")
            .unwrap();
    });
    bench.sync(0).await;
    assert!(toy.state().when_written.is_none(), "it happened");
    bench.settle().await;
    assert_eq!(bench.store_task(task).await.status, Status::InProgress);
    assert_eq!(toy.value(id, Field::Status), Value::Status(Status::InProgress));
}

/// The hub is edited while its first edit is on its way, and the answer comes: the base is what was sent.
#[tokio::test]
async fn rule_3_what_is_edited_while_the_write_is_on_its_way_goes_out_next() {
    for habits in [Habits::exact(), Habits::loose()] {
        let toy = Toy::new("toy", habits);
        let bench = Bench::new(vec![toy.clone()]).await;
        let id = toy.add("task");
        bench.sync(0).await;
        let task = bench.task("task").await.id;
        bench.edit(task, Field::Description, Value::text("first")).await;
        let hub = Hub::new(Arc::new(bench.store.clone()));
        meanwhile(&toy, move || {
            let patch = [(Field::Description, Value::text("second"))].into_iter().collect();
            let edit = hub.edit_task(task, patch).now_or_never();
            edit.expect("the store in memory never waits").unwrap();
        });
        bench.settle().await;
        assert_eq!(toy.value(id, Field::Description), Value::text("second"));
        assert!(bench.conflicts().await.is_empty());
    }
}
