//! Rows of `magnus_breakdowns`. Time is the database's.

use std::time::Duration;

use async_trait::async_trait;
use magnus_core::model::{BreakdownId, BreakdownJob, BreakdownState, TaskId, Timestamp};
use magnus_core::store::{
    BreakdownClaim, BreakdownEnd, BreakdownQuery, BreakdownStore, EnqueuedBreakdown, StoreError, StoreErrorKind,
};
use sqlx::Postgres;
use sqlx::postgres::{PgArguments, PgRow};

use crate::PostgresStore;
use crate::columns::{Columns, text, to_json};
use crate::error::{failed, is_missing_reference, patiently};
use crate::leases::microseconds;

/// How often a request is tried that meets others for the same task at the same moment.
const TRIES: u32 = 20;

type Query<'q> = sqlx::query::Query<'q, Postgres, PgArguments>;

#[async_trait]
impl BreakdownStore for PostgresStore {
    async fn enqueue_breakdown(&self, task: TaskId) -> Result<EnqueuedBreakdown, StoreError> {
        const OPERATION: &str = "enqueue breakdown";
        for _ in 0..TRIES {
            let inserted = sqlx::query(self.sql(
                "INSERT INTO {hub}.magnus_breakdowns (id, task_id, status, queued_at)
                 VALUES ($1, $2, 'queued', coalesce($3, clock_timestamp()))
                 ON CONFLICT DO NOTHING RETURNING *",
            ))
            .bind(BreakdownId::generate().as_uuid())
            .bind(task.as_uuid())
            .bind(self.set_time())
            .fetch_optional(self.pool())
            .await
            .map_err(|error| match is_missing_reference(&error) {
                true => StoreError::new(StoreErrorKind::NotFound, OPERATION, format!("there is no task {task}")),
                false => failed(OPERATION)(error),
            })?;
            if let Some(row) = inserted {
                let job = from_row(&row)?;
                return Ok(EnqueuedBreakdown { job, joined: false });
            }
            let unfinished = sqlx::query(self.sql(
                "SELECT * FROM {hub}.magnus_breakdowns
                 WHERE task_id = $1 AND status IN ('queued', 'running', 'interrupted')",
            ))
            .bind(task.as_uuid());
            if let Some(job) = self.one_breakdown(unfinished, OPERATION).await? {
                return Ok(EnqueuedBreakdown { job, joined: true });
            }
        }
        let message = "breakdowns of this task end faster than a request can join; try again";
        Err(StoreError::new(StoreErrorKind::Unavailable, OPERATION, message))
    }

    async fn claim_breakdown(&self, holder: String, ttl: Duration) -> Result<Option<BreakdownJob>, StoreError> {
        // One that another process claims right now is left to it.
        let claimed = sqlx::query(self.sql(
            "UPDATE {hub}.magnus_breakdowns
             SET status = 'running', attempts = attempts + 1, holder = $1, started_at = coalesce($2, clock_timestamp()),
                 claimed_until = coalesce($2, clock_timestamp()) + $3 * interval '1 microsecond'
             WHERE id = (SELECT id FROM {hub}.magnus_breakdowns WHERE status IN ('queued', 'interrupted')
                         ORDER BY queued_at, id LIMIT 1 FOR UPDATE SKIP LOCKED)
             RETURNING *",
        ))
        .bind(holder)
        .bind(self.set_time())
        .bind(microseconds(ttl)?);
        self.one_breakdown(claimed, "claim breakdown").await
    }

    async fn renew_breakdown(&self, claim: BreakdownClaim, ttl: Duration) -> Result<Option<BreakdownJob>, StoreError> {
        let renewed = sqlx::query(self.sql(
            "UPDATE {hub}.magnus_breakdowns
             SET claimed_until = coalesce($4, clock_timestamp()) + $5 * interval '1 microsecond'
             WHERE id = $1 AND attempts = $2 AND holder = $3 AND status = 'running'
               AND claimed_until > coalesce($4, clock_timestamp())
             RETURNING *",
        ))
        .bind(claim.id.as_uuid())
        .bind(i32::try_from(claim.attempt).unwrap_or(i32::MAX))
        .bind(claim.holder)
        .bind(self.set_time())
        .bind(microseconds(ttl)?);
        self.one_breakdown(renewed, "renew breakdown").await
    }

    async fn finish_breakdown(&self, claim: BreakdownClaim, end: BreakdownEnd) -> Result<bool, StoreError> {
        const OPERATION: &str = "finish breakdown";
        if matches!(end.state, BreakdownState::Queued | BreakdownState::Running) {
            let message = format!("{} does not end a breakdown", end.state);
            return Err(StoreError::new(StoreErrorKind::Usage, OPERATION, message));
        }
        let proposal = end
            .breakdown
            .as_deref()
            .map(|breakdown| to_json(breakdown, "a proposal"));
        let done = sqlx::query(self.sql(
            "UPDATE {hub}.magnus_breakdowns
             SET status = $4, breakdown = $5::json, error_message = $6, raw = $7, holder = NULL, claimed_until = NULL,
                 completed_at = CASE WHEN $8 THEN coalesce($9, clock_timestamp()) END
             WHERE id = $1 AND attempts = $2 AND holder = $3 AND status = 'running'",
        ))
        .bind(claim.id.as_uuid())
        .bind(i32::try_from(claim.attempt).unwrap_or(i32::MAX))
        .bind(claim.holder)
        .bind(end.state.as_str())
        .bind(proposal.transpose()?)
        .bind(end.error_message.as_deref().map(text))
        .bind(end.raw.as_deref().map(text))
        .bind(end.state.is_final())
        .bind(self.set_time())
        .execute(self.pool())
        .await
        .map_err(failed(OPERATION))?;
        Ok(done.rows_affected() == 1)
    }

    async fn cancel_breakdown(&self, id: BreakdownId) -> Result<Option<BreakdownJob>, StoreError> {
        let cancelled = sqlx::query(self.sql(
            "UPDATE {hub}.magnus_breakdowns
             SET cancel_requested = TRUE,
                 status = CASE WHEN status = 'running' THEN status ELSE 'cancelled' END,
                 completed_at = CASE WHEN status = 'running' THEN NULL ELSE coalesce($2, clock_timestamp()) END
             WHERE id = $1 AND status IN ('queued', 'running', 'interrupted')
             RETURNING *",
        ))
        .bind(id.as_uuid())
        .bind(self.set_time());
        match self.one_breakdown(cancelled, "cancel breakdown").await? {
            Some(job) => Ok(Some(job)),
            None => self.breakdown(id).await,
        }
    }

    async fn interrupt_abandoned_breakdowns(&self) -> Result<Vec<BreakdownJob>, StoreError> {
        let rows = sqlx::query(self.sql(
            "UPDATE {hub}.magnus_breakdowns
             SET status = CASE WHEN cancel_requested THEN 'cancelled' ELSE 'interrupted' END,
                 completed_at = CASE WHEN cancel_requested THEN coalesce($1, clock_timestamp()) END,
                 holder = NULL, claimed_until = NULL
             WHERE status = 'running' AND claimed_until <= coalesce($1, clock_timestamp())
             RETURNING *",
        ))
        .bind(self.set_time())
        .fetch_all(self.pool())
        .await
        .map_err(failed("interrupt breakdowns"))?;
        rows.iter().map(from_row).collect()
    }

    async fn discard_breakdown(&self, id: BreakdownId) -> Result<Option<BreakdownJob>, StoreError> {
        let discarded = sqlx::query(self.sql(
            "UPDATE {hub}.magnus_breakdowns
             SET discarded_at = coalesce(discarded_at, coalesce($2, clock_timestamp()))
             WHERE id = $1 AND status = 'completed' RETURNING *",
        ))
        .bind(id.as_uuid())
        .bind(self.set_time());
        match self.one_breakdown(discarded, "discard breakdown").await? {
            Some(job) => Ok(Some(job)),
            None => self.breakdown(id).await,
        }
    }

    async fn breakdown(&self, id: BreakdownId) -> Result<Option<BreakdownJob>, StoreError> {
        let row = patiently!(
            "read breakdown",
            sqlx::query(self.sql("SELECT * FROM {hub}.magnus_breakdowns WHERE id = $1"))
                .bind(id.as_uuid())
                .fetch_optional(self.pool())
        )?;
        row.as_ref().map(from_row).transpose()
    }

    async fn breakdowns(&self, query: BreakdownQuery) -> Result<Vec<BreakdownJob>, StoreError> {
        let limit = i64::try_from(query.effective_limit()).unwrap_or(i64::MAX);
        let rows = patiently!(
            "read breakdowns",
            sqlx::query(self.sql(
                "SELECT * FROM {hub}.magnus_breakdowns
                 WHERE ($1::uuid IS NULL OR task_id = $1)
                   AND (NOT $2 OR status IN ('queued', 'running', 'interrupted'))
                 ORDER BY queued_at DESC, id DESC LIMIT $3",
            ))
            .bind(query.task_id.map(TaskId::as_uuid))
            .bind(query.unfinished_only)
            .bind(limit)
            .fetch_all(self.pool())
        )?;
        rows.iter().map(from_row).collect()
    }

    async fn prune_breakdowns(&self, before: Timestamp, limit: usize) -> Result<u64, StoreError> {
        // Rows that another process prunes right now are left to it.
        const PRUNE: &str = "
             DELETE FROM {hub}.magnus_breakdowns WHERE id IN (
                 SELECT job.id FROM {hub}.magnus_breakdowns AS job
                 WHERE job.completed_at < $1 AND job.status IN ('completed', 'failed', 'cancelled')
                   AND EXISTS (SELECT 1 FROM {hub}.magnus_breakdowns AS newer
                               WHERE newer.task_id = job.task_id
                                 AND (newer.queued_at, newer.id) > (job.queued_at, job.id))
                   AND (job.status <> 'completed'
                        OR EXISTS (SELECT 1 FROM {hub}.magnus_breakdowns AS newer
                                   WHERE newer.task_id = job.task_id AND newer.status = 'completed'
                                     AND (newer.queued_at, newer.id) > (job.queued_at, job.id)))
                 ORDER BY job.completed_at, job.id LIMIT $2
                 FOR UPDATE OF job SKIP LOCKED)";
        let pruned = patiently!(
            "prune breakdowns",
            sqlx::query(self.sql(PRUNE))
                .bind(before)
                .bind(i64::try_from(limit).unwrap_or(i64::MAX))
                .execute(self.pool())
        )?;
        Ok(pruned.rows_affected())
    }
}

impl PostgresStore {
    async fn one_breakdown(
        &self,
        query: Query<'_>,
        operation: &'static str,
    ) -> Result<Option<BreakdownJob>, StoreError> {
        let row = query.fetch_optional(self.pool()).await.map_err(failed(operation))?;
        row.as_ref().map(from_row).transpose()
    }
}

fn from_row(row: &PgRow) -> Result<BreakdownJob, StoreError> {
    let columns = Columns::new("magnus_breakdowns", row);
    Ok(BreakdownJob {
        id: columns.id("id", BreakdownId::from_uuid)?,
        task_id: columns.id("task_id", TaskId::from_uuid)?,
        state: columns.parse("status")?,
        cancel_requested: columns.get("cancel_requested")?,
        attempts: columns.number::<i32, _>("attempts")?.unwrap_or_default(),
        holder: columns.get("holder")?,
        breakdown: columns.optional_json("breakdown")?,
        error_message: columns.get("error_message")?,
        raw: columns.get("raw")?,
        discarded_at: columns.optional_time("discarded_at")?,
        queued_at: columns.time("queued_at")?,
        started_at: columns.optional_time("started_at")?,
        completed_at: columns.optional_time("completed_at")?,
    })
}
