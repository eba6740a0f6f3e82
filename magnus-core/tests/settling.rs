//! What becomes of writes that came late, half of a batch, or not at all where the key may not write.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod support;

use std::sync::Arc;

use magnus_core::hub::{Finding, Hub};
use magnus_core::model::{
    ConflictPolicy, DeletionPolicy, ExternalId, Field, IntentOperation, MatchPolicy, Priority, Rule, RunRequest,
    RunState, Side, Status, Value,
};
use magnus_core::store::{Changeset, Fence, HubStore, LinkStore, TaskStore, Unit};
use support::bench::Bench;
use support::toy::{Habits, Mishap, Toy};

async fn one(habits: Habits) -> (Bench, Toy) {
    let toy = Toy::new("toy", habits);
    (Bench::new(vec![toy.clone()]).await, toy)
}

async fn open_intents(bench: &Bench) -> usize {
    bench.store.unsettled_intents(bench.toys[0].1).await.unwrap().len()
}

/// The request waited for its turn for longer than a request takes, and left at last: what it makes may still come.
#[tokio::test]
async fn a_lost_create_is_waited_for_from_when_it_can_have_left_and_not_from_when_it_was_written_down() {
    let (bench, toy) = one(Habits::exact()).await;
    bench.add("new").await;
    toy.state().slow = Some((Arc::clone(&bench.clock), 300));
    toy.state().mishaps = vec![Mishap::NeverArrived];
    bench.run(RunRequest::new(bench.toys[0].1)).await;
    toy.state().slow = None;
    assert_eq!(open_intents(&bench).await, 1);
    // The bench waits two minutes before each run.
    bench.clock.advance(-119);
    let run = bench.run(RunRequest::new(bench.toys[0].1)).await;
    assert_eq!(toy.state().creates, 0, "{run:?}");
    assert!(run.report.problems[0].contains("may still be on its way"), "{run:?}");
    bench.run(RunRequest::new(bench.toys[0].1)).await;
    bench.run(RunRequest::new(bench.toys[0].1)).await;
    assert_eq!((toy.find("new").len(), open_intents(&bench).await), (1, 0));
}

#[tokio::test]
async fn what_came_through_in_a_batch_that_ends_the_run_is_on_record() {
    let (bench, toy) = one(Habits::loose()).await;
    for number in 0..4 {
        bench.add(&format!("task {number}")).await;
    }
    toy.state().mishaps = vec![Mishap::Refused, Mishap::Refused, Mishap::Refused];
    let error = bench.try_sync(0).await.unwrap_err();
    assert!(error.to_string().contains("500"), "{error}");
    assert_eq!(toy.state().creates, 1);
    assert_eq!((bench.links(0).await.len(), open_intents(&bench).await), (1, 0));
    bench.settle().await;
    assert_eq!((bench.links(0).await.len(), toy.state().creates), (4, 4));
}

#[tokio::test]
async fn a_project_in_which_nothing_may_be_written_holds_no_other_project_up() {
    for habits in [Habits::exact(), Habits::loose()] {
        let (bench, toy) = one(habits).await;
        toy.state().projects.insert(2, ("Beta".to_owned(), true));
        let here: Vec<u64> = (0..9).map(|number| toy.add(&format!("task {number}"))).collect();
        let there = toy.add_to(2, "elsewhere");
        bench.sync(0).await;
        for number in 0..9 {
            let task = bench.task(&format!("task {number}")).await;
            bench.edit(task.id, Field::Status, Value::Status(Status::Done)).await;
        }
        let links = bench.links(0).await;
        let link = links.iter().find(|link| link.external_id.as_str() == there.to_string());
        bench
            .edit(link.unwrap().task_id, Field::Status, Value::Status(Status::Done))
            .await;
        toy.state().forbidden.insert(1);
        let before = toy.state().writes;
        let end = bench.sync(0).await;
        assert_eq!(end.state, RunState::Partial, "{end:?}");
        assert!(
            end.message
                .unwrap()
                .contains("the key may not write in project \"Alpha\"")
        );
        assert_eq!(toy.state().writes, before + 1);
        assert_eq!(toy.value(there, Field::Status), Value::Status(Status::Done));
        let counts = end.report.counts.tasks;
        assert_eq!(counts.failed + counts.skipped, 9, "{counts:?}");
        // Once it may, all goes out.
        toy.state().forbidden.clear();
        bench.settle().await;
        for id in here {
            assert_eq!(toy.value(id, Field::Status), Value::Status(Status::Done));
        }
    }
}

/// A search that finds nothing proves nothing while the project is closed to us, or if the next search finds it.
#[tokio::test]
async fn rule_20_a_lost_create_that_is_not_found_is_not_believed_to_be_lost_at_once() {
    for closed in [true, false] {
        let (bench, toy) = one(Habits::exact()).await;
        bench.sync(0).await;
        let task = bench.add("new").await;
        toy.state().mishaps = vec![Mishap::AnswerLost];
        bench.sync(0).await;
        toy.state().blind_searches = 1;
        if closed {
            toy.state().closing.insert(1);
        }
        let end = bench.sync(0).await;
        assert_eq!((open_intents(&bench).await, toy.state().creates), (1, 1), "{end:?}");
        toy.state().closing.clear();
        bench.settle().await;
        assert_eq!((bench.tasks().await.len(), toy.state().items.len()), (1, 1));
        assert_eq!(bench.links(0).await[0].task_id, task);
    }
}

/// The key is another user's, whose new items do not tell what the first one has made.
#[tokio::test]
async fn rule_20_what_another_user_has_sent_is_not_sent_again_unseen() {
    let (bench, toy) = one(Habits::exact()).await;
    bench.add("new").await;
    toy.state().mishaps = vec![Mishap::AnswerLost];
    bench.sync(0).await;
    toy.state().user = 7;
    for item in toy.state().items.values_mut() {
        item.ours = false;
    }
    let hub = Hub::new(Arc::new(bench.store.clone()));
    for _ in 0..3 {
        bench.sync(0).await;
        assert!(hub.uncertain(None).await.unwrap().is_empty(), "the key may come back");
    }
    bench.clock.advance(3600);
    bench.sync(0).await;
    assert_eq!((bench.tasks().await.len(), toy.state().creates), (1, 1));
    assert_eq!(hub.uncertain(None).await.unwrap().len(), 1, "a person says");
}

/// An entry of the journal from before it told who had sent it.
#[tokio::test]
async fn rule_20_a_create_of_whoever_it_was_is_not_sent_again_by_another_user() {
    let (bench, toy) = one(Habits::exact()).await;
    bench
        .set(0, |settings| settings.options.matching = MatchPolicy::None)
        .await;
    toy.add("there");
    bench.sync(0).await;
    bench.add("new").await;
    toy.state().mishaps = vec![Mishap::AnswerLost];
    bench.sync(0).await;
    let mut intent = bench.store.unsettled_intents(bench.toys[0].1).await.unwrap().remove(0);
    let IntentOperation::Create { sent_as, .. } = &mut intent.operation else {
        panic!("{intent:?}")
    };
    assert_eq!(sent_as.take(), Some(ExternalId::from(1)));
    let unit = Unit {
        intents: vec![intent],
        ..Unit::default()
    };
    bench.store.commit(Fence::Hub, Changeset::of(vec![unit])).await.unwrap();
    toy.state().user = 7;
    for item in toy.state().items.values_mut() {
        item.ours = false;
    }
    for _ in 0..3 {
        bench.sync(0).await;
        assert_eq!(toy.state().creates, 1);
    }
    bench.clock.advance(3600);
    bench.sync(0).await;
    assert_eq!((bench.tasks().await.len(), toy.state().creates), (2, 1));
    let hub = Hub::new(Arc::new(bench.store.clone()));
    assert_eq!(hub.uncertain(None).await.unwrap().len(), 1);
}

/// The key is another user's than the one who saw all that was there; what this one has sent is looked for among his.
#[tokio::test]
async fn a_create_of_the_present_user_is_sent_again_whoever_was_there_before() {
    let (bench, toy) = one(Habits::exact()).await;
    let hidden = toy.add("hidden");
    bench.sync(0).await;
    toy.state().items.remove(&hidden);
    toy.state().user = 7;
    bench.sync(0).await;
    bench.add("new").await;
    toy.state().mishaps = vec![Mishap::NeverArrived];
    bench.sync(0).await;
    bench.sync(0).await;
    assert_eq!((toy.find("new").len(), open_intents(&bench).await), (1, 0));
}

#[tokio::test]
async fn a_project_that_the_tool_fails_to_show_holds_no_other_project_up() {
    let (bench, toy) = one(Habits::exact()).await;
    toy.state().projects.insert(2, ("Beta".to_owned(), true));
    let there = toy.add_to(2, "elsewhere");
    bench.sync(0).await;
    bench.add("new").await;
    toy.state().mishaps = vec![Mishap::NeverArrived];
    bench.sync(0).await;
    toy.state().unreadable_projects.insert(1);
    let links = bench.links(0).await;
    bench
        .edit(links[0].task_id, Field::Status, Value::Status(Status::Done))
        .await;
    let end = bench.sync(0).await;
    assert_eq!(end.state, RunState::Partial, "{end:?}");
    assert_eq!(toy.value(there, Field::Status), Value::Status(Status::Done));
    assert_eq!(toy.state().creates, 0, "not sent again unseen");
    toy.state().unreadable_projects.clear();
    bench.settle().await;
    assert_eq!(toy.find("new").len(), 1);
}

/// The item of a lost change, or of a lost deletion, is not there when it is looked for, and is there again right after.
#[tokio::test]
async fn rule_20_an_item_that_is_not_seen_once_settles_nothing() {
    for (deletes, closed) in [(false, true), (false, false), (true, true), (true, false)] {
        let toy = Toy::new("toy", Habits::exact());
        let bench = Bench::with(vec![toy.clone()], |settings| {
            settings.options.deletions = DeletionPolicy::Delete;
        })
        .await;
        let id = toy.add("task");
        bench.sync(0).await;
        let task = bench.task("task").await.id;
        if deletes {
            bench.delete(task).await;
        } else {
            bench.edit(task, Field::Status, Value::Status(Status::Done)).await;
        }
        toy.state().mishaps = vec![Mishap::NeverArrived];
        bench.sync(0).await;
        toy.state().blinks.insert(id, 1);
        if closed {
            toy.state().closing.insert(1);
        }
        bench.sync(0).await;
        assert_eq!(open_intents(&bench).await, usize::from(closed));
        toy.state().closing.clear();
        toy.state().blinks.clear();
        bench.settle().await;
        if deletes {
            assert!(toy.state().items.is_empty());
        } else {
            assert_eq!(toy.value(id, Field::Status), Value::Status(Status::Done));
        }
        assert_eq!(open_intents(&bench).await, 0);
    }
}

#[tokio::test]
async fn an_item_that_the_tool_fails_to_show_holds_nobody_else_up() {
    let (bench, toy) = one(Habits::exact()).await;
    let (ill, well) = (toy.add("ill"), toy.add("well"));
    bench.sync(0).await;
    let task = bench.task("ill").await.id;
    bench.edit(task, Field::Status, Value::Status(Status::Done)).await;
    toy.state().mishaps = vec![Mishap::AnswerLost];
    bench.sync(0).await;
    toy.state().unreadable.insert(ill);
    let other = bench.task("well").await.id;
    bench.edit(other, Field::Status, Value::Status(Status::Done)).await;
    let end = bench.sync(0).await;
    assert_eq!(end.state, RunState::Partial, "{end:?}");
    assert!(end.report.problems[0].contains("500"), "{end:?}");
    assert_eq!(toy.value(well, Field::Status), Value::Status(Status::Done));
    toy.state().unreadable.clear();
    bench.settle().await;
    assert_eq!(open_intents(&bench).await, 0);
}

/// Three items in a row that cannot be shown: it is not those items that are to blame.
#[tokio::test]
async fn a_tool_that_shows_nothing_ends_the_run() {
    let (bench, toy) = one(Habits::loose()).await;
    let ids: Vec<u64> = (0..4).map(|number| toy.add(&format!("task {number}"))).collect();
    bench.sync(0).await;
    for task in bench.tasks().await.into_keys() {
        bench.edit(task, Field::Status, Value::Status(Status::Done)).await;
    }
    toy.state().mishaps = vec![Mishap::AnswerLost; 4];
    bench.try_sync(0).await.unwrap_err();
    assert_eq!(open_intents(&bench).await, 4);
    toy.state().unreadable.extend(ids.iter().copied());
    let error = bench.try_sync(0).await.unwrap_err();
    assert!(error.to_string().contains("500"), "{error}");
    assert_eq!(open_intents(&bench).await, 4);
    toy.state().unreadable.clear();
    bench.settle().await;
    assert_eq!(open_intents(&bench).await, 0);
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_is_in_the_story_of_its_task_like_any_other() {
    let (bench, toy) = one(Habits::exact()).await;
    let id = toy.add("task");
    bench.sync(0).await;
    let task = bench.task("task").await;
    bench.edit(task.id, Field::Status, Value::Status(Status::Done)).await;
    toy.state().mishaps = vec![Mishap::AnswerLost];
    let lost = bench.run(RunRequest::new(bench.toys[0].1)).await;
    bench.sync(0).await;
    let made = bench.add("made").await;
    toy.state().mishaps = vec![Mishap::AnswerLost];
    let created = bench.run(RunRequest::new(bench.toys[0].1)).await;
    bench.sync(0).await;
    assert_eq!(
        (toy.value(id, Field::Status), toy.find("made").len()),
        (Value::Status(Status::Done), 1)
    );
    for (task, run, field, rule) in [
        (task.id, lost.id, Field::Status, Rule::OneMoved),
        (made, created.id, Field::Title, Rule::Created),
    ] {
        let story = bench.store.history(task).await.unwrap();
        let told = story
            .iter()
            .filter(|entry| entry.side == Side::External && entry.field == Some(field));
        let told: Vec<_> = told.map(|entry| (entry.run_id, entry.rule)).collect();
        assert_eq!(told, [(Some(run), rule)], "{story:#?}");
    }
}

/// The item cannot be read by itself while its change is not settled, and is listed all the same.
#[tokio::test]
async fn what_we_sent_ourselves_is_not_taken_over_from_the_tool_while_it_is_not_settled() {
    let (bench, toy) = one(Habits::exact()).await;
    let id = toy.add("task");
    bench.settle().await;
    let task = bench.task("task").await.id;
    bench.edit(task, Field::Description, Value::text("ours")).await;
    toy.state().mishaps = vec![Mishap::AnswerLost];
    bench.sync(0).await;
    assert_eq!(toy.value(id, Field::Description), Value::text("ours"));
    bench.edit(task, Field::Description, Value::Empty).await;
    toy.edit(id, Field::Priority, &Value::Priority(Priority::High));
    toy.state().unreadable.insert(id);
    let end = bench.sync(0).await;
    assert_eq!(end.state, RunState::Partial, "{end:?}");
    assert_eq!(
        bench.store_task(task).await.description,
        None,
        "what a person took back stays so"
    );
    toy.state().unreadable.clear();
    bench.settle().await;
    assert_eq!(bench.store_task(task).await.description, None);
    assert_eq!(toy.value(id, Field::Description), Value::Empty);
    let task = bench.store_task(task).await;
    assert_eq!(
        task.priority,
        Priority::High,
        "what was listed meanwhile is not forgotten"
    );
}

/// The request of a deletion is still on its way while the task is brought back.
#[tokio::test]
async fn a_late_deletion_is_ours_and_no_reason_to_delete_in_the_hub() {
    let toy = Toy::new("toy", Habits::exact());
    let bench = Bench::with(vec![toy.clone()], |settings| {
        settings.options.deletions = DeletionPolicy::Delete;
    })
    .await;
    let id = toy.add("task");
    bench.settle().await;
    let task = bench.task("task").await.id;
    bench.delete(task).await;
    toy.state().mishaps = vec![Mishap::NeverArrived];
    bench.sync(0).await;
    Hub::new(Arc::new(bench.store.clone()))
        .restore_task(task)
        .await
        .unwrap();
    bench.clock.advance(-119);
    bench.sync(0).await;
    toy.delete(id);
    for _ in 0..3 {
        bench.sync(0).await;
    }
    assert!(!bench.store_task(task).await.is_deleted(), "it was brought back");
    assert_eq!(toy.find("task").len(), 1, "and is made there anew");
}

/// A project is closed while a create in it is not settled: a person can decide, and the others go on after that.
#[tokio::test]
async fn a_lost_create_in_a_closed_project_is_for_a_person_after_a_while() {
    let (bench, toy) = one(Habits::exact()).await;
    toy.state().projects.insert(2, ("Beta".to_owned(), true));
    let other = toy.add_to(2, "other");
    bench.settle().await;
    let links = bench.links(0).await;
    let of_beta = links.iter().find(|link| link.external_id == other.into()).unwrap();
    let beta = bench.store_task(of_beta.task_id).await.project_id;
    let task = bench.add("lost").await;
    bench.move_task(task, beta).await;
    toy.state().mishaps = vec![Mishap::NeverArrived];
    bench.sync(0).await;
    assert_eq!(open_intents(&bench).await, 1);
    toy.state().projects.get_mut(&2).unwrap().1 = false;
    bench.clock.advance(2 * 60 * 60);
    toy.add("new");
    bench.sync(0).await;
    let hub = Hub::new(Arc::new(bench.store.clone()));
    let uncertain = hub.uncertain(None).await.unwrap();
    assert_eq!(uncertain.len(), 1, "it can be decided on");
    hub.settle(uncertain[0].id, Finding::SendAgain).await.unwrap();
    bench.sync(0).await;
    bench.task("new").await;
}

/// A listing lacks an item for a moment, once, and once again much later.
#[tokio::test]
async fn an_absence_counts_only_in_two_runs_one_after_the_other() {
    let toy = Toy::new("toy", Habits::exact());
    let bench = Bench::with(vec![toy.clone()], |settings| {
        settings.options.deletions = DeletionPolicy::Delete;
    })
    .await;
    let (id, other) = (toy.add("task"), toy.add("other"));
    bench.settle().await;
    toy.edit(other, Field::Description, &Value::text("younger"));
    bench.settle().await;
    let task = bench.task("task").await.id;
    for _ in 0..2 {
        toy.state().unlisted.insert(id);
        toy.state().blinks.insert(id, 2);
        bench.sync(0).await;
        assert!(
            bench.links(0).await.iter().any(|link| link.absent_since.is_some()),
            "it blinked"
        );
        toy.state().unlisted.clear();
        bench.sync(0).await;
        assert!(
            bench.links(0).await.iter().all(|link| link.absent_since.is_none()),
            "it is there"
        );
    }
    assert!(!bench.store_task(task).await.is_deleted());
}

/// Without versions a tool takes what comes late as it takes anything else: what is edited since must not be sent before it,
/// or the late one stands in the end and is taken for an edit of the tool's.
#[tokio::test]
async fn a_lost_update_is_not_believed_to_be_lost_at_once_where_the_tool_would_still_take_it() {
    let toy = Toy::new("toy", Habits::loose());
    let bench = Bench::new(vec![toy.clone()]).await;
    let id = toy.add("first");
    bench.settle().await;
    let task = bench.task("first").await.id;
    bench.edit(task, Field::Title, Value::text("second")).await;
    toy.state().mishaps = vec![Mishap::NeverArrived];
    bench.run(RunRequest::new(bench.toys[0].1)).await;
    bench.edit(task, Field::Title, Value::text("third")).await;
    // A person syncs again at once: no time has passed for the tool.
    bench.clock.advance(-120);
    let writes = toy.state().writes;
    let end = bench.sync(0).await;
    assert_eq!((end.state, toy.state().writes), (RunState::Partial, writes), "{end:?}");
    toy.edit(id, Field::Title, &Value::text("second"));
    bench.settle().await;
    assert_eq!(toy.value(id, Field::Title), Value::text("third"));
    assert_eq!(bench.store_task(task).await.title, "third");
}

/// The answer is lost, and the hub is edited again: what stands in the tool is ours, and no edit of the tool's.
#[tokio::test]
async fn rule_4_what_stands_there_as_it_was_sent_is_agreed_on() {
    let (bench, toy) = one(Habits::exact()).await;
    let id = toy.add("task");
    bench.sync(0).await;
    let task = bench.task("task").await.id;
    bench.edit(task, Field::Title, Value::text("first")).await;
    toy.state().mishaps = vec![Mishap::AnswerLost];
    bench.sync(0).await;
    bench.edit(task, Field::Title, Value::text("second")).await;
    bench.settle().await;
    assert_eq!(toy.value(id, Field::Title), Value::text("second"));
    assert!(bench.conflicts().await.is_empty());
}

/// The answer is lost, and somebody sets back what was written: that goes on record before ours is sent again.
#[tokio::test]
async fn rule_4_what_was_set_back_meanwhile_is_on_record() {
    let (bench, toy) = one(Habits::exact()).await;
    let id = toy.add("task");
    toy.edit(id, Field::Description, &Value::text("old"));
    bench.sync(0).await;
    let task = bench.task("task").await.id;
    bench.edit(task, Field::Description, Value::text("ours")).await;
    toy.state().mishaps = vec![Mishap::AnswerLost];
    bench.sync(0).await;
    assert_eq!(toy.value(id, Field::Description), Value::text("ours"));
    toy.edit(id, Field::Description, &Value::text("old"));
    bench.settle().await;
    assert_eq!(toy.value(id, Field::Description), Value::text("ours"));
    let kept: Vec<Value> = bench
        .conflicts()
        .await
        .into_iter()
        .map(|conflict| conflict.remote_value)
        .collect();
    assert_eq!(kept, [Value::text("old")]);
}

/// The hub wins, the answer is lost, and the item is gone before anybody looks: the loser is on record all the same.
#[tokio::test]
async fn rule_5_the_loser_of_a_lost_write_is_on_record_also_if_its_item_is_gone() {
    let toy = Toy::new("toy", Habits::exact());
    let bench = Bench::with(vec![toy.clone()], |settings| {
        settings.options.conflicts = ConflictPolicy::HubWins;
    })
    .await;
    let id = toy.add("task");
    bench.sync(0).await;
    let task = bench.task("task").await.id;
    bench.edit(task, Field::Description, Value::text("ours")).await;
    toy.edit(id, Field::Description, &Value::text("theirs"));
    toy.state().mishaps = vec![Mishap::AnswerLost];
    bench.sync(0).await;
    toy.delete(id);
    bench.settle().await;
    let kept: Vec<Value> = bench
        .conflicts()
        .await
        .into_iter()
        .map(|conflict| conflict.remote_value)
        .collect();
    assert!(kept.contains(&Value::text("theirs")), "{kept:?}");
}
