-- Conversations whose events left by retention: their late events count nowhere, whoever reads them.
-- What is removed or made anonymous leaves the disk soon: a table at rest is not looked at for five minutes otherwise.

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

ALTER TABLE events MODIFY SETTING max_cleanup_delay_period = 60;

ALTER TABLE conversations MODIFY SETTING max_cleanup_delay_period = 60;

ALTER TABLE conversation_versions MODIFY SETTING max_cleanup_delay_period = 60;

-- down
ALTER TABLE conversation_versions RESET SETTING max_cleanup_delay_period;

ALTER TABLE conversations RESET SETTING max_cleanup_delay_period;

ALTER TABLE events RESET SETTING max_cleanup_delay_period;

DROP TABLE IF EXISTS retired;
