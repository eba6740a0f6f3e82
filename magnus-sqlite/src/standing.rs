//! How it stands with each connection, and conflicts page by page: what is asked all the time, out of indexes.

use magnus_core::model::{Conflict, ConflictId};
use magnus_core::store::{ConflictPage, ConflictQuery, ConnectionCounts, RunStanding, StoreError};
use sqlx::{AssertSqlSafe, Row as _};

use crate::columns::Columns;
use crate::error::failed;
use crate::{SqliteStore, conflicts};

pub(crate) async fn of_runs(store: &SqliteStore) -> Result<Vec<RunStanding>, StoreError> {
    let rows = sqlx::query(
        "SELECT connection.id AS connection_id, newest.id AS run_id, newest.status AS status,
                EXISTS (SELECT 1 FROM magnus_sync_log WHERE connection_id = connection.id AND status = 'started')
                    AS in_progress,
                EXISTS (SELECT 1 FROM magnus_sync_log WHERE connection_id = connection.id AND status = 'queued')
                    AS queued
         FROM magnus_pm_connections AS connection
         LEFT JOIN magnus_sync_log AS newest
           ON newest.id = (SELECT id FROM magnus_sync_log WHERE connection_id = connection.id
                           ORDER BY queued_at DESC, id DESC LIMIT 1)
         ORDER BY connection.display_name",
    )
    .fetch_all(store.readers())
    .await
    .map_err(failed("read how runs stand"))?;
    let mut standings = Vec::with_capacity(rows.len());
    for row in &rows {
        let columns = Columns::new("magnus_sync_log", row);
        standings.push(RunStanding {
            connection_id: columns.parse("connection_id")?,
            newest: columns.optional("run_id")?.zip(columns.optional("status")?),
            in_progress: columns.flag("in_progress")?,
            queued: columns.flag("queued")?,
        });
    }
    Ok(standings)
}

pub(crate) async fn counts(store: &SqliteStore) -> Result<Vec<ConnectionCounts>, StoreError> {
    let rows = sqlx::query(
        "SELECT connection.id AS connection_id,
                (SELECT count(*) FROM magnus_task_mappings WHERE connection_id = connection.id) AS links,
                (SELECT count(*) FROM magnus_task_mappings WHERE connection_id = connection.id AND state = 'live')
                    AS linked,
                (SELECT count(*) FROM magnus_sync_conflicts WHERE connection_id = connection.id AND status = 'open')
                    AS conflicts
         FROM magnus_pm_connections AS connection ORDER BY connection.display_name",
    )
    .fetch_all(store.readers())
    .await
    .map_err(failed("count links and conflicts"))?;
    let mut counts = Vec::with_capacity(rows.len());
    for row in &rows {
        let columns = Columns::new("magnus_pm_connections", row);
        let number = |column| columns.get::<i64>(column).map(i64::unsigned_abs);
        let linked = number("linked")?;
        counts.push(ConnectionCounts {
            connection_id: columns.parse("connection_id")?,
            linked,
            unlinked: number("links")?.saturating_sub(linked),
            open_conflicts: number("conflicts")?,
        });
    }
    Ok(counts)
}

pub(crate) async fn conflict_page(
    store: &SqliteStore,
    query: &ConflictQuery,
    limit: usize,
    after: Option<ConflictId>,
) -> Result<ConflictPage, StoreError> {
    const OPERATION: &str = "read conflicts";
    let mut wanted = vec!["1"];
    if query.connection_id.is_some() {
        wanted.push("connection_id = ?1");
    }
    if query.task_id.is_some() {
        wanted.push("magnus_entity_id = ?2");
    }
    if query.open_only {
        wanted.push("status = 'open'");
    }
    let matching = wanted.join(" AND ");
    if after.is_some() {
        wanted.push("(created_at, id) < (SELECT created_at, id FROM magnus_sync_conflicts WHERE id = ?3)");
    }
    // Built of fixed parts; what is asked for is bound.
    let count = format!("SELECT count(*) FROM magnus_sync_conflicts WHERE {matching}");
    let page = format!(
        "SELECT * FROM magnus_sync_conflicts WHERE {} ORDER BY created_at DESC, id DESC LIMIT ?4",
        wanted.join(" AND ")
    );
    let connection = query.connection_id.map(|id| id.to_string());
    let task = query.task_id.map(|id| id.to_string());
    // One transaction: page and count belong together.
    let mut transaction = store.readers().begin().await.map_err(failed(OPERATION))?;
    let total = sqlx::query(AssertSqlSafe(count))
        .bind(connection.clone())
        .bind(task.clone())
        .fetch_one(&mut *transaction)
        .await
        .map_err(failed(OPERATION))?;
    let total: i64 = total.try_get(0).map_err(failed(OPERATION))?;
    let rows = sqlx::query(AssertSqlSafe(page))
        .bind(connection)
        .bind(task)
        .bind(after.map(|id| id.to_string()))
        .bind(i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX))
        .fetch_all(&mut *transaction)
        .await
        .map_err(failed(OPERATION))?;
    transaction.rollback().await.map_err(failed(OPERATION))?;
    let page = rows.iter().take(limit).map(conflicts::from_row);
    let conflicts: Vec<Conflict> = page.collect::<Result<_, _>>()?;
    Ok(ConflictPage {
        next: conflicts.last().filter(|_| rows.len() > limit).map(|last| last.id),
        conflicts,
        total: total.unsigned_abs(),
    })
}
