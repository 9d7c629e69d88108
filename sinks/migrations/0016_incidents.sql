-- Incidents: one row per transition of a surge, a silent feed or a watched value; the first landing of it counts.

-- up
CREATE TABLE IF NOT EXISTS incidents (
    `district` LowCardinality(String),
    `key` String,
    `revision` UInt32,
    `transition` LowCardinality(String),
    `step` UInt32,
    `at` DateTime64(3, 'UTC'),
    `kind` LowCardinality(String),
    `metric` LowCardinality(String),
    `about` LowCardinality(String),
    `unit` LowCardinality(String),
    `window_ms` Int64,
    `began_at` DateTime64(3, 'UTC'),
    `ended_at` Nullable(DateTime64(3, 'UTC')),
    `observed` Float64,
    `expected` Float64,
    `notify` UInt8,
    `muted` LowCardinality(String),
    `recipients` Array(LowCardinality(String)),
    `landed_at` DateTime64(3, 'UTC'),
    `earliest` UInt64
) ENGINE = ReplacingMergeTree(earliest)
ORDER BY (district, key, revision, transition, step);

-- down
DROP TABLE IF EXISTS incidents;
