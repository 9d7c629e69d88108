-- The log as landed: events, configurations, the unit tree, and what could not be taken.

-- up
CREATE TABLE IF NOT EXISTS events (
    `district` LowCardinality(String),
    `conversation` String,
    `event_id` String,
    `digest` UInt64,
    `kind` LowCardinality(String),
    `schema_version` UInt32,
    `source` LowCardinality(String),
    `occurred_at` DateTime64(3, 'UTC'),
    `received_at` DateTime64(3, 'UTC'),
    `content` String CODEC(ZSTD(1)),
    `understood` UInt8,
    `partition` Int32,
    `offset` Int64,
    `landed_at` DateTime64(3, 'UTC'),
    `earliest` UInt64
) ENGINE = ReplacingMergeTree(earliest)
ORDER BY (district, conversation, event_id, digest);

CREATE TABLE IF NOT EXISTS districts (
    `district` LowCardinality(String),
    `revision` UInt32,
    `event_id` String,
    `digest` UInt64,
    `occurred_at` DateTime64(3, 'UTC'),
    `received_at` DateTime64(3, 'UTC'),
    `document` String,
    `landed_at` DateTime64(3, 'UTC'),
    `earliest` UInt64
) ENGINE = ReplacingMergeTree(earliest)
ORDER BY (district, revision, event_id, digest);

CREATE TABLE IF NOT EXISTS units (
    `district` LowCardinality(String),
    `unit` String,
    `parent` String,
    `department` LowCardinality(String),
    `level` LowCardinality(String),
    `label` String,
    `path` Array(String),
    `revision` UInt32,
    `version` UInt64,
    `landed_at` DateTime64(3, 'UTC')
) ENGINE = ReplacingMergeTree(version)
ORDER BY (district, unit);

CREATE TABLE IF NOT EXISTS dead_letters (
    `topic` LowCardinality(String),
    `partition` Int32,
    `offset` Int64,
    `position` UInt32,
    `reason` LowCardinality(String),
    `field` String,
    `message` String,
    `digest` String,
    `district` LowCardinality(String),
    `kind` LowCardinality(String),
    `landed_at` DateTime64(3, 'UTC'),
    `earliest` UInt64
) ENGINE = ReplacingMergeTree(earliest)
ORDER BY (topic, partition, offset, position);

-- down
DROP TABLE IF EXISTS dead_letters;
DROP TABLE IF EXISTS units;
DROP TABLE IF EXISTS districts;
DROP TABLE IF EXISTS events;
