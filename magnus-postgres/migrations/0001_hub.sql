-- The hub. The names and types of the predecessor's columns stay where there are any, so that reports written against
-- them go on. Amounts of work are kept exactly in minutes; the columns in hours follow them, rounded, for reading.
-- "IF NOT EXISTS": on a database of the predecessor its own tables were brought to this form before.

CREATE TABLE IF NOT EXISTS magnus_pm_connections (
    id                UUID        NOT NULL PRIMARY KEY DEFAULT gen_random_uuid(),
    tool_name         TEXT        NOT NULL,
    display_name      TEXT        NOT NULL,
    instance_url      TEXT        NOT NULL,
    sync_direction    TEXT        NOT NULL DEFAULT 'bidirectional',
    sync_frequency    TEXT        NOT NULL DEFAULT 'realtime',
    sync_enabled      BOOLEAN     NOT NULL DEFAULT TRUE,
    config            JSONB       NOT NULL DEFAULT '{}',
    -- What the predecessor's settings held that has no meaning here, without its secrets.
    predecessor_config JSONB,
    -- How its newest run ended, for reports.
    last_sync_at      TIMESTAMPTZ,
    last_sync_status  TEXT,
    last_sync_error   TEXT,
    revision          BIGINT      NOT NULL DEFAULT 1,
    created_at        TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at        TIMESTAMPTZ NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX IF NOT EXISTS magnus_pm_connections_by_name ON magnus_pm_connections (display_name);

CREATE TABLE IF NOT EXISTS magnus_projects (
    id           UUID        NOT NULL PRIMARY KEY DEFAULT gen_random_uuid(),
    name         TEXT        NOT NULL,
    description  TEXT,
    source_tool  TEXT,
    archived_at  TIMESTAMPTZ,
    created_at   TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at   TIMESTAMPTZ NOT NULL DEFAULT now(),
    version      BIGINT      NOT NULL DEFAULT 1
);

CREATE TABLE IF NOT EXISTS magnus_tasks (
    id                 UUID          NOT NULL PRIMARY KEY DEFAULT gen_random_uuid(),
    project_id         UUID          NOT NULL REFERENCES magnus_projects (id),
    parent_task_id     UUID          REFERENCES magnus_tasks (id),
    title              TEXT          NOT NULL,
    -- The title in canonical form: tasks are matched by it inside a commit.
    title_key          TEXT          NOT NULL,
    description        TEXT,
    status             TEXT          NOT NULL DEFAULT 'todo',
    priority           TEXT          NOT NULL DEFAULT 'medium',
    assigned_agent     TEXT,
    start_date         DATE,
    due_date           DATE,
    estimated_hours    NUMERIC(6, 2),
    actual_hours       NUMERIC(6, 2) DEFAULT 0,
    estimated_minutes  BIGINT,
    remaining_minutes  BIGINT,
    actual_minutes     BIGINT,
    percentage_done    SMALLINT,
    tags               TEXT[],
    metadata           JSONB         DEFAULT '{}',
    source_tool        TEXT,
    archived_at        TIMESTAMPTZ,
    deleted_at         TIMESTAMPTZ,
    created_at         TIMESTAMPTZ   NOT NULL DEFAULT now(),
    updated_at         TIMESTAMPTZ   NOT NULL DEFAULT now(),
    -- When each field was last changed.
    field_times        JSONB         NOT NULL DEFAULT '{}',
    version            BIGINT        NOT NULL DEFAULT 1
);
CREATE INDEX IF NOT EXISTS magnus_tasks_by_title ON magnus_tasks (project_id, title_key);
CREATE INDEX IF NOT EXISTS magnus_tasks_by_parent ON magnus_tasks (parent_task_id);

CREATE TABLE IF NOT EXISTS magnus_project_mappings (
    id                     UUID        NOT NULL PRIMARY KEY DEFAULT gen_random_uuid(),
    magnus_project_id      UUID        NOT NULL REFERENCES magnus_projects (id),
    connection_id          UUID        NOT NULL REFERENCES magnus_pm_connections (id) ON DELETE CASCADE,
    external_project_id    TEXT        NOT NULL,
    external_project_name  TEXT,
    sync_direction         TEXT,
    sync_enabled           BOOLEAN     NOT NULL DEFAULT TRUE,
    -- Why it is suspended; NULL if it is active.
    suspended              TEXT,
    cursor                 TEXT,
    first_contact_done     BOOLEAN     NOT NULL DEFAULT FALSE,
    last_sync_at           TIMESTAMPTZ,
    created_at             TIMESTAMPTZ DEFAULT now(),
    -- Why the upgrade set a row of the predecessor aside: it is kept, and used for nothing.
    set_aside              TEXT,
    version                BIGINT      NOT NULL DEFAULT 1
);
CREATE UNIQUE INDEX IF NOT EXISTS magnus_project_mappings_one_per_external
    ON magnus_project_mappings (connection_id, external_project_id) WHERE set_aside IS NULL;
CREATE INDEX IF NOT EXISTS magnus_project_mappings_by_project ON magnus_project_mappings (magnus_project_id);

CREATE TABLE IF NOT EXISTS magnus_task_mappings (
    id                  UUID        NOT NULL PRIMARY KEY DEFAULT gen_random_uuid(),
    magnus_task_id      UUID        NOT NULL REFERENCES magnus_tasks (id),
    connection_id       UUID        NOT NULL REFERENCES magnus_pm_connections (id) ON DELETE CASCADE,
    project_mapping_id  UUID        REFERENCES magnus_project_mappings (id) ON DELETE CASCADE,
    external_task_id    TEXT        NOT NULL,
    external_url        TEXT,
    state               TEXT        NOT NULL DEFAULT 'live',
    -- What the sides last agreed on, by field. JSON and not JSONB: what a tool returned is kept to the letter.
    bases               JSON        NOT NULL DEFAULT '{}',
    -- Values that the tool refused, by field.
    refusals            JSON        NOT NULL DEFAULT '{}',
    -- The run that first found the external task absent.
    absent_since        UUID,
    last_sync_at        TIMESTAMPTZ,
    created_at          TIMESTAMPTZ NOT NULL DEFAULT now(),
    -- As in magnus_project_mappings.
    set_aside           TEXT,
    version             BIGINT      NOT NULL DEFAULT 1
);
CREATE UNIQUE INDEX IF NOT EXISTS magnus_task_mappings_one_per_external
    ON magnus_task_mappings (connection_id, external_task_id) WHERE set_aside IS NULL;
CREATE UNIQUE INDEX IF NOT EXISTS magnus_task_mappings_one_per_task
    ON magnus_task_mappings (magnus_task_id, connection_id) WHERE set_aside IS NULL;
CREATE INDEX IF NOT EXISTS magnus_task_mappings_by_mapping ON magnus_task_mappings (project_mapping_id);

-- The journal: written before a remote write, settled after it.
CREATE TABLE IF NOT EXISTS magnus_intents (
    id                  UUID        NOT NULL PRIMARY KEY,
    connection_id       UUID        NOT NULL REFERENCES magnus_pm_connections (id) ON DELETE CASCADE,
    project_mapping_id  UUID        NOT NULL REFERENCES magnus_project_mappings (id) ON DELETE CASCADE,
    magnus_task_id      UUID        NOT NULL REFERENCES magnus_tasks (id),
    run_id              UUID        NOT NULL,
    operation           JSON        NOT NULL,
    fields              JSON        NOT NULL,
    settled             BOOLEAN     NOT NULL,
    state               JSON        NOT NULL,
    created_at          TIMESTAMPTZ NOT NULL
);
CREATE INDEX IF NOT EXISTS magnus_intents_unsettled ON magnus_intents (connection_id) WHERE NOT settled;
CREATE INDEX IF NOT EXISTS magnus_intents_by_mapping ON magnus_intents (project_mapping_id);
CREATE INDEX IF NOT EXISTS magnus_intents_by_task ON magnus_intents (magnus_task_id);

-- Rows of the predecessor, which knew conflicts of whole items only, have no link_id and no field.
CREATE TABLE IF NOT EXISTS magnus_sync_conflicts (
    id                  UUID        NOT NULL PRIMARY KEY DEFAULT gen_random_uuid(),
    connection_id       UUID        REFERENCES magnus_pm_connections (id) ON DELETE CASCADE,
    link_id             UUID        REFERENCES magnus_task_mappings (id) ON DELETE CASCADE,
    entity_type         TEXT        NOT NULL DEFAULT 'task',
    magnus_entity_id    UUID,
    external_entity_id  TEXT,
    field               TEXT,
    conflict_fields     JSONB       NOT NULL DEFAULT '[]',
    base                JSONB,
    magnus_data         JSONB,
    external_data       JSONB,
    -- The tool's value in the hub's form.
    external_value      JSONB,
    status              TEXT        NOT NULL DEFAULT 'pending',
    policy              TEXT,
    loser               TEXT,
    reason              TEXT,
    run_id              UUID,
    created_at          TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at          TIMESTAMPTZ,
    resolved_at         TIMESTAMPTZ,
    resolved_by         TEXT,
    version             BIGINT      NOT NULL DEFAULT 1
);
CREATE UNIQUE INDEX IF NOT EXISTS magnus_sync_conflicts_one_open
    ON magnus_sync_conflicts (link_id, field) WHERE status = 'pending' AND link_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS magnus_sync_conflicts_by_field ON magnus_sync_conflicts (link_id, field);
CREATE INDEX IF NOT EXISTS magnus_sync_conflicts_by_connection ON magnus_sync_conflicts (connection_id);
CREATE INDEX IF NOT EXISTS magnus_sync_conflicts_by_task ON magnus_sync_conflicts (magnus_entity_id);

-- What was changed on a task, by which run, under which rule. Outlives runs and connections.
CREATE TABLE IF NOT EXISTS magnus_history (
    sequence        BIGINT      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    magnus_task_id  UUID        NOT NULL REFERENCES magnus_tasks (id),
    run_id          UUID,
    connection_id   UUID,
    field           TEXT,
    before          JSON        NOT NULL,
    after           JSON        NOT NULL,
    side            TEXT        NOT NULL,
    rule            TEXT        NOT NULL,
    at              TIMESTAMPTZ NOT NULL
);
CREATE INDEX IF NOT EXISTS magnus_history_by_task ON magnus_history (magnus_task_id, at, sequence);

-- Rows of the predecessor have no request.
CREATE TABLE IF NOT EXISTS magnus_sync_log (
    id                  UUID        NOT NULL PRIMARY KEY DEFAULT gen_random_uuid(),
    connection_id       UUID        REFERENCES magnus_pm_connections (id) ON DELETE CASCADE,
    sync_type           TEXT,
    direction           TEXT,
    request             JSONB,
    status              TEXT        NOT NULL,
    cancel_requested    BOOLEAN     NOT NULL DEFAULT FALSE,
    -- The report, and the numbers out of it that people ask for most.
    details             JSONB,
    items_synced        INTEGER     DEFAULT 0,
    items_failed        INTEGER     DEFAULT 0,
    conflicts_detected  INTEGER     DEFAULT 0,
    conflicts_resolved  INTEGER     DEFAULT 0,
    error_message       TEXT,
    queued_at           TIMESTAMPTZ DEFAULT now(),
    started_at          TIMESTAMPTZ,
    completed_at        TIMESTAMPTZ
);
CREATE UNIQUE INDEX IF NOT EXISTS magnus_sync_log_one_queued ON magnus_sync_log (connection_id) WHERE status = 'queued';
CREATE UNIQUE INDEX IF NOT EXISTS magnus_sync_log_one_started ON magnus_sync_log (connection_id) WHERE status = 'started';
CREATE INDEX IF NOT EXISTS magnus_sync_log_by_connection ON magnus_sync_log (connection_id);
CREATE INDEX IF NOT EXISTS magnus_sync_log_by_age ON magnus_sync_log (queued_at, id);
CREATE INDEX IF NOT EXISTS magnus_sync_log_by_end ON magnus_sync_log (completed_at);

-- The epoch outlives every holder; holder and expiry are NULL while it is free. Heartbeats update in place.
CREATE TABLE IF NOT EXISTS magnus_leases (
    connection_id  UUID        NOT NULL PRIMARY KEY REFERENCES magnus_pm_connections (id) ON DELETE CASCADE,
    epoch          BIGINT      NOT NULL,
    holder         TEXT,
    expires_at     TIMESTAMPTZ
) WITH (fillfactor = 50);

-- Connections whose hub tasks were changed elsewhere.
CREATE TABLE IF NOT EXISTS magnus_due (
    connection_id  UUID NOT NULL PRIMARY KEY REFERENCES magnus_pm_connections (id) ON DELETE CASCADE
);

-- Sealed bytes. They may be kept before their connection is, so nothing refers to it.
CREATE TABLE IF NOT EXISTS magnus_sealed (
    connection_id  UUID  NOT NULL,
    name           TEXT  NOT NULL,
    sealed         BYTEA NOT NULL,
    PRIMARY KEY (connection_id, name)
);

-- Committed changesets, so that one whose answer was lost can be sent again. No outcome: nothing was stale.
CREATE TABLE IF NOT EXISTS magnus_changesets (
    id            UUID        NOT NULL PRIMARY KEY,
    outcome       JSONB,
    committed_at  TIMESTAMPTZ NOT NULL
);
CREATE INDEX IF NOT EXISTS magnus_changesets_by_age ON magnus_changesets (committed_at);
