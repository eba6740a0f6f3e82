-- How much each tool's host bears, once it said "too many requests": one row for each, whoever calls it. Half empty, so that
-- rows are updated within their page.
CREATE TABLE IF NOT EXISTS magnus_host_pace (
    host        TEXT PRIMARY KEY,
    -- Microseconds between calls; 0: nobody complains any more.
    space       BIGINT NOT NULL,
    -- Good answers since the last complaint or halving of the space.
    calm        BIGINT NOT NULL,
    -- The next turn that nobody has taken.
    free_at     TIMESTAMPTZ NOT NULL
) WITH (fillfactor = 50);
