//! The form of the predecessor's tables.

use magnus_core::store::StoreError;
use sqlx::PgConnection;

use super::{OPERATION, TABLES, Upgrade, execute};
use crate::error::{code, failed};
use crate::migrate::has_table;
use crate::schema::Schema;

/// Columns that the hub needs and a layout may lack. Without rules as yet: rows come first.
const COLUMNS: &[(&str, &str)] = &[
    (
        "magnus_pm_connections",
        "display_name TEXT, instance_url TEXT, sync_direction TEXT, sync_frequency TEXT, sync_enabled BOOLEAN, \
         config JSONB, predecessor_config JSONB, last_sync_at TIMESTAMPTZ, last_sync_status TEXT, \
         last_sync_error TEXT, revision BIGINT NOT NULL DEFAULT 1, created_at TIMESTAMPTZ, updated_at TIMESTAMPTZ",
    ),
    (
        "magnus_projects",
        "description TEXT, source_tool TEXT, archived_at TIMESTAMPTZ, created_at TIMESTAMPTZ, \
         updated_at TIMESTAMPTZ, version BIGINT NOT NULL DEFAULT 1",
    ),
    (
        "magnus_tasks",
        "parent_task_id UUID, title_key TEXT, description TEXT, assigned_agent TEXT, start_date DATE, due_date DATE, \
         estimated_hours NUMERIC(6, 2), actual_hours NUMERIC(6, 2), estimated_minutes BIGINT, \
         remaining_minutes BIGINT, actual_minutes BIGINT, percentage_done SMALLINT, tags TEXT[], metadata JSONB, \
         source_tool TEXT, archived_at TIMESTAMPTZ, deleted_at TIMESTAMPTZ, created_at TIMESTAMPTZ, \
         updated_at TIMESTAMPTZ, field_times JSONB NOT NULL DEFAULT '{}', version BIGINT NOT NULL DEFAULT 1",
    ),
    (
        "magnus_project_mappings",
        "external_project_name TEXT, sync_direction TEXT, sync_enabled BOOLEAN, suspended TEXT, cursor TEXT, \
         first_contact_done BOOLEAN NOT NULL DEFAULT FALSE, last_sync_at TIMESTAMPTZ, created_at TIMESTAMPTZ, \
         set_aside TEXT, version BIGINT NOT NULL DEFAULT 1",
    ),
    (
        "magnus_task_mappings",
        "project_mapping_id UUID REFERENCES {hub}.magnus_project_mappings (id) ON DELETE CASCADE, external_url TEXT, \
         state TEXT NOT NULL DEFAULT 'live', bases JSON NOT NULL DEFAULT '{}', refusals JSON NOT NULL DEFAULT '{}', \
         absent_since UUID, last_sync_at TIMESTAMPTZ, created_at TIMESTAMPTZ, set_aside TEXT, \
         version BIGINT NOT NULL DEFAULT 1",
    ),
    (
        "magnus_sync_log",
        "sync_type TEXT, direction TEXT, request JSONB, cancel_requested BOOLEAN NOT NULL DEFAULT FALSE, \
         details JSONB, items_synced INTEGER, items_failed INTEGER, conflicts_detected INTEGER, \
         conflicts_resolved INTEGER, error_message TEXT, queued_at TIMESTAMPTZ, started_at TIMESTAMPTZ, \
         completed_at TIMESTAMPTZ",
    ),
    (
        "magnus_sync_conflicts",
        "link_id UUID REFERENCES {hub}.magnus_task_mappings (id) ON DELETE CASCADE, entity_type TEXT, field TEXT, \
         conflict_fields JSONB, base JSONB, external_value JSONB, policy TEXT, loser TEXT, reason TEXT, run_id UUID, \
         updated_at TIMESTAMPTZ, resolved_at TIMESTAMPTZ, resolved_by TEXT, version BIGINT NOT NULL DEFAULT 1",
    ),
];

/// Columns that were too narrow for what tools hold.
const NARROW: &[(&str, &str)] = &[
    ("magnus_pm_connections", "display_name"),
    ("magnus_tasks", "source_tool"),
    ("magnus_task_mappings", "external_url"),
    ("magnus_project_mappings", "external_project_name"),
];

/// What makes a filled column binding: table, column, default.
const BINDING: &[(&str, &str, &str)] = &[
    ("magnus_pm_connections", "display_name", ""),
    ("magnus_pm_connections", "instance_url", ""),
    ("magnus_pm_connections", "sync_direction", "'bidirectional'"),
    ("magnus_pm_connections", "sync_frequency", "'realtime'"),
    ("magnus_pm_connections", "sync_enabled", "TRUE"),
    ("magnus_pm_connections", "config", "'{}'"),
    ("magnus_pm_connections", "created_at", "now()"),
    ("magnus_pm_connections", "updated_at", "now()"),
    ("magnus_projects", "created_at", "now()"),
    ("magnus_projects", "updated_at", "now()"),
    ("magnus_tasks", "project_id", ""),
    ("magnus_tasks", "title_key", ""),
    ("magnus_tasks", "created_at", "now()"),
    ("magnus_tasks", "updated_at", "now()"),
    ("magnus_project_mappings", "sync_enabled", "TRUE"),
    ("magnus_project_mappings", "created_at", "now()"),
    ("magnus_task_mappings", "created_at", "now()"),
    ("magnus_sync_log", "queued_at", "now()"),
    ("magnus_sync_conflicts", "entity_type", "'task'"),
    ("magnus_sync_conflicts", "conflict_fields", "'[]'"),
];

/// Adds what is missing and drops rules that would refuse what the hub writes.
pub(super) async fn loosen(
    connection: &mut PgConnection,
    schema: &Schema,
    report: &mut Upgrade,
) -> Result<(), StoreError> {
    let hub = schema.quoted();
    for (table, columns) in COLUMNS {
        if !has_table(connection, schema, table).await? {
            continue;
        }
        let add = split_columns(columns).join(", ADD COLUMN IF NOT EXISTS ");
        let add = add.replace("{hub}", hub);
        execute(
            connection,
            &format!("ALTER TABLE {hub}.{table} ADD COLUMN IF NOT EXISTS {add}"),
        )
        .await?;
    }
    for statement in old_rules(connection, schema).await? {
        if !attempt(connection, &statement).await? {
            report
                .notes
                .push(format!("something depends on it, so this was left out: {statement}"));
        }
    }
    for (table, column) in NARROW {
        if is_narrow(connection, schema, table, column).await?
            && !attempt(
                connection,
                &format!("ALTER TABLE {hub}.{table} ALTER COLUMN {column} TYPE TEXT"),
            )
            .await?
        {
            report.notes.push(format!(
                "{table}.{column} stays as narrow as it is, since a view or rule uses it; longer values will be refused"
            ));
        }
    }
    execute(
        connection,
        &format!("CREATE TABLE IF NOT EXISTS {hub}.magnus_to_rewrite (table_name TEXT NOT NULL PRIMARY KEY)"),
    )
    .await?;
    execute(
        connection,
        &format!(
            "CREATE TABLE IF NOT EXISTS {hub}.magnus_sealed (connection_id UUID NOT NULL, name TEXT NOT NULL, \
             sealed BYTEA NOT NULL, PRIMARY KEY (connection_id, name))"
        ),
    )
    .await?;
    Ok(())
}

/// Splits at commas outside of parentheses.
fn split_columns(columns: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut depth = 0;
    for letter in columns.chars() {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if letter == ',' && depth == 0 {
            parts.push(String::new());
        } else if let Some(part) = parts.last_mut() {
            part.push(letter);
        }
    }
    parts
}

/// Statements that drop the predecessor's rules: lists of permitted words, keys that are not keys any more, columns that had
/// to be filled and may be empty now; and runs go with their connection.
async fn old_rules(connection: &mut PgConnection, schema: &Schema) -> Result<Vec<String>, StoreError> {
    let tables: Vec<String> = TABLES.iter().map(|table| (*table).to_owned()).collect();
    sqlx::query_scalar(
        "WITH ours AS (
             SELECT c.oid, c.relname, format('ALTER TABLE %I.%I ', n.nspname, c.relname) AS alter
             FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
             WHERE n.nspname = $1 AND c.relname = ANY($2) AND c.relkind IN ('r', 'p'))
         SELECT alter || format('DROP CONSTRAINT %I', r.conname)
         FROM ours JOIN pg_constraint AS r ON r.conrelid = ours.oid
         WHERE (r.contype = 'c' AND ours.relname NOT IN ('magnus_projects', 'magnus_tasks')) OR r.contype = 'u'
         UNION ALL
         SELECT alter || format('ALTER COLUMN %I DROP NOT NULL', a.attname)
         FROM ours JOIN pg_attribute AS a ON a.attrelid = ours.oid
         WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attnotnull AND a.attidentity = ''
           AND a.attname NOT IN ('version', 'revision', 'field_times', 'bases', 'refusals', 'state',
                                 'first_contact_done', 'cancel_requested')
           AND NOT EXISTS (SELECT 1 FROM pg_index AS i WHERE i.indrelid = ours.oid AND i.indisprimary
                                                         AND a.attnum = ANY(i.indkey))
           AND (ours.relname, a.attname) NOT IN
               (('magnus_pm_connections', 'tool_name'), ('magnus_projects', 'name'), ('magnus_tasks', 'title'),
                ('magnus_tasks', 'title_key'), ('magnus_tasks', 'project_id'), ('magnus_sync_log', 'status'))
         UNION ALL
         SELECT alter || format('DROP CONSTRAINT %I, ADD CONSTRAINT %I FOREIGN KEY (connection_id) REFERENCES %s (id) '
                                'ON DELETE CASCADE', r.conname, r.conname, r.confrelid::regclass)
         FROM ours JOIN pg_constraint AS r ON r.conrelid = ours.oid
         WHERE r.contype = 'f' AND ours.relname = 'magnus_sync_log' AND r.confdeltype <> 'c'
           AND r.conkey = ARRAY(SELECT a.attnum FROM pg_attribute AS a
                                WHERE a.attrelid = ours.oid AND a.attname = 'connection_id')",
    )
    .bind(schema.name())
    .bind(tables)
    .fetch_all(connection)
    .await
    .map_err(failed(OPERATION))
}

async fn is_narrow(
    connection: &mut PgConnection,
    schema: &Schema,
    table: &str,
    column: &str,
) -> Result<bool, StoreError> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM information_schema.columns
                        WHERE table_schema = $1 AND table_name = $2 AND column_name = $3
                          AND character_maximum_length IS NOT NULL)",
    )
    .bind(schema.name())
    .bind(table)
    .bind(column)
    .fetch_one(connection)
    .await
    .map_err(failed(OPERATION))
}

/// Carries out a statement that something of somebody else's may stand against; `false` if it does.
async fn attempt(connection: &mut PgConnection, statement: &str) -> Result<bool, StoreError> {
    execute(connection, "SAVEPOINT attempt").await?;
    let done = sqlx::query(sqlx::AssertSqlSafe(statement.to_owned()))
        .execute(&mut *connection)
        .await;
    let stood = match done {
        Ok(_) => true,
        // A view or rule uses the column; another table refers to the key.
        Err(error) if matches!(code(&error).as_deref(), Some("0A000" | "2BP01")) => {
            execute(connection, "ROLLBACK TO SAVEPOINT attempt").await?;
            false
        }
        Err(error) => return Err(failed(OPERATION)(error)),
    };
    execute(connection, "RELEASE SAVEPOINT attempt").await?;
    Ok(stood)
}

/// What makes filled columns binding, statement by statement, each of which may be repeated. The rows are looked through by
/// `VALIDATE`, which keeps nobody from reading and writing; with the rule that it leaves behind, `SET NOT NULL` looks no more
/// and is done in a moment.
pub(super) async fn binding(connection: &mut PgConnection, schema: &Schema) -> Result<Vec<String>, StoreError> {
    const FILLED: &str = "magnus_filled";
    let mut statements = Vec::new();
    for table in TABLES {
        if !has_table(connection, schema, table).await? {
            continue;
        }
        let columns: Vec<_> = BINDING.iter().filter(|(of, ..)| *of == table).collect();
        let filled: Vec<String> = columns
            .iter()
            .map(|(_, column, _)| format!("{column} IS NOT NULL"))
            .collect();
        let mut rules = Vec::new();
        for (_, column, default) in columns {
            if !default.is_empty() {
                rules.push(format!("ALTER COLUMN {column} SET DEFAULT {default}"));
            }
            rules.push(format!("ALTER COLUMN {column} SET NOT NULL"));
        }
        for change in [
            format!(
                "DROP CONSTRAINT IF EXISTS {FILLED}, ADD CONSTRAINT {FILLED} CHECK ({}) NOT VALID",
                filled.join(" AND ")
            ),
            format!("VALIDATE CONSTRAINT {FILLED}"),
            rules.join(", "),
            format!("DROP CONSTRAINT IF EXISTS {FILLED}"),
        ] {
            statements.push(format!("ALTER TABLE {}.{table} {change}", schema.quoted()));
        }
    }
    statements.push(format!("DROP TABLE IF EXISTS {}.magnus_to_rewrite", schema.quoted()));
    Ok(statements)
}

/// Switches off triggers of the tables' owner, such as those that stamp `updated_at`: nobody edited anything. Answers those
/// that were on.
pub(super) async fn silence_triggers(
    connection: &mut PgConnection,
    schema: &Schema,
) -> Result<Vec<(String, String)>, StoreError> {
    let tables: Vec<String> = TABLES.iter().map(|table| (*table).to_owned()).collect();
    let triggers: Vec<(String, String)> = sqlx::query_as(
        "SELECT c.relname::text, quote_ident(t.tgname)
         FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
         WHERE n.nspname = $1 AND c.relname = ANY($2) AND NOT t.tgisinternal AND t.tgenabled = 'O'",
    )
    .bind(schema.name())
    .bind(tables)
    .fetch_all(&mut *connection)
    .await
    .map_err(failed(OPERATION))?;
    switch_triggers(connection, schema, &triggers, "DISABLE").await?;
    Ok(triggers)
}

pub(super) async fn unsilence_triggers(
    connection: &mut PgConnection,
    schema: &Schema,
    triggers: &[(String, String)],
) -> Result<(), StoreError> {
    if !triggers.is_empty() {
        // Checks that wait for the end of the transaction would keep the table from being altered.
        execute(connection, "SET CONSTRAINTS ALL IMMEDIATE").await?;
    }
    switch_triggers(connection, schema, triggers, "ENABLE").await
}

async fn switch_triggers(
    connection: &mut PgConnection,
    schema: &Schema,
    triggers: &[(String, String)],
    verb: &str,
) -> Result<(), StoreError> {
    for (table, trigger) in triggers {
        execute(
            connection,
            &format!("ALTER TABLE {}.{table} {verb} TRIGGER {trigger}", schema.quoted()),
        )
        .await?;
    }
    Ok(())
}
