-- Items whose writes to a tool fail: when they are tried again, or that they are set aside.
CREATE TABLE magnus_item_failures (
    connection_id   UUID        NOT NULL REFERENCES magnus_pm_connections (id) ON DELETE CASCADE,
    magnus_task_id  UUID        NOT NULL REFERENCES magnus_tasks (id),
    kind            JSONB       NOT NULL,
    message         TEXT        NOT NULL,
    failures        BIGINT      NOT NULL,
    -- A digest of the write that failed.
    attempt         TEXT        NOT NULL,
    run_id          UUID        NOT NULL,
    failed_at       TIMESTAMPTZ NOT NULL,
    next_try_at     TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (connection_id, magnus_task_id)
);
CREATE INDEX magnus_item_failures_by_task ON magnus_item_failures (magnus_task_id);

-- What one run did, for undoing it.
CREATE INDEX magnus_intents_by_run ON magnus_intents (run_id);
CREATE INDEX magnus_history_by_run ON magnus_history (run_id);
