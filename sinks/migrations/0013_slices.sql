-- What each unit looked like by topic and by stakeholder at an instant, kept as `rolling` is: of rows for one instant the
-- first that landed counts.

-- up
CREATE TABLE IF NOT EXISTS rolling_slices (
    `district` LowCardinality(String),
    `unit` LowCardinality(String),
    `dimension` LowCardinality(String),
    `value` LowCardinality(String),
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
    `reply_business_count` UInt32,
    `reply_business_sum_ms` Int64,
    `reply_business_buckets` Array(UInt16),
    `reply_business_counts` Array(UInt32),
    `decided` UInt32,
    `within` UInt32,
    `ratings` Array(UInt32),
    `ratings_count` UInt32,
    `courtesy` Array(UInt32),
    `communication` Array(UInt32),
    `responsiveness` Array(UInt32),
    `environment` Array(UInt32),
    `promises_met` UInt32,
    `promises_missed` UInt32,
    `promises_pending` UInt32,
    `handoffs` UInt32,
    `bounces` UInt32,
    `landed_at` DateTime64(3, 'UTC'),
    `earliest` UInt64
) ENGINE = ReplacingMergeTree(earliest)
ORDER BY (district, unit, dimension, value, window, at);

-- down
DROP TABLE IF EXISTS rolling_slices;
