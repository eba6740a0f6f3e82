//! Keys that can be taken once.

use magnus_core::model::{ExternalId, Link, Mapping, Project, RowVersion};
use magnus_core::store::{Changeset, MappingWrite, ProjectWrite, StaleReason, Unit};

use super::world::{insert_mapping, insert_task, stale, update_link, with_link};
use super::{Checked, World};

/// Two hub tasks cannot be linked to one external task; another connection's ids are its own.
///
/// # Errors
/// Whatever the store answers.
pub async fn an_external_task_has_one_link_per_connection(world: World) -> Checked {
    let (_, link) = world.add_linked("First", 7).await?;
    let second = world.task("Second");
    let outcome = world
        .commit(vec![with_link(insert_task(&second), &world.link(&second, 7))])
        .await?;
    assert_eq!(stale(&outcome), [(0, StaleReason::RowMoved)]);
    assert_eq!(world.store.links(world.here).await?, [link]);
    world
        .commit_all(vec![with_link(insert_task(&second), &world.link_there(&second, 7))])
        .await
}

/// A hub task cannot be linked to two external tasks of one connection; it can be on two connections.
///
/// # Errors
/// Whatever the store answers.
pub async fn a_hub_task_has_one_link_per_connection(world: World) -> Checked {
    let (task, _) = world.add_linked("Task", 7).await?;
    let again = with_link(Unit::default(), &world.link(&task, 8));
    let there = with_link(Unit::default(), &world.link_there(&task, 8));
    let outcome = world.commit(vec![again, there]).await?;
    assert_eq!(stale(&outcome), [(0, StaleReason::RowMoved)]);
    assert_eq!(world.store.links_of_tasks(vec![task.id]).await?.len(), 2);
    Ok(())
}

/// An update cannot take a key that another link has, and can take a free one.
///
/// # Errors
/// Whatever the store answers.
pub async fn a_link_cannot_move_onto_another_ones_key(world: World) -> Checked {
    let (_, first) = world.add_linked("First", 1).await?;
    let (_, second) = world.add_linked("Second", 2).await?;
    let onto = Link {
        external_id: first.external_id.clone(),
        ..second.clone()
    };
    assert_eq!(
        stale(&world.commit(vec![update_link(&onto)]).await?),
        [(0, StaleReason::RowMoved)]
    );
    assert_eq!(world.store.link(second.id).await?.as_ref(), Some(&second));

    let away = Link {
        external_id: ExternalId::from(3),
        ..first
    };
    world.commit_all(vec![update_link(&away), update_link(&onto)]).await?;
    assert_eq!(
        world
            .store
            .link_by_external(world.here, ExternalId::from(1))
            .await?
            .map(|link| link.id),
        Some(onto.id)
    );
    assert_eq!(
        world.store.link_by_external(world.here, ExternalId::from(2)).await?,
        None
    );
    Ok(())
}

/// An external project is mapped once per connection; a mapping needs its project and connection.
///
/// # Errors
/// Whatever the store answers.
pub async fn an_external_project_is_mapped_once_per_connection(world: World) -> Checked {
    let mapping = |connection, external, project| Mapping::new(connection, external, "Mars", project);
    let one = ExternalId::from(1);
    let nowhere = magnus_core::model::ProjectId::generate();
    let nobody = magnus_core::model::ConnectionId::generate();
    let moved = MappingWrite {
        mapping: world.mapping.clone(),
        expected: Some(RowVersion(5)),
    };
    let changeset = Changeset {
        mappings: vec![
            insert_mapping(mapping(world.here, one.clone(), world.project.id)),
            insert_mapping(mapping(world.here, ExternalId::from(2), nowhere)),
            insert_mapping(mapping(nobody, one, world.project.id)),
            moved,
            insert_mapping(mapping(world.here, ExternalId::from(2), world.project.id)),
        ],
        ..Changeset::new()
    };
    assert_eq!(world.store.commit(world.fence(), changeset).await?.stale_rows, 4);
    assert_eq!(world.store.mappings(world.here).await?.len(), 2);
    Ok(())
}

/// An insert with an id that is taken is stale.
///
/// # Errors
/// Whatever the store answers.
pub async fn an_id_is_inserted_once(world: World) -> Checked {
    let task = world.add_task("First").await?;
    assert_eq!(
        stale(&world.commit(vec![insert_task(&task)]).await?),
        [(0, StaleReason::RowMoved)]
    );
    let project = Project {
        name: "Other".to_owned(),
        ..world.project.clone()
    };
    let missing = Project::new("Missing", world.now());
    let changeset = Changeset {
        projects: vec![
            ProjectWrite {
                project,
                expected: None,
            },
            ProjectWrite {
                project: missing,
                expected: Some(RowVersion(1)),
            },
        ],
        ..Changeset::new()
    };
    assert_eq!(world.store.commit(world.fence(), changeset).await?.stale_rows, 2);
    assert_eq!(world.store.projects().await?, [world.project]);
    Ok(())
}
