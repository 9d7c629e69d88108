-- Every number that is told can be restated, and every view of facts can be asked as it was known at an instant.

-- up
DROP VIEW IF EXISTS restatements;

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
                ('channel', toString(channel)),
                ('topic', toString(topic)),
                ('stakeholder', if(stakeholder = 'unknown', '', toString(stakeholder))),
                ('inquiries', if(inquiries = 1, '1', '')),
                ('difficult', if(difficult = 1, '1', '')),
                ('first_response_unit', toString(first_response_unit)),
                ('first_response_ms', ifNull(toString(first_response_ms), '')),
                ('first_response_business_ms', ifNull(toString(first_response_business_ms), '')),
                ('staff_first_response_ms', ifNull(toString(staff_first_response_ms), '')),
                ('staff_first_response_business_ms', ifNull(toString(staff_first_response_business_ms), '')),
                ('first_response_last_bot_ms', ifNull(toString(first_response_last_bot_ms), '')),
                ('time_to_owner_ms', ifNull(toString(time_to_owner_ms), '')),
                ('first_resolution_ms', ifNull(toString(first_resolution_ms), '')),
                ('first_resolution_business_ms', ifNull(toString(first_resolution_business_ms), '')),
                ('visit_requested_at', ifNull(toString(visit_requested_at), '')),
                ('visit_offered_at', ifNull(toString(visit_offered_at), '')),
                (concat('full_resolution_ms ', replaceOne(ifNull(toString(full_resolved_at), ''), ' ', 'T'), 'Z'),
                    ifNull(toString(full_resolution_ms), '')),
                (concat('full_resolution_business_ms ', replaceOne(ifNull(toString(full_resolved_at), ''), ' ', 'T'), 'Z'),
                    ifNull(toString(full_resolution_business_ms), ''))
            ],
            arrayMap((e, v) -> (concat('outcome ', e), if(v = 'open', '', toString(v))),
                waits.opened_by_event, waits.outcome),
            arrayMap((e, v) -> (concat('replied_by ', e), toString(v)),
                waits.opened_by_event, waits.replied_by),
            arrayMap((e, v) -> (concat('wait_ms ', e), ifNull(toString(v), '')),
                waits.opened_by_event, waits.wait_ms),
            arrayMap((e, v) -> (concat('wait_business_ms ', e), ifNull(toString(v), '')),
                waits.opened_by_event, waits.business_ms),
            arrayMap((e, v) -> (concat('school_day_at ', e), ifNull(toString(v), '')),
                waits.opened_by_event, waits.school_day_at),
            arrayMap((w, n, v) -> (concat('segment unit ', waits.opened_by_event[w + 1], ' ', toString(n)),
                toString(v)), segments.wait, arrayEnumerateUniq(segments.wait), segments.unit),
            arrayMap((w, n, v) -> (concat('segment_ms ', waits.opened_by_event[w + 1], ' ', toString(n)),
                ifNull(toString(v), '')), segments.wait, arrayEnumerateUniq(segments.wait), segments.segment_ms),
            arrayMap((w, n, v) -> (concat('segment_business_ms ', waits.opened_by_event[w + 1], ' ', toString(n)),
                ifNull(toString(v), '')), segments.wait, arrayEnumerateUniq(segments.wait), segments.business_ms),
            arrayMap((e, clock, v) -> (concat('due_at ', clock, ' ', e), ifNull(toString(v), 'paused')),
                verdicts.opened_by_event, verdicts.clock, verdicts.due_at),
            arrayMap((e, clock, v) -> (concat('breach_at ', clock, ' ', e), ifNull(toString(v), 'paused')),
                verdicts.opened_by_event, verdicts.clock, verdicts.breach_at),
            arrayMap((e, clock, v) -> (concat('verdict unit ', clock, ' ', e), toString(v)),
                verdicts.opened_by_event, verdicts.clock, verdicts.unit),
            arrayMap((e, clock, v) -> (concat('verdict ', clock, ' ', e), if(v = 'open', '', toString(v))),
                verdicts.opened_by_event, verdicts.clock, verdicts.outcome),
            arrayMap((rater, survey, late, v) -> (concat(if(late = 1, 'late ', ''), 'rating ', survey, ' ', rater),
                toString(v)), ratings.rater, ratings.survey, ratings.late, ratings.score),
            arrayMap((rater, survey, late, v) -> (concat(if(late = 1, 'late ', ''), 'rating unit ', survey, ' ', rater),
                toString(v)), ratings.rater, ratings.survey, ratings.late, ratings.unit),
            arrayMap((rater, survey, late, v) -> (concat(if(late = 1, 'late ', ''), 'courtesy ', survey, ' ', rater),
                ifNull(toString(v), '')), ratings.rater, ratings.survey, ratings.late, ratings.courtesy),
            arrayMap((rater, survey, late, v) -> (concat(if(late = 1, 'late ', ''), 'communication ', survey, ' ', rater),
                ifNull(toString(v), '')), ratings.rater, ratings.survey, ratings.late, ratings.communication),
            arrayMap((rater, survey, late, v) -> (concat(if(late = 1, 'late ', ''), 'responsiveness ', survey, ' ', rater),
                ifNull(toString(v), '')), ratings.rater, ratings.survey, ratings.late, ratings.responsiveness),
            arrayMap((rater, survey, late, v) -> (concat(if(late = 1, 'late ', ''), 'environment ', survey, ' ', rater),
                ifNull(toString(v), '')), ratings.rater, ratings.survey, ratings.late, ratings.environment),
            arrayMap((rater, survey, late, v) -> (concat(if(late = 1, 'late ', ''), 'trust ', survey, ' ', rater),
                ifNull(toString(v), '')), ratings.rater, ratings.survey, ratings.late, ratings.trust),
            arrayMap((rater, survey, late, v) -> (concat(if(late = 1, 'late ', ''), 'answered ', survey, ' ', rater),
                ifNull(toString(v), '')), ratings.rater, ratings.survey, ratings.late, ratings.answered),
            arrayMap((r, item, v) -> (concat(if(ratings.late[r + 1] = 1, 'late ', ''), 'item ', item, ' ',
                ratings.survey[r + 1], ' ', ratings.rater[r + 1]), toString(v)), items.rating, items.item, items.score),
            arrayMap((at, v) -> (concat('resolution unit ', replaceOne(toString(at), ' ', 'T'), 'Z'), toString(v)),
                resolutions.resolved_at, resolutions.unit),
            arrayMap((at, v) -> (concat('watched_until ', replaceOne(toString(at), ' ', 'T'), 'Z'), ifNull(toString(v), '')),
                resolutions.resolved_at, resolutions.watched_until),
            arrayMap((at, v) -> (concat('reopened_at ', replaceOne(toString(at), ' ', 'T'), 'Z'), ifNull(toString(v), '')),
                resolutions.resolved_at, resolutions.reopened_at),
            arrayMap((at, department, v) -> (concat('handoff ', replaceOne(toString(at), ' ', 'T'), 'Z', ' to ', department), toString(v)),
                transfers.at, transfers.to_department, transfers.from_department)
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
ARRAY JOIN arrayDistinct(mapKeys(v.known)) AS number
WHERE before != after AND before != 'paused' AND after != 'paused'
    AND (number = 'counts' OR v.told['counts'] = 'yes' AND v.known['counts'] = 'yes')
    AND NOT (startsWith(number, 'full_resolution') AND after = '');

CREATE VIEW IF NOT EXISTS waits_as_known AS
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
    wait.school_day_at AS school_day_at,
    wait.messages AS messages,
    wait.redials AS redials,
    wait.live AS live,
    wait.opened_by_event AS opened_by_event,
    wait.ended_by_event AS ended_by_event
FROM conversations_as_known(at = {at:DateTime64(3, 'UTC')}) AS c
ARRAY JOIN waits AS wait;

CREATE VIEW IF NOT EXISTS segments_as_known AS
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
FROM conversations_as_known(at = {at:DateTime64(3, 'UTC')}) AS c
ARRAY JOIN segments AS segment;

CREATE VIEW IF NOT EXISTS ratings_as_known AS
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
FROM conversations_as_known(at = {at:DateTime64(3, 'UTC')}) AS c
ARRAY JOIN ratings AS rating;

CREATE VIEW IF NOT EXISTS verdicts_as_known AS
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
    verdict.escalated_50_at AS escalated_50_at,
    verdict.escalated_100_at AS escalated_100_at,
    verdict.ended_at AS ended_at,
    verdict.paused_ms AS paused_ms,
    verdict.outcome AS outcome,
    verdict.opened_by_event AS opened_by_event
FROM conversations_as_known(at = {at:DateTime64(3, 'UTC')}) AS c
ARRAY JOIN verdicts AS verdict;

CREATE VIEW IF NOT EXISTS items_as_known AS
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
FROM conversations_as_known(at = {at:DateTime64(3, 'UTC')}) AS c
ARRAY JOIN items AS entry;

CREATE VIEW IF NOT EXISTS resolutions_as_known AS
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
FROM conversations_as_known(at = {at:DateTime64(3, 'UTC')}) AS c
ARRAY JOIN resolutions AS resolution;

CREATE VIEW IF NOT EXISTS transfers_as_known AS
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
FROM conversations_as_known(at = {at:DateTime64(3, 'UTC')}) AS c
ARRAY JOIN transfers AS transfer;

CREATE VIEW IF NOT EXISTS repeat_contacts_as_known AS
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
FROM resolutions_as_known(at = {at:DateTime64(3, 'UTC')}) AS r
LEFT JOIN (
    SELECT district, person, topic, groupArray(opened_at) AS opened
    FROM conversations_as_known(at = {at:DateTime64(3, 'UTC')})
    WHERE inquiries = 1 AND person != '' AND topic != ''
    GROUP BY district, person, topic
) AS asked ON asked.district = r.district AND asked.person = r.person AND asked.topic = r.topic
WHERE r.person != '' AND r.topic != '';

CREATE VIEW IF NOT EXISTS unlinked_ratings_as_known AS
SELECT
    c.district AS district,
    c.conversation AS conversation,
    rating.rated_at AS rated_at,
    rating.rated_at + toIntervalHour(72) AS counted_at,
    rating.score AS score,
    c.district AS unit
FROM conversations_as_known(at = {at:DateTime64(3, 'UTC')}) AS c
ARRAY JOIN ratings AS rating
WHERE c.linked = 0;

-- down
DROP VIEW IF EXISTS unlinked_ratings_as_known;

DROP VIEW IF EXISTS repeat_contacts_as_known;

DROP VIEW IF EXISTS transfers_as_known;

DROP VIEW IF EXISTS resolutions_as_known;

DROP VIEW IF EXISTS items_as_known;

DROP VIEW IF EXISTS verdicts_as_known;

DROP VIEW IF EXISTS ratings_as_known;

DROP VIEW IF EXISTS segments_as_known;

DROP VIEW IF EXISTS waits_as_known;

DROP VIEW IF EXISTS restatements;

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
