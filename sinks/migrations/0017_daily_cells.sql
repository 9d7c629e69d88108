-- Local days by unit and channel, rebuilt from facts for the days that changed, never added to; and up to which landing.

-- up
CREATE TABLE IF NOT EXISTS daily_cells (
    `district` LowCardinality(String),
    `unit` LowCardinality(String),
    `channel` LowCardinality(String),
    `day` Date32,
    `inquiries` UInt32,
    `waits_opened` UInt32,
    `waits_ended` UInt32,
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
    `courtesy` Array(UInt32),
    `communication` Array(UInt32),
    `responsiveness` Array(UInt32),
    `environment` Array(UInt32),
    `promises_met` UInt32,
    `promises_missed` UInt32,
    `promises_open` UInt32,
    `handoffs` UInt32,
    `bounces` UInt32,
    `rebuilt_at` DateTime64(3, 'UTC')
) ENGINE = ReplacingMergeTree(rebuilt_at)
ORDER BY (district, unit, channel, day);

CREATE TABLE IF NOT EXISTS daily_marks (
    `district` LowCardinality(String),
    `upto` DateTime64(3, 'UTC')
) ENGINE = ReplacingMergeTree(upto)
ORDER BY district;

-- down
DROP TABLE IF EXISTS daily_marks;
DROP TABLE IF EXISTS daily_cells;
