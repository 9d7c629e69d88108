-- What each unit, channel and window looked like at an instant, kept as it was known then: of rows for one
-- instant the first that landed counts.

-- up
CREATE TABLE IF NOT EXISTS rolling (
    `district` LowCardinality(String),
    `unit` LowCardinality(String),
    `channel` LowCardinality(String),
    `window` LowCardinality(String),
    `at` DateTime64(3, 'UTC'),
    `inquiries` UInt32,
    `open_waits` UInt32,
    `oldest_open_at` Nullable(DateTime64(3, 'UTC')),
    `first_response_count` UInt32,
    `first_response_sum_ms` Int64,
    `first_response_buckets` Array(UInt16),
    `first_response_counts` Array(UInt32),
    `first_response_business_count` UInt32,
    `first_response_business_sum_ms` Int64,
    `first_response_business_buckets` Array(UInt16),
    `first_response_business_counts` Array(UInt32),
    `reply_count` UInt32,
    `reply_sum_ms` Int64,
    `reply_buckets` Array(UInt16),
    `reply_counts` Array(UInt32),
    `ratings` Array(UInt32),
    `ratings_count` UInt32,
    `promises_met` UInt32,
    `promises_missed` UInt32,
    `promises_pending` UInt32,
    `landed_at` DateTime64(3, 'UTC'),
    `earliest` UInt64
) ENGINE = ReplacingMergeTree(earliest)
ORDER BY (district, unit, channel, window, at);

-- down
DROP TABLE IF EXISTS rolling;
