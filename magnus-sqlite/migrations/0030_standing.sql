-- What lists of runs show of a report: see RunReport::brief. NULL for runs that ended before: their report is read in full.
ALTER TABLE magnus_sync_log ADD COLUMN brief TEXT CHECK (brief IS NULL OR json_valid(brief));

-- Runs of a rare state are found without reading through the others.
CREATE INDEX magnus_sync_log_by_state ON magnus_sync_log (status, queued_at, id);

-- What is counted all the time is counted in an index.
CREATE INDEX magnus_task_mappings_by_state ON magnus_task_mappings (connection_id, state);
CREATE INDEX magnus_sync_conflicts_open ON magnus_sync_conflicts (connection_id) WHERE status = 'open';
-- Conflicts are listed newest first.
CREATE INDEX magnus_sync_conflicts_by_age ON magnus_sync_conflicts (created_at, id);
