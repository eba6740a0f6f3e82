//! One connection, one hub: what a run does to both.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod support;

use magnus_core::engine::RunErrorKind;
use magnus_core::model::{
    ConflictPolicy, ConflictState, DeletionPolicy, Direction, Field, LinkState, RunRequest, RunState, Scope, Status,
    Value,
};
use magnus_core::store::RunStore;
use support::bench::Bench;
use support::toy::{Habits, Mishap, Toy};

async fn one(habits: Habits) -> (Bench, Toy) {
    let toy = Toy::new("toy", habits);
    (Bench::new(vec![toy.clone()]).await, toy)
}

#[tokio::test]
async fn a_first_run_pulls_and_pushes_and_the_second_is_quiet() {
    for habits in [Habits::exact(), Habits::loose()] {
        let (bench, toy) = one(habits).await;
        let parent = toy.add("parent");
        let child = toy.add("child");
        toy.edit_raw(child, Field::Parent, parent.to_string().into());
        toy.edit(child, Field::Description, &Value::text("words"));
        bench.add("from the hub").await;
        let end = bench.sync(0).await;
        assert_eq!(end.state, RunState::Completed, "{end:?}");
        assert_eq!(end.report.counts.tasks.created, 3, "{end:?}");
        let child = bench.task("child").await;
        assert_eq!(child.parent_id, Some(bench.task("parent").await.id));
        assert_eq!(child.description.as_deref(), Some("words"));
        assert_eq!(toy.find("from the hub").len(), 1);
        let before = bench.writes();
        let end = bench.sync(0).await;
        assert_eq!(bench.writes(), before, "{end:?}");
        assert_eq!(
            (end.report.counts.tasks.unchanged, end.report.counts.tasks.total()),
            (3, 3),
            "{end:?}"
        );
    }
}

#[tokio::test]
async fn different_fields_of_one_item_merge_and_a_clear_is_carried() {
    let (bench, toy) = one(Habits::exact()).await;
    let id = toy.add("task");
    toy.edit(id, Field::Description, &Value::text("old"));
    bench.sync(0).await;
    let task = bench.task("task").await;
    bench.edit(task.id, Field::Status, Value::Status(Status::Done)).await;
    toy.edit(id, Field::DueDate, &Value::Date("2026-12-24".parse().unwrap()));
    bench.edit(task.id, Field::Description, Value::Empty).await;
    bench.sync(0).await;
    let task = bench.task("task").await;
    assert_eq!(task.due_date, Some("2026-12-24".parse().unwrap()));
    assert_eq!(toy.value(id, Field::Status), Value::Status(Status::Done));
    assert_eq!(toy.value(id, Field::Description), Value::Empty);
    assert!(bench.conflicts().await.is_empty());
}

#[tokio::test]
async fn rule_10_a_held_conflict_holds_its_field_alone_and_is_written_once() {
    let (bench, toy) = one(Habits::exact()).await;
    let id = toy.add("task");
    bench.sync(0).await;
    let task = bench.task("task").await;
    bench.edit(task.id, Field::Description, Value::text("hub")).await;
    bench.edit(task.id, Field::Status, Value::Status(Status::Review)).await;
    toy.edit(id, Field::Description, &Value::text("tool"));
    let end = bench.sync(0).await;
    assert_eq!(end.report.counts.tasks.conflicted, 1, "{end:?}");
    let said = &end.report.items[0].detail;
    assert!(said.starts_with("conflict: description: both sides differ"), "{said}");
    assert_eq!(toy.value(id, Field::Status), Value::Status(Status::Review));
    let before = bench.writes();
    bench.sync(0).await;
    assert_eq!(bench.writes(), before);
    toy.edit(id, Field::Description, &Value::text("tool again"));
    bench.sync(0).await;
    let conflicts = bench.conflicts().await;
    assert_eq!(conflicts.len(), 1);
    assert_eq!(
        (conflicts[0].state, &conflicts[0].remote_value),
        (ConflictState::Open, &Value::text("tool again"))
    );
    toy.edit(id, Field::Description, &Value::text("hub"));
    bench.sync(0).await;
    assert_eq!(bench.conflicts().await[0].state, ConflictState::Closed);
}

#[tokio::test]
async fn a_conflict_stays_open_until_the_tool_has_taken_the_value_that_won() {
    let (bench, toy) = one(Habits::exact()).await;
    let id = toy.add("task");
    bench.sync(0).await;
    let task = bench.task("task").await;
    bench.edit(task.id, Field::Description, Value::text("hub")).await;
    toy.edit(id, Field::Description, &Value::text("tool"));
    bench.sync(0).await;
    let states = async || -> Vec<ConflictState> {
        let conflicts = bench.conflicts().await;
        conflicts.iter().map(|conflict| conflict.state).collect()
    };
    assert_eq!(states().await, [ConflictState::Open]);
    bench
        .set(0, |settings| settings.options.conflicts = ConflictPolicy::HubWins)
        .await;
    toy.state().mishaps = vec![Mishap::Refused];
    let end = bench.sync(0).await;
    assert_eq!(end.state, RunState::Partial, "{end:?}");
    assert_eq!(toy.value(id, Field::Description), Value::text("tool"));
    assert_eq!(
        states().await,
        [ConflictState::Open],
        "the tool still has the other value"
    );
    bench.settle().await;
    assert_eq!(toy.value(id, Field::Description), Value::text("hub"));
    let mut states = states().await;
    states.sort_unstable();
    assert_eq!(states, [ConflictState::Decided, ConflictState::Closed]);
}

#[tokio::test]
async fn a_policy_decides_and_the_losing_value_is_on_record() {
    for (policy, winner, loser) in [
        (ConflictPolicy::HubWins, "hub", "tool"),
        (ConflictPolicy::ExternalWins, "tool", "hub"),
    ] {
        let toy = Toy::new("toy", Habits::exact());
        let bench = Bench::with(vec![toy.clone()], |settings| settings.options.conflicts = policy).await;
        let id = toy.add("task");
        bench.sync(0).await;
        let task = bench.task("task").await;
        bench.edit(task.id, Field::Description, Value::text("hub")).await;
        toy.edit(id, Field::Description, &Value::text("tool"));
        bench.sync(0).await;
        assert_eq!(bench.task("task").await.description.as_deref(), Some(winner));
        assert_eq!(toy.value(id, Field::Description), Value::text(winner));
        let conflicts = bench.conflicts().await;
        assert_eq!(conflicts.len(), 1, "{conflicts:?}");
        assert_eq!(conflicts[0].state, ConflictState::Decided);
        assert!([&conflicts[0].local, &conflicts[0].remote_value].contains(&&Value::text(loser)));
    }
}

#[tokio::test]
async fn newest_wins_without_a_time_of_the_tool_is_manual() {
    let toy = Toy::new("toy", Habits::exact());
    let bench = Bench::with(vec![toy.clone()], |settings| {
        settings.options.conflicts = ConflictPolicy::NewestWins
    })
    .await;
    let id = toy.add("task");
    bench.sync(0).await;
    let task = bench.task("task").await;
    bench.edit(task.id, Field::Title, Value::text("hub")).await;
    toy.edit(id, Field::Title, &Value::text("tool"));
    bench.sync(0).await;
    assert_eq!(bench.conflicts().await[0].state, ConflictState::Open);
}

#[tokio::test]
async fn first_contact_links_equal_titles_and_lets_empty_yield_to_set() {
    let (bench, toy) = one(Habits::exact()).await;
    let id = toy.add("same");
    toy.edit(id, Field::Status, &Value::Status(Status::Done));
    let task = bench.add("same").await;
    bench.edit(task, Field::Description, Value::text("from the hub")).await;
    bench.sync(0).await;
    assert_eq!(bench.tasks().await.len(), 1);
    assert_eq!(toy.state().items.len(), 1);
    assert_eq!(bench.task("same").await.status, Status::Done);
    assert_eq!(toy.value(id, Field::Description), Value::text("from the hub"));
    assert!(bench.conflicts().await.is_empty());
}

#[tokio::test]
async fn rule_15_two_connections_that_pull_one_title_make_one_task() {
    let (a, b) = (Toy::new("a", Habits::exact()), Toy::new("b", Habits::loose()));
    let bench = Bench::new(vec![a.clone(), b.clone()]).await;
    for number in 0..20 {
        a.add(&format!("task {number}"));
        b.add(&format!("task {}", number + 5));
    }
    bench.settle().await;
    assert_eq!(bench.tasks().await.len(), 25);
    assert_eq!((a.state().items.len(), b.state().items.len()), (25, 25));
}

#[tokio::test]
async fn a_deletion_is_kept_by_default_and_never_comes_back_as_new() {
    for habits in [Habits::exact(), Habits::loose()] {
        let (bench, toy) = one(habits).await;
        let gone = toy.add("gone in the tool");
        toy.add("gone in the hub");
        bench.sync(0).await;
        toy.delete(gone);
        bench.delete(bench.task("gone in the hub").await.id).await;
        for _ in 0..3 {
            assert_eq!(bench.sync(0).await.state, RunState::Completed);
        }
        assert_eq!(bench.task("gone in the tool").await.deleted_at, None);
        assert_eq!(toy.find("gone in the hub").len(), 1);
        assert_eq!(toy.state().creates, 0);
        let states: Vec<LinkState> = bench.links(0).await.iter().map(|link| link.state).collect();
        assert!(
            states.contains(&LinkState::GoneRemote) && states.contains(&LinkState::GoneLocal),
            "{states:?}"
        );
    }
}

#[tokio::test]
async fn a_deletion_is_carried_over_only_when_seen_in_two_runs_and_when_asked_for() {
    let toy = Toy::new("toy", Habits::exact());
    let bench = Bench::with(vec![toy.clone()], |settings| {
        settings.options.deletions = DeletionPolicy::Delete
    })
    .await;
    let gone = toy.add("gone in the tool");
    let kept = toy.add("gone in the hub");
    bench.sync(0).await;
    toy.delete(gone);
    bench.delete(bench.task("gone in the hub").await.id).await;
    bench.sync(0).await;
    assert_eq!(bench.task("gone in the tool").await.deleted_at, None);
    assert!(!toy.state().items.contains_key(&kept));
    bench.sync(0).await;
    assert!(bench.task("gone in the tool").await.deleted_at.is_some());
}

#[tokio::test]
async fn rule_20_lost_access_deletes_nothing_and_suspends_with_a_reason() {
    let toy = Toy::new("toy", Habits::exact());
    let bench = Bench::with(vec![toy.clone()], |settings| {
        settings.options.deletions = DeletionPolicy::Delete
    })
    .await;
    toy.add("task");
    bench.sync(0).await;
    toy.state().hidden.insert(1);
    for _ in 0..3 {
        let error = bench.try_sync(0).await.unwrap_err();
        assert!(error.to_string().contains("suspended"), "{error}");
    }
    assert_eq!(bench.task("task").await.deleted_at, None);
    toy.state().hidden.clear();
    let end = bench.sync(0).await;
    assert_eq!(
        (end.state, end.report.counts.tasks.unchanged),
        (RunState::Completed, 1),
        "{end:?}"
    );
}

#[tokio::test]
async fn a_move_between_mapped_projects_is_a_move() {
    let (bench, toy) = one(Habits::exact()).await;
    toy.state().projects.insert(2, ("Beta".to_owned(), true));
    let id = toy.add("task");
    bench.sync(0).await;
    let before = bench.task("task").await;
    toy.move_to(id, 2);
    bench.sync(0).await;
    let after = bench.store_task(before.id).await;
    assert_ne!(after.project_id, before.project_id);
    assert_eq!(bench.links(0).await.len(), 1);
    bench.move_task(before.id, bench.project).await;
    bench.sync(0).await;
    assert_eq!(toy.state().items[&id].project, 1);
    let writes = bench.writes();
    bench.sync(0).await;
    assert_eq!(bench.writes(), writes);
}

/// A task is moved in the hub to a project that is in step, but cannot be read or written to now: the move waits.
#[tokio::test]
async fn a_move_to_a_project_that_is_not_read_now_waits_and_is_no_farewell() {
    for hidden in [true, false] {
        let (bench, toy) = one(Habits::exact()).await;
        toy.state().projects.insert(2, ("Beta".to_owned(), true));
        let (id, other) = (toy.add("task"), toy.add_to(2, "other"));
        bench.sync(0).await;
        let links = bench.links(0).await;
        let of_beta = links.iter().find(|link| link.external_id == other.into()).unwrap();
        let beta = bench.store_task(of_beta.task_id).await.project_id;
        let task = bench.task("task").await.id;
        bench.move_task(task, beta).await;
        if hidden {
            toy.state().hidden.insert(2);
        } else {
            toy.state().broken.insert(2);
        }
        let end = bench.sync(0).await;
        let links = bench.links(0).await;
        let link = links.iter().find(|link| link.task_id == task).unwrap();
        assert_eq!(link.state, LinkState::Live, "{end:?}");
        assert_eq!(toy.state().items[&id].project, 1);
        let said = end.report.items.iter().find(|item| item.task_id == Some(task)).unwrap();
        assert!(said.detail.contains("Beta"), "{said:?}");
        toy.state().hidden.clear();
        toy.state().broken.clear();
        bench.settle().await;
        assert_eq!(toy.state().items[&id].project, 2);
        assert_eq!(bench.store_task(task).await.project_id, beta);
    }
}

/// An item is moved in the tool to a project that is in step, but not read now.
#[tokio::test]
async fn what_moved_to_a_project_that_is_not_read_now_waits_and_says_so() {
    let (bench, toy) = one(Habits::exact()).await;
    toy.state().projects.insert(2, ("Beta".to_owned(), true));
    let id = toy.add("task");
    bench.sync(0).await;
    let task = bench.task("task").await.id;
    toy.move_to(id, 2);
    toy.state().broken.insert(2);
    let end = bench.sync(0).await;
    let said = end.report.items.iter().find(|item| item.task_id == Some(task)).unwrap();
    assert!(said.detail.contains("Beta"), "{said:?}");
    assert_eq!(bench.links(0).await[0].state, LinkState::Live);
    toy.state().broken.clear();
    bench.settle().await;
    assert_ne!(bench.store_task(task).await.project_id, bench.project);
}

#[tokio::test]
async fn rule_9_a_refused_value_is_held_and_the_rest_is_sent() {
    let (bench, toy) = one(Habits::exact()).await;
    let id = toy.add("task");
    bench.sync(0).await;
    let task = bench.task("task").await;
    toy.state().refuse.insert(Field::Status, "no transition".to_owned());
    bench.edit(task.id, Field::Status, Value::Status(Status::Done)).await;
    bench.edit(task.id, Field::Title, Value::text("renamed")).await;
    let end = bench.sync(0).await;
    assert_eq!(end.state, RunState::Completed, "{end:?}");
    assert_eq!(toy.value(id, Field::Title), Value::text("renamed"));
    assert_eq!(toy.value(id, Field::Status), Value::Status(Status::Todo));
    let writes = bench.writes();
    let end = bench.sync(0).await;
    assert_eq!(bench.writes(), writes, "{end:?}");
    assert!(end.report.items[0].detail.contains("no transition"), "{end:?}");
    toy.state().refuse.clear();
    bench.edit(task.id, Field::Status, Value::Status(Status::Review)).await;
    bench.sync(0).await;
    assert_eq!(toy.value(id, Field::Status), Value::Status(Status::Review));
}

#[tokio::test]
async fn rule_7_a_value_the_tool_lacks_is_reported_not_agreed_and_sent_once_it_can_be_held() {
    let (bench, toy) = one(Habits::loose()).await;
    let task = bench.add("task").await;
    bench.edit(task, Field::Status, Value::Status(Status::Cancelled)).await;
    bench.sync(0).await;
    let id = toy.find("task")[0];
    assert_eq!(toy.value(id, Field::Status), Value::Status(Status::Todo));
    assert_eq!(bench.task("task").await.status, Status::Cancelled);
    let writes = bench.writes();
    bench.sync(0).await;
    assert_eq!(bench.writes(), writes);
    bench.edit(task, Field::Status, Value::Status(Status::Done)).await;
    bench.sync(0).await;
    assert_eq!(toy.value(id, Field::Status), Value::Status(Status::Done));
}

/// Since the sides never agreed on it, an edit in the tool does not win over it unseen.
#[tokio::test]
async fn rule_7_a_value_that_was_not_sent_is_not_lost_to_the_tools_next_edit() {
    let (bench, toy) = one(Habits::loose()).await;
    let task = bench.add("task").await;
    bench.edit(task, Field::Status, Value::Status(Status::Cancelled)).await;
    bench.sync(0).await;
    toy.edit(toy.find("task")[0], Field::Status, &Value::Status(Status::InProgress));
    bench.sync(0).await;
    assert_eq!(bench.task("task").await.status, Status::Cancelled);
    let conflicts = bench.conflicts().await;
    assert_eq!(
        (conflicts.len(), &conflicts[0].remote_value),
        (1, &Value::Status(Status::InProgress))
    );
}

#[tokio::test]
async fn rule_2_an_edit_that_lands_with_ours_is_pulled_not_swallowed() {
    let (bench, toy) = one(Habits::loose()).await;
    let id = toy.add("task");
    bench.sync(0).await;
    let task = bench.task("task").await;
    bench.edit(task.id, Field::Title, Value::text("ours")).await;
    toy.state().meddle = Some((id, Field::Description, "<p>theirs</p>".into()));
    bench.sync(0).await;
    assert_eq!(toy.value(id, Field::Title), Value::text("ours"));
    assert_eq!(bench.task("ours").await.description.as_deref(), Some("theirs"));
    bench.edit(task.id, Field::Description, Value::text("ours too")).await;
    toy.state().meddle = Some((id, Field::Description, "<p>between</p>".into()));
    bench.sync(0).await;
    let conflicts = bench.conflicts().await;
    assert!(
        conflicts
            .iter()
            .any(|conflict| conflict.remote_value == Value::text("between")),
        "{conflicts:?}"
    );
}

#[tokio::test]
async fn a_version_conflict_is_decided_anew() {
    let (bench, toy) = one(Habits::exact()).await;
    let id = toy.add("task");
    bench.sync(0).await;
    let task = bench.task("task").await;
    bench.edit(task.id, Field::Title, Value::text("ours")).await;
    toy.state().meddle = Some((id, Field::Description, "theirs".into()));
    let end = bench.sync(0).await;
    assert_eq!(end.state, RunState::Completed, "{end:?}");
    assert_eq!(toy.value(id, Field::Title), Value::text("ours"));
    assert_eq!(bench.task("ours").await.description.as_deref(), Some("theirs"));
}

#[tokio::test]
async fn rule_17_a_create_whose_answer_is_lost_is_found_and_one_that_never_arrived_is_sent_again() {
    for mishap in [Mishap::AnswerLost, Mishap::NeverArrived] {
        let toy = Toy::new("toy", Habits::exact());
        // Nothing but the search for what we have sent finds it.
        let bench = Bench::with(vec![toy.clone()], |settings| {
            settings.options.matching = magnus_core::model::MatchPolicy::None;
        })
        .await;
        bench.add("task").await;
        toy.state().mishaps.push(mishap);
        let end = bench.sync(0).await;
        assert_eq!(
            (end.state, end.report.counts.tasks.failed),
            (RunState::Partial, 1),
            "{end:?}"
        );
        bench.settle().await;
        assert_eq!(toy.find("task").len(), 1, "{mishap:?}");
        assert_eq!(bench.tasks().await.len(), 1, "{mishap:?}");
        assert_eq!(bench.links(0).await.len(), 1, "{mishap:?}");
    }
}

#[tokio::test]
async fn rule_17_what_one_lost_create_has_made_is_no_doubt_about_another_one() {
    let (bench, toy) = one(Habits::exact()).await;
    bench.add("first").await;
    bench.add("second").await;
    toy.state().mishaps = vec![Mishap::AnswerLost, Mishap::NeverArrived];
    assert_eq!(bench.sync(0).await.report.counts.tasks.failed, 2);
    bench.settle().await;
    assert_eq!((toy.find("first").len(), toy.find("second").len()), (1, 1));
    assert_eq!(bench.links(0).await.len(), 2);
}

#[tokio::test]
async fn rule_17_lost_creates_that_were_sent_alike_take_one_item_each() {
    for mishaps in [
        vec![Mishap::AnswerLost, Mishap::AnswerLost],
        vec![Mishap::AnswerLost, Mishap::NeverArrived],
        vec![Mishap::NeverArrived, Mishap::AnswerLost],
        vec![Mishap::NeverArrived, Mishap::NeverArrived],
    ] {
        let toy = Toy::new("toy", Habits::exact());
        let bench = Bench::with(vec![toy.clone()], |settings| {
            settings.options.matching = magnus_core::model::MatchPolicy::None;
        })
        .await;
        bench.add("twin").await;
        bench.add("twin").await;
        toy.state().mishaps.clone_from(&mishaps);
        assert_eq!(bench.sync(0).await.report.counts.tasks.failed, 2);
        bench.settle().await;
        assert_eq!(toy.find("twin").len(), 2, "{mishaps:?}");
        assert_eq!(
            (bench.links(0).await.len(), bench.tasks().await.len()),
            (2, 2),
            "{mishaps:?}"
        );
    }
}

#[tokio::test]
async fn rule_17_lost_creates_of_one_title_that_were_not_sent_alike_wait_for_a_person() {
    let toy = Toy::new("toy", Habits::exact());
    let bench = Bench::with(vec![toy.clone()], |settings| {
        settings.options.matching = magnus_core::model::MatchPolicy::None;
    })
    .await;
    let first = bench.add("twin").await;
    bench.edit(first, Field::Description, Value::text("another one")).await;
    bench.add("twin").await;
    toy.state().mishaps = vec![Mishap::NeverArrived, Mishap::AnswerLost];
    bench.sync(0).await;
    for _ in 0..3 {
        assert_eq!(bench.sync(0).await.state, RunState::Partial);
    }
    assert_eq!((toy.find("twin").len(), bench.links(0).await.len()), (1, 0));
}

#[tokio::test]
async fn rule_4_an_update_whose_answer_is_lost_is_settled() {
    for mishap in [Mishap::AnswerLost, Mishap::NeverArrived] {
        let (bench, toy) = one(Habits::exact()).await;
        let id = toy.add("task");
        bench.sync(0).await;
        let task = bench.task("task").await;
        bench.edit(task.id, Field::Title, Value::text("renamed")).await;
        toy.state().mishaps.push(mishap);
        bench.sync(0).await;
        let writes = toy.state().writes;
        bench.settle().await;
        assert_eq!(toy.value(id, Field::Title), Value::text("renamed"));
        let again = u64::from(mishap == Mishap::NeverArrived);
        assert_eq!(toy.state().writes, writes + again);
        assert!(bench.conflicts().await.is_empty());
    }
}

#[tokio::test]
async fn a_tool_that_is_down_fails_the_run_with_its_reason_and_changes_nothing() {
    let (bench, toy) = one(Habits::exact()).await;
    toy.add("task");
    bench.sync(0).await;
    let before = bench.writes();
    toy.state().down = true;
    let error = bench.try_sync(0).await.unwrap_err();
    assert_eq!(error.kind(), RunErrorKind::Connection);
    assert!(
        error.to_string().contains("switched off") && error.to_string().contains("toy"),
        "{error}"
    );
    assert_eq!(bench.writes(), before);
}

#[tokio::test]
async fn failures_of_the_connection_in_a_row_end_the_run() {
    let (bench, toy) = one(Habits::exact()).await;
    for number in 0..9 {
        bench.add(&format!("task {number}")).await;
    }
    toy.state().mishaps = vec![Mishap::Refused; 9];
    let error = bench.try_sync(0).await.unwrap_err();
    assert_eq!(error.report().counts.tasks.failed, 3, "{error:?}");
    assert_eq!(toy.state().mishaps.len(), 6);
}

#[tokio::test]
async fn a_run_does_only_what_direction_and_request_allow() {
    let (bench, toy) = one(Habits::exact()).await;
    let id = toy.add("theirs");
    bench.add("ours").await;
    let pull = RunRequest::new(bench.toys[0].1).direction(Some(Direction::Pull));
    let end = bench.try_request(pull.clone()).await.unwrap();
    assert_eq!((toy.state().writes, end.report.counts.tasks.skipped), (0, 1), "{end:?}");
    bench.set(0, |settings| settings.direction = Direction::Push).await;
    toy.edit(id, Field::Title, &Value::text("theirs, renamed"));
    bench.sync(0).await;
    assert_eq!(bench.task("theirs").await.title, "theirs");
    assert_eq!(toy.find("ours").len(), 1);
    assert_eq!(
        bench.try_request(pull).await.unwrap_err().kind(),
        RunErrorKind::DirectionTooWide
    );
    bench
        .set(0, |settings| settings.direction = Direction::Bidirectional)
        .await;
    bench.sync(0).await;
    assert_eq!(bench.task("theirs, renamed").await.title, "theirs, renamed");
}

#[tokio::test]
async fn a_plan_writes_nothing_and_says_what_a_run_would_do() {
    use magnus_core::engine::{RunContext, SyncEngine};
    let (bench, toy) = one(Habits::exact()).await;
    toy.add("theirs");
    toy.state().projects.insert(2, ("Beta".to_owned(), true));
    toy.add_to(2, "in a new project");
    bench.add("ours").await;
    let before = bench.writes();
    let plan = bench
        .engine
        .plan(RunRequest::new(bench.toys[0].1), RunContext::detached())
        .await
        .unwrap();
    assert_eq!(bench.writes(), before);
    assert_eq!(
        (plan.counts.tasks.created, plan.counts.projects.created),
        (3, 1),
        "{plan:?}"
    );
    assert_eq!(plan.mappings.len(), 2);
    let end = bench.sync(0).await;
    assert_eq!(end.report.counts.tasks.created, 3, "{end:?}");
}

#[tokio::test]
async fn too_large_a_plan_halts_before_anything_is_written() {
    let (bench, toy) = one(Habits::exact()).await;
    for number in 0..501 {
        bench.add(&format!("task {number}")).await;
    }
    toy.add("theirs");
    let before = bench.writes();
    let end = bench.sync(0).await;
    assert_eq!(end.state, RunState::Halted);
    assert_eq!(bench.writes(), before);
    assert!(end.message.unwrap().contains("501 creations"));
    assert!(end.report.plan.is_some());
}

#[tokio::test]
async fn rule_19_a_field_never_compared_since_the_adoption_of_a_lost_create_still_goes_out() {
    let (bench, toy) = one(Habits::exact()).await;
    let task = bench.add("task").await;
    toy.state().mishaps.push(Mishap::AnswerLost);
    bench.sync(0).await;
    bench
        .edit(task, Field::DueDate, Value::Date("2026-12-24".parse().unwrap()))
        .await;
    toy.state().mishaps.push(Mishap::NeverArrived);
    bench.sync(0).await;
    bench.settle().await;
    let id = toy.find("task")[0];
    assert_eq!(
        toy.value(id, Field::DueDate),
        Value::Date("2026-12-24".parse().unwrap())
    );
}

#[tokio::test]
async fn a_confirmed_plan_is_carried_out_and_what_changed_since_is_guarded_anew() {
    let toy = Toy::new("toy", Habits::exact());
    let bench = Bench::with(vec![toy.clone()], |settings| {
        settings.options.deletions = DeletionPolicy::Delete;
    })
    .await;
    for number in 0..200 {
        toy.add(&format!("task {number}"));
    }
    bench.sync(0).await;
    let tasks: Vec<_> = bench.tasks().await.into_keys().collect();
    for task in &tasks[..60] {
        bench.delete(*task).await;
    }
    let halted = bench.run(RunRequest::new(bench.toys[0].1)).await;
    assert_eq!((halted.state, toy.state().items.len()), (RunState::Halted, 200));

    // Thirty more are deleted, and one of the sixty was edited in the tool: neither was looked at.
    for task in &tasks[60..90] {
        bench.delete(*task).await;
    }
    let edited = bench
        .links(0)
        .await
        .into_iter()
        .find(|link| link.task_id == tasks[0])
        .unwrap();
    let edited: u64 = edited.external_id.as_str().parse().unwrap();
    toy.edit(edited, Field::Description, &Value::text("still needed"));
    let confirm = RunRequest::new(bench.toys[0].1).confirm(halted.id);
    let end = bench.try_request(confirm.clone()).await.unwrap();
    assert_eq!(end.state, RunState::Completed, "30 of 200 are under the limit: {end:?}");
    assert_eq!(toy.state().items.len(), 200 - 60 - 30 + 1);
    assert!(
        toy.state().items.contains_key(&edited),
        "an edit beats a deletion, confirmed or not"
    );

    assert!(bench.store.request_cancel(halted.id).await.unwrap().unwrap().state == RunState::Cancelled);
    let error = bench.try_request(confirm).await.unwrap_err();
    assert_eq!(
        error.kind(),
        RunErrorKind::NothingToConfirm,
        "a discarded plan cannot be confirmed"
    );
}

#[tokio::test]
async fn a_plan_is_confirmed_once_and_not_after_a_newer_run_has_taken_its_place() {
    let toy = Toy::new("toy", Habits::exact());
    let bench = Bench::with(vec![toy.clone()], |settings| {
        settings.options.deletions = DeletionPolicy::Delete;
    })
    .await;
    let connection = bench.toys[0].1;
    for number in 0..200 {
        toy.add(&format!("task {number}"));
    }
    bench.sync(0).await;
    let tasks: Vec<_> = bench.tasks().await.into_keys().collect();
    for task in &tasks[..60] {
        bench.delete(*task).await;
    }
    let superseded = bench.run(RunRequest::new(connection)).await;
    let halted = bench.run(RunRequest::new(connection)).await;
    assert_eq!((superseded.state, halted.state), (RunState::Halted, RunState::Halted));

    let error = bench.try_request(superseded.confirmation()).await.unwrap_err();
    assert_eq!(error.kind(), RunErrorKind::NothingToConfirm, "{error}");
    assert!(error.to_string().contains(&halted.id.to_string()), "{error}");
    assert_eq!(toy.state().items.len(), 200, "nothing was written");

    let projects = bench.run(RunRequest::new(connection).scope(Scope::Projects)).await;
    assert_eq!(projects.state, RunState::Completed, "{projects:?}");
    let confirmed = bench.run(halted.confirmation()).await;
    assert_eq!(confirmed.state, RunState::Completed, "{confirmed:?}");
    assert_eq!(toy.state().items.len(), 140);
    let error = bench.try_request(halted.confirmation()).await.unwrap_err();
    assert_eq!(error.kind(), RunErrorKind::NothingToConfirm, "{error}");
}

/// A run that may not change the hub does not follow the tool's move, and later ones do not take it for the hub's.
#[tokio::test]
async fn a_move_in_the_tool_is_not_lost_to_a_run_that_only_pushes() {
    let (bench, toy) = one(Habits::exact()).await;
    toy.state().projects.insert(2, ("Beta".to_owned(), true));
    let id = toy.add("task");
    bench.sync(0).await;
    let before = bench.task("task").await;
    toy.move_to(id, 2);
    let pushes = RunRequest::new(bench.toys[0].1).direction(Some(Direction::Push));
    bench.run(pushes).await;
    assert_eq!(bench.store_task(before.id).await.project_id, before.project_id);
    bench.settle().await;
    assert_eq!(toy.state().items[&id].project, 2, "where the person put it");
    assert_ne!(bench.store_task(before.id).await.project_id, before.project_id);
}

/// A person settles an open conflict of the first contact by hand.
#[tokio::test]
async fn what_is_edited_while_a_conflict_is_open_does_not_give_way_for_being_empty() {
    for in_tool in [false, true] {
        let (bench, toy) = one(Habits::exact()).await;
        let (id, task) = (toy.add("task"), bench.add("task").await);
        toy.edit(id, Field::Description, &Value::text("tool"));
        bench.edit(task, Field::Description, Value::text("hub")).await;
        bench.sync(0).await;
        assert_eq!(bench.conflicts().await.len(), 1);
        let (hub, tool) = if in_tool {
            toy.edit(id, Field::Description, &Value::Empty);
            (Some("hub"), Value::Empty)
        } else {
            bench.edit(task, Field::Description, Value::Empty).await;
            (None, Value::text("tool"))
        };
        bench.settle().await;
        assert_eq!(
            bench.store_task(task).await.description.as_deref(),
            hub,
            "in the tool: {in_tool}"
        );
        assert_eq!(toy.value(id, Field::Description), tool, "in the tool: {in_tool}");
        let conflicts = bench.conflicts().await;
        assert_eq!(conflicts.len(), 1, "{conflicts:#?}");
        assert_eq!(conflicts[0].state, ConflictState::Open, "{conflicts:#?}");
    }
}
