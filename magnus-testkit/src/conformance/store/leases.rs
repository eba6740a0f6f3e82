//! At most one holder anywhere.

use std::time::Duration;

use chrono::TimeDelta;
use magnus_core::model::ConnectionId;
use magnus_core::store::{LeaseAnswer, StoreErrorKind};

use super::world::{TTL, assert_kind, granted};
use super::{Checked, World};

/// A second taker is told who holds it and until when, and gets it once it expired.
///
/// # Errors
/// Whatever the store answers.
pub async fn a_lease_has_one_holder_until_it_expires(world: World) -> Checked {
    let expires_at = world.now() + TimeDelta::seconds(30);
    let take = || world.store.acquire_lease(world.here, "other".to_owned(), TTL);
    assert_eq!(
        take().await?,
        LeaseAnswer::Held {
            holder: "tests".to_owned(),
            expires_at
        }
    );
    world.clock.advance(TTL - Duration::from_millis(1));
    assert_eq!(
        take().await?,
        LeaseAnswer::Held {
            holder: "tests".to_owned(),
            expires_at
        }
    );
    granted(world.store.acquire_lease(world.there, "other".to_owned(), TTL).await?);
    world.clock.advance(Duration::from_millis(1));
    assert!(granted(take().await?).epoch > world.lease.epoch);
    Ok(())
}

/// The epoch rises with every taking, by the same holder too, and after a release.
///
/// # Errors
/// Whatever the store answers.
pub async fn each_taking_raises_the_epoch(world: World) -> Checked {
    let take = || world.store.acquire_lease(world.here, "tests".to_owned(), TTL);
    let second = granted(take().await?);
    assert_eq!(second.epoch, world.lease.epoch + 1);
    assert!(
        !world.store.renew_lease(world.lease.clone(), TTL).await?,
        "the first one is fenced off"
    );
    world.store.release_lease(second.clone()).await?;
    assert_eq!(granted(take().await?).epoch, second.epoch + 1);
    Ok(())
}

/// Whoever lost the lease can neither prolong nor free it.
///
/// # Errors
/// Whatever the store answers.
pub async fn a_lost_lease_is_neither_renewed_nor_released(world: World) -> Checked {
    world.clock.advance(TTL);
    assert!(
        !world.store.renew_lease(world.lease.clone(), TTL).await?,
        "expired, though nobody took it"
    );
    let taken = granted(world.store.acquire_lease(world.here, "other".to_owned(), TTL).await?);
    assert!(!world.store.renew_lease(world.lease.clone(), TTL).await?);
    world.store.release_lease(world.lease.clone()).await?;
    assert!(
        world.store.renew_lease(taken, TTL).await?,
        "the new holder still has it"
    );
    Ok(())
}

/// A renewal counts from now.
///
/// # Errors
/// Whatever the store answers.
pub async fn a_renewed_lease_lives_longer(world: World) -> Checked {
    world.clock.advance(TTL / 2);
    assert!(world.store.renew_lease(world.lease.clone(), TTL).await?);
    world.clock.advance(TTL / 2);
    assert!(world.store.renew_lease(world.lease.clone(), TTL).await?);
    world.store.release_lease(world.lease.clone()).await?;
    granted(world.store.acquire_lease(world.here, "other".to_owned(), TTL).await?);
    Ok(())
}

/// Of several takers at once one gets the lease.
///
/// # Errors
/// Whatever the store answers.
pub async fn of_many_takers_one_wins(world: World) -> Checked {
    let takers = (0..8).map(|number| world.store.acquire_lease(world.there, format!("taker {number}"), TTL));
    let mut winners = 0;
    for answer in futures::future::join_all(takers).await {
        winners += u32::from(matches!(answer?, LeaseAnswer::Granted(_)));
    }
    assert_eq!(winners, 1);
    Ok(())
}

/// There is no lease on a connection that is not there.
///
/// # Errors
/// Whatever the store answers.
pub async fn an_unknown_connection_has_no_lease(world: World) -> Checked {
    let nobody = ConnectionId::generate();
    assert_kind(
        world.store.acquire_lease(nobody, "tests".to_owned(), TTL).await,
        StoreErrorKind::NotFound,
    );
    Ok(())
}
