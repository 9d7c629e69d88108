-- What questions are asked of: the rows that count, and their nested groups unfolded, one row an entry.
-- In an unfolded view `unit` is the entry's own; `owner` and `department` are the conversation's.

-- up
CREATE VIEW IF NOT EXISTS current_conversations AS
SELECT * FROM conversations FINAL WHERE retracted = 0;

CREATE VIEW IF NOT EXISTS waits AS
SELECT
    c.district AS district,
    c.conversation AS conversation,
    c.department AS department,
    c.channel AS channel,
    c.platform AS platform,
    c.topic AS topic,
    c.stakeholder AS stakeholder,
    c.inquiry_kind AS inquiry_kind,
    c.generation AS generation,
    c.language AS language,
    c.source AS source,
    c.opened_by AS opened_by,
    c.priority AS priority,
    c.critical_category AS critical_category,
    c.unit AS owner,
    wait.opened_at AS opened_at,
    wait.ended_at AS ended_at,
    wait.outcome AS outcome,
    wait.unit AS unit,
    wait.replied_by AS replied_by,
    wait.wait_ms AS wait_ms,
    wait.business_ms AS business_ms,
    wait.messages AS messages,
    wait.redials AS redials,
    wait.live AS live,
    wait.opened_by_event AS opened_by_event,
    wait.ended_by_event AS ended_by_event
FROM conversations AS c FINAL
ARRAY JOIN waits AS wait
WHERE c.retracted = 0;

CREATE VIEW IF NOT EXISTS segments AS
SELECT
    c.district AS district,
    c.conversation AS conversation,
    c.department AS department,
    c.channel AS channel,
    c.platform AS platform,
    c.topic AS topic,
    c.stakeholder AS stakeholder,
    c.inquiry_kind AS inquiry_kind,
    c.generation AS generation,
    c.language AS language,
    c.source AS source,
    c.opened_by AS opened_by,
    c.priority AS priority,
    c.critical_category AS critical_category,
    c.unit AS owner,
    segment.wait AS wait,
    segment.unit AS unit,
    segment.started_at AS started_at,
    segment.ended_at AS ended_at,
    segment.segment_ms AS segment_ms,
    segment.business_ms AS business_ms
FROM conversations AS c FINAL
ARRAY JOIN segments AS segment
WHERE c.retracted = 0;

CREATE VIEW IF NOT EXISTS ratings AS
SELECT
    c.district AS district,
    c.conversation AS conversation,
    c.department AS department,
    c.channel AS channel,
    c.platform AS platform,
    c.topic AS topic,
    c.stakeholder AS stakeholder,
    c.inquiry_kind AS inquiry_kind,
    c.generation AS generation,
    c.language AS language,
    c.source AS source,
    c.opened_by AS opened_by,
    c.priority AS priority,
    c.critical_category AS critical_category,
    c.unit AS owner,
    rating.rater AS rater,
    rating.survey AS survey,
    rating.rated_at AS rated_at,
    rating.score AS score,
    rating.unit AS unit,
    rating.edits AS edits,
    rating.late AS late,
    rating.courtesy AS courtesy,
    rating.communication AS communication,
    rating.responsiveness AS responsiveness,
    rating.environment AS environment,
    rating.trust AS trust,
    rating.answered AS answered
FROM conversations AS c FINAL
ARRAY JOIN ratings AS rating
WHERE c.retracted = 0;

CREATE VIEW IF NOT EXISTS verdicts AS
SELECT
    c.district AS district,
    c.conversation AS conversation,
    c.department AS department,
    c.channel AS channel,
    c.platform AS platform,
    c.topic AS topic,
    c.stakeholder AS stakeholder,
    c.inquiry_kind AS inquiry_kind,
    c.generation AS generation,
    c.language AS language,
    c.source AS source,
    c.opened_by AS opened_by,
    c.priority AS priority,
    c.critical_category AS critical_category,
    c.unit AS owner,
    verdict.clock AS clock,
    verdict.promise AS promise,
    verdict.unit AS unit,
    verdict.started_at AS started_at,
    verdict.at_risk_at AS at_risk_at,
    verdict.due_at AS due_at,
    verdict.breach_at AS breach_at,
    verdict.ended_at AS ended_at,
    verdict.outcome AS outcome
FROM conversations AS c FINAL
ARRAY JOIN verdicts AS verdict
WHERE c.retracted = 0;

CREATE VIEW IF NOT EXISTS current_units AS
SELECT district, unit, parent, department, level, label, path, revision, version
FROM units FINAL
WHERE (district, version) IN (SELECT district, max(version) FROM units GROUP BY district);

-- down
DROP VIEW IF EXISTS current_units;
DROP VIEW IF EXISTS verdicts;
DROP VIEW IF EXISTS ratings;
DROP VIEW IF EXISTS segments;
DROP VIEW IF EXISTS waits;
DROP VIEW IF EXISTS current_conversations;
