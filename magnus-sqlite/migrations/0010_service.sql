-- What the service keeps: changes of state of runs as events, access tokens, and requests to be carried out once.

-- Written by triggers, so that no change of state goes without its event. A number is never used twice.
CREATE TABLE magnus_run_events (
    sequence       INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id         TEXT NOT NULL REFERENCES magnus_sync_log (id) ON DELETE CASCADE,
    connection_id  TEXT NOT NULL,
    state          TEXT NOT NULL,
    at             TEXT NOT NULL
) STRICT;
CREATE INDEX magnus_run_events_by_run ON magnus_run_events (run_id);
CREATE INDEX magnus_run_events_by_age ON magnus_run_events (at);

CREATE TRIGGER magnus_sync_log_begun AFTER INSERT ON magnus_sync_log
BEGIN
    INSERT INTO magnus_run_events (run_id, connection_id, state, at)
    VALUES (NEW.id, NEW.connection_id, NEW.status, COALESCE(NEW.completed_at, NEW.started_at, NEW.queued_at));
END;
CREATE TRIGGER magnus_sync_log_moved AFTER UPDATE OF status ON magnus_sync_log WHEN OLD.status <> NEW.status
BEGIN
    INSERT INTO magnus_run_events (run_id, connection_id, state, at)
    VALUES (NEW.id, NEW.connection_id, NEW.status, COALESCE(NEW.completed_at, NEW.started_at, NEW.queued_at));
END;

-- The log grows without bound; what is asked of it all the time must not grow with it.
CREATE INDEX magnus_sync_log_unfinished ON magnus_sync_log (queued_at, id) WHERE status IN ('queued', 'started');
CREATE INDEX magnus_sync_log_of_connection ON magnus_sync_log (connection_id, queued_at, id);
CREATE INDEX magnus_sync_log_succeeded ON magnus_sync_log (connection_id, queued_at, id)
    WHERE status IN ('completed', 'partial');
CREATE INDEX magnus_sync_log_by_person ON magnus_sync_log (connection_id)
    WHERE json_extract(request, '$.trigger') = 'manual';
DROP INDEX magnus_sync_log_by_connection;

CREATE TABLE magnus_access_tokens (
    id          TEXT NOT NULL PRIMARY KEY,
    name        TEXT NOT NULL UNIQUE,
    scope       TEXT NOT NULL,
    -- The SHA-256 of the token.
    hash        TEXT NOT NULL UNIQUE,
    created_at  TEXT NOT NULL
) STRICT;

CREATE TABLE magnus_once (
    key          TEXT NOT NULL PRIMARY KEY,
    fingerprint  TEXT NOT NULL,
    reserved     TEXT NOT NULL,
    begun_at     TEXT NOT NULL,
    -- How it was answered; NULL until then.
    status       INTEGER,
    body         TEXT
) STRICT;
CREATE INDEX magnus_once_by_age ON magnus_once (begun_at);
