-- Conversations whose events left by retention: their late events count nowhere, whoever reads them.

-- up
CREATE TABLE IF NOT EXISTS retired (
    `district` LowCardinality(String),
    `conversation` String,
    `last_at` DateTime64(3, 'UTC'),
    `events` UInt32,
    `retired_at` DateTime64(3, 'UTC'),
    `final` UInt8
) ENGINE = ReplacingMergeTree(final)
ORDER BY (district, conversation);

-- down
DROP TABLE IF EXISTS retired;
