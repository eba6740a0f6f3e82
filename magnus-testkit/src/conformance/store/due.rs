//! Changes of hub tasks make the other connections due.

use magnus_core::model::{ConnectionId, Link, Mapping, Project, RowVersion, RunRequest, Task};
use magnus_core::store::{Changeset, Fence, MappingWrite, ProjectWrite, Unit};

use super::world::{insert_mapping, insert_task, update_link, update_task, with_link};
use super::{Checked, World};

/// A task that one connection changed makes every other one with an enabled mapping due, and an edit makes all due.
///
/// # Errors
/// Whatever the store answers.
pub async fn a_changed_task_makes_other_connections_due(world: World) -> Checked {
    let task = world.add_task("Pulled").await?;
    assert_eq!(world.store.due_connections().await?, [world.there]);
    world
        .store
        .commit(Fence::Hub, Changeset::of(vec![update_task(&task)]))
        .await?;
    let mut both = [world.here, world.there];
    both.sort_unstable();
    assert_eq!(world.store.due_connections().await?, both);
    Ok(())
}

/// The run that is claimed covers what made the connection due.
///
/// # Errors
/// Whatever the store answers.
pub async fn a_claim_clears_the_due_mark(world: World) -> Checked {
    world
        .store
        .commit(Fence::Hub, Changeset::of(vec![insert_task(&world.task("Edited"))]))
        .await?;
    assert_eq!(world.store.claim_run(world.fence()).await?, None);
    assert!(
        world.store.due_connections().await?.contains(&world.here),
        "no run, no answer to it"
    );
    world.store.enqueue_run(RunRequest::new(world.here)).await?;
    world.store.claim_run(world.fence()).await?;
    assert_eq!(world.store.due_connections().await?, [world.there]);
    Ok(())
}

/// Links, stale units and disabled mappings make nobody due.
///
/// # Errors
/// Whatever the store answers.
pub async fn what_changes_no_task_makes_nobody_due(world: World) -> Checked {
    let disabled = Mapping {
        enabled: false,
        ..world.mapping_there.clone()
    };
    let changeset = Changeset {
        mappings: vec![MappingWrite {
            mapping: disabled,
            expected: Some(RowVersion(1)),
        }],
        ..Changeset::new()
    };
    world.store.commit(world.fence(), changeset).await?;
    let (task, link) = world.add_linked("Task", 1).await?;
    assert_eq!(world.store.due_connections().await?, [], "its mapping is disabled");

    let enabled = Mapping {
        version: RowVersion(2),
        ..world.mapping_there.clone()
    };
    let changeset = Changeset {
        mappings: vec![MappingWrite {
            mapping: enabled,
            expected: Some(RowVersion(2)),
        }],
        ..Changeset::new()
    };
    world.store.commit(world.fence(), changeset).await?;
    let stale = update_task(&Task {
        version: RowVersion(9),
        ..task.clone()
    });
    let link_there = with_link(Unit::default(), &world.link_there(&task, 1));
    let mut taken_back = update_task(&task);
    taken_back.links = update_link(&Link {
        version: RowVersion(9),
        ..link.clone()
    })
    .links;
    let outcome = world
        .commit(vec![update_link(&link), link_there, stale, taken_back])
        .await?;
    assert_eq!(outcome.stale.len(), 2);
    assert_eq!(world.store.due_connections().await?, []);
    Ok(())
}

/// A connection mapped to the project that a task left must see that it went.
///
/// # Errors
/// Whatever the store answers.
pub async fn a_task_that_moved_makes_the_project_it_left_due(world: World) -> Checked {
    let task = world.task("Moving");
    let link = world.link(&task, 1);
    let mars = Project::new("Mars", world.now());
    let there = magnus_core::model::ExternalId::from(2);
    let changeset = Changeset {
        projects: vec![ProjectWrite {
            project: mars.clone(),
            expected: None,
        }],
        mappings: vec![insert_mapping(Mapping::new(world.here, there, "Mars", mars.id))],
        units: vec![with_link(insert_task(&task), &link)],
        ..Changeset::new()
    };
    world.store.commit(world.fence(), changeset).await?;
    let due = |due: Vec<ConnectionId>| due.contains(&world.there);
    assert!(due(world.store.due_connections().await?));
    let lease = world
        .store
        .acquire_lease(world.there, "tests".to_owned(), super::world::TTL)
        .await?;
    world.store.enqueue_run(RunRequest::new(world.there)).await?;
    world
        .store
        .claim_run(Fence::Lease(super::world::granted(lease)))
        .await?;
    assert!(!due(world.store.due_connections().await?));

    world
        .commit_all(vec![update_task(&Task {
            project_id: mars.id,
            version: RowVersion(1),
            ..task
        })])
        .await?;
    assert!(due(world.store.due_connections().await?));
    Ok(())
}
