-- What lists of runs show of a report: see RunReport::brief. NULL for runs that ended before: their report is read in full.
ALTER TABLE magnus_sync_log ADD COLUMN IF NOT EXISTS brief JSONB;

-- Runs of a rare state are found without reading through the others.
CREATE INDEX IF NOT EXISTS magnus_sync_log_by_state ON magnus_sync_log (status, queued_at, id);

-- What is counted all the time is counted in an index.
CREATE INDEX IF NOT EXISTS magnus_task_mappings_by_state ON magnus_task_mappings (connection_id, state);
CREATE INDEX IF NOT EXISTS magnus_sync_conflicts_open ON magnus_sync_conflicts (connection_id)
    WHERE status = 'pending' AND link_id IS NOT NULL AND field IS NOT NULL;
-- Conflicts are listed newest first.
CREATE INDEX IF NOT EXISTS magnus_sync_conflicts_by_age ON magnus_sync_conflicts (created_at, id);
