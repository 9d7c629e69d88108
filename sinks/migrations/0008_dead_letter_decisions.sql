-- What was decided about a dead letter. The letter itself stays; every decision stays, the latest one counts.

-- up
CREATE TABLE IF NOT EXISTS dead_letter_decisions (
    `topic` LowCardinality(String),
    `partition` Int32,
    `offset` Int64,
    `position` UInt32,
    `decided_at` DateTime64(3, 'UTC'),
    `decision` LowCardinality(String),
    `who` LowCardinality(String),
    `why` LowCardinality(String)
) ENGINE = ReplacingMergeTree(decided_at)
ORDER BY (topic, partition, offset, position, decided_at);

CREATE VIEW IF NOT EXISTS dead_letter_states AS
SELECT
    letter.topic AS topic,
    letter.partition AS partition,
    letter.offset AS offset,
    letter.position AS position,
    letter.reason AS reason,
    letter.field AS field,
    letter.message AS message,
    letter.digest AS digest,
    letter.district AS district,
    letter.kind AS kind,
    letter.landed_at AS landed_at,
    if(decided.decision = '', 'open', decided.decision) AS state,
    decided.who AS who,
    decided.why AS why,
    if(decided.decision = '', NULL, decided.latest_at) AS decided_at
FROM dead_letters AS letter FINAL
LEFT JOIN (
    SELECT
        topic,
        partition,
        offset,
        position,
        toString(argMax(decision, decided_at)) AS decision,
        toString(argMax(who, decided_at)) AS who,
        toString(argMax(why, decided_at)) AS why,
        max(decided_at) AS latest_at
    FROM dead_letter_decisions
    GROUP BY topic, partition, offset, position
) AS decided ON decided.topic = letter.topic AND decided.partition = letter.partition
    AND decided.offset = letter.offset AND decided.position = letter.position;

-- down
DROP VIEW IF EXISTS dead_letter_states;
DROP TABLE IF EXISTS dead_letter_decisions;
