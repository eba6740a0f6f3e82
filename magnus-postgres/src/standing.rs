//! How it stands with each connection, and conflicts page by page: what is asked all the time, out of indexes.

use magnus_core::model::{Conflict, ConflictId, ConnectionId, RunId, TaskId};
use magnus_core::store::{ConflictPage, ConflictQuery, ConnectionCounts, RunStanding, StoreError};

use crate::columns::Columns;
use crate::error::{failed, patiently};
use crate::{PostgresStore, conflicts};

pub(crate) async fn of_runs(store: &PostgresStore) -> Result<Vec<RunStanding>, StoreError> {
    let rows = patiently!(
        "read how runs stand",
        sqlx::query(store.sql(
            "SELECT connection.id AS connection_id, newest.id AS run_id, newest.status AS status,
                    EXISTS (SELECT 1 FROM {hub}.magnus_sync_log
                            WHERE connection_id = connection.id AND status = 'started') AS in_progress,
                    EXISTS (SELECT 1 FROM {hub}.magnus_sync_log
                            WHERE connection_id = connection.id AND status = 'queued') AS queued
             FROM {hub}.magnus_pm_connections AS connection
             LEFT JOIN LATERAL (SELECT id, status FROM {hub}.magnus_sync_log WHERE connection_id = connection.id
                                ORDER BY queued_at DESC, id DESC LIMIT 1) AS newest ON true
             ORDER BY connection.display_name COLLATE \"C\"",
        ))
        .fetch_all(store.pool())
    )?;
    let mut standings = Vec::with_capacity(rows.len());
    for row in &rows {
        let columns = Columns::new("magnus_sync_log", row);
        let newest = columns.optional_id("run_id", RunId::from_uuid)?;
        standings.push(RunStanding {
            connection_id: columns.id("connection_id", ConnectionId::from_uuid)?,
            newest: newest.zip(columns.optional("status")?),
            in_progress: columns.get("in_progress")?,
            queued: columns.get("queued")?,
        });
    }
    Ok(standings)
}

pub(crate) async fn counts(store: &PostgresStore) -> Result<Vec<ConnectionCounts>, StoreError> {
    let rows = patiently!(
        "count links and conflicts",
        sqlx::query(store.sql(
            "SELECT connection.id AS connection_id,
                    (SELECT count(*) FROM {hub}.magnus_task_mappings
                     WHERE connection_id = connection.id AND set_aside IS NULL) AS links,
                    (SELECT count(*) FROM {hub}.magnus_task_mappings
                     WHERE connection_id = connection.id AND state = 'live' AND set_aside IS NULL) AS linked,
                    (SELECT count(*) FROM {hub}.magnus_sync_conflicts
                     WHERE connection_id = connection.id AND status = 'pending'
                       AND link_id IS NOT NULL AND field IS NOT NULL) AS conflicts
             FROM {hub}.magnus_pm_connections AS connection ORDER BY connection.display_name COLLATE \"C\"",
        ))
        .fetch_all(store.pool())
    )?;
    let mut counts = Vec::with_capacity(rows.len());
    for row in &rows {
        let columns = Columns::new("magnus_pm_connections", row);
        let number = |column| columns.get::<i64>(column).map(i64::unsigned_abs);
        let linked = number("linked")?;
        counts.push(ConnectionCounts {
            connection_id: columns.id("connection_id", ConnectionId::from_uuid)?,
            linked,
            unlinked: number("links")?.saturating_sub(linked),
            open_conflicts: number("conflicts")?,
        });
    }
    Ok(counts)
}

pub(crate) async fn conflict_page(
    store: &PostgresStore,
    query: &ConflictQuery,
    limit: usize,
    after: Option<ConflictId>,
) -> Result<ConflictPage, StoreError> {
    const OPERATION: &str = "read conflicts";
    // Of the predecessor's conflicts, which are of whole items, none is listed.
    let matching = "link_id IS NOT NULL AND field IS NOT NULL
               AND ($1::uuid IS NULL OR connection_id = $1) AND ($2::uuid IS NULL OR magnus_entity_id = $2)
               AND (NOT $3 OR status = 'pending')";
    let beyond = match after {
        Some(_) => "(created_at, id) < (SELECT created_at, id FROM {hub}.magnus_sync_conflicts WHERE id = $4::uuid)",
        None => "$4::uuid IS NULL",
    };
    // Built of fixed parts; what is asked for is bound.
    let count = format!("SELECT count(*) FROM {{hub}}.magnus_sync_conflicts WHERE {matching}");
    let page = format!(
        "SELECT * FROM {{hub}}.magnus_sync_conflicts WHERE {matching} AND {beyond}
         ORDER BY created_at DESC, id DESC LIMIT $5"
    );
    let connection = query.connection_id.map(ConnectionId::as_uuid);
    let task = query.task_id.map(TaskId::as_uuid);
    // One state of the database: page and count belong together.
    let mut transaction = store
        .pool()
        .begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        .await
        .map_err(failed(OPERATION))?;
    let total: i64 = sqlx::query_scalar(store.sql(&count))
        .bind(connection)
        .bind(task)
        .bind(query.open_only)
        .fetch_one(&mut *transaction)
        .await
        .map_err(failed(OPERATION))?;
    let rows = sqlx::query(store.sql(&page))
        .bind(connection)
        .bind(task)
        .bind(query.open_only)
        .bind(after.map(ConflictId::as_uuid))
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
