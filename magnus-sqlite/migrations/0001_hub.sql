-- The hub. Ids are UUIDs as text, instants are UTC as text with microseconds (so that text order is time order),
-- dates are calendar days as text, amounts of work are minutes. What has a shape of its own is JSON.

CREATE TABLE magnus_pm_connections (
    id              TEXT    NOT NULL PRIMARY KEY,
    tool_name       TEXT    NOT NULL,
    display_name    TEXT    NOT NULL UNIQUE,
    instance_url    TEXT    NOT NULL,
    sync_direction  TEXT    NOT NULL,
    sync_frequency  TEXT    NOT NULL,
    sync_enabled    INTEGER NOT NULL,
    config          TEXT    NOT NULL CHECK (json_valid(config)),
    revision        INTEGER NOT NULL,
    created_at      TEXT    NOT NULL,
    updated_at      TEXT    NOT NULL
) STRICT;

CREATE TABLE magnus_projects (
    id           TEXT    NOT NULL PRIMARY KEY,
    name         TEXT    NOT NULL,
    description  TEXT,
    source_tool  TEXT,
    archived_at  TEXT,
    created_at   TEXT    NOT NULL,
    updated_at   TEXT    NOT NULL,
    version      INTEGER NOT NULL
) STRICT;

CREATE TABLE magnus_tasks (
    id                 TEXT    NOT NULL PRIMARY KEY,
    project_id         TEXT    NOT NULL REFERENCES magnus_projects (id),
    parent_task_id     TEXT    REFERENCES magnus_tasks (id),
    title              TEXT    NOT NULL,
    -- The title in canonical form: tasks are matched by it inside a commit.
    title_key          TEXT    NOT NULL,
    description        TEXT,
    status             TEXT    NOT NULL,
    priority           TEXT    NOT NULL,
    assignee           TEXT,
    start_date         TEXT,
    due_date           TEXT,
    estimated_minutes  INTEGER,
    remaining_minutes  INTEGER,
    actual_minutes     INTEGER,
    percentage_done    INTEGER,
    tags               TEXT    NOT NULL CHECK (json_valid(tags)),
    metadata           TEXT    NOT NULL DEFAULT '{}' CHECK (json_valid(metadata)),
    source_tool        TEXT,
    archived_at        TEXT,
    deleted_at         TEXT,
    created_at         TEXT    NOT NULL,
    updated_at         TEXT    NOT NULL,
    -- When each field was last changed.
    field_times        TEXT    NOT NULL CHECK (json_valid(field_times)),
    version            INTEGER NOT NULL
) STRICT;
CREATE INDEX magnus_tasks_by_title ON magnus_tasks (project_id, title_key);
CREATE INDEX magnus_tasks_by_parent ON magnus_tasks (parent_task_id);

CREATE TABLE magnus_project_mappings (
    id                     TEXT    NOT NULL PRIMARY KEY,
    magnus_project_id      TEXT    NOT NULL REFERENCES magnus_projects (id),
    connection_id          TEXT    NOT NULL REFERENCES magnus_pm_connections (id) ON DELETE CASCADE,
    external_project_id    TEXT    NOT NULL,
    external_project_name  TEXT    NOT NULL,
    sync_direction         TEXT,
    sync_enabled           INTEGER NOT NULL,
    -- Why it is suspended; NULL if it is active.
    suspended              TEXT,
    cursor                 TEXT,
    first_contact_done     INTEGER NOT NULL,
    last_sync_at           TEXT,
    version                INTEGER NOT NULL,
    UNIQUE (connection_id, external_project_id)
) STRICT;
CREATE INDEX magnus_project_mappings_by_project ON magnus_project_mappings (magnus_project_id);

CREATE TABLE magnus_task_mappings (
    id                  TEXT    NOT NULL PRIMARY KEY,
    magnus_task_id      TEXT    NOT NULL REFERENCES magnus_tasks (id),
    connection_id       TEXT    NOT NULL REFERENCES magnus_pm_connections (id) ON DELETE CASCADE,
    project_mapping_id  TEXT    NOT NULL REFERENCES magnus_project_mappings (id) ON DELETE CASCADE,
    external_task_id    TEXT    NOT NULL,
    external_url        TEXT,
    state               TEXT    NOT NULL,
    -- What the sides last agreed on, by field.
    bases               TEXT    NOT NULL CHECK (json_valid(bases)),
    -- Values that the tool refused, by field.
    refusals            TEXT    NOT NULL CHECK (json_valid(refusals)),
    -- The run that first found the external task absent.
    absent_since        TEXT,
    last_sync_at        TEXT,
    created_at          TEXT    NOT NULL,
    version             INTEGER NOT NULL,
    UNIQUE (connection_id, external_task_id),
    UNIQUE (magnus_task_id, connection_id)
) STRICT;
CREATE INDEX magnus_task_mappings_by_mapping ON magnus_task_mappings (project_mapping_id);

-- The journal: written before a remote write, settled after it.
CREATE TABLE magnus_intents (
    id                  TEXT NOT NULL PRIMARY KEY,
    connection_id       TEXT NOT NULL REFERENCES magnus_pm_connections (id) ON DELETE CASCADE,
    project_mapping_id  TEXT NOT NULL REFERENCES magnus_project_mappings (id) ON DELETE CASCADE,
    magnus_task_id      TEXT NOT NULL REFERENCES magnus_tasks (id),
    run_id              TEXT NOT NULL,
    operation           TEXT NOT NULL CHECK (json_valid(operation)),
    fields              TEXT NOT NULL CHECK (json_valid(fields)),
    settled             INTEGER NOT NULL,
    state               TEXT NOT NULL CHECK (json_valid(state)),
    created_at          TEXT NOT NULL
) STRICT;
CREATE INDEX magnus_intents_unsettled ON magnus_intents (connection_id) WHERE settled = 0;
CREATE INDEX magnus_intents_by_mapping ON magnus_intents (project_mapping_id);

CREATE TABLE magnus_sync_conflicts (
    id                  TEXT    NOT NULL PRIMARY KEY,
    connection_id       TEXT    NOT NULL REFERENCES magnus_pm_connections (id) ON DELETE CASCADE,
    link_id             TEXT    NOT NULL REFERENCES magnus_task_mappings (id) ON DELETE CASCADE,
    magnus_entity_id    TEXT    NOT NULL REFERENCES magnus_tasks (id),
    external_entity_id  TEXT    NOT NULL,
    field               TEXT    NOT NULL,
    base                TEXT    CHECK (base IS NULL OR json_valid(base)),
    magnus_data         TEXT    NOT NULL CHECK (json_valid(magnus_data)),
    external_data       TEXT    NOT NULL CHECK (json_valid(external_data)),
    -- The tool's value in the hub's form.
    external_value      TEXT    NOT NULL CHECK (json_valid(external_value)),
    status              TEXT    NOT NULL,
    policy              TEXT    NOT NULL,
    loser               TEXT,
    reason              TEXT    NOT NULL,
    run_id              TEXT,
    created_at          TEXT    NOT NULL,
    updated_at          TEXT    NOT NULL,
    resolved_at         TEXT,
    resolved_by         TEXT,
    version             INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX magnus_sync_conflicts_one_open ON magnus_sync_conflicts (link_id, field) WHERE status = 'open';
CREATE INDEX magnus_sync_conflicts_by_field ON magnus_sync_conflicts (link_id, field);
CREATE INDEX magnus_sync_conflicts_by_connection ON magnus_sync_conflicts (connection_id);
CREATE INDEX magnus_sync_conflicts_by_task ON magnus_sync_conflicts (magnus_entity_id);

-- What was changed on a task, by which run, under which rule. Outlives runs and connections.
CREATE TABLE magnus_history (
    sequence       INTEGER PRIMARY KEY AUTOINCREMENT,
    magnus_task_id TEXT NOT NULL REFERENCES magnus_tasks (id),
    run_id         TEXT,
    connection_id  TEXT,
    field          TEXT,
    before         TEXT NOT NULL CHECK (json_valid(before)),
    after          TEXT NOT NULL CHECK (json_valid(after)),
    side           TEXT NOT NULL,
    rule           TEXT NOT NULL,
    at             TEXT NOT NULL
) STRICT;
CREATE INDEX magnus_history_by_task ON magnus_history (magnus_task_id, at, sequence);

CREATE TABLE magnus_sync_log (
    id                  TEXT    NOT NULL PRIMARY KEY,
    connection_id       TEXT    NOT NULL REFERENCES magnus_pm_connections (id) ON DELETE CASCADE,
    request             TEXT    NOT NULL CHECK (json_valid(request)),
    status              TEXT    NOT NULL,
    cancel_requested    INTEGER NOT NULL,
    -- The report, and the numbers out of it that people ask for most.
    details             TEXT    NOT NULL CHECK (json_valid(details)),
    items_synced        INTEGER NOT NULL,
    items_failed        INTEGER NOT NULL,
    conflicts_detected  INTEGER NOT NULL,
    error_message       TEXT,
    queued_at           TEXT    NOT NULL,
    started_at          TEXT,
    completed_at        TEXT
) STRICT;
CREATE UNIQUE INDEX magnus_sync_log_one_queued ON magnus_sync_log (connection_id) WHERE status = 'queued';
CREATE UNIQUE INDEX magnus_sync_log_one_started ON magnus_sync_log (connection_id) WHERE status = 'started';
CREATE INDEX magnus_sync_log_by_connection ON magnus_sync_log (connection_id);
CREATE INDEX magnus_sync_log_by_age ON magnus_sync_log (queued_at, id);

-- The epoch outlives every holder; holder and expiry are NULL while it is free.
CREATE TABLE magnus_leases (
    connection_id  TEXT    NOT NULL PRIMARY KEY REFERENCES magnus_pm_connections (id) ON DELETE CASCADE,
    epoch          INTEGER NOT NULL,
    holder         TEXT,
    expires_at     TEXT
) STRICT;

-- Connections whose hub tasks were changed elsewhere.
CREATE TABLE magnus_due (
    connection_id  TEXT NOT NULL PRIMARY KEY REFERENCES magnus_pm_connections (id) ON DELETE CASCADE
) STRICT;

-- Sealed bytes. They may be kept before their connection is, so nothing refers to it.
CREATE TABLE magnus_sealed (
    connection_id  TEXT NOT NULL,
    name           TEXT NOT NULL,
    sealed         BLOB NOT NULL,
    PRIMARY KEY (connection_id, name)
) STRICT;

-- Committed changesets, so that one whose answer was lost can be sent again.
CREATE TABLE magnus_changesets (
    id            TEXT NOT NULL PRIMARY KEY,
    outcome       TEXT NOT NULL CHECK (json_valid(outcome)),
    committed_at  TEXT NOT NULL
) STRICT;
CREATE INDEX magnus_changesets_by_age ON magnus_changesets (committed_at);
