//! Conflict records.

use chrono::TimeDelta;
use magnus_core::model::{Base, Conflict, ConflictState, Field, RemoteValue, RowVersion, RunId, Side, Value};
use magnus_core::store::{ConflictQuery, StaleReason};

use super::world::{insert_conflict, stale, update_conflict};
use super::{Checked, World};

/// At most one conflict per link and field is open; a closed one makes room.
///
/// # Errors
/// Whatever the store answers.
pub async fn one_conflict_per_field_is_open(world: World) -> Checked {
    let (_, link) = world.add_linked("Task", 1).await?;
    let open = world.conflict(&link, Field::Title, "hub", "tool");
    world.commit_all(vec![insert_conflict(&open)]).await?;
    let second = world.conflict(&link, Field::Title, "hub 2", "tool 2");
    let other_field = world.conflict(&link, Field::Description, "hub", "tool");
    let outcome = world
        .commit(vec![insert_conflict(&second), insert_conflict(&other_field)])
        .await?;
    assert_eq!(stale(&outcome), [(0, StaleReason::RowMoved)]);

    let closed = Conflict {
        base: Some(Base::agreed(Value::text("base"), RemoteValue::text("base"))),
        state: ConflictState::ResolvedHub,
        loser: Some(Side::External),
        run_id: Some(RunId::generate()),
        resolved_at: Some(world.now()),
        resolved_by: Some("ada".to_owned()),
        version: RowVersion(1),
        ..open
    };
    world
        .commit_all(vec![update_conflict(&closed), insert_conflict(&second)])
        .await?;
    let closed = Conflict {
        version: RowVersion(2),
        ..closed
    };
    assert_eq!(world.store.conflict(closed.id).await?.as_ref(), Some(&closed));
    let reopened = Conflict {
        state: ConflictState::Open,
        ..closed
    };
    assert_eq!(
        stale(&world.commit(vec![update_conflict(&reopened)]).await?),
        [(0, StaleReason::RowMoved)]
    );
    Ok(())
}

/// The same losing value is recorded once; another value, field or link is another record.
///
/// # Errors
/// Whatever the store answers.
pub async fn a_losing_value_is_recorded_once(world: World) -> Checked {
    let (_, link) = world.add_linked("Task", 1).await?;
    let decided = |field, local, remote| Conflict {
        state: ConflictState::Decided,
        ..world.conflict(&link, field, local, remote)
    };
    let first = decided(Field::Title, "hub", "tool");
    world.commit_all(vec![insert_conflict(&first)]).await?;
    let changed = world.store.changed_rows();
    world
        .commit_all(vec![insert_conflict(&decided(Field::Title, "hub", "tool"))])
        .await?;
    assert_eq!(world.store.changed_rows(), changed);
    world
        .commit_all(vec![
            insert_conflict(&decided(Field::Title, "hub", "other")),
            insert_conflict(&decided(Field::Description, "hub", "tool")),
            insert_conflict(&world.conflict(&link, Field::Title, "hub", "tool")),
        ])
        .await?;
    let all = world.store.conflicts(ConflictQuery::default()).await?;
    assert_eq!(all.len(), 4);
    Ok(())
}

/// A conflict that moved, or whose link is not there, is left out.
///
/// # Errors
/// Whatever the store answers.
pub async fn a_conflict_of_an_old_version_is_stale(world: World) -> Checked {
    let (task, link) = world.add_linked("Task", 1).await?;
    let open = world.conflict(&link, Field::Title, "hub", "tool");
    world.commit_all(vec![insert_conflict(&open)]).await?;
    let dangling = world.conflict(&world.link(&task, 9), Field::Title, "hub", "tool");
    let outcome = world
        .commit(vec![update_conflict(&open), insert_conflict(&dangling)])
        .await?;
    assert_eq!(
        stale(&outcome),
        [(0, StaleReason::RowMoved), (1, StaleReason::MissingReference)]
    );
    Ok(())
}

/// Conflicts are found by connection, task and state, newest first.
///
/// # Errors
/// Whatever the store answers.
pub async fn conflicts_are_found_by_connection_task_and_state(world: World) -> Checked {
    let (task, link) = world.add_linked("Task", 1).await?;
    let (_, other) = world.add_linked("Other", 2).await?;
    let older = world.conflict(&link, Field::Title, "hub", "tool");
    let newer = Conflict {
        created_at: world.now() + TimeDelta::seconds(1),
        state: ConflictState::Decided,
        ..world.conflict(&link, Field::Title, "hub", "tool")
    };
    let newest = Conflict {
        created_at: world.now() + TimeDelta::seconds(2),
        ..world.conflict(&other, Field::Title, "hub", "tool")
    };
    world
        .commit_all([&newer, &older, &newest].map(insert_conflict).to_vec())
        .await?;
    let found = async |query| {
        let found = world.store.conflicts(query).await?;
        Ok::<_, magnus_core::store::StoreError>(found.iter().map(|conflict| conflict.id).collect::<Vec<_>>())
    };
    assert_eq!(found(ConflictQuery::default()).await?, [newest.id, newer.id, older.id]);
    assert_eq!(found(ConflictQuery::of_task(task.id)).await?, [newer.id, older.id]);
    assert_eq!(
        found(ConflictQuery::open(Some(world.here))).await?,
        [newest.id, older.id]
    );
    assert_eq!(found(ConflictQuery::open(Some(world.there))).await?, []);
    Ok(())
}
