-- What the service keeps: changes of state of runs as events, access tokens, and requests to be carried out once.

CREATE TABLE magnus_run_events (
    sequence       BIGINT      NOT NULL GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id         UUID        NOT NULL REFERENCES magnus_sync_log (id) ON DELETE CASCADE,
    connection_id  UUID        NOT NULL,
    state          TEXT        NOT NULL,
    at             TIMESTAMPTZ NOT NULL
);
CREATE INDEX magnus_run_events_by_run ON magnus_run_events (run_id);
CREATE INDEX magnus_run_events_by_age ON magnus_run_events (at);

-- Written by triggers, so that no change of state goes without its event. The lock is held until the transaction ends:
-- an event that becomes visible later has a greater number. The triggers are deferred to the end of the transaction, so
-- that nobody who holds the lock waits for another one.
CREATE FUNCTION magnus_note_run_event() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('magnus run events'), hashtext(TG_TABLE_SCHEMA));
    EXECUTE format('INSERT INTO %I.magnus_run_events (run_id, connection_id, state, at) VALUES ($1, $2, $3, $4)',
                   TG_TABLE_SCHEMA)
    USING NEW.id, NEW.connection_id, NEW.status,
          COALESCE(NEW.completed_at, NEW.started_at, NEW.queued_at, clock_timestamp());
    RETURN NULL;
END
$body$;
CREATE CONSTRAINT TRIGGER magnus_sync_log_begun AFTER INSERT ON magnus_sync_log
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (NEW.connection_id IS NOT NULL AND NEW.request IS NOT NULL)
    EXECUTE FUNCTION magnus_note_run_event();
CREATE CONSTRAINT TRIGGER magnus_sync_log_moved AFTER UPDATE ON magnus_sync_log
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (NEW.connection_id IS NOT NULL AND OLD.status IS DISTINCT FROM NEW.status)
    EXECUTE FUNCTION magnus_note_run_event();

-- The log grows without bound; what is asked of it all the time must not grow with it.
CREATE INDEX magnus_sync_log_unfinished ON magnus_sync_log (queued_at, id) WHERE status IN ('queued', 'started');
CREATE INDEX magnus_sync_log_of_connection ON magnus_sync_log (connection_id, queued_at, id);
CREATE INDEX magnus_sync_log_succeeded ON magnus_sync_log (connection_id, queued_at, id)
    WHERE status IN ('completed', 'partial');
CREATE INDEX magnus_sync_log_by_person ON magnus_sync_log (connection_id) WHERE request ->> 'trigger' = 'manual';

CREATE TABLE magnus_access_tokens (
    id          UUID        NOT NULL PRIMARY KEY,
    name        TEXT        NOT NULL UNIQUE,
    scope       TEXT        NOT NULL,
    -- The SHA-256 of the token.
    hash        TEXT        NOT NULL UNIQUE,
    created_at  TIMESTAMPTZ NOT NULL
);

CREATE TABLE magnus_once (
    key          TEXT        NOT NULL PRIMARY KEY,
    fingerprint  TEXT        NOT NULL,
    reserved     UUID        NOT NULL,
    begun_at     TIMESTAMPTZ NOT NULL,
    -- How it was answered; NULL until then.
    status       INTEGER,
    body         TEXT
);
CREATE INDEX magnus_once_by_age ON magnus_once (begun_at);
