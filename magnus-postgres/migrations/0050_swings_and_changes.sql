-- Values that a tool brought back again and again in place of one of the hub, by field.
ALTER TABLE magnus_task_mappings ADD COLUMN IF NOT EXISTS swings JSON NOT NULL DEFAULT '{}';

-- Who last changed either side of a conflict, and when, as far as that is known.
ALTER TABLE magnus_sync_conflicts ADD COLUMN IF NOT EXISTS magnus_changed JSONB;
ALTER TABLE magnus_sync_conflicts ADD COLUMN IF NOT EXISTS external_changed JSONB;
