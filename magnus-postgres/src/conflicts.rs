//! Rows of `magnus_sync_conflicts`.

use magnus_core::model::{
    Conflict, ConflictId, ConflictState, ConnectionId, LinkId, RemoteValue, RowVersion, RunId, Side, TaskId, Value,
};
use magnus_core::store::{ConflictWrite, StoreError, StoreErrorKind};
use sqlx::PgConnection;
use sqlx::postgres::PgRow;

use crate::batch::Written;
use crate::columns::{Columns, each, text, to_jsonb, try_each};
use crate::error::failed;
use crate::schema::Schema;

const TABLE: &str = "magnus_sync_conflicts";

/// States under the names that the predecessor gave them, where it had any.
const STATES: [(ConflictState, &str); 6] = [
    (ConflictState::Open, "pending"),
    (ConflictState::Decided, "decided"),
    (ConflictState::ResolvedHub, "resolved_magnus"),
    (ConflictState::ResolvedExternal, "resolved_external"),
    (ConflictState::Merged, "merged"),
    (ConflictState::Closed, "closed"),
];

fn state_name(state: ConflictState) -> &'static str {
    STATES
        .iter()
        .find(|(known, _)| *known == state)
        .map_or(state.as_str(), |(_, name)| name)
}

fn state_of(name: &str) -> Result<ConflictState, StoreError> {
    let known = STATES.iter().find(|(_, known)| *known == name);
    known.map(|(state, _)| *state).ok_or_else(|| {
        let message = format!("a row of {TABLE} cannot be read: column status holds {name:?}");
        StoreError::new(StoreErrorKind::Corrupt, "read", message)
    })
}

pub(crate) fn from_row(row: &PgRow) -> Result<Conflict, StoreError> {
    let columns = Columns::new(TABLE, row);
    Ok(Conflict {
        id: columns.id("id", ConflictId::from_uuid)?,
        connection_id: columns.id("connection_id", ConnectionId::from_uuid)?,
        link_id: columns.id("link_id", LinkId::from_uuid)?,
        task_id: columns.id("magnus_entity_id", TaskId::from_uuid)?,
        external_id: columns.convert("external_entity_id")?,
        field: columns.parse("field")?,
        base: columns.optional_json("base")?,
        local: columns.json("magnus_data")?,
        remote: columns.json("external_data")?,
        remote_value: columns.json("external_value")?,
        local_change: columns.optional_json("magnus_changed")?.unwrap_or_default(),
        remote_change: columns.optional_json("external_changed")?.unwrap_or_default(),
        state: state_of(columns.get("status")?)?,
        policy: columns.parse("policy")?,
        loser: columns.optional("loser")?,
        reason: columns.text("reason")?,
        run_id: columns.optional_id("run_id", RunId::from_uuid)?,
        created_at: columns.time("created_at")?,
        updated_at: columns.time("updated_at")?,
        resolved_at: columns.optional_time("resolved_at")?,
        resolved_by: columns.get("resolved_by")?,
        version: RowVersion(columns.get("version")?),
    })
}

/// Of new records of losing values, those that are not recorded already.
pub(crate) async fn not_recorded<'a>(
    connection: &mut PgConnection,
    schema: &Schema,
    new: Vec<&'a ConflictWrite>,
) -> Result<Vec<&'a ConflictWrite>, StoreError> {
    if new.is_empty() {
        return Ok(new);
    }
    let rows = sqlx::query(schema.sql(
        "SELECT id, link_id, field, magnus_data, external_data FROM {hub}.magnus_sync_conflicts
         WHERE link_id = ANY($1) AND field IS NOT NULL AND status = $2",
    ))
    .bind(each(&new, |write| write.conflict.link_id.as_uuid()))
    .bind(state_name(ConflictState::Decided))
    .fetch_all(connection)
    .await
    .map_err(failed("read conflicts"))?;
    let mut recorded: Vec<(ConflictId, LinkId, String, Value, RemoteValue)> = Vec::new();
    for row in &rows {
        let columns = Columns::new(TABLE, row);
        recorded.push((
            columns.id("id", ConflictId::from_uuid)?,
            columns.id("link_id", LinkId::from_uuid)?,
            columns.text("field")?,
            columns.json("magnus_data")?,
            columns.json("external_data")?,
        ));
    }
    let is_new = |write: &&ConflictWrite| {
        let new = &write.conflict;
        !recorded.iter().any(|(id, link, field, local, remote)| {
            *id != new.id
                && *link == new.link_id
                && field == new.field.as_str()
                && *local == new.local
                && *remote == new.remote
        })
    };
    Ok(new.into_iter().filter(is_new).collect())
}

const ROWS: &str = "
    FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[],
                $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::uuid[],
                $16::timestamptz[], $17::timestamptz[], $18::timestamptz[], $19::text[], $20::bigint[],
                $21::text[], $22::text[])
      AS row (id, connection_id, link_id, magnus_entity_id, external_entity_id, field, base, magnus_data,
              external_data, external_value, status, policy, loser, reason, run_id, created_at, updated_at,
              resolved_at, resolved_by, version, magnus_changed, external_changed)";

const INSERT: &str = "
    INSERT INTO {hub}.magnus_sync_conflicts
        (id, connection_id, link_id, magnus_entity_id, external_entity_id, field, base, magnus_data, external_data,
         external_value, status, policy, loser, reason, run_id, created_at, updated_at, resolved_at, resolved_by,
         version, magnus_changed, external_changed, entity_type, conflict_fields)
    SELECT id, connection_id, link_id, magnus_entity_id, external_entity_id, field, base::jsonb, magnus_data::jsonb,
           external_data::jsonb, external_value::jsonb, status, policy, loser, reason, run_id, created_at, updated_at,
           resolved_at, resolved_by, version + 1, magnus_changed::jsonb, external_changed::jsonb, 'task',
           jsonb_build_array(field)";

const UPDATE: &str = "
    UPDATE {hub}.magnus_sync_conflicts AS conflict
    SET connection_id = row.connection_id, link_id = row.link_id, magnus_entity_id = row.magnus_entity_id,
        external_entity_id = row.external_entity_id, field = row.field, base = row.base::jsonb,
        magnus_data = row.magnus_data::jsonb, external_data = row.external_data::jsonb,
        external_value = row.external_value::jsonb, status = row.status, policy = row.policy, loser = row.loser,
        reason = row.reason, run_id = row.run_id, created_at = row.created_at, updated_at = row.updated_at,
        resolved_at = row.resolved_at, resolved_by = row.resolved_by, version = row.version + 1,
        magnus_changed = row.magnus_changed::jsonb, external_changed = row.external_changed::jsonb";

/// Inserts conflicts, or updates the rows of the expected versions, all in one statement.
pub(crate) async fn write(
    connection: &mut PgConnection,
    schema: &Schema,
    writes: &[&ConflictWrite],
    insert: bool,
) -> Result<Written, StoreError> {
    if writes.is_empty() {
        return Ok(Written::Done);
    }
    let statement = if insert {
        format!("{INSERT} {ROWS} ON CONFLICT DO NOTHING")
    } else {
        format!("{UPDATE} {ROWS} WHERE conflict.id = row.id AND conflict.version = row.version")
    };
    let done = sqlx::query(schema.sql(&statement))
        .bind(each(writes, |write| write.conflict.id.as_uuid()))
        .bind(each(writes, |write| write.conflict.connection_id.as_uuid()))
        .bind(each(writes, |write| write.conflict.link_id.as_uuid()))
        .bind(each(writes, |write| write.conflict.task_id.as_uuid()))
        .bind(each(writes, |write| text(write.conflict.external_id.as_str())))
        .bind(each(writes, |write| write.conflict.field.as_str()))
        .bind(try_each(writes, |write| {
            let base = write.conflict.base.as_ref();
            base.map(|base| to_jsonb(base, "the base of a conflict")).transpose()
        })?)
        .bind(try_each(writes, |write| to_jsonb(&write.conflict.local, "a value"))?)
        .bind(try_each(writes, |write| to_jsonb(&write.conflict.remote, "a value"))?)
        .bind(try_each(writes, |write| {
            to_jsonb(&write.conflict.remote_value, "a value")
        })?)
        .bind(each(writes, |write| state_name(write.conflict.state)))
        .bind(each(writes, |write| write.conflict.policy.as_str()))
        .bind(each(writes, |write| write.conflict.loser.map(Side::as_str)))
        .bind(each(writes, |write| text(&write.conflict.reason)))
        .bind(each(writes, |write| write.conflict.run_id.map(RunId::as_uuid)))
        .bind(each(writes, |write| write.conflict.created_at))
        .bind(each(writes, |write| write.conflict.updated_at))
        .bind(each(writes, |write| write.conflict.resolved_at))
        .bind(each(writes, |write| write.conflict.resolved_by.as_deref().map(text)))
        .bind(each(writes, |write| write.expected.unwrap_or_default().0))
        .bind(try_each(writes, |write| {
            to_jsonb(&write.conflict.local_change, "a change")
        })?)
        .bind(try_each(writes, |write| {
            to_jsonb(&write.conflict.remote_change, "a change")
        })?)
        .execute(connection)
        .await;
    Written::from_result(done, writes.len(), "write conflicts")
}
