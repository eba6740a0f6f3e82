//! Rows of `magnus_leases`: the right to run a connection.

use std::time::Duration;

use async_trait::async_trait;
use magnus_core::model::{ConnectionId, Timestamp};
use magnus_core::store::{Fence, Lease, LeaseAnswer, LeaseStore, StoreError, StoreErrorKind};
use sqlx::SqliteConnection;

use crate::SqliteStore;
use crate::columns::Columns;
use crate::error::{failed, is_missing_reference};
use crate::instant::to_text;
use crate::open::finish;

#[async_trait]
impl LeaseStore for SqliteStore {
    async fn acquire_lease(
        &self,
        connection: ConnectionId,
        holder: String,
        ttl: Duration,
    ) -> Result<LeaseAnswer, StoreError> {
        const OPERATION: &str = "acquire lease";
        self.aside(OPERATION, move |store| async move {
            let mut transaction = store.begin(OPERATION).await?;
            // After the lock was waited for: time has passed.
            let now = store.now();
            let expires_at = end(now, ttl)?;
            if let Some((other, until)) = holder_of(&mut transaction, connection).await?
                && other != holder
                && until > now
            {
                return Ok(LeaseAnswer::Held {
                    holder: other,
                    expires_at: until,
                });
            }
            let epoch: i64 = sqlx::query_scalar(
                "INSERT INTO magnus_leases (connection_id, epoch, holder, expires_at) VALUES (?1, 1, ?2, ?3)
             ON CONFLICT (connection_id) DO UPDATE SET epoch = epoch + 1, holder = ?2, expires_at = ?3
             RETURNING epoch",
            )
            .bind(connection.to_string())
            .bind(&holder)
            .bind(to_text(expires_at))
            .fetch_one(&mut *transaction)
            .await
            .map_err(|error| unknown_connection(error, connection, OPERATION))?;
            finish(transaction, OPERATION).await?;
            Ok(LeaseAnswer::Granted(Lease {
                connection_id: connection,
                holder,
                epoch,
            }))
        })
        .await
    }

    async fn renew_lease(&self, lease: Lease, ttl: Duration) -> Result<bool, StoreError> {
        const OPERATION: &str = "renew lease";
        self.aside(OPERATION, move |store| async move {
            let mut transaction = store.begin(OPERATION).await?;
            let now = store.now();
            let renewed = sqlx::query(
                "UPDATE magnus_leases SET expires_at = ?1
             WHERE connection_id = ?2 AND epoch = ?3 AND holder = ?4 AND expires_at > ?5",
            )
            .bind(to_text(end(now, ttl)?))
            .bind(lease.connection_id.to_string())
            .bind(lease.epoch)
            .bind(&lease.holder)
            .bind(to_text(now))
            .execute(&mut *transaction)
            .await
            .map_err(failed(OPERATION))?;
            finish(transaction, OPERATION).await?;
            Ok(renewed.rows_affected() == 1)
        })
        .await
    }

    async fn release_lease(&self, lease: Lease) -> Result<(), StoreError> {
        const OPERATION: &str = "release lease";
        self.aside(OPERATION, move |store| async move {
            let mut transaction = store.begin(OPERATION).await?;
            sqlx::query(
                "UPDATE magnus_leases SET holder = NULL, expires_at = NULL WHERE connection_id = ? AND epoch = ?",
            )
            .bind(lease.connection_id.to_string())
            .bind(lease.epoch)
            .execute(&mut *transaction)
            .await
            .map_err(failed(OPERATION))?;
            finish(transaction, OPERATION).await
        })
        .await
    }
}

async fn holder_of(
    connection: &mut SqliteConnection,
    id: ConnectionId,
) -> Result<Option<(String, Timestamp)>, StoreError> {
    let row = sqlx::query(
        "SELECT connection_id AS id, holder, expires_at FROM magnus_leases
         WHERE connection_id = ? AND holder IS NOT NULL",
    )
    .bind(id.to_string())
    .fetch_optional(connection)
    .await
    .map_err(failed("read lease"))?;
    let Some(row) = row else {
        return Ok(None);
    };
    let columns = Columns::new("magnus_leases", &row);
    Ok(Some((columns.text("holder")?, columns.time("expires_at")?)))
}

/// Refuses a fence whose lease does not stand any more. Within a transaction that holds the write lock.
pub(crate) async fn check_fence(
    connection: &mut SqliteConnection,
    fence: &Fence,
    now: Timestamp,
    operation: &'static str,
) -> Result<(), StoreError> {
    let Fence::Lease(lease) = fence else {
        return Ok(());
    };
    let stands: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM magnus_leases
                        WHERE connection_id = ? AND epoch = ? AND holder = ? AND expires_at > ?)",
    )
    .bind(lease.connection_id.to_string())
    .bind(lease.epoch)
    .bind(&lease.holder)
    .bind(to_text(now))
    .fetch_one(connection)
    .await
    .map_err(failed(operation))?;
    if stands {
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

pub(crate) fn end(now: Timestamp, ttl: Duration) -> Result<Timestamp, StoreError> {
    let ttl = chrono::TimeDelta::from_std(ttl).ok();
    ttl.and_then(|ttl| now.checked_add_signed(ttl)).ok_or_else(|| {
        StoreError::new(
            StoreErrorKind::Usage,
            "lease",
            "the time to live is too long to be a date",
        )
    })
}
