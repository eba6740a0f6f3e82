-- Tasks that are, or were, broken down into subtasks by a language model.
CREATE TABLE magnus_breakdowns (
    id                UUID        NOT NULL PRIMARY KEY,
    task_id           UUID        NOT NULL REFERENCES magnus_tasks (id) ON DELETE CASCADE,
    status            TEXT        NOT NULL,
    cancel_requested  BOOLEAN     NOT NULL DEFAULT FALSE,
    -- How often a process began it: the fencing token of the one that did so last.
    attempts          INTEGER     NOT NULL DEFAULT 0,
    holder            TEXT,
    claimed_until     TIMESTAMPTZ,
    breakdown         JSON,
    error_message     TEXT,
    raw               TEXT,
    discarded_at      TIMESTAMPTZ,
    queued_at         TIMESTAMPTZ NOT NULL,
    started_at        TIMESTAMPTZ,
    completed_at      TIMESTAMPTZ
);
CREATE UNIQUE INDEX magnus_breakdowns_unfinished ON magnus_breakdowns (task_id)
    WHERE status IN ('queued', 'running', 'interrupted');
CREATE INDEX magnus_breakdowns_waiting ON magnus_breakdowns (queued_at, id)
    WHERE status IN ('queued', 'running', 'interrupted');
CREATE INDEX magnus_breakdowns_by_task ON magnus_breakdowns (task_id, queued_at, id);
CREATE INDEX magnus_breakdowns_by_age ON magnus_breakdowns (queued_at, id);
