//! Connections and what goes with them.

use magnus_core::model::{ConflictPolicy, ConnectionId, Direction, Field, Priority, RunRequest, Status, SyncFrequency};
use magnus_core::store::{ConflictQuery, LeaseAnswer, StoreErrorKind};

use super::world::{TTL, assert_kind, connection, insert_conflict};
use super::{Checked, World};

/// Every setting is read back, and each save raises the revision.
///
/// # Errors
/// Whatever the store answers.
pub async fn settings_survive_and_their_revision_rises(world: World) -> Checked {
    let mut settings = connection("A board", world.now());
    settings.direction = Direction::Pull;
    settings.frequency = SyncFrequency::Daily;
    settings.enabled = false;
    settings.options.conflicts = ConflictPolicy::HubWins;
    settings
        .options
        .status_map
        .insert("Blockiert".to_owned(), Status::Blocked);
    settings.options.priority_map.insert("7".to_owned(), Priority::Low);
    settings.options.time_zone = Some("Europe/Berlin".to_owned());
    settings
        .options
        .tool
        .insert("extra".to_owned(), serde_json::json!([1, null]));
    let first = world.store.save_connection(settings.clone()).await?;
    assert!(first.revision > settings.revision);
    settings.revision = first.revision;
    assert_eq!(first, settings);
    assert_eq!(world.store.connection(first.id).await?.as_ref(), Some(&first));

    settings.name = "Zoo".to_owned();
    let second = world.store.save_connection(settings).await?;
    assert!(second.revision > first.revision);
    let names: Vec<_> = world
        .store
        .connections()
        .await?
        .into_iter()
        .map(|row| row.name)
        .collect();
    assert_eq!(names, ["Here", "There", "Zoo"]);
    Ok(())
}

/// Settings that were read before another change are refused, and so are those of a connection that was removed.
///
/// # Errors
/// Whatever the store answers.
pub async fn settings_of_an_old_revision_are_refused(world: World) -> Checked {
    let read = world
        .store
        .connection(world.here)
        .await?
        .expect("the connection is there");
    world.store.save_connection(read.clone()).await?;
    assert_kind(
        world.store.save_connection(read.clone()).await,
        StoreErrorKind::Conflict,
    );
    world.store.delete_connection(world.here).await?;
    assert_kind(world.store.save_connection(read).await, StoreErrorKind::Conflict);
    assert_eq!(world.store.connection(world.here).await?, None);
    Ok(())
}

/// A name belongs to one connection, at the first save and at later ones.
///
/// # Errors
/// Whatever the store answers.
pub async fn two_connections_cannot_share_a_name(world: World) -> Checked {
    assert_kind(
        world.store.save_connection(connection("Here", world.now())).await,
        StoreErrorKind::Conflict,
    );
    let mut there = world
        .store
        .connection(world.there)
        .await?
        .expect("the connection is there");
    there.name = "Here".to_owned();
    assert_kind(
        world.store.save_connection(there.clone()).await,
        StoreErrorKind::Conflict,
    );
    there.name = "Elsewhere".to_owned();
    world.store.save_connection(there).await?;
    Ok(())
}

/// A connection goes with all that is its own; hub tasks and the other connection stay.
///
/// # Errors
/// Whatever the store answers.
pub async fn a_deleted_connection_leaves_only_hub_tasks_behind(world: World) -> Checked {
    let (task, link) = world.add_linked("Task", 1).await?;
    world
        .commit_all(vec![insert_conflict(&world.conflict(&link, Field::Title, "a", "b"))])
        .await?;
    let run = world.store.enqueue_run(RunRequest::new(world.here)).await?.run;
    world
        .store
        .put_sealed(world.here, "api_key".to_owned(), Some(vec![1]))
        .await?;
    world
        .store
        .put_sealed(world.there, "api_key".to_owned(), Some(vec![2]))
        .await?;
    let before = world.store.changed_rows();

    assert!(world.store.delete_connection(world.here).await?);
    assert!(!world.store.delete_connection(world.here).await?);
    let after = world.store.changed_rows();
    assert_eq!((after.links - before.links, after.conflicts - before.conflicts), (1, 1));
    assert_eq!(world.store.mappings(world.here).await?, []);
    assert_eq!(world.store.links(world.here).await?, []);
    assert_eq!(world.store.conflicts(ConflictQuery::default()).await?, []);
    assert_eq!(world.store.run(run.id).await?, None);
    assert_eq!(world.store.get_sealed(world.here, "api_key".to_owned()).await?, None);
    assert_eq!(
        world.store.get_sealed(world.there, "api_key".to_owned()).await?,
        Some(vec![2])
    );
    assert_eq!(world.read_task(&task).await?, task);
    assert_eq!(world.store.mappings(world.there).await?.len(), 1);
    assert_kind(world.commit(Vec::new()).await, StoreErrorKind::Fenced);
    let lease = world.store.acquire_lease(world.there, "tests".to_owned(), TTL).await?;
    assert!(matches!(lease, LeaseAnswer::Granted(_)));
    Ok(())
}

/// Sealed bytes are kept by connection and name, also before the connection itself.
///
/// # Errors
/// Whatever the store answers.
pub async fn sealed_bytes_are_kept_replaced_and_forgotten(world: World) -> Checked {
    let id = ConnectionId::generate();
    let put = |name: &str, sealed| world.store.put_sealed(id, name.to_owned(), sealed);
    let get = |name: &str| world.store.get_sealed(id, name.to_owned());
    assert_eq!(get("key").await?, None);
    put("key", Some(vec![0, 255, 1])).await?;
    put("hook", Some(Vec::new())).await?;
    put("key", Some(vec![2])).await?;
    assert_eq!(
        (get("key").await?, get("hook").await?),
        (Some(vec![2]), Some(Vec::new()))
    );
    put("key", None).await?;
    put("key", None).await?;
    assert_eq!((get("key").await?, get("hook").await?), (None, Some(Vec::new())));
    Ok(())
}
