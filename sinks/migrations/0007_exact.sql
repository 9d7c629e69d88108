-- Merges, parts, owners, pauses, resolves and hand-offs in the facts, and the questions that they answer: what was
-- restated, what was known at an instant, who asked again, which ratings belong to nothing.

-- up
DROP VIEW IF EXISTS current_conversations;
DROP VIEW IF EXISTS verdicts;
DROP VIEW IF EXISTS conversations_from_versions;

ALTER TABLE conversations
    ADD COLUMN IF NOT EXISTS `merged` UInt32 AFTER `conflicts`,
    ADD COLUMN IF NOT EXISTS `merged_into` String AFTER `merged`,
    ADD COLUMN IF NOT EXISTS `continues` String AFTER `merged_into`,
    ADD COLUMN IF NOT EXISTS `deleted` UInt8 AFTER `continues`,
    ADD COLUMN IF NOT EXISTS `visit_requested_at` Nullable(DateTime64(3, 'UTC')) AFTER `visit`,
    ADD COLUMN IF NOT EXISTS `visit_offered_at` Nullable(DateTime64(3, 'UTC')) AFTER `visit_requested_at`,
    ADD COLUMN IF NOT EXISTS `turned_away` UInt32 AFTER `visit_offered_at`,
    ADD COLUMN IF NOT EXISTS `first_response_last_owner_ms` Nullable(Int64) AFTER `staff_first_response_business_ms`,
    ADD COLUMN IF NOT EXISTS `first_response_last_bot_ms` Nullable(Int64) AFTER `first_response_last_owner_ms`,
    ADD COLUMN IF NOT EXISTS `first_owned_at` Nullable(DateTime64(3, 'UTC')) AFTER `first_response_staff`,
    ADD COLUMN IF NOT EXISTS `time_to_owner_ms` Nullable(Int64) AFTER `first_owned_at`,
    ADD COLUMN IF NOT EXISTS `reopened_soon` UInt8 AFTER `reopened`,
    ADD COLUMN IF NOT EXISTS `difficult` UInt8 AFTER `surveys_offered`,
    ADD COLUMN IF NOT EXISTS `verdicts.revision` Array(UInt32) AFTER `verdicts.promise`,
    ADD COLUMN IF NOT EXISTS `verdicts.paused_ms` Array(Int64) AFTER `verdicts.ended_at`,
    ADD COLUMN IF NOT EXISTS `verdicts.opened_by_event` Array(String) AFTER `verdicts.outcome`,
    ADD COLUMN IF NOT EXISTS `items.rating` Array(UInt32) AFTER `verdicts.opened_by_event`,
    ADD COLUMN IF NOT EXISTS `items.item` Array(LowCardinality(String)) AFTER `items.rating`,
    ADD COLUMN IF NOT EXISTS `items.score` Array(UInt8) AFTER `items.item`,
    ADD COLUMN IF NOT EXISTS `items.unit` Array(LowCardinality(String)) AFTER `items.score`,
    ADD COLUMN IF NOT EXISTS `resolutions.resolved_at` Array(DateTime64(3, 'UTC')) AFTER `items.unit`,
    ADD COLUMN IF NOT EXISTS `resolutions.unit` Array(LowCardinality(String)) AFTER `resolutions.resolved_at`,
    ADD COLUMN IF NOT EXISTS `resolutions.watched_until` Array(Nullable(DateTime64(3, 'UTC'))) AFTER `resolutions.unit`,
    ADD COLUMN IF NOT EXISTS `resolutions.reopened_at` Array(Nullable(DateTime64(3, 'UTC'))) AFTER `resolutions.watched_until`,
    ADD COLUMN IF NOT EXISTS `transfers.at` Array(DateTime64(3, 'UTC')) AFTER `resolutions.reopened_at`,
    ADD COLUMN IF NOT EXISTS `transfers.from_department` Array(LowCardinality(String)) AFTER `transfers.at`,
    ADD COLUMN IF NOT EXISTS `transfers.to_department` Array(LowCardinality(String)) AFTER `transfers.from_department`,
    ADD COLUMN IF NOT EXISTS `transfers.unit` Array(LowCardinality(String)) AFTER `transfers.to_department`,
    ADD COLUMN IF NOT EXISTS `transfers.bounce` Array(UInt8) AFTER `transfers.unit`;

ALTER TABLE conversation_versions
    ADD COLUMN IF NOT EXISTS `merged` UInt32 AFTER `conflicts`,
    ADD COLUMN IF NOT EXISTS `merged_into` String AFTER `merged`,
    ADD COLUMN IF NOT EXISTS `continues` String AFTER `merged_into`,
    ADD COLUMN IF NOT EXISTS `deleted` UInt8 AFTER `continues`,
    ADD COLUMN IF NOT EXISTS `visit_requested_at` Nullable(DateTime64(3, 'UTC')) AFTER `visit`,
    ADD COLUMN IF NOT EXISTS `visit_offered_at` Nullable(DateTime64(3, 'UTC')) AFTER `visit_requested_at`,
    ADD COLUMN IF NOT EXISTS `turned_away` UInt32 AFTER `visit_offered_at`,
    ADD COLUMN IF NOT EXISTS `first_response_last_owner_ms` Nullable(Int64) AFTER `staff_first_response_business_ms`,
    ADD COLUMN IF NOT EXISTS `first_response_last_bot_ms` Nullable(Int64) AFTER `first_response_last_owner_ms`,
    ADD COLUMN IF NOT EXISTS `first_owned_at` Nullable(DateTime64(3, 'UTC')) AFTER `first_response_staff`,
    ADD COLUMN IF NOT EXISTS `time_to_owner_ms` Nullable(Int64) AFTER `first_owned_at`,
    ADD COLUMN IF NOT EXISTS `reopened_soon` UInt8 AFTER `reopened`,
    ADD COLUMN IF NOT EXISTS `difficult` UInt8 AFTER `surveys_offered`,
    ADD COLUMN IF NOT EXISTS `verdicts.revision` Array(UInt32) AFTER `verdicts.promise`,
    ADD COLUMN IF NOT EXISTS `verdicts.paused_ms` Array(Int64) AFTER `verdicts.ended_at`,
    ADD COLUMN IF NOT EXISTS `verdicts.opened_by_event` Array(String) AFTER `verdicts.outcome`,
    ADD COLUMN IF NOT EXISTS `items.rating` Array(UInt32) AFTER `verdicts.opened_by_event`,
    ADD COLUMN IF NOT EXISTS `items.item` Array(LowCardinality(String)) AFTER `items.rating`,
    ADD COLUMN IF NOT EXISTS `items.score` Array(UInt8) AFTER `items.item`,
    ADD COLUMN IF NOT EXISTS `items.unit` Array(LowCardinality(String)) AFTER `items.score`,
    ADD COLUMN IF NOT EXISTS `resolutions.resolved_at` Array(DateTime64(3, 'UTC')) AFTER `items.unit`,
    ADD COLUMN IF NOT EXISTS `resolutions.unit` Array(LowCardinality(String)) AFTER `resolutions.resolved_at`,
    ADD COLUMN IF NOT EXISTS `resolutions.watched_until` Array(Nullable(DateTime64(3, 'UTC'))) AFTER `resolutions.unit`,
    ADD COLUMN IF NOT EXISTS `resolutions.reopened_at` Array(Nullable(DateTime64(3, 'UTC'))) AFTER `resolutions.watched_until`,
    ADD COLUMN IF NOT EXISTS `transfers.at` Array(DateTime64(3, 'UTC')) AFTER `resolutions.reopened_at`,
    ADD COLUMN IF NOT EXISTS `transfers.from_department` Array(LowCardinality(String)) AFTER `transfers.at`,
    ADD COLUMN IF NOT EXISTS `transfers.to_department` Array(LowCardinality(String)) AFTER `transfers.from_department`,
    ADD COLUMN IF NOT EXISTS `transfers.unit` Array(LowCardinality(String)) AFTER `transfers.to_department`,
    ADD COLUMN IF NOT EXISTS `transfers.bounce` Array(UInt8) AFTER `transfers.unit`;

CREATE MATERIALIZED VIEW IF NOT EXISTS conversations_from_versions TO conversations AS
SELECT
    `district`,
    `conversation`,
    `version`,
    `retracted`,
    `definition_version`,
    `configurations`,
    `events`,
    `conflicts`,
    `merged`,
    `merged_into`,
    `continues`,
    `deleted`,
    `opened_at`,
    `opened_by`,
    `inquiries`,
    `outbound`,
    `linked`,
    `unit`,
    `first_unit`,
    `department`,
    `channel`,
    `platform`,
    `thread`,
    `touch_point`,
    `source`,
    `topic`,
    `inquiry_kind`,
    `stakeholder`,
    `generation`,
    `language`,
    `person`,
    `priority`,
    `critical_category`,
    `contact`,
    `visit`,
    `visit_requested_at`,
    `visit_offered_at`,
    `turned_away`,
    `status`,
    `skew`,
    `first_response_at`,
    `first_response_ms`,
    `first_response_business_ms`,
    `staff_first_response_ms`,
    `staff_first_response_business_ms`,
    `first_response_last_owner_ms`,
    `first_response_last_bot_ms`,
    `first_response_unit`,
    `first_response_staff`,
    `first_owned_at`,
    `time_to_owner_ms`,
    `first_resolved_at`,
    `first_resolution_ms`,
    `first_resolution_business_ms`,
    `full_resolved_at`,
    `full_resolution_ms`,
    `full_resolution_business_ms`,
    `reopened`,
    `reopened_soon`,
    `handoffs`,
    `bounces`,
    `first_route_correct`,
    `extra_replies`,
    `bot_replies`,
    `surveys_offered`,
    `difficult`,
    `waits.opened_at`,
    `waits.ended_at`,
    `waits.outcome`,
    `waits.unit`,
    `waits.replied_by`,
    `waits.wait_ms`,
    `waits.business_ms`,
    `waits.school_day_at`,
    `waits.messages`,
    `waits.redials`,
    `waits.live`,
    `waits.opened_by_event`,
    `waits.ended_by_event`,
    `segments.wait`,
    `segments.unit`,
    `segments.started_at`,
    `segments.ended_at`,
    `segments.segment_ms`,
    `segments.business_ms`,
    `ratings.rater`,
    `ratings.survey`,
    `ratings.rated_at`,
    `ratings.score`,
    `ratings.unit`,
    `ratings.edits`,
    `ratings.late`,
    `ratings.courtesy`,
    `ratings.communication`,
    `ratings.responsiveness`,
    `ratings.environment`,
    `ratings.trust`,
    `ratings.answered`,
    `verdicts.clock`,
    `verdicts.promise`,
    `verdicts.revision`,
    `verdicts.unit`,
    `verdicts.started_at`,
    `verdicts.at_risk_at`,
    `verdicts.due_at`,
    `verdicts.breach_at`,
    `verdicts.ended_at`,
    `verdicts.paused_ms`,
    `verdicts.outcome`,
    `verdicts.opened_by_event`,
    `items.rating`,
    `items.item`,
    `items.score`,
    `items.unit`,
    `resolutions.resolved_at`,
    `resolutions.unit`,
    `resolutions.watched_until`,
    `resolutions.reopened_at`,
    `transfers.at`,
    `transfers.from_department`,
    `transfers.to_department`,
    `transfers.unit`,
    `transfers.bounce`,
    `landed_at`
FROM conversation_versions;

CREATE VIEW IF NOT EXISTS current_conversations AS
SELECT * FROM conversations FINAL WHERE retracted = 0;

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
    verdict.revision AS revision,
    verdict.unit AS unit,
    verdict.started_at AS started_at,
    verdict.at_risk_at AS at_risk_at,
    verdict.due_at AS due_at,
    verdict.breach_at AS breach_at,
    verdict.ended_at AS ended_at,
    verdict.paused_ms AS paused_ms,
    verdict.outcome AS outcome,
    verdict.opened_by_event AS opened_by_event
FROM conversations AS c FINAL
ARRAY JOIN verdicts AS verdict
WHERE c.retracted = 0;

CREATE VIEW IF NOT EXISTS items AS
SELECT
    c.district AS district,
    c.conversation AS conversation,
    c.department AS department,
    c.channel AS channel,
    c.topic AS topic,
    c.stakeholder AS stakeholder,
    c.unit AS owner,
    entry.rating AS rating,
    entry.item AS item,
    entry.score AS score,
    entry.unit AS unit
FROM conversations AS c FINAL
ARRAY JOIN items AS entry
WHERE c.retracted = 0;

CREATE VIEW IF NOT EXISTS resolutions AS
SELECT
    c.district AS district,
    c.conversation AS conversation,
    c.department AS department,
    c.channel AS channel,
    c.topic AS topic,
    c.stakeholder AS stakeholder,
    c.unit AS owner,
    c.person AS person,
    resolution.resolved_at AS resolved_at,
    resolution.unit AS unit,
    resolution.watched_until AS watched_until,
    resolution.reopened_at AS reopened_at
FROM conversations AS c FINAL
ARRAY JOIN resolutions AS resolution
WHERE c.retracted = 0;

CREATE VIEW IF NOT EXISTS transfers AS
SELECT
    c.district AS district,
    c.conversation AS conversation,
    c.department AS department,
    c.channel AS channel,
    c.topic AS topic,
    c.stakeholder AS stakeholder,
    c.unit AS owner,
    transfer.at AS at,
    transfer.from_department AS from_department,
    transfer.to_department AS to_department,
    transfer.unit AS unit,
    transfer.bounce AS bounce
FROM conversations AS c FINAL
ARRAY JOIN transfers AS transfer
WHERE c.retracted = 0;

CREATE VIEW IF NOT EXISTS repeat_contacts AS
SELECT
    r.district AS district,
    r.conversation AS conversation,
    r.department AS department,
    r.channel AS channel,
    r.topic AS topic,
    r.stakeholder AS stakeholder,
    r.owner AS owner,
    r.resolved_at AS resolved_at,
    r.watched_until AS watched_until,
    arrayExists(at -> at > r.resolved_at AND at < r.watched_until, asked.opened) AS repeated,
    if(repeated, arrayMin(arrayFilter(at -> at > r.resolved_at AND at < r.watched_until, asked.opened)), NULL)
        AS first_asked_again
FROM resolutions AS r
LEFT JOIN (
    SELECT district, person, topic, groupArray(opened_at) AS opened
    FROM conversations FINAL
    WHERE retracted = 0 AND inquiries = 1 AND person != '' AND topic != ''
    GROUP BY district, person, topic
) AS asked ON asked.district = r.district AND asked.person = r.person AND asked.topic = r.topic
WHERE r.person != '' AND r.topic != '';

CREATE VIEW IF NOT EXISTS unlinked_ratings AS
SELECT
    c.district AS district,
    c.conversation AS conversation,
    rating.rated_at AS rated_at,
    rating.rated_at + toIntervalHour(72) AS counted_at,
    rating.score AS score,
    c.district AS unit
FROM conversations AS c FINAL
ARRAY JOIN ratings AS rating
WHERE c.retracted = 0 AND c.linked = 0;

CREATE VIEW IF NOT EXISTS conversations_as_known AS
SELECT * FROM (
    SELECT * FROM conversation_versions FINAL
    WHERE landed_at <= {at:DateTime64(3, 'UTC')}
    ORDER BY version DESC
    LIMIT 1 BY district, conversation
)
WHERE retracted = 0;

CREATE VIEW IF NOT EXISTS restatements AS
SELECT
    v.district AS district,
    v.conversation AS conversation,
    v.landed_at AS at,
    v.version AS version,
    number,
    v.known[number] AS before,
    v.told[number] AS after,
    arraySort(arrayMap(e -> e.2, arrayFilter(
        e -> e.1 > v.known_at AND e.1 <= v.landed_at AND (e.3 = v.thread OR v.is_together), own.landed
    ))) AS events,
    if(v.configurations = v.known_configurations, [],
        arraySort(arrayMap(e -> e.2, arrayFilter(e -> e.1 > v.known_at AND e.1 <= v.landed_at, of_district.landed)))
    ) AS configured_by,
    v.definition_version != v.known_definition AS redefined
FROM (
    SELECT
        district, conversation, version, landed_at, configurations, definition_version,
        splitByChar('~', conversation)[1] AS thread,
        if(merged_into = '', thread, merged_into) AS whole,
        merged > 0 OR merged_into != ''
            OR lagInFrame(merged) OVER neighbours > 0 OR lagInFrame(merged_into) OVER neighbours != '' AS is_together,
        mapFromArrays(
            arrayMap(n -> n.1, numbers), arrayMap(n -> n.2, numbers)
        ) AS told,
        lagInFrame(told) OVER neighbours AS known,
        lagInFrame(landed_at) OVER neighbours AS known_at,
        lagInFrame(configurations) OVER neighbours AS known_configurations,
        lagInFrame(definition_version) OVER neighbours AS known_definition,
        if(retracted = 1, [('counts', 'no')], arrayFilter(n -> n.2 != '', arrayConcat(
            [
                ('counts', 'yes'),
                ('opened_at', toString(opened_at)),
                ('first_unit', toString(first_unit)),
                ('topic', toString(topic)),
                ('first_response_unit', toString(first_response_unit)),
                ('first_response_ms', ifNull(toString(first_response_ms), '')),
                ('staff_first_response_ms', ifNull(toString(staff_first_response_ms), '')),
                ('first_response_business_ms', ifNull(toString(first_response_business_ms), '')),
                ('first_resolution_ms', ifNull(toString(first_resolution_ms), '')),
                ('first_resolution_business_ms', ifNull(toString(first_resolution_business_ms), ''))
            ],
            arrayMap((e, ms) -> (concat('wait_ms ', e), ifNull(toString(ms), '')),
                waits.opened_by_event, waits.wait_ms),
            arrayMap((e, ms) -> (concat('wait_business_ms ', e), ifNull(toString(ms), '')),
                waits.opened_by_event, waits.business_ms),
            arrayMap((e, clock, at) -> (concat('due_at ', clock, ' ', e), ifNull(toString(at), 'paused')),
                verdicts.opened_by_event, verdicts.clock, verdicts.due_at),
            arrayMap((e, clock, unit) -> (concat('verdict unit ', clock, ' ', e), toString(unit)),
                verdicts.opened_by_event, verdicts.clock, verdicts.unit),
            arrayMap((e, clock, outcome) -> (concat('verdict ', clock, ' ', e), if(outcome = 'open', '', outcome)),
                verdicts.opened_by_event, verdicts.clock, verdicts.outcome),
            arrayMap((rater, survey, score) -> (concat('rating ', survey, ' ', rater), toString(score)),
                ratings.rater, ratings.survey, ratings.score),
            arrayMap((rater, survey, unit) -> (concat('rating unit ', survey, ' ', rater), toString(unit)),
                ratings.rater, ratings.survey, ratings.unit)
        ))) AS numbers
    FROM conversation_versions FINAL
    WINDOW neighbours AS (
        PARTITION BY district, conversation ORDER BY version
        ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    )
) AS v
LEFT JOIN (
    SELECT e.district AS district, if(m.into = '', e.conversation, m.into) AS whole,
        groupArray((e.landed_at, e.event_id, e.conversation)) AS landed
    FROM events AS e FINAL
    LEFT JOIN (
        SELECT district, conversation, argMaxIf(merged_into, version, merged_into != '') AS into
        FROM conversation_versions
        GROUP BY district, conversation
    ) AS m ON m.district = e.district AND m.conversation = e.conversation
    WHERE e.conversation != ''
    GROUP BY district, whole
) AS own ON own.district = v.district AND own.whole = v.whole
LEFT JOIN (
    SELECT district, groupArray((landed_at, event_id)) AS landed FROM districts FINAL GROUP BY district
) AS of_district ON of_district.district = v.district
ARRAY JOIN mapKeys(v.known) AS number
WHERE before != after AND before != 'paused' AND after != 'paused' AND (number = 'counts' OR v.told['counts'] = 'yes' AND v.known['counts'] = 'yes');

-- down
DROP VIEW IF EXISTS restatements;
DROP VIEW IF EXISTS conversations_as_known;
DROP VIEW IF EXISTS unlinked_ratings;
DROP VIEW IF EXISTS repeat_contacts;
DROP VIEW IF EXISTS transfers;
DROP VIEW IF EXISTS resolutions;
DROP VIEW IF EXISTS items;
DROP VIEW IF EXISTS current_conversations;
DROP VIEW IF EXISTS verdicts;
DROP VIEW IF EXISTS conversations_from_versions;

ALTER TABLE conversations
    DROP COLUMN IF EXISTS `merged`,
    DROP COLUMN IF EXISTS `merged_into`,
    DROP COLUMN IF EXISTS `continues`,
    DROP COLUMN IF EXISTS `deleted`,
    DROP COLUMN IF EXISTS `visit_requested_at`,
    DROP COLUMN IF EXISTS `visit_offered_at`,
    DROP COLUMN IF EXISTS `turned_away`,
    DROP COLUMN IF EXISTS `first_response_last_owner_ms`,
    DROP COLUMN IF EXISTS `first_response_last_bot_ms`,
    DROP COLUMN IF EXISTS `first_owned_at`,
    DROP COLUMN IF EXISTS `time_to_owner_ms`,
    DROP COLUMN IF EXISTS `reopened_soon`,
    DROP COLUMN IF EXISTS `difficult`,
    DROP COLUMN IF EXISTS `verdicts.revision`,
    DROP COLUMN IF EXISTS `verdicts.paused_ms`,
    DROP COLUMN IF EXISTS `verdicts.opened_by_event`,
    DROP COLUMN IF EXISTS `items.rating`,
    DROP COLUMN IF EXISTS `items.item`,
    DROP COLUMN IF EXISTS `items.score`,
    DROP COLUMN IF EXISTS `items.unit`,
    DROP COLUMN IF EXISTS `resolutions.resolved_at`,
    DROP COLUMN IF EXISTS `resolutions.unit`,
    DROP COLUMN IF EXISTS `resolutions.watched_until`,
    DROP COLUMN IF EXISTS `resolutions.reopened_at`,
    DROP COLUMN IF EXISTS `transfers.at`,
    DROP COLUMN IF EXISTS `transfers.from_department`,
    DROP COLUMN IF EXISTS `transfers.to_department`,
    DROP COLUMN IF EXISTS `transfers.unit`,
    DROP COLUMN IF EXISTS `transfers.bounce`;

ALTER TABLE conversation_versions
    DROP COLUMN IF EXISTS `merged`,
    DROP COLUMN IF EXISTS `merged_into`,
    DROP COLUMN IF EXISTS `continues`,
    DROP COLUMN IF EXISTS `deleted`,
    DROP COLUMN IF EXISTS `visit_requested_at`,
    DROP COLUMN IF EXISTS `visit_offered_at`,
    DROP COLUMN IF EXISTS `turned_away`,
    DROP COLUMN IF EXISTS `first_response_last_owner_ms`,
    DROP COLUMN IF EXISTS `first_response_last_bot_ms`,
    DROP COLUMN IF EXISTS `first_owned_at`,
    DROP COLUMN IF EXISTS `time_to_owner_ms`,
    DROP COLUMN IF EXISTS `reopened_soon`,
    DROP COLUMN IF EXISTS `difficult`,
    DROP COLUMN IF EXISTS `verdicts.revision`,
    DROP COLUMN IF EXISTS `verdicts.paused_ms`,
    DROP COLUMN IF EXISTS `verdicts.opened_by_event`,
    DROP COLUMN IF EXISTS `items.rating`,
    DROP COLUMN IF EXISTS `items.item`,
    DROP COLUMN IF EXISTS `items.score`,
    DROP COLUMN IF EXISTS `items.unit`,
    DROP COLUMN IF EXISTS `resolutions.resolved_at`,
    DROP COLUMN IF EXISTS `resolutions.unit`,
    DROP COLUMN IF EXISTS `resolutions.watched_until`,
    DROP COLUMN IF EXISTS `resolutions.reopened_at`,
    DROP COLUMN IF EXISTS `transfers.at`,
    DROP COLUMN IF EXISTS `transfers.from_department`,
    DROP COLUMN IF EXISTS `transfers.to_department`,
    DROP COLUMN IF EXISTS `transfers.unit`,
    DROP COLUMN IF EXISTS `transfers.bounce`;

CREATE MATERIALIZED VIEW IF NOT EXISTS conversations_from_versions TO conversations AS
SELECT
    `district`,
    `conversation`,
    `version`,
    `retracted`,
    `definition_version`,
    `configurations`,
    `events`,
    `conflicts`,
    `opened_at`,
    `opened_by`,
    `inquiries`,
    `outbound`,
    `linked`,
    `unit`,
    `first_unit`,
    `department`,
    `channel`,
    `platform`,
    `thread`,
    `touch_point`,
    `source`,
    `topic`,
    `inquiry_kind`,
    `stakeholder`,
    `generation`,
    `language`,
    `person`,
    `priority`,
    `critical_category`,
    `contact`,
    `visit`,
    `status`,
    `skew`,
    `first_response_at`,
    `first_response_ms`,
    `first_response_business_ms`,
    `staff_first_response_ms`,
    `staff_first_response_business_ms`,
    `first_response_unit`,
    `first_response_staff`,
    `first_resolved_at`,
    `first_resolution_ms`,
    `first_resolution_business_ms`,
    `full_resolved_at`,
    `full_resolution_ms`,
    `full_resolution_business_ms`,
    `reopened`,
    `handoffs`,
    `bounces`,
    `first_route_correct`,
    `extra_replies`,
    `bot_replies`,
    `surveys_offered`,
    `waits.opened_at`,
    `waits.ended_at`,
    `waits.outcome`,
    `waits.unit`,
    `waits.replied_by`,
    `waits.wait_ms`,
    `waits.business_ms`,
    `waits.school_day_at`,
    `waits.messages`,
    `waits.redials`,
    `waits.live`,
    `waits.opened_by_event`,
    `waits.ended_by_event`,
    `segments.wait`,
    `segments.unit`,
    `segments.started_at`,
    `segments.ended_at`,
    `segments.segment_ms`,
    `segments.business_ms`,
    `ratings.rater`,
    `ratings.survey`,
    `ratings.rated_at`,
    `ratings.score`,
    `ratings.unit`,
    `ratings.edits`,
    `ratings.late`,
    `ratings.courtesy`,
    `ratings.communication`,
    `ratings.responsiveness`,
    `ratings.environment`,
    `ratings.trust`,
    `ratings.answered`,
    `verdicts.clock`,
    `verdicts.promise`,
    `verdicts.unit`,
    `verdicts.started_at`,
    `verdicts.at_risk_at`,
    `verdicts.due_at`,
    `verdicts.breach_at`,
    `verdicts.ended_at`,
    `verdicts.outcome`,
    `landed_at`
FROM conversation_versions;

CREATE VIEW IF NOT EXISTS current_conversations AS
SELECT * FROM conversations FINAL WHERE retracted = 0;

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
