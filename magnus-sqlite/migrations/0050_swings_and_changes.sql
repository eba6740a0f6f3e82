-- Values that a tool brought back again and again in place of one of the hub, by field.
ALTER TABLE magnus_task_mappings ADD COLUMN swings TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(swings));

-- Who last changed either side of a conflict, and when, as far as that is known.
ALTER TABLE magnus_sync_conflicts ADD COLUMN magnus_changed TEXT CHECK (magnus_changed IS NULL OR json_valid(magnus_changed));
ALTER TABLE magnus_sync_conflicts ADD COLUMN external_changed TEXT CHECK (external_changed IS NULL OR json_valid(external_changed));
