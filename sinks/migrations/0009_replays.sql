-- How far each replay came, so that one that was cut off goes on where it was.

-- up
CREATE TABLE IF NOT EXISTS replays (
    `replay` String,
    `part` String,
    `started_at` DateTime64(3, 'UTC'),
    `after` String,
    `finished` UInt8,
    `noted_at` DateTime64(3, 'UTC')
) ENGINE = ReplacingMergeTree(noted_at)
ORDER BY (replay, part);

-- down
DROP TABLE IF EXISTS replays;
