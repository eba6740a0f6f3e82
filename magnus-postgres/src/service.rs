//! What a service asks of the hub: the run log in pages and as events, access tokens, requests to be carried out once.

use async_trait::async_trait;
use chrono::TimeDelta;
use magnus_core::model::{AccessToken, ConflictId, ConnectionId, Run, RunId, RunState, Timestamp, TokenId};
use magnus_core::store::{
    ConflictPage, ConflictQuery, ConnectionCounts, OnceAnswer, OnceEntry, OnceRequest, RunDigest, RunEvent, RunPage,
    RunQuery, RunStanding, ServiceStore, StoreError, StoreErrorKind, TaskCounts, TaskSearch, TaskSearchPage,
};
use sqlx::PgConnection;
use sqlx::postgres::PgRow;

use crate::columns::{Columns, text};
use crate::error::{failed, patiently};
use crate::open::finish;
use crate::run_rows::BRIEF;
use crate::runs::ASKED_BY_PERSON;
use crate::schema::Schema;
use crate::{PostgresStore, run_rows, search, standing};

#[async_trait]
impl ServiceStore for PostgresStore {
    async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query(self.sql("SELECT id FROM {hub}.magnus_projects LIMIT 1"))
            .fetch_optional(self.pool())
            .await
            .map_err(failed("ping"))?;
        Ok(())
    }

    async fn run_page(&self, query: RunQuery) -> Result<RunPage, StoreError> {
        // What is not asked for has no part in the condition but the type of its parameter: else no plan that serves every
        // query could use an index.
        let wanted = |is_given: bool, condition, absent| if is_given { condition } else { absent };
        let connection = wanted(query.connection_id.is_some(), "connection_id = $1", "$1::uuid IS NULL");
        let state = wanted(query.state.is_some(), "status = $2", "$2::text IS NULL");
        let after = wanted(
            query.after.is_some(),
            "(queued_at, id) < (SELECT queued_at, id FROM {hub}.magnus_sync_log WHERE id = $3::uuid)",
            "$3::uuid IS NULL",
        );
        let statement = format!(
            "SELECT {BRIEF} FROM {{hub}}.magnus_sync_log
             WHERE connection_id IS NOT NULL AND {connection} AND {state} AND {after}
             ORDER BY queued_at DESC, id DESC LIMIT $4"
        );
        let limit = query.effective_limit();
        let rows = sqlx::query(self.sql(&statement))
            .bind(query.connection_id.map(ConnectionId::as_uuid))
            .bind(query.state.map(RunState::as_str))
            .bind(query.after.map(RunId::as_uuid))
            .bind(i64::try_from(limit + 1).unwrap_or(i64::MAX))
            .fetch_all(self.pool())
            .await
            .map_err(failed("read runs"))?;
        let runs: Vec<Run> = rows
            .iter()
            .take(limit)
            .map(run_rows::from_row)
            .collect::<Result<_, _>>()?;
        let next = runs.last().filter(|_| rows.len() > limit).map(|run| run.id);
        Ok(RunPage { runs, next })
    }

    async fn run_digest(&self, connection: ConnectionId) -> Result<RunDigest, StoreError> {
        const OPERATION: &str = "digest runs";
        let id = connection.as_uuid();
        // One state of the database: all of it belongs together.
        let mut transaction = self
            .pool()
            .begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            .await
            .map_err(failed(OPERATION))?;
        let newest = sqlx::query(self.sql(&format!(
            "SELECT {BRIEF} FROM {{hub}}.magnus_sync_log WHERE connection_id = $1
             ORDER BY queued_at DESC, id DESC LIMIT 1"
        )))
        .bind(id)
        .fetch_optional(&mut *transaction)
        .await
        .map_err(failed(OPERATION))?;
        let success: Option<Option<Timestamp>> = sqlx::query_scalar(self.sql(
            "SELECT completed_at FROM {hub}.magnus_sync_log
             WHERE connection_id = $1 AND status IN ('completed', 'partial') ORDER BY queued_at DESC, id DESC LIMIT 1",
        ))
        .bind(id)
        .fetch_optional(&mut *transaction)
        .await
        .map_err(failed(OPERATION))?;
        let asked_by_person: bool = sqlx::query_scalar(self.sql(ASKED_BY_PERSON))
            .bind(id)
            .fetch_one(&mut *transaction)
            .await
            .map_err(failed(OPERATION))?;
        let states: Vec<String> = sqlx::query_scalar(self.sql(
            "SELECT status FROM {hub}.magnus_sync_log WHERE connection_id = $1 AND status NOT IN ('queued', 'started')
             ORDER BY queued_at DESC, id DESC LIMIT $2",
        ))
        .bind(id)
        .bind(i64::from(RunDigest::MOST_FAILURES))
        .fetch_all(&mut *transaction)
        .await
        .map_err(failed(OPERATION))?;
        transaction.rollback().await.map_err(failed(OPERATION))?;
        let failures = states
            .iter()
            .take_while(|state| state.as_str() == RunState::Failed.as_str());
        Ok(RunDigest {
            newest: newest.as_ref().map(run_rows::from_row).transpose()?,
            last_success_at: success.flatten(),
            asked_by_person,
            failures_in_a_row: u32::try_from(failures.count()).unwrap_or(RunDigest::MOST_FAILURES),
        })
    }

    async fn run_standings(&self) -> Result<Vec<RunStanding>, StoreError> {
        standing::of_runs(self).await
    }

    async fn connection_counts(&self) -> Result<Vec<ConnectionCounts>, StoreError> {
        standing::counts(self).await
    }

    async fn conflict_page(
        &self,
        query: ConflictQuery,
        limit: usize,
        after: Option<ConflictId>,
    ) -> Result<ConflictPage, StoreError> {
        standing::conflict_page(self, &query, limit, after).await
    }

    async fn prune_runs(&self, before: Timestamp, limit: usize) -> Result<u64, StoreError> {
        // Rows that another process prunes right now are left to it. Rows of the predecessor have no request, and stay: an
        // upgrade keeps every row.
        const PRUNE: &str = "
             WITH old AS (
                 SELECT run.id FROM {hub}.magnus_sync_log AS run
                 WHERE run.completed_at < $1 AND run.connection_id IS NOT NULL AND run.status NOT IN ('queued', 'started')
                   AND run.request IS NOT NULL
                   AND EXISTS (SELECT 1 FROM {hub}.magnus_sync_log AS newer
                               WHERE newer.connection_id = run.connection_id
                                 AND (newer.queued_at, newer.id) > (run.queued_at, run.id))
                   AND (run.status NOT IN ('completed', 'partial')
                        OR EXISTS (SELECT 1 FROM {hub}.magnus_sync_log AS newer
                                   WHERE newer.connection_id = run.connection_id
                                     AND newer.status IN ('completed', 'partial')
                                     AND (newer.queued_at, newer.id) > (run.queued_at, run.id)))
                   AND (run.request ->> 'trigger' <> 'manual'
                        OR EXISTS (SELECT 1 FROM {hub}.magnus_sync_log AS newer
                                   WHERE newer.connection_id = run.connection_id
                                     AND newer.request ->> 'trigger' = 'manual'
                                     AND (newer.queued_at, newer.id) > (run.queued_at, run.id)))
                 ORDER BY run.completed_at, run.id LIMIT $2
                 FOR UPDATE OF run SKIP LOCKED
             ), journal AS (
                 DELETE FROM {hub}.magnus_intents WHERE settled AND run_id IN (SELECT id FROM old)
             )
             DELETE FROM {hub}.magnus_sync_log WHERE id IN (SELECT id FROM old)";
        let pruned = patiently!(
            "prune runs",
            sqlx::query(self.sql(PRUNE))
                .bind(before)
                .bind(i64::try_from(limit).unwrap_or(i64::MAX))
                .execute(self.pool())
        )?;
        Ok(pruned.rows_affected())
    }

    async fn run_events(&self, after: i64, limit: usize) -> Result<Vec<RunEvent>, StoreError> {
        let rows = sqlx::query(
            self.sql("SELECT * FROM {hub}.magnus_run_events WHERE sequence > $1 ORDER BY sequence LIMIT $2"),
        )
        .bind(after)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(self.pool())
        .await
        .map_err(failed("read run events"))?;
        rows.iter().map(event_from_row).collect()
    }

    async fn last_run_event(&self) -> Result<i64, StoreError> {
        let last: Option<i64> = sqlx::query_scalar(self.sql("SELECT max(sequence) FROM {hub}.magnus_run_events"))
            .fetch_one(self.pool())
            .await
            .map_err(failed("read run events"))?;
        Ok(last.unwrap_or_default())
    }

    async fn search_tasks(&self, search: TaskSearch) -> Result<TaskSearchPage, StoreError> {
        search::page(self, &search).await
    }

    async fn count_tasks(&self, search: TaskSearch) -> Result<TaskCounts, StoreError> {
        search::counts(self, &search).await
    }

    async fn add_token(&self, token: AccessToken) -> Result<(), StoreError> {
        const OPERATION: &str = "add token";
        let done = sqlx::query(self.sql(
            "INSERT INTO {hub}.magnus_access_tokens (id, name, scope, hash, created_at) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT DO NOTHING",
        ))
        .bind(token.id.as_uuid())
        .bind(text(&token.name))
        .bind(token.scope.as_str())
        .bind(&token.hash)
        .bind(token.created_at)
        .execute(self.pool())
        .await
        .map_err(failed(OPERATION))?;
        if done.rows_affected() == 0 {
            let message = "there is a token of this name already";
            return Err(StoreError::new(StoreErrorKind::Conflict, OPERATION, message));
        }
        Ok(())
    }

    async fn tokens(&self) -> Result<Vec<AccessToken>, StoreError> {
        let rows = sqlx::query(self.sql("SELECT * FROM {hub}.magnus_access_tokens ORDER BY name COLLATE \"C\""))
            .fetch_all(self.pool())
            .await
            .map_err(failed("read tokens"))?;
        rows.iter().map(token_from_row).collect()
    }

    async fn token_by_hash(&self, hash: String) -> Result<Option<AccessToken>, StoreError> {
        let row = sqlx::query(self.sql("SELECT * FROM {hub}.magnus_access_tokens WHERE hash = $1"))
            .bind(hash)
            .fetch_optional(self.pool())
            .await
            .map_err(failed("read token"))?;
        row.as_ref().map(token_from_row).transpose()
    }

    async fn delete_token(&self, id: TokenId) -> Result<bool, StoreError> {
        let done = sqlx::query(self.sql("DELETE FROM {hub}.magnus_access_tokens WHERE id = $1"))
            .bind(id.as_uuid())
            .execute(self.pool())
            .await
            .map_err(failed("delete token"))?;
        Ok(done.rows_affected() > 0)
    }

    async fn begin_once(&self, request: OnceRequest) -> Result<OnceEntry, StoreError> {
        const OPERATION: &str = "begin once";
        let mut transaction = self.begin(OPERATION).await?;
        let now = self.now(&mut transaction, OPERATION).await?;
        sqlx::query(self.sql("DELETE FROM {hub}.magnus_once WHERE begun_at <= $1"))
            .bind(now - TimeDelta::days(1))
            .execute(&mut *transaction)
            .await
            .map_err(failed(OPERATION))?;
        // Of two at once, the second waits here for the first and then finds its row.
        let done = sqlx::query(self.sql(
            "INSERT INTO {hub}.magnus_once (key, fingerprint, reserved, begun_at) VALUES ($1, $2, $3, $4)
             ON CONFLICT DO NOTHING",
        ))
        .bind(text(&request.key))
        .bind(&request.fingerprint)
        .bind(request.reserved)
        .bind(now)
        .execute(&mut *transaction)
        .await
        .map_err(failed(OPERATION))?;
        let row = sqlx::query(self.sql("SELECT * FROM {hub}.magnus_once WHERE key = $1"))
            .bind(text(&request.key))
            .fetch_one(&mut *transaction)
            .await
            .map_err(failed(OPERATION))?;
        finish(transaction, OPERATION).await?;
        Ok(OnceEntry {
            is_new: done.rows_affected() == 1,
            ..once_from_row(&row)?
        })
    }

    async fn settle_once(&self, key: String, answer: OnceAnswer) -> Result<(), StoreError> {
        sqlx::query(self.sql("UPDATE {hub}.magnus_once SET status = $2, body = $3 WHERE key = $1 AND status IS NULL"))
            .bind(text(&key))
            .bind(i32::from(answer.status))
            .bind(text(&answer.body))
            .execute(self.pool())
            .await
            .map_err(failed("settle once"))?;
        Ok(())
    }

    async fn forget_once(&self, key: String) -> Result<(), StoreError> {
        sqlx::query(self.sql("DELETE FROM {hub}.magnus_once WHERE key = $1 AND status IS NULL"))
            .bind(text(&key))
            .execute(self.pool())
            .await
            .map_err(failed("forget once"))?;
        Ok(())
    }
}

fn event_from_row(row: &PgRow) -> Result<RunEvent, StoreError> {
    let columns = Columns::new("magnus_run_events", row);
    Ok(RunEvent {
        sequence: columns.get("sequence")?,
        run_id: columns.id("run_id", RunId::from_uuid)?,
        connection_id: columns.id("connection_id", ConnectionId::from_uuid)?,
        state: columns.parse("state")?,
        at: columns.time("at")?,
    })
}

fn token_from_row(row: &PgRow) -> Result<AccessToken, StoreError> {
    let columns = Columns::new("magnus_access_tokens", row);
    Ok(AccessToken {
        id: columns.id("id", TokenId::from_uuid)?,
        name: columns.text("name")?,
        scope: columns.parse("scope")?,
        hash: columns.text("hash")?,
        created_at: columns.time("created_at")?,
    })
}

fn once_from_row(row: &PgRow) -> Result<OnceEntry, StoreError> {
    let columns = Columns::new("magnus_once", row);
    let status: Option<u16> = columns.number::<i32, _>("status")?;
    let body: Option<String> = columns.get("body")?;
    Ok(OnceEntry {
        is_new: false,
        fingerprint: columns.text("fingerprint")?,
        reserved: columns.get("reserved")?,
        answer: status.zip(body).map(|(status, body)| OnceAnswer { status, body }),
    })
}

/// Whoever was away for longer than this reads the runs themselves.
const EVENTS_KEPT: TimeDelta = TimeDelta::days(7);

/// Forgets old events; called where a run begins.
pub(crate) async fn forget_old_events(
    connection: &mut PgConnection,
    schema: &Schema,
    now: Timestamp,
) -> Result<(), StoreError> {
    // Rows that another claim forgets right now are left to it.
    sqlx::query(schema.sql(
        "DELETE FROM {hub}.magnus_run_events
         WHERE sequence IN (SELECT sequence FROM {hub}.magnus_run_events WHERE at < $1 LIMIT 10000
                            FOR UPDATE SKIP LOCKED)",
    ))
    .bind(now - EVENTS_KEPT)
    .execute(connection)
    .await
    .map_err(failed("claim run"))?;
    Ok(())
}
