//! Whoever lost the lease commits nothing.

use magnus_core::store::{Changeset, Fence, StoreErrorKind};

use super::world::{TTL, assert_kind, granted, insert_task};
use super::{Checked, World};

/// After another holder took the lease, the old one is refused and the new one is not.
///
/// # Errors
/// Whatever the store answers.
pub async fn a_commit_after_takeover_is_refused(world: World) -> Checked {
    world.clock.advance(TTL);
    let taken = granted(world.store.acquire_lease(world.here, "other".to_owned(), TTL).await?);
    assert_kind(
        world.commit(vec![insert_task(&world.task("Late"))]).await,
        StoreErrorKind::Fenced,
    );
    assert_eq!(world.store.tasks_of_project(world.project.id).await?, []);
    let new = Changeset::of(vec![insert_task(&world.task("New"))]);
    world.store.commit(Fence::Lease(taken), new).await?;
    Ok(())
}

/// The same process taking the lease anew fences off what it sent before.
///
/// # Errors
/// Whatever the store answers.
pub async fn a_commit_under_an_older_epoch_is_refused(world: World) -> Checked {
    let holder = world.lease.holder.clone();
    let taken = granted(world.store.acquire_lease(world.here, holder, TTL).await?);
    assert_kind(
        world.commit(vec![insert_task(&world.task("Late"))]).await,
        StoreErrorKind::Fenced,
    );
    let new = Changeset::of(vec![insert_task(&world.task("New"))]);
    world.store.commit(Fence::Lease(taken), new).await?;
    Ok(())
}

/// A lease that ran out is worth nothing, though nobody took it.
///
/// # Errors
/// Whatever the store answers.
pub async fn a_commit_after_expiry_is_refused(world: World) -> Checked {
    world.clock.advance(TTL);
    assert_kind(
        world.commit(vec![insert_task(&world.task("Late"))]).await,
        StoreErrorKind::Fenced,
    );
    assert_kind(world.store.claim_run(world.fence()).await, StoreErrorKind::Fenced);
    Ok(())
}

/// A lease given back is worth nothing.
///
/// # Errors
/// Whatever the store answers.
pub async fn a_commit_after_release_is_refused(world: World) -> Checked {
    world.store.release_lease(world.lease.clone()).await?;
    assert_kind(
        world.commit(vec![insert_task(&world.task("Late"))]).await,
        StoreErrorKind::Fenced,
    );
    Ok(())
}

/// A person edits the hub whoever holds which lease.
///
/// # Errors
/// Whatever the store answers.
pub async fn an_edit_of_the_hub_needs_no_lease(world: World) -> Checked {
    let task = world.task("Edited");
    world
        .store
        .commit(Fence::Hub, Changeset::of(vec![insert_task(&task)]))
        .await?;
    world.read_task(&task).await?;
    Ok(())
}

/// What was committed stays so: asked again, the answer is the same, though the lease is gone by now.
///
/// # Errors
/// Whatever the store answers.
pub async fn what_was_committed_is_answered_even_when_the_lease_is_lost(world: World) -> Checked {
    let changeset = Changeset::of(vec![insert_task(&world.task("Done"))]);
    let first = world.store.commit(world.fence(), changeset.clone()).await?;
    world.clock.advance(TTL);
    assert_eq!(world.store.commit(world.fence(), changeset).await?, first);
    Ok(())
}
