-- Links that an upgrade set aside are not counted, and what is counted all the time is counted in an index.
DROP INDEX IF EXISTS magnus_task_mappings_by_state;
CREATE INDEX IF NOT EXISTS magnus_task_mappings_counted ON magnus_task_mappings (connection_id, state)
    WHERE set_aside IS NULL;
