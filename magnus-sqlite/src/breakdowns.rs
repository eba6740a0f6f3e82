//! Rows of `magnus_breakdowns`.

use std::time::Duration;

use async_trait::async_trait;
use magnus_core::model::{BreakdownId, BreakdownJob, BreakdownState, TaskId, Timestamp};
use magnus_core::store::{
    BreakdownClaim, BreakdownEnd, BreakdownQuery, BreakdownStore, EnqueuedBreakdown, StoreError, StoreErrorKind,
};
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Sqlite, SqliteConnection};

use crate::SqliteStore;
use crate::columns::{Columns, to_json};
use crate::error::{failed, is_missing_reference};
use crate::instant::to_text;
use crate::leases::end as after;
use crate::open::finish;

type Query<'q> = sqlx::query::Query<'q, Sqlite, SqliteArguments>;

#[async_trait]
impl BreakdownStore for SqliteStore {
    async fn enqueue_breakdown(&self, task: TaskId) -> Result<EnqueuedBreakdown, StoreError> {
        const OPERATION: &str = "enqueue breakdown";
        let mut transaction = self.begin(OPERATION).await?;
        let unfinished = sqlx::query(
            "SELECT * FROM magnus_breakdowns WHERE task_id = ? AND status IN ('queued', 'running', 'interrupted')",
        )
        .bind(task.to_string());
        if let Some(job) = one(unfinished, &mut transaction, OPERATION).await? {
            return Ok(EnqueuedBreakdown { job, joined: true });
        }
        let job = BreakdownJob::queued(task, self.now());
        sqlx::query("INSERT INTO magnus_breakdowns (id, task_id, status, queued_at) VALUES (?, ?, ?, ?)")
            .bind(job.id.to_string())
            .bind(task.to_string())
            .bind(job.state.as_str())
            .bind(to_text(job.queued_at))
            .execute(&mut *transaction)
            .await
            .map_err(|error| match is_missing_reference(&error) {
                true => StoreError::new(StoreErrorKind::NotFound, OPERATION, format!("there is no task {task}")),
                false => failed(OPERATION)(error),
            })?;
        finish(transaction, OPERATION).await?;
        Ok(EnqueuedBreakdown { job, joined: false })
    }

    async fn claim_breakdown(&self, holder: String, ttl: Duration) -> Result<Option<BreakdownJob>, StoreError> {
        const OPERATION: &str = "claim breakdown";
        // Looked at all the time and mostly in vain: that must not wait for the lock of writers.
        let waits: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM magnus_breakdowns WHERE status IN ('queued', 'interrupted'))",
        )
        .fetch_one(self.readers())
        .await
        .map_err(failed(OPERATION))?;
        if !waits {
            return Ok(None);
        }
        let mut transaction = self.begin(OPERATION).await?;
        let now = self.now();
        let claimed = sqlx::query(
            "UPDATE magnus_breakdowns
             SET status = 'running', attempts = attempts + 1, holder = ?1, started_at = ?2, claimed_until = ?3
             WHERE id = (SELECT id FROM magnus_breakdowns WHERE status IN ('queued', 'interrupted')
                         ORDER BY queued_at, id LIMIT 1)
             RETURNING *",
        )
        .bind(holder)
        .bind(to_text(now))
        .bind(to_text(after(now, ttl)?));
        let claimed = one(claimed, &mut transaction, OPERATION).await?;
        finish(transaction, OPERATION).await?;
        Ok(claimed)
    }

    async fn renew_breakdown(&self, claim: BreakdownClaim, ttl: Duration) -> Result<Option<BreakdownJob>, StoreError> {
        const OPERATION: &str = "renew breakdown";
        let mut transaction = self.begin(OPERATION).await?;
        let now = self.now();
        let renewed = sqlx::query(
            "UPDATE magnus_breakdowns SET claimed_until = ?4
             WHERE id = ?1 AND attempts = ?2 AND holder = ?3 AND status = 'running' AND claimed_until > ?5
             RETURNING *",
        )
        .bind(claim.id.to_string())
        .bind(claim.attempt)
        .bind(claim.holder)
        .bind(to_text(after(now, ttl)?))
        .bind(to_text(now));
        let renewed = one(renewed, &mut transaction, OPERATION).await?;
        finish(transaction, OPERATION).await?;
        Ok(renewed)
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
        let mut transaction = self.begin(OPERATION).await?;
        let now = to_text(self.now());
        let done = sqlx::query(
            "UPDATE magnus_breakdowns
             SET status = ?4, breakdown = ?5, error_message = ?6, raw = ?7, completed_at = ?8, holder = NULL,
                 claimed_until = NULL
             WHERE id = ?1 AND attempts = ?2 AND holder = ?3 AND status = 'running'",
        )
        .bind(claim.id.to_string())
        .bind(claim.attempt)
        .bind(claim.holder)
        .bind(end.state.as_str())
        .bind(proposal.transpose()?)
        .bind(end.error_message)
        .bind(end.raw)
        .bind(end.state.is_final().then_some(now))
        .execute(&mut *transaction)
        .await
        .map_err(failed(OPERATION))?;
        finish(transaction, OPERATION).await?;
        Ok(done.rows_affected() == 1)
    }

    async fn cancel_breakdown(&self, id: BreakdownId) -> Result<Option<BreakdownJob>, StoreError> {
        const OPERATION: &str = "cancel breakdown";
        let mut transaction = self.begin(OPERATION).await?;
        let cancelled = sqlx::query(
            "UPDATE magnus_breakdowns
             SET cancel_requested = 1,
                 status = CASE WHEN status = 'running' THEN status ELSE 'cancelled' END,
                 completed_at = CASE WHEN status = 'running' THEN NULL ELSE ?2 END
             WHERE id = ?1 AND status IN ('queued', 'running', 'interrupted')
             RETURNING *",
        )
        .bind(id.to_string())
        .bind(to_text(self.now()));
        let cancelled = one(cancelled, &mut transaction, OPERATION).await?;
        finish(transaction, OPERATION).await?;
        match cancelled {
            Some(job) => Ok(Some(job)),
            None => self.breakdown(id).await,
        }
    }

    async fn interrupt_abandoned_breakdowns(&self) -> Result<Vec<BreakdownJob>, StoreError> {
        const OPERATION: &str = "interrupt breakdowns";
        let expired = "status = 'running' AND claimed_until <= ?1";
        let look = format!("SELECT EXISTS (SELECT 1 FROM magnus_breakdowns WHERE {expired})");
        let is_there: bool = sqlx::query_scalar(sqlx::AssertSqlSafe(look))
            .bind(to_text(self.now()))
            .fetch_one(self.readers())
            .await
            .map_err(failed(OPERATION))?;
        if !is_there {
            return Ok(Vec::new());
        }
        let mut transaction = self.begin(OPERATION).await?;
        let statement = format!(
            "UPDATE magnus_breakdowns
             SET status = CASE WHEN cancel_requested THEN 'cancelled' ELSE 'interrupted' END,
                 completed_at = CASE WHEN cancel_requested THEN ?1 END, holder = NULL, claimed_until = NULL
             WHERE {expired} RETURNING *"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(to_text(self.now()))
            .fetch_all(&mut *transaction)
            .await
            .map_err(failed(OPERATION))?;
        finish(transaction, OPERATION).await?;
        rows.iter().map(from_row).collect()
    }

    async fn discard_breakdown(&self, id: BreakdownId) -> Result<Option<BreakdownJob>, StoreError> {
        const OPERATION: &str = "discard breakdown";
        let mut transaction = self.begin(OPERATION).await?;
        let discarded = sqlx::query(
            "UPDATE magnus_breakdowns SET discarded_at = COALESCE(discarded_at, ?2)
             WHERE id = ?1 AND status = 'completed' RETURNING *",
        )
        .bind(id.to_string())
        .bind(to_text(self.now()));
        let discarded = one(discarded, &mut transaction, OPERATION).await?;
        finish(transaction, OPERATION).await?;
        match discarded {
            Some(job) => Ok(Some(job)),
            None => self.breakdown(id).await,
        }
    }

    async fn breakdown(&self, id: BreakdownId) -> Result<Option<BreakdownJob>, StoreError> {
        let row = sqlx::query("SELECT * FROM magnus_breakdowns WHERE id = ?")
            .bind(id.to_string())
            .fetch_optional(self.readers())
            .await
            .map_err(failed("read breakdown"))?;
        row.as_ref().map(from_row).transpose()
    }

    async fn breakdowns(&self, query: BreakdownQuery) -> Result<Vec<BreakdownJob>, StoreError> {
        let rows = sqlx::query(
            "SELECT * FROM magnus_breakdowns
             WHERE (?1 IS NULL OR task_id = ?1) AND (NOT ?2 OR status IN ('queued', 'running', 'interrupted'))
             ORDER BY queued_at DESC, id DESC LIMIT ?3",
        )
        .bind(query.task_id.map(|task| task.to_string()))
        .bind(query.unfinished_only)
        .bind(i64::try_from(query.effective_limit()).unwrap_or(i64::MAX))
        .fetch_all(self.readers())
        .await
        .map_err(failed("read breakdowns"))?;
        rows.iter().map(from_row).collect()
    }

    async fn prune_breakdowns(&self, before: Timestamp, limit: usize) -> Result<u64, StoreError> {
        const OPERATION: &str = "prune breakdowns";
        const OLD: &str = "
             SELECT job.id FROM magnus_breakdowns AS job
             WHERE job.completed_at < ? AND job.status IN ('completed', 'failed', 'cancelled')
               AND EXISTS (SELECT 1 FROM magnus_breakdowns AS newer
                           WHERE newer.task_id = job.task_id AND (newer.queued_at, newer.id) > (job.queued_at, job.id))
               AND (job.status <> 'completed'
                    OR EXISTS (SELECT 1 FROM magnus_breakdowns AS newer
                               WHERE newer.task_id = job.task_id AND newer.status = 'completed'
                                 AND (newer.queued_at, newer.id) > (job.queued_at, job.id)))
             ORDER BY job.completed_at, job.id LIMIT ?";
        // Asked with every look: the write lock is taken only if there is something to delete.
        let old: Vec<String> = sqlx::query_scalar(OLD)
            .bind(to_text(before))
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(self.readers())
            .await
            .map_err(failed(OPERATION))?;
        if old.is_empty() {
            return Ok(0);
        }
        let mut transaction = self.begin(OPERATION).await?;
        let mut pruned = 0;
        for id in old {
            // One that is over stays as it is, so what was found still holds.
            let done = sqlx::query("DELETE FROM magnus_breakdowns WHERE id = ?")
                .bind(id)
                .execute(&mut *transaction)
                .await
                .map_err(failed(OPERATION))?;
            pruned += done.rows_affected();
        }
        finish(transaction, OPERATION).await?;
        Ok(pruned)
    }
}

async fn one(
    query: Query<'_>,
    connection: &mut SqliteConnection,
    operation: &'static str,
) -> Result<Option<BreakdownJob>, StoreError> {
    let row = query.fetch_optional(connection).await.map_err(failed(operation))?;
    row.as_ref().map(from_row).transpose()
}

fn from_row(row: &SqliteRow) -> Result<BreakdownJob, StoreError> {
    let columns = Columns::new("magnus_breakdowns", row);
    Ok(BreakdownJob {
        id: columns.parse("id")?,
        task_id: columns.parse("task_id")?,
        state: columns.parse("status")?,
        cancel_requested: columns.flag("cancel_requested")?,
        attempts: columns.number("attempts")?.unwrap_or_default(),
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
