//! Rows of `magnus_leases`: the right to run a connection. Time is the database's.

use std::time::Duration;

use async_trait::async_trait;
use magnus_core::model::{ConnectionId, Timestamp};
use magnus_core::store::{Fence, Lease, LeaseAnswer, LeaseStore, StoreError, StoreErrorKind};
use sqlx::PgConnection;

use crate::PostgresStore;
use crate::error::{failed, gave_way, is_missing_reference, patiently};

/// How often a lease that was freed between two looks is asked for again.
const TRIES: u32 = 5;

#[async_trait]
impl LeaseStore for PostgresStore {
    async fn acquire_lease(
        &self,
        connection: ConnectionId,
        holder: String,
        ttl: Duration,
    ) -> Result<LeaseAnswer, StoreError> {
        const OPERATION: &str = "acquire lease";
        let ttl = microseconds(ttl)?;
        for _ in 0..TRIES {
            // The clock is read after the row's lock was waited for: time has passed.
            let asked = sqlx::query_scalar(self.sql(
                "INSERT INTO {hub}.magnus_leases AS lease (connection_id, epoch, holder, expires_at)
                 VALUES ($1, 1, $2, coalesce($3, clock_timestamp()) + $4 * interval '1 microsecond')
                 ON CONFLICT (connection_id) DO UPDATE
                 SET epoch = lease.epoch + 1, holder = $2,
                     expires_at = coalesce($3, clock_timestamp()) + $4 * interval '1 microsecond'
                 WHERE lease.holder IS NULL OR lease.holder = $2
                    OR lease.expires_at <= coalesce($3, clock_timestamp())
                 RETURNING epoch",
            ))
            .bind(connection.as_uuid())
            .bind(&holder)
            .bind(self.set_time())
            .bind(ttl)
            .fetch_optional(self.pool())
            .await;
            let epoch: Option<i64> = match asked {
                // In a stricter isolation of a host's own, who waited for the row is refused it.
                Err(error) if gave_way(&error) => continue,
                asked => asked.map_err(|error| unknown_connection(error, connection, OPERATION))?,
            };
            if let Some(epoch) = epoch {
                return Ok(LeaseAnswer::Granted(Lease {
                    connection_id: connection,
                    holder,
                    epoch,
                }));
            }
            let other: Option<(String, Timestamp)> = patiently!(
                OPERATION,
                sqlx::query_as(self.sql(
                    "SELECT holder, expires_at FROM {hub}.magnus_leases
                 WHERE connection_id = $1 AND holder IS NOT NULL AND expires_at IS NOT NULL",
                ))
                .bind(connection.as_uuid())
                .fetch_optional(self.pool())
            )?;
            if let Some((holder, expires_at)) = other {
                return Ok(LeaseAnswer::Held { holder, expires_at });
            }
        }
        let message = "the lease changes hands faster than it can be read; try again";
        Err(StoreError::new(StoreErrorKind::Unavailable, OPERATION, message))
    }

    async fn renew_lease(&self, lease: Lease, ttl: Duration) -> Result<bool, StoreError> {
        let renewed = patiently!(
            "renew lease",
            sqlx::query(self.sql(
                "UPDATE {hub}.magnus_leases
             SET expires_at = coalesce($4, clock_timestamp()) + $5 * interval '1 microsecond'
             WHERE connection_id = $1 AND epoch = $2 AND holder = $3
               AND expires_at > coalesce($4, clock_timestamp())",
            ))
            .bind(lease.connection_id.as_uuid())
            .bind(lease.epoch)
            .bind(&lease.holder)
            .bind(self.set_time())
            .bind(microseconds(ttl)?)
            .execute(self.pool())
        )?;
        Ok(renewed.rows_affected() == 1)
    }

    async fn release_lease(&self, lease: Lease) -> Result<(), StoreError> {
        patiently!("release lease", sqlx::query(self.sql(
            "UPDATE {hub}.magnus_leases SET holder = NULL, expires_at = NULL WHERE connection_id = $1 AND epoch = $2",
        ))
        .bind(lease.connection_id.as_uuid())
        .bind(lease.epoch)
        .execute(self.pool()))?;
        Ok(())
    }
}

/// Refuses a fence whose lease does not stand any more. Until the transaction ends, nobody takes the lease over: what is
/// committed in its right is there before a new holder begins to read.
pub(crate) async fn check_fence(
    connection: &mut PgConnection,
    store: &PostgresStore,
    fence: &Fence,
    operation: &'static str,
) -> Result<(), StoreError> {
    let Fence::Lease(lease) = fence else {
        return Ok(());
    };
    let stands: Option<i32> = sqlx::query_scalar(store.sql(
        "SELECT 1 FROM {hub}.magnus_leases
         WHERE connection_id = $1 AND epoch = $2 AND holder = $3 AND expires_at > coalesce($4, clock_timestamp())
         FOR SHARE",
    ))
    .bind(lease.connection_id.as_uuid())
    .bind(lease.epoch)
    .bind(&lease.holder)
    .bind(store.set_time())
    .fetch_optional(connection)
    .await
    .map_err(failed(operation))?;
    if stands.is_some() {
        return Ok(());
    }
    let message = format!(
        "the lease of connection {} was lost; nothing was changed",
        lease.connection_id
    );
    Err(StoreError::new(StoreErrorKind::Fenced, operation, message))
}

/// A refused reference to a connection, said plainly.
pub(crate) fn unknown_connection(error: sqlx::Error, id: ConnectionId, operation: &'static str) -> StoreError {
    if is_missing_reference(&error) {
        return StoreError::new(
            StoreErrorKind::NotFound,
            operation,
            format!("there is no connection {id}"),
        );
    }
    failed(operation)(error)
}

/// A time to live as the database counts it.
pub(crate) fn microseconds(ttl: Duration) -> Result<f64, StoreError> {
    const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
    if ttl > CENTURY {
        let message = "the time to live is too long to be a date";
        return Err(StoreError::new(StoreErrorKind::Usage, "lease", message));
    }
    Ok(ttl.as_secs_f64() * 1e6)
}
