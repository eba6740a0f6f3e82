//! What a service asks of the hub: the run log in pages and as events, access tokens, requests to be carried out once.

use async_trait::async_trait;
use chrono::TimeDelta;
use magnus_core::model::{AccessToken, ConflictId, ConnectionId, Run, RunState, Timestamp, TokenId};
use magnus_core::store::{
    ConflictPage, ConflictQuery, ConnectionCounts, OnceAnswer, OnceEntry, OnceRequest, RunDigest, RunEvent, RunPage,
    RunQuery, RunStanding, ServiceStore, StoreError, StoreErrorKind, TaskCounts, TaskSearch, TaskSearchPage,
};
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, SqliteConnection};

use crate::columns::Columns;
use crate::error::failed;
use crate::instant::to_text;
use crate::open::finish;
use crate::runs::{ASKED_BY_PERSON, BRIEF};
use crate::{SqliteStore, runs, search, standing};

#[async_trait]
impl ServiceStore for SqliteStore {
    async fn ping(&self) -> Result<(), StoreError> {
        // A table is read: the file may be open and still not be a database any more.
        sqlx::query("SELECT id FROM magnus_projects LIMIT 1")
            .fetch_optional(self.readers())
            .await
            .map_err(failed("ping"))?;
        Ok(())
    }

    async fn run_page(&self, query: RunQuery) -> Result<RunPage, StoreError> {
        let mut wanted = vec!["1"];
        if query.connection_id.is_some() {
            wanted.push("connection_id = ?1");
        }
        if query.state.is_some() {
            wanted.push("status = ?2");
        }
        if query.after.is_some() {
            wanted.push("(queued_at, id) < (SELECT queued_at, id FROM magnus_sync_log WHERE id = ?3)");
        }
        // Built of fixed parts; what is asked for is bound.
        let statement = format!(
            "SELECT {BRIEF} FROM magnus_sync_log WHERE {} ORDER BY queued_at DESC, id DESC LIMIT ?4",
            wanted.join(" AND ")
        );
        let limit = query.effective_limit();
        let rows = sqlx::query(AssertSqlSafe(statement))
            .bind(query.connection_id.map(|id| id.to_string()))
            .bind(query.state.map(RunState::as_str))
            .bind(query.after.map(|id| id.to_string()))
            .bind(i64::try_from(limit + 1).unwrap_or(i64::MAX))
            .fetch_all(self.readers())
            .await
            .map_err(failed("read runs"))?;
        let runs: Vec<Run> = rows.iter().take(limit).map(runs::from_row).collect::<Result<_, _>>()?;
        let next = runs.last().filter(|_| rows.len() > limit).map(|run| run.id);
        Ok(RunPage { runs, next })
    }

    async fn run_digest(&self, connection: ConnectionId) -> Result<RunDigest, StoreError> {
        const OPERATION: &str = "digest runs";
        let id = connection.to_string();
        // One transaction: all of it belongs together.
        let mut transaction = self.readers().begin().await.map_err(failed(OPERATION))?;
        let newest = sqlx::query(AssertSqlSafe(format!(
            "SELECT {BRIEF} FROM magnus_sync_log WHERE connection_id = ? ORDER BY queued_at DESC, id DESC LIMIT 1"
        )))
        .bind(&id)
        .fetch_optional(&mut *transaction)
        .await
        .map_err(failed(OPERATION))?;
        let success = sqlx::query(
            "SELECT id, completed_at FROM magnus_sync_log
             WHERE connection_id = ? AND status IN ('completed', 'partial') ORDER BY queued_at DESC, id DESC LIMIT 1",
        )
        .bind(&id)
        .fetch_optional(&mut *transaction)
        .await
        .map_err(failed(OPERATION))?;
        let asked_by_person: bool = sqlx::query_scalar(ASKED_BY_PERSON)
            .bind(&id)
            .fetch_one(&mut *transaction)
            .await
            .map_err(failed(OPERATION))?;
        let states: Vec<String> = sqlx::query_scalar(
            "SELECT status FROM magnus_sync_log WHERE connection_id = ? AND status NOT IN ('queued', 'started')
             ORDER BY queued_at DESC, id DESC LIMIT ?",
        )
        .bind(&id)
        .bind(RunDigest::MOST_FAILURES)
        .fetch_all(&mut *transaction)
        .await
        .map_err(failed(OPERATION))?;
        transaction.rollback().await.map_err(failed(OPERATION))?;
        let failures = states
            .iter()
            .take_while(|state| state.as_str() == RunState::Failed.as_str());
        Ok(RunDigest {
            newest: newest.as_ref().map(runs::from_row).transpose()?,
            last_success_at: success
                .as_ref()
                .map(|row| Columns::new("magnus_sync_log", row).optional_time("completed_at"))
                .transpose()?
                .flatten(),
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
        const OPERATION: &str = "prune runs";
        const OLD: &str = "
             SELECT run.id FROM magnus_sync_log AS run
             WHERE run.completed_at < ? AND run.status NOT IN ('queued', 'started')
               AND EXISTS (SELECT 1 FROM magnus_sync_log AS newer
                           WHERE newer.connection_id = run.connection_id
                             AND (newer.queued_at, newer.id) > (run.queued_at, run.id))
               AND (run.status NOT IN ('completed', 'partial')
                    OR EXISTS (SELECT 1 FROM magnus_sync_log AS newer
                               WHERE newer.connection_id = run.connection_id AND newer.status IN ('completed', 'partial')
                                 AND (newer.queued_at, newer.id) > (run.queued_at, run.id)))
               AND (json_extract(run.request, '$.trigger') <> 'manual'
                    OR EXISTS (SELECT 1 FROM magnus_sync_log AS newer
                               WHERE newer.connection_id = run.connection_id
                                 AND json_extract(newer.request, '$.trigger') = 'manual'
                                 AND (newer.queued_at, newer.id) > (run.queued_at, run.id)))
             ORDER BY run.completed_at, run.id LIMIT ?";
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
            // A run that is over stays as it is, so what was found still holds.
            sqlx::query("DELETE FROM magnus_intents WHERE settled = 1 AND run_id = ?")
                .bind(&id)
                .execute(&mut *transaction)
                .await
                .map_err(failed(OPERATION))?;
            let done = sqlx::query("DELETE FROM magnus_sync_log WHERE id = ?")
                .bind(&id)
                .execute(&mut *transaction)
                .await
                .map_err(failed(OPERATION))?;
            pruned += done.rows_affected();
        }
        finish(transaction, OPERATION).await?;
        Ok(pruned)
    }

    async fn run_events(&self, after: i64, limit: usize) -> Result<Vec<RunEvent>, StoreError> {
        let rows = sqlx::query("SELECT * FROM magnus_run_events WHERE sequence > ? ORDER BY sequence LIMIT ?")
            .bind(after)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(self.readers())
            .await
            .map_err(failed("read run events"))?;
        rows.iter().map(event_from_row).collect()
    }

    async fn last_run_event(&self) -> Result<i64, StoreError> {
        let last: Option<i64> = sqlx::query_scalar("SELECT max(sequence) FROM magnus_run_events")
            .fetch_one(self.readers())
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
        let mut transaction = self.begin(OPERATION).await?;
        let done = sqlx::query(
            "INSERT INTO magnus_access_tokens (id, name, scope, hash, created_at) VALUES (?, ?, ?, ?, ?)
             ON CONFLICT DO NOTHING",
        )
        .bind(token.id.to_string())
        .bind(&token.name)
        .bind(token.scope.as_str())
        .bind(&token.hash)
        .bind(to_text(token.created_at))
        .execute(&mut *transaction)
        .await
        .map_err(failed(OPERATION))?;
        if done.rows_affected() == 0 {
            let message = "there is a token of this name already";
            return Err(StoreError::new(StoreErrorKind::Conflict, OPERATION, message));
        }
        finish(transaction, OPERATION).await
    }

    async fn tokens(&self) -> Result<Vec<AccessToken>, StoreError> {
        let rows = sqlx::query("SELECT * FROM magnus_access_tokens ORDER BY name")
            .fetch_all(self.readers())
            .await
            .map_err(failed("read tokens"))?;
        rows.iter().map(token_from_row).collect()
    }

    async fn token_by_hash(&self, hash: String) -> Result<Option<AccessToken>, StoreError> {
        let row = sqlx::query("SELECT * FROM magnus_access_tokens WHERE hash = ?")
            .bind(hash)
            .fetch_optional(self.readers())
            .await
            .map_err(failed("read token"))?;
        row.as_ref().map(token_from_row).transpose()
    }

    async fn delete_token(&self, id: TokenId) -> Result<bool, StoreError> {
        const OPERATION: &str = "delete token";
        let mut transaction = self.begin(OPERATION).await?;
        let done = sqlx::query("DELETE FROM magnus_access_tokens WHERE id = ?")
            .bind(id.to_string())
            .execute(&mut *transaction)
            .await
            .map_err(failed(OPERATION))?;
        finish(transaction, OPERATION).await?;
        Ok(done.rows_affected() > 0)
    }

    async fn begin_once(&self, request: OnceRequest) -> Result<OnceEntry, StoreError> {
        const OPERATION: &str = "begin once";
        let now = self.now();
        let mut transaction = self.begin(OPERATION).await?;
        sqlx::query("DELETE FROM magnus_once WHERE begun_at <= ?")
            .bind(to_text(now - TimeDelta::days(1)))
            .execute(&mut *transaction)
            .await
            .map_err(failed(OPERATION))?;
        let known = sqlx::query("SELECT * FROM magnus_once WHERE key = ?")
            .bind(&request.key)
            .fetch_optional(&mut *transaction)
            .await
            .map_err(failed(OPERATION))?;
        if let Some(row) = known {
            return once_from_row(&row);
        }
        sqlx::query("INSERT INTO magnus_once (key, fingerprint, reserved, begun_at) VALUES (?, ?, ?, ?)")
            .bind(&request.key)
            .bind(&request.fingerprint)
            .bind(request.reserved.to_string())
            .bind(to_text(now))
            .execute(&mut *transaction)
            .await
            .map_err(failed(OPERATION))?;
        finish(transaction, OPERATION).await?;
        Ok(OnceEntry {
            is_new: true,
            fingerprint: request.fingerprint,
            reserved: request.reserved,
            answer: None,
        })
    }

    async fn settle_once(&self, key: String, answer: OnceAnswer) -> Result<(), StoreError> {
        const OPERATION: &str = "settle once";
        let mut transaction = self.begin(OPERATION).await?;
        sqlx::query("UPDATE magnus_once SET status = ?2, body = ?3 WHERE key = ?1 AND status IS NULL")
            .bind(key)
            .bind(i64::from(answer.status))
            .bind(answer.body)
            .execute(&mut *transaction)
            .await
            .map_err(failed(OPERATION))?;
        finish(transaction, OPERATION).await
    }

    async fn forget_once(&self, key: String) -> Result<(), StoreError> {
        const OPERATION: &str = "forget once";
        let mut transaction = self.begin(OPERATION).await?;
        sqlx::query("DELETE FROM magnus_once WHERE key = ? AND status IS NULL")
            .bind(key)
            .execute(&mut *transaction)
            .await
            .map_err(failed(OPERATION))?;
        finish(transaction, OPERATION).await
    }
}

fn event_from_row(row: &SqliteRow) -> Result<RunEvent, StoreError> {
    let columns = Columns::new("magnus_run_events", row);
    Ok(RunEvent {
        sequence: columns.get("sequence")?,
        run_id: columns.parse("run_id")?,
        connection_id: columns.parse("connection_id")?,
        state: columns.parse("state")?,
        at: columns.time("at")?,
    })
}

fn token_from_row(row: &SqliteRow) -> Result<AccessToken, StoreError> {
    let columns = Columns::new("magnus_access_tokens", row);
    Ok(AccessToken {
        id: columns.parse("id")?,
        name: columns.text("name")?,
        scope: columns.parse("scope")?,
        hash: columns.text("hash")?,
        created_at: columns.time("created_at")?,
    })
}

fn once_from_row(row: &SqliteRow) -> Result<OnceEntry, StoreError> {
    let columns = Columns::new("magnus_once", row);
    let status: Option<u16> = columns.number("status")?;
    let body: Option<String> = columns.get("body")?;
    Ok(OnceEntry {
        is_new: false,
        fingerprint: columns.text("fingerprint")?,
        reserved: columns.parse("reserved")?,
        answer: status.zip(body).map(|(status, body)| OnceAnswer { status, body }),
    })
}

/// Whoever was away for longer than this reads the runs themselves.
const EVENTS_KEPT: TimeDelta = TimeDelta::days(7);

/// Forgets old events; called where a run begins.
pub(crate) async fn forget_old_events(connection: &mut SqliteConnection, now: Timestamp) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM magnus_run_events WHERE at < ?")
        .bind(to_text(now - EVENTS_KEPT))
        .execute(connection)
        .await
        .map_err(failed("claim run"))?;
    Ok(())
}
