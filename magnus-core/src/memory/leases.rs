//! The right to run a connection.

use std::time::Duration;

use async_trait::async_trait;

use super::MemoryStore;
use super::tables::{LeaseRow, Tables};
use crate::model::{ConnectionId, Timestamp};
use crate::store::{Fence, Lease, LeaseAnswer, LeaseStore, StoreError, StoreErrorKind};

#[async_trait]
impl LeaseStore for MemoryStore {
    async fn acquire_lease(
        &self,
        connection: ConnectionId,
        holder: String,
        ttl: Duration,
    ) -> Result<LeaseAnswer, StoreError> {
        let now = self.now();
        let expires_at = end(now, ttl)?;
        let mut tables = self.tables();
        tables.require_connection(connection, "acquire lease")?;
        let row = tables
            .leases
            .entry(connection)
            .or_insert(LeaseRow { epoch: 0, holder: None });
        match &row.holder {
            Some((other, expires_at)) if *other != holder && *expires_at > now => {
                return Ok(LeaseAnswer::Held {
                    holder: other.clone(),
                    expires_at: *expires_at,
                });
            }
            _ => {}
        }
        row.epoch += 1;
        row.holder = Some((holder.clone(), expires_at));
        Ok(LeaseAnswer::Granted(Lease {
            connection_id: connection,
            holder,
            epoch: row.epoch,
        }))
    }

    async fn renew_lease(&self, lease: Lease, ttl: Duration) -> Result<bool, StoreError> {
        let now = self.now();
        let expires_at = end(now, ttl)?;
        let mut tables = self.tables();
        if !tables.holds(&lease, now) {
            return Ok(false);
        }
        if let Some(row) = tables.leases.get_mut(&lease.connection_id) {
            row.holder = Some((lease.holder, expires_at));
        }
        Ok(true)
    }

    async fn release_lease(&self, lease: Lease) -> Result<(), StoreError> {
        let mut tables = self.tables();
        if let Some(row) = tables.leases.get_mut(&lease.connection_id)
            && row.epoch == lease.epoch
        {
            row.holder = None;
        }
        Ok(())
    }
}

fn end(now: Timestamp, ttl: Duration) -> Result<Timestamp, StoreError> {
    let ttl = chrono::TimeDelta::from_std(ttl).ok();
    ttl.and_then(|ttl| now.checked_add_signed(ttl)).ok_or_else(|| {
        StoreError::new(
            StoreErrorKind::Usage,
            "lease",
            "the time to live is too long to be a date",
        )
    })
}

impl Tables {
    /// Whether the lease still stands.
    pub(super) fn holds(&self, lease: &Lease, now: Timestamp) -> bool {
        self.leases.get(&lease.connection_id).is_some_and(|row| {
            row.epoch == lease.epoch
                && row
                    .holder
                    .as_ref()
                    .is_some_and(|(holder, until)| *holder == lease.holder && *until > now)
        })
    }

    /// Whether anybody holds the lease of this connection.
    pub(super) fn is_leased(&self, connection: ConnectionId, now: Timestamp) -> bool {
        let holder = self.leases.get(&connection).and_then(|row| row.holder.as_ref());
        holder.is_some_and(|(_, until)| *until > now)
    }

    pub(super) fn check_fence(&self, fence: &Fence, now: Timestamp, operation: &'static str) -> Result<(), StoreError> {
        match fence {
            Fence::Lease(lease) if !self.holds(lease, now) => Err(StoreError::new(
                StoreErrorKind::Fenced,
                operation,
                format!(
                    "the lease of connection {} was lost; nothing was changed",
                    lease.connection_id
                ),
            )),
            _ => Ok(()),
        }
    }
}
