-- The tool's id of the user as whom a project was last read with nothing missing.
ALTER TABLE magnus_project_mappings ADD COLUMN seen_as TEXT;
