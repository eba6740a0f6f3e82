//! The rows of the predecessor, brought into the form that the hub reads. Every row stays; what cannot be used is set aside
//! where it is.

use magnus_core::store::StoreError;
use sqlx::PgConnection;

use super::{OPERATION, Upgrade};
use crate::error::failed;
use crate::migrate::has_table;
use crate::schema::Schema;

/// A change that is a single statement. A column that a layout may lack is read through `to_jsonb(row)`, where it is null.
struct Step {
    table: &'static str,
    /// What it does, for people; empty for what nobody needs to know.
    what: &'static str,
    statement: &'static str,
}

const fn step(table: &'static str, what: &'static str, statement: &'static str) -> Step {
    Step { table, what, statement }
}

const CONNECTIONS: &str = "magnus_pm_connections";
const PROJECTS: &str = "magnus_projects";
const TASKS: &str = "magnus_tasks";
const MAPPINGS: &str = "magnus_project_mappings";
const LINKS: &str = "magnus_task_mappings";
const LOG: &str = "magnus_sync_log";
const CONFLICTS: &str = "magnus_sync_conflicts";

const STEPS: &[Step] = &[
    step(
        CONNECTIONS,
        "switched off, since they were paused or disconnected",
        "UPDATE {hub}.magnus_pm_connections AS c SET sync_enabled = FALSE
         WHERE sync_enabled IS DISTINCT FROM FALSE AND to_jsonb(c) ->> 'status' IN ('paused', 'disconnected')",
    ),
    step(
        CONNECTIONS,
        "",
        "UPDATE {hub}.magnus_pm_connections AS c
         SET sync_enabled = coalesce(sync_enabled, TRUE),
             instance_url = coalesce(instance_url, ''),
             last_sync_at = coalesce(last_sync_at, (to_jsonb(c) ->> 'last_sync')::timestamptz),
             last_sync_error = coalesce(last_sync_error, to_jsonb(c) ->> 'last_error'),
             created_at = coalesce(created_at, updated_at, now()),
             updated_at = coalesce(updated_at, created_at, now())
         WHERE sync_enabled IS NULL OR instance_url IS NULL OR created_at IS NULL OR updated_at IS NULL
            OR (last_sync_at IS NULL AND to_jsonb(c) ->> 'last_sync' IS NOT NULL)
            OR (last_sync_error IS NULL AND to_jsonb(c) ->> 'last_error' IS NOT NULL)",
    ),
    step(
        CONNECTIONS,
        "named, since they had no name of their own, or one that another has",
        "WITH named AS (
             SELECT id, coalesce(nullif(trim(display_name), ''), nullif(trim(to_jsonb(c) ->> 'connection_name'), ''),
                                 tool_name || ' ' || instance_url) AS name
             FROM {hub}.magnus_pm_connections AS c),
         counted AS (
             SELECT id, name, row_number() OVER (PARTITION BY name ORDER BY id) AS place FROM named)
         UPDATE {hub}.magnus_pm_connections AS c
         SET display_name = CASE WHEN place = 1 THEN name ELSE left(name, 200) || ' ' || left(c.id::text, 8) END
         FROM counted
         WHERE counted.id = c.id AND (place > 1 OR display_name IS DISTINCT FROM name)",
    ),
    step(
        CONNECTIONS,
        "given a direction in today's words",
        "UPDATE {hub}.magnus_pm_connections
         SET sync_direction = CASE lower(trim(coalesce(sync_direction, '')))
                 WHEN 'from_source' THEN 'pull' WHEN 'pull' THEN 'pull'
                 WHEN 'to_source' THEN 'push' WHEN 'push' THEN 'push'
                 WHEN '' THEN 'bidirectional' WHEN 'bidirectional' THEN 'bidirectional'
                 ELSE 'pull' END
         WHERE sync_direction IS NULL OR sync_direction NOT IN ('pull', 'push', 'bidirectional')",
    ),
    step(
        CONNECTIONS,
        "given a frequency in today's words",
        "UPDATE {hub}.magnus_pm_connections AS c
         SET sync_frequency = CASE
                 WHEN lower(trim(sync_frequency)) IN ('realtime', 'hourly', 'daily', 'manual')
                     THEN lower(trim(sync_frequency))
                 WHEN sync_frequency IS NOT NULL THEN 'manual'
                 WHEN (to_jsonb(c) ->> 'sync_interval_minutes')::numeric > 60 THEN 'daily'
                 WHEN (to_jsonb(c) ->> 'sync_interval_minutes')::numeric > 15 THEN 'hourly'
                 ELSE 'realtime' END
         WHERE sync_frequency IS NULL OR sync_frequency NOT IN ('realtime', 'hourly', 'daily', 'manual')",
    ),
    step(
        PROJECTS,
        "",
        "UPDATE {hub}.magnus_projects
         SET created_at = coalesce(created_at, updated_at, now()), updated_at = coalesce(updated_at, created_at, now())
         WHERE created_at IS NULL OR updated_at IS NULL",
    ),
    step(
        PROJECTS,
        "made for tasks that have no project",
        "INSERT INTO {hub}.magnus_projects (id, name, created_at, updated_at)
         SELECT gen_random_uuid(), 'Tasks without a project', now(), now()
         WHERE EXISTS (SELECT 1 FROM {hub}.magnus_tasks WHERE project_id IS NULL)",
    ),
    step(
        TASKS,
        "put into the project \"Tasks without a project\"",
        "UPDATE {hub}.magnus_tasks
         SET project_id = (SELECT id FROM {hub}.magnus_projects WHERE name = 'Tasks without a project'
                           ORDER BY created_at DESC, id LIMIT 1)
         WHERE project_id IS NULL",
    ),
    step(
        TASKS,
        "given the status todo, since theirs is none",
        "UPDATE {hub}.magnus_tasks SET status = 'todo'
         WHERE status IS NULL OR status NOT IN ('todo', 'in_progress', 'blocked', 'review', 'done', 'cancelled')",
    ),
    step(
        TASKS,
        "given the priority medium, since theirs is none",
        "UPDATE {hub}.magnus_tasks SET priority = 'medium'
         WHERE priority IS NULL OR priority NOT IN ('critical', 'high', 'medium', 'low')",
    ),
    step(
        TASKS,
        "keep metadata that is no object under the key \"value\"",
        "UPDATE {hub}.magnus_tasks SET metadata = jsonb_build_object('value', metadata)
         WHERE metadata IS NOT NULL AND jsonb_typeof(metadata) NOT IN ('object', 'null')",
    ),
    step(
        TASKS,
        "",
        "UPDATE {hub}.magnus_tasks SET metadata = NULL WHERE jsonb_typeof(metadata) = 'null'",
    ),
    step(
        TASKS,
        "",
        "UPDATE {hub}.magnus_tasks
         SET created_at = coalesce(created_at, updated_at, now()), updated_at = coalesce(updated_at, created_at, now())
         WHERE created_at IS NULL OR updated_at IS NULL",
    ),
    step(
        TASKS,
        "have their hours in minutes too",
        "UPDATE {hub}.magnus_tasks
         SET estimated_minutes = coalesce(estimated_minutes, round(nullif(greatest(estimated_hours, 0), 0) * 60)),
             actual_minutes = coalesce(actual_minutes, round(nullif(greatest(actual_hours, 0), 0) * 60))
         WHERE (estimated_minutes IS NULL AND estimated_hours > 0) OR (actual_minutes IS NULL AND actual_hours > 0)",
    ),
    step(
        MAPPINGS,
        "set aside: they name no project of the tool, or none of the hub",
        "UPDATE {hub}.magnus_project_mappings
         SET set_aside = 'it names no external project, no hub project or no connection'
         WHERE set_aside IS NULL
           AND (magnus_project_id IS NULL OR connection_id IS NULL OR external_project_id IS NULL
                OR lower(trim(external_project_id)) IN ('', 'none', 'null') OR length(external_project_id) > 255)",
    ),
    step(
        MAPPINGS,
        "set aside: an older row maps the same project of the tool",
        "WITH ranked AS (
             SELECT id, first_value(id) OVER w AS kept, row_number() OVER w AS place
             FROM {hub}.magnus_project_mappings WHERE set_aside IS NULL
             WINDOW w AS (PARTITION BY connection_id, external_project_id ORDER BY created_at NULLS LAST, id))
         UPDATE {hub}.magnus_project_mappings AS m SET set_aside = 'the older mapping ' || kept || ' counts'
         FROM ranked WHERE ranked.id = m.id AND place > 1",
    ),
    step(
        MAPPINGS,
        "given a direction in today's words",
        "UPDATE {hub}.magnus_project_mappings
         SET sync_direction = CASE lower(trim(sync_direction))
                 WHEN 'from_source' THEN 'pull' WHEN 'pull' THEN 'pull'
                 WHEN 'to_source' THEN 'push' WHEN 'push' THEN 'push'
                 WHEN '' THEN NULL WHEN 'bidirectional' THEN 'bidirectional'
                 ELSE 'pull' END
         WHERE sync_direction NOT IN ('pull', 'push', 'bidirectional')",
    ),
    step(
        MAPPINGS,
        "",
        "UPDATE {hub}.magnus_project_mappings AS m
         SET sync_enabled = coalesce(sync_enabled, TRUE), created_at = coalesce(created_at, now()),
             last_sync_at = coalesce(last_sync_at, (to_jsonb(m) ->> 'last_sync')::timestamptz)
         WHERE sync_enabled IS NULL OR created_at IS NULL
            OR (last_sync_at IS NULL AND to_jsonb(m) ->> 'last_sync' IS NOT NULL)",
    ),
    step(
        LINKS,
        "set aside: a refused create left no id of the tool behind",
        "UPDATE {hub}.magnus_task_mappings SET set_aside = 'it names no external task'
         WHERE set_aside IS NULL
           AND (external_task_id IS NULL OR lower(trim(external_task_id)) IN ('', 'none', 'null')
                OR length(external_task_id) > 255)",
    ),
    step(
        LINKS,
        "set aside: they name no task of the hub, or no connection",
        "UPDATE {hub}.magnus_task_mappings SET set_aside = 'it names no hub task or no connection'
         WHERE set_aside IS NULL AND (magnus_task_id IS NULL OR connection_id IS NULL)",
    ),
    step(
        LINKS,
        "set aside: an older row links the same task of the tool",
        "WITH ranked AS (
             SELECT id, first_value(id) OVER w AS kept, row_number() OVER w AS place
             FROM {hub}.magnus_task_mappings WHERE set_aside IS NULL
             WINDOW w AS (PARTITION BY connection_id, external_task_id ORDER BY created_at NULLS LAST, id))
         UPDATE {hub}.magnus_task_mappings AS m SET set_aside = 'the older link ' || kept || ' counts'
         FROM ranked WHERE ranked.id = m.id AND place > 1",
    ),
    step(
        LINKS,
        "set aside: an older row links the same task of the hub on the same connection",
        "WITH ranked AS (
             SELECT id, first_value(id) OVER w AS kept, row_number() OVER w AS place
             FROM {hub}.magnus_task_mappings WHERE set_aside IS NULL
             WINDOW w AS (PARTITION BY connection_id, magnus_task_id ORDER BY created_at NULLS LAST, id))
         UPDATE {hub}.magnus_task_mappings AS m SET set_aside = 'the older link ' || kept || ' counts'
         FROM ranked WHERE ranked.id = m.id AND place > 1",
    ),
    step(
        LINKS,
        "joined to the mapping of their project",
        "UPDATE {hub}.magnus_task_mappings AS link
         SET project_mapping_id = (SELECT m.id FROM {hub}.magnus_project_mappings AS m
                                   WHERE m.connection_id = link.connection_id AND m.set_aside IS NULL
                                     AND m.magnus_project_id = task.project_id
                                   ORDER BY m.created_at NULLS LAST, m.id LIMIT 1)
         FROM {hub}.magnus_tasks AS task
         WHERE task.id = link.magnus_task_id AND link.set_aside IS NULL
           AND NOT EXISTS (SELECT 1 FROM {hub}.magnus_project_mappings AS m
                           WHERE m.id = link.project_mapping_id AND m.set_aside IS NULL
                             AND m.connection_id = link.connection_id)",
    ),
    step(
        LINKS,
        "set aside: their project is not mapped on this connection",
        "UPDATE {hub}.magnus_task_mappings SET set_aside = 'its project is not mapped on this connection'
         WHERE set_aside IS NULL AND project_mapping_id IS NULL",
    ),
    step(
        LINKS,
        "",
        "UPDATE {hub}.magnus_task_mappings AS link
         SET created_at = coalesce(created_at, now()),
             external_url = coalesce(external_url, left(to_jsonb(link) ->> 'external_task_url', 500)),
             last_sync_at = coalesce(last_sync_at, (to_jsonb(link) ->> 'last_sync')::timestamptz)
         WHERE created_at IS NULL OR (external_url IS NULL AND to_jsonb(link) ->> 'external_task_url' IS NOT NULL)
            OR (last_sync_at IS NULL AND to_jsonb(link) ->> 'last_sync' IS NOT NULL)",
    ),
    step(
        LOG,
        "closed as interrupted, since they were never closed",
        "UPDATE {hub}.magnus_sync_log
         SET status = 'interrupted', completed_at = coalesce(completed_at, now()),
             error_message = coalesce(error_message, 'it was never closed; the upgrade did so')
         WHERE request IS NULL AND status IN ('started', 'running', 'queued', 'pending', 'in_progress')",
    ),
    step(
        LOG,
        "closed as failed, since their state is none",
        "UPDATE {hub}.magnus_sync_log
         SET error_message = coalesce(error_message, 'its state was ' || coalesce(quote_literal(status), 'missing')),
             status = 'failed'
         WHERE request IS NULL
           AND (status IS NULL OR status NOT IN ('completed', 'failed', 'partial', 'cancelled', 'interrupted'))",
    ),
    step(
        LOG,
        "",
        "UPDATE {hub}.magnus_sync_log AS run
         SET queued_at = coalesce(started_at, completed_at, to_timestamp(0)),
             items_failed = coalesce(items_failed, (to_jsonb(run) ->> 'errors')::integer)
         WHERE queued_at IS NULL",
    ),
    step(
        CONFLICTS,
        "",
        "UPDATE {hub}.magnus_sync_conflicts
         SET entity_type = coalesce(entity_type, 'task'), conflict_fields = coalesce(conflict_fields, '[]')
         WHERE entity_type IS NULL OR conflict_fields IS NULL",
    ),
];

/// How many rows that were set aside are named one by one.
const MOST_NAMED: i64 = 100;

pub(super) async fn fill(
    connection: &mut PgConnection,
    schema: &Schema,
    report: &mut Upgrade,
) -> Result<(), StoreError> {
    let mut there = Vec::new();
    for table in super::TABLES {
        if has_table(connection, schema, table).await? {
            there.push(table);
        }
    }
    for step in STEPS {
        // A statement over several tables has the later one as its own; the earlier ones are there if that is.
        if !there.contains(&step.table) || (step.table == PROJECTS && !there.contains(&TASKS)) {
            continue;
        }
        let done = sqlx::query(schema.sql(step.statement))
            .execute(&mut *connection)
            .await
            .map_err(failed(OPERATION))?;
        if !step.what.is_empty() {
            report.changed(step.table, step.what, done.rows_affected());
        }
    }
    for (table, id) in [(MAPPINGS, "external_project_id"), (LINKS, "external_task_id")] {
        if there.contains(&table) {
            name_set_aside(connection, schema, table, id, report).await?;
        }
    }
    Ok(())
}

async fn name_set_aside(
    connection: &mut PgConnection,
    schema: &Schema,
    table: &str,
    external: &str,
    report: &mut Upgrade,
) -> Result<(), StoreError> {
    let statement = format!(
        "SELECT format('%s %s (external id %L): %s', '{table}', id, {external}, set_aside)
         FROM {{hub}}.{table} WHERE set_aside IS NOT NULL ORDER BY id LIMIT $1"
    );
    let lines: Vec<String> = sqlx::query_scalar(schema.sql(&statement))
        .bind(MOST_NAMED)
        .fetch_all(connection)
        .await
        .map_err(failed(OPERATION))?;
    report
        .notes
        .extend(lines.into_iter().map(|line| format!("set aside: {line}")));
    Ok(())
}
