//! Rows of `magnus_host_pace`: how much each tool's host bears, shared by all processes on the hub.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use magnus_core::layer::{Heard, HostPace, PaceBook, PacePolicy, Turns};
use magnus_core::store::StoreError;
use sqlx::Connection as _;

use crate::PostgresStore;
use crate::columns::text;
use crate::error::failed;

const OPERATION: &str = "take turns at a tool";

/// For how long a process goes by what it last read. A complaint that another process hears is heeded after that.
const FRESH: Duration = Duration::from_secs(1);

/// The longest pause that a row can say: a bit more than what is kept.
const LONGEST: Duration = Duration::from_hours(400 * 24);

/// A [`PaceBook`] that all processes on one hub share. Time is the database's.
///
/// As long as a host does not complain it is looked at once a second and nothing is written; after that, turns are taken some
/// at a time, so that there is one statement for many calls and one row for each host.
#[derive(Clone)]
pub struct PostgresPaceBook {
    store: PostgresStore,
}

impl PostgresPaceBook {
    /// The book of a hub.
    #[must_use]
    pub fn new(store: &PostgresStore) -> Self {
        Self { store: store.clone() }
    }

    /// Whether nobody waits for this host.
    async fn is_calm(&self, host: &str) -> Result<bool, StoreError> {
        let spaced: bool = sqlx::query_scalar(self.store.sql(
            "SELECT EXISTS (SELECT 1 FROM {hub}.magnus_host_pace
                            WHERE host = $1 AND (space > 0 OR free_at > clock_timestamp()))",
        ))
        .bind(host)
        .fetch_one(self.store.pool())
        .await
        .map_err(failed(OPERATION))?;
        Ok(!spaced)
    }

    async fn take(&self, host: &str, heard: Heard, most: u32, policy: &PacePolicy) -> Result<Turns, StoreError> {
        let mut connection = self.store.pool().acquire().await.map_err(failed(OPERATION))?;
        let mut transaction = connection.begin().await.map_err(failed(OPERATION))?;
        sqlx::query(self.store.sql(
            "INSERT INTO {hub}.magnus_host_pace (host, space, calm, free_at) VALUES ($1, 0, 0, clock_timestamp())
             ON CONFLICT (host) DO NOTHING",
        ))
        .bind(host)
        .execute(&mut *transaction)
        .await
        .map_err(failed(OPERATION))?;
        // The clock is read after the row's lock was waited for: time has passed.
        sqlx::query(
            self.store
                .sql("SELECT 1 FROM {hub}.magnus_host_pace WHERE host = $1 FOR UPDATE"),
        )
        .bind(host)
        .execute(&mut *transaction)
        .await
        .map_err(failed(OPERATION))?;
        let (space, calm, wait): (i64, i64, i64) = sqlx::query_as(self.store.sql(
            "SELECT space, calm, greatest(0, extract(epoch FROM free_at - clock_timestamp()) * 1000000)::bigint
             FROM {hub}.magnus_host_pace WHERE host = $1",
        ))
        .bind(host)
        .fetch_one(&mut *transaction)
        .await
        .map_err(failed(OPERATION))?;
        let mut pace = HostPace {
            space: duration(space),
            wait: duration(wait),
            calm: u32::try_from(calm).unwrap_or_default(),
        };
        pace.hear(heard, policy);
        let turns = pace.take(most, policy);
        sqlx::query(self.store.sql(
            "UPDATE {hub}.magnus_host_pace
             SET space = $2, calm = $3, free_at = clock_timestamp() + $4 * interval '1 microsecond' WHERE host = $1",
        ))
        .bind(host)
        .bind(microseconds(pace.space))
        .bind(i64::from(pace.calm))
        .bind(microseconds(pace.wait))
        .execute(&mut *transaction)
        .await
        .map_err(failed(OPERATION))?;
        transaction.commit().await.map_err(failed(OPERATION))?;
        Ok(turns)
    }
}

impl fmt::Debug for PostgresPaceBook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresPaceBook").finish_non_exhaustive()
    }
}

#[async_trait]
impl PaceBook for PostgresPaceBook {
    async fn turns(&self, host: &str, heard: Heard, most: u32, policy: PacePolicy) -> Result<Turns, StoreError> {
        let host = text(host);
        if heard.complaints == 0 && self.is_calm(&host).await? {
            return Ok(HostPace::default().take(most, &policy));
        }
        self.take(&host, heard, most, &policy).await
    }

    fn fresh_for(&self) -> Duration {
        FRESH
    }
}

/// What a column says; somebody may have put anything there.
fn duration(microseconds: i64) -> Duration {
    Duration::from_micros(u64::try_from(microseconds).unwrap_or_default()).min(LONGEST)
}

fn microseconds(duration: Duration) -> i64 {
    i64::try_from(duration.min(LONGEST).as_micros()).unwrap_or(i64::MAX)
}
