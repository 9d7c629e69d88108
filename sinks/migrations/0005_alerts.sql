-- Alerts: one row per transition of a promise clock; the first landing of it counts.

-- up
CREATE TABLE IF NOT EXISTS alerts (
    `district` LowCardinality(String),
    `key` String,
    `revision` UInt32,
    `transition` LowCardinality(String),
    `at` DateTime64(3, 'UTC'),
    `conversation` String,
    `clock` LowCardinality(String),
    `unit` LowCardinality(String),
    `promise` LowCardinality(String),
    `opened_by_event` String,
    `started_at` DateTime64(3, 'UTC'),
    `due_at` Nullable(DateTime64(3, 'UTC')),
    `breach_at` DateTime64(3, 'UTC'),
    `ended_at` Nullable(DateTime64(3, 'UTC')),
    `notify` UInt8,
    `landed_at` DateTime64(3, 'UTC'),
    `earliest` UInt64
) ENGINE = ReplacingMergeTree(earliest)
ORDER BY (district, key, revision, transition);

-- down
DROP TABLE IF EXISTS alerts;
