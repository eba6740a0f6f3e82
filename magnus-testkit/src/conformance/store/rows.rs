//! What is written is read back as it was.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{NaiveDate, TimeDelta};
use magnus_core::connection::ConnectionErrorKind;
use magnus_core::model::{
    Base, Cursor, Direction, ExternalId, Field, HistoryEntry, Intent, IntentField, IntentId, IntentOperation,
    IntentState, ItemFailure, Link, LinkState, LocalBase, MappingState, Person, Priority, Project, Refusal,
    RefusalCause, RemoteBase, RemoteValue, RowVersion, Rule, RunId, Side, Status, Swing, TaskEntry, ToolName, Value,
};
use magnus_core::store::{Changeset, FailureWrite, Fence, MappingWrite, ProjectWrite, Unit};

use super::world::{insert_task, update_link, update_task, with_link};
use super::{Checked, World};

/// Every field of a task, set to something, is read back.
///
/// # Errors
/// Whatever the store answers.
pub async fn every_field_of_a_task_survives(world: World) -> Checked {
    let parent = world.add_task("Parent").await?;
    let mut task = world.task("  Ünïcode \u{1F680} title with \"quotes\" and ' ");
    let later = world.now() + TimeDelta::microseconds(1);
    task.description = Some("# Head\r\n\n- [ ] box\n".to_owned());
    task.status = Status::InProgress;
    task.priority = Priority::Critical;
    task.assignee = Person::parse("Ada Lovelace <ada@example.org>");
    task.start_date = NaiveDate::from_ymd_opt(2024, 2, 29);
    task.due_date = NaiveDate::from_ymd_opt(2026, 12, 31);
    task.estimated_minutes = Some(u32::MAX);
    task.remaining_minutes = Some(0);
    task.actual_minutes = Some(90);
    task.percentage_done = Some(100);
    task.parent_id = Some(parent.id);
    task.tags = BTreeSet::from(["a,b".to_owned(), "rouge é".to_owned()]);
    task.metadata = serde_json::from_str(r#"{"ai_breakdown":{"tasks":[1,2.5,null]},"z":"","a":true}"#)
        .expect("this is a JSON object");
    task.source_tool = Some(ToolName::new("leantime"));
    task.archived_at = Some(later);
    task.deleted_at = Some(later);
    task.updated_at = later;
    task.field_times = BTreeMap::from([(Field::Title, later), (Field::Tags, world.now())]);
    world.commit_all(vec![insert_task(&task)]).await?;
    task.version = RowVersion(1);
    assert_eq!(world.read_task(&task).await?, task);
    let entry = TaskEntry::from(&task);
    assert!(entry.archived && entry.deleted && entry.parent_id.is_some());
    let index = world.store.task_index(world.project.id).await?;
    assert!(index.contains(&entry) && index.len() == 2, "{index:?}");
    assert!(index.is_sorted_by_key(|entry| entry.id), "{index:?}");

    let mut bare = world.task("Bare again");
    bare.id = task.id;
    bare.version = task.version;
    world.commit_all(vec![update_task(&bare)]).await?;
    bare.version = RowVersion(2);
    assert_eq!(world.read_task(&task).await?, bare, "an update clears what is not set");
    Ok(())
}

/// A task with nothing but a title is read back.
///
/// # Errors
/// Whatever the store answers.
pub async fn a_bare_task_survives(world: World) -> Checked {
    let mut task = world.task("Bare");
    world.commit_all(vec![insert_task(&task)]).await?;
    task.version = RowVersion(1);
    assert_eq!(world.read_task(&task).await?, task);
    let entry = TaskEntry::from(&task);
    assert_eq!(world.store.task_index(world.project.id).await?, [entry]);
    assert_eq!(world.store.tasks_of_project(world.project.id).await?, [task]);
    Ok(())
}

/// Every field of a link, set to something, is read back by every way to a link.
///
/// # Errors
/// Whatever the store answers.
pub async fn every_field_of_a_link_survives(world: World) -> Checked {
    let (task, link) = world.add_linked("Linked", 7).await?;
    let object = RemoteValue(serde_json::json!({"id": 3, "format": "markdown", "null": null}));
    let full = Link {
        external_url: Some("https://example.org/work_packages/7".to_owned()),
        external_id: ExternalId::new("c7 x").expect("an id"),
        state: LinkState::GoneRemote,
        bases: BTreeMap::from([
            (Field::Status, Base::agreed(Value::Status(Status::Done), object.clone())),
            (
                Field::Parent,
                Base {
                    local: LocalBase::Unsent,
                    remote: RemoteBase::Unseen(RemoteValue::text("99")),
                },
            ),
        ]),
        refusals: BTreeMap::from([(
            Field::Assignee,
            Refusal {
                local: Value::Empty,
                remote: object,
                reason: "not a member".to_owned(),
                cause: RefusalCause::Undone,
            },
        )]),
        swings: BTreeMap::from([(
            Field::Status,
            Swing {
                pair: "0f1e".to_owned(),
                times: 3,
            },
        )]),
        absent_since: Some(RunId::generate()),
        last_sync_at: Some(world.now() + TimeDelta::milliseconds(5)),
        ..link
    };
    world.commit_all(vec![update_link(&full)]).await?;
    let full = Link {
        version: RowVersion(2),
        ..full
    };
    let store = &world.store;
    assert_eq!(store.link(full.id).await?.as_ref(), Some(&full));
    assert_eq!(
        store
            .link_by_external(world.here, full.external_id.clone())
            .await?
            .as_ref(),
        Some(&full)
    );
    assert_eq!(
        store.link_by_external(world.there, full.external_id.clone()).await?,
        None
    );
    assert_eq!(store.links(world.here).await?.as_slice(), std::slice::from_ref(&full));
    let bare = Link {
        bases: BTreeMap::new(),
        refusals: BTreeMap::new(),
        swings: BTreeMap::new(),
        ..full.clone()
    };
    assert_eq!(store.link_index(world.here).await?, [bare]);
    assert_eq!(store.link_index(world.there).await?, []);
    assert_eq!(
        store.links_of_mapping(world.mapping.id).await?.as_slice(),
        std::slice::from_ref(&full)
    );
    assert_eq!(store.links_of_tasks(vec![task.id, task.id]).await?, [full]);
    assert_eq!(store.links(world.there).await?, []);
    Ok(())
}

/// Projects and mappings are read back, after an update too.
///
/// # Errors
/// Whatever the store answers.
pub async fn projects_and_mappings_survive(world: World) -> Checked {
    let project = Project {
        description: Some("To the *moon*".to_owned()),
        source_tool: Some(ToolName::new("leantime")),
        archived_at: Some(world.now()),
        ..world.project.clone()
    };
    let mut mapping = world.mapping.clone();
    mapping.direction = Some(Direction::Pull);
    mapping.enabled = false;
    mapping.state = MappingState::Suspended {
        reason: "not visible".to_owned(),
    };
    mapping.cursor = Some(Cursor("2026-11-22T10:00:00Z".to_owned()));
    mapping.first_contact_done = true;
    mapping.last_sync_at = Some(world.now());
    mapping.seen_as = Some(ExternalId::from(77));
    let changeset = Changeset {
        projects: vec![ProjectWrite {
            project: project.clone(),
            expected: Some(project.version),
        }],
        mappings: vec![MappingWrite {
            mapping: mapping.clone(),
            expected: Some(mapping.version),
        }],
        ..Changeset::new()
    };
    assert_eq!(world.store.commit(Fence::Hub, changeset).await?.stale_rows, 0);
    mapping.version = RowVersion(2);
    assert_eq!(
        world.store.project(project.id).await?,
        Some(Project {
            version: RowVersion(2),
            ..project
        })
    );
    assert_eq!(world.store.mappings(world.here).await?, [mapping]);
    assert_eq!(world.store.all_mappings().await?.len(), 2);
    Ok(())
}

/// An intent is replaced by one with its id, and listed, oldest first, until it is settled.
///
/// # Errors
/// Whatever the store answers.
pub async fn intents_are_replaced_by_id_and_gone_once_settled(world: World) -> Checked {
    let (task, link) = world.add_linked("Linked", 7).await?;
    let field = IntentField {
        local: Value::text("Sent"),
        sent: RemoteValue::text("Sent"),
        seen: Some(RemoteValue::NULL),
        loser: Some(Value::Empty),
    };
    let update = Intent {
        id: IntentId::generate(),
        connection_id: world.here,
        mapping_id: world.mapping.id,
        run_id: RunId::generate(),
        task_id: task.id,
        operation: IntentOperation::Delete {
            link_id: link.id,
            external_id: link.external_id,
            undoes: true,
        },
        fields: BTreeMap::from([(Field::Title, field)]),
        state: IntentState::Open,
        created_at: world.now(),
    };
    let create = Intent {
        id: IntentId::generate(),
        operation: IntentOperation::Create {
            project: ExternalId::from(1),
            greatest_seen: Some(ExternalId::from(7)),
            sent_as: Some(ExternalId::from(3)),
            marked: true,
        },
        created_at: world.now() - TimeDelta::seconds(1),
        ..update.clone()
    };
    let write = |intents: Vec<Intent>| {
        vec![Unit {
            intents,
            ..Unit::default()
        }]
    };
    world.commit_all(write(vec![update.clone(), create.clone()])).await?;
    assert_eq!(
        world.store.unsettled_intents(world.here).await?,
        [create.clone(), update.clone()]
    );
    assert_eq!(world.store.unsettled_intents(world.there).await?, []);

    let uncertain = Intent {
        state: IntentState::Uncertain {
            reason: "two candidates".to_owned(),
        },
        ..create
    };
    let settled = Intent {
        state: IntentState::Settled {
            applied: true,
            by_person: true,
        },
        ..update
    };
    world.commit_all(write(vec![uncertain.clone(), settled])).await?;
    assert_eq!(world.store.unsettled_intents(world.here).await?, [uncertain]);
    Ok(())
}

/// The history of a task is read in the order of time.
///
/// # Errors
/// Whatever the store answers.
pub async fn history_is_kept_in_order(world: World) -> Checked {
    let task = world.task("Told");
    let entry = |field, minutes| HistoryEntry {
        task_id: task.id,
        run_id: Some(RunId::generate()),
        connection_id: Some(world.here),
        field,
        before: Value::Empty,
        after: Value::text("words"),
        side: Side::External,
        rule: Rule::OneMoved,
        at: world.now() + TimeDelta::minutes(minutes),
    };
    let (first, second, third) = (
        entry(None, 0),
        entry(Some(Field::Title), 1),
        entry(Some(Field::Status), 1),
    );
    let unit = Unit {
        history: vec![first.clone()],
        ..insert_task(&task)
    };
    world.commit_all(vec![unit]).await?;
    let rest = Unit {
        history: vec![second.clone(), third.clone()],
        ..Unit::default()
    };
    world.commit_all(vec![with_link(rest, &world.link(&task, 1))]).await?;
    assert_eq!(world.store.history(task.id).await?, [first, second, third]);
    assert_eq!(world.store.history(world.task("Other").id).await?, []);
    Ok(())
}

/// The failures of items are kept by connection and task: a later one replaces an earlier one, and clearing forgets it.
///
/// # Errors
/// Whatever the store answers.
pub async fn what_failed_is_remembered_replaced_and_forgotten(world: World) -> Checked {
    let task = world.task("Refused");
    world.commit_all(vec![insert_task(&task)]).await?;
    let failure = |connection_id, failures, minutes| ItemFailure {
        connection_id,
        task_id: task.id,
        kind: ConnectionErrorKind::Rejected,
        message: "no: \u{1F6AB}".to_owned(),
        failures,
        attempt: "d1ge57".to_owned(),
        run_id: RunId::generate(),
        failed_at: world.now() + TimeDelta::minutes(minutes),
        next_try_at: world.now() + TimeDelta::hours(1),
    };
    let write = |failure: &ItemFailure| Unit {
        failures: vec![FailureWrite::Record(Box::new(failure.clone()))],
        ..Unit::default()
    };
    let (first, second, elsewhere) = (
        failure(world.here, 1, 0),
        failure(world.here, 2, 2),
        failure(world.there, 1, 1),
    );
    world.commit_all(vec![write(&first)]).await?;
    assert_eq!(world.store.item_failures(Some(world.here)).await?, [first]);
    world.commit_all(vec![write(&second), write(&elsewhere)]).await?;
    let here = world.store.item_failures(Some(world.here)).await?;
    assert_eq!(here.as_slice(), std::slice::from_ref(&second));
    assert_eq!(
        world.store.item_failures(None).await?,
        [elsewhere.clone(), second],
        "oldest first"
    );
    let clear = || Unit {
        failures: vec![FailureWrite::Clear {
            connection_id: world.here,
            task_id: task.id,
        }],
        ..Unit::default()
    };
    world.commit_all(vec![clear()]).await?;
    world.commit_all(vec![clear()]).await?;
    assert_eq!(world.store.item_failures(None).await?, [elsewhere]);
    Ok(())
}

/// What one run journalled and changed is found by the run, settled or not.
///
/// # Errors
/// Whatever the store answers.
pub async fn what_a_run_did_is_found(world: World) -> Checked {
    let task = world.task("Told");
    let (run, other) = (RunId::generate(), RunId::generate());
    let entry = |run, minutes| HistoryEntry {
        task_id: task.id,
        run_id: Some(run),
        connection_id: Some(world.here),
        field: Some(Field::Title),
        before: Value::text("before"),
        after: Value::text("after"),
        side: Side::Hub,
        rule: Rule::OneMoved,
        at: world.now() + TimeDelta::minutes(minutes),
    };
    let intent = |run| Intent {
        id: IntentId::generate(),
        connection_id: world.here,
        mapping_id: world.mapping.id,
        run_id: run,
        task_id: task.id,
        operation: IntentOperation::Create {
            project: world.mapping.external_id.clone(),
            greatest_seen: None,
            sent_as: None,
            marked: false,
        },
        fields: BTreeMap::new(),
        state: IntentState::Settled {
            applied: true,
            by_person: true,
        },
        created_at: world.now(),
    };
    let (ours, theirs) = (intent(run), intent(other));
    let (early, late) = (entry(run, 0), entry(run, 2));
    let unit = Unit {
        history: vec![early.clone(), entry(other, 1), late.clone()],
        intents: vec![ours.clone(), theirs],
        ..insert_task(&task)
    };
    world.commit_all(vec![unit]).await?;
    assert_eq!(world.store.history_of_run(run).await?, [early, late]);
    let journalled = world.store.intents_of_run(run).await?;
    assert_eq!(journalled.as_slice(), std::slice::from_ref(&ours));
    assert_eq!(world.store.intent(ours.id).await?, Some(ours));
    assert_eq!(world.store.intent(IntentId::generate()).await?, None);
    Ok(())
}
