"""The queries of `sinks.reading`."""

from schemas.alerts import ALERT
from schemas.facts import CONVERSATION, Column
from schemas.incidents import INCIDENT
from schemas.rolling import ROLLING
from schemas.vocabulary import SCHEMA_VERSION
from sinks.erasing import HOLDS, READABLE
from sinks.landing import UnitRow


def raw(column: Column) -> str:
    """An expression for a column whose instants come as ms."""
    if "DateTime64" not in column.type:
        return f"`{column.name}`"
    in_ms = "toUnixTimestamp64Milli"
    return f"arrayMap(x -> {in_ms}(x), `{column.name}`)" if "Array" in column.type else f"{in_ms}(`{column.name}`)"


# An event of a newer schema counts in no row, until a release that knows the schema has read it.
COUNTED = f"(understood = 1 OR schema_version <= {SCHEMA_VERSION})"
OPEN = "(retracted = 0 AND (has(`waits.outcome`, 'open') OR has(`verdicts.outcome`, 'open')))"
EVENTS = """
SELECT district, conversation, event_id, digest, kind, {readable}, toUnixTimestamp64Milli(received_at), content
FROM events FINAL
WHERE {condition}
ORDER BY district, conversation, event_id, digest
""".replace("{readable}", READABLE)
STAYS = "(district, conversation) NOT IN (SELECT district, conversation FROM retired WHERE district IN %(districts)s)"
OF_DISTRICTS = EVENTS.format(condition=f"district IN %(districts)s AND {STAYS}")
OF_CONVERSATIONS = EVENTS.format(
    condition="""district = %(district)s AND conversation IN %(conversations)s AND conversation NOT IN (
    SELECT conversation FROM retired WHERE district = %(district)s AND conversation IN %(conversations)s
)"""
)
CONFIGURATIONS = EVENTS.format(
    condition="district IN %(districts)s AND conversation = '' AND kind = 'district_configured'"
)
# A part's name has the mark and a number behind the conversation's own: what is open in a part is open. A row may count
# fewer events than stand in the log, or there is none: no row counts as many as `none`.
STANDING = EVENTS.format(
    condition="""district IN %(districts)s AND {stays} AND (conversation = '' OR (district, conversation) IN (
    SELECT district, conversation
    FROM events
    WHERE district IN %(districts)s AND (kind IN ('merge', 'unmerge') OR ({counted} AND occurred_at >= {since}))
    UNION ALL
    SELECT district, splitByChar('~', conversation)[1]
    FROM conversations FINAL
    WHERE district IN %(districts)s AND (
        {open}
        OR arrayExists(at -> ifNull(at >= {since}, 0), `waits.school_day_at`)
        OR arrayExists(at -> ifNull(at >= {since}, 0), `verdicts.due_at`)
    )
    UNION ALL
    SELECT district, whole
    FROM (
        SELECT district, conversation AS whole, count() AS known, {none} AS told
        FROM events FINAL
        WHERE district IN %(districts)s AND {counted}
        GROUP BY district, conversation
        UNION ALL
        SELECT district, splitByChar('~', conversation)[1] AS whole, 0 AS known, toUInt64(events) AS told
        FROM conversations FINAL
        WHERE district IN %(districts)s
    )
    GROUP BY district, whole
    HAVING sum(known) != min(told)
))""".replace("{stays}", STAYS)
    .replace("{counted}", COUNTED)
    .replace("{open}", OPEN)
    .replace("{since}", "fromUnixTimestamp64Milli(toInt64(%(since_ms)s))")
    .replace("{none}", str(2**64 - 1))
)
OUTDATED = """
SELECT conversation FROM conversations FINAL
WHERE district = %(district)s AND version < %(below)s AND conversation > %(after)s
    AND splitByChar('~', conversation)[1] NOT IN (SELECT conversation FROM retired WHERE district = %(district)s)
ORDER BY conversation LIMIT %(most)s
"""
NAMING = f"""
SELECT DISTINCT conversation FROM events FINAL
WHERE district = %(district)s AND conversation != ''
    AND (received_at >= fromUnixTimestamp64Milli(%(since_ms)s, 'UTC') OR conversation IN (
        SELECT arrayJoin([conversation, JSONExtractString(content, 'into')]) FROM events
        WHERE district = %(district)s AND kind IN ('merge', 'unmerge')
    )) AND ({HOLDS})
ORDER BY conversation
"""  # noqa: S608 -- only a fragment of our own is put in
ERASED = """
SELECT district, JSONExtractString(content, 'key_digest') AS key, toUnixTimestamp64Milli(min(received_at))
FROM events
WHERE district IN %(districts)s AND conversation = '' AND kind = 'erased'
GROUP BY district, key
"""
VERSIONS_OF = """
SELECT district, conversation, version, retracted
FROM conversations FINAL
WHERE district IN %(districts)s AND (district, splitByChar('~', conversation)[1]) IN asked
"""
# The hash of `schemas.naming`.
HASHES = """
SELECT district, reinterpretAsUInt64(left(MD5(conversation) AS hash, 8)), reinterpretAsUInt64(right(hash, 8))
FROM conversations FINAL
WHERE district IN %(districts)s AND position(conversation, '~') = 0
"""
PARTS = """
SELECT district, conversation
FROM conversations FINAL
WHERE district IN %(districts)s AND position(conversation, '~') > 0 AND retracted = 0
"""
LOWEST = "SELECT district, min(version) FROM conversations FINAL WHERE district IN %(districts)s GROUP BY district"
RUNNING = """
SELECT district, conversation
FROM (
    SELECT district, conversation, arrayMin(
        at -> if(at >= fromUnixTimestamp64Milli(toInt64(%(since_ms)s)), toUnixTimestamp64Milli(at), {never}),
        arrayMap(at -> ifNull(at, toDateTime64(0, 3)), arrayConcat(
            `verdicts.at_risk_at`, `verdicts.breach_at`, `verdicts.escalated_50_at`, `verdicts.escalated_100_at`
        ))
    ) AS next_ms
    FROM conversations FINAL
    WHERE district IN %(districts)s AND retracted = 0 AND has(`verdicts.outcome`, 'open')
)
ORDER BY next_ms, district, conversation
""".replace("{never}", str(2**63 - 1))
SAID = """
SELECT {columns}
FROM alerts FINAL
WHERE {condition}
ORDER BY district, key, revision, transition
""".replace(
    "{columns}",
    ", ".join(map(raw, ALERT)),
)
ALERTS = SAID.format(condition="district IN %(districts)s")
ALERTS_OF = SAID.format(
    condition="district IN %(districts)s AND (district, splitByChar('~', conversation)[1]) IN asked"
)
# What quiet hours muted was released, or another word on it came first: it counts as fresh all the same.
ALERTED = """
SELECT
    district,
    splitByChar('~', conversation)[1] AS whole,
    max(at) >= fromUnixTimestamp64Milli(toInt64(%(since_ms)s))
        OR countIf(muted = 'quiet') > countIf(endsWith(transition, '_released'))
FROM alerts FINAL
WHERE district IN %(districts)s
GROUP BY district, whole
ORDER BY district, whole
"""

PUBLISHED = """
SELECT district, unit, ratings, toUnixTimestamp64Milli(published_at), published_ratings, changes
FROM rolling FINAL
WHERE channel = 'all' AND window = '28d' AND (district, at) IN (
    SELECT district, max(at) FROM rolling
    WHERE district IN %(districts)s AND unit = district AND channel = 'all' AND window = '28d'
    GROUP BY district
)
ORDER BY district, unit
"""


INCIDENTS = """
SELECT {columns}
FROM incidents FINAL
WHERE district IN %(districts)s
ORDER BY district, key, revision, transition, step
""".replace("{columns}", ", ".join(map(raw, INCIDENT)))
ROLLING_SINCE = """
SELECT {columns}
FROM rolling FINAL
WHERE district = %(district)s AND unit IN %(units)s AND at >= fromUnixTimestamp64Milli(toInt64(%(since_ms)s))
ORDER BY at, unit, channel, window
""".replace("{columns}", ", ".join(map(raw, ROLLING)))
FACTS = """
SELECT {columns}
FROM conversations FINAL
WHERE district = %(district)s AND conversation IN %(names)s
ORDER BY conversation
""".replace("{columns}", ", ".join(map(raw, CONVERSATION)))
UNITS = """
SELECT {columns}
FROM current_units
WHERE district = %(district)s
ORDER BY unit
""".replace("{columns}", ", ".join(UnitRow._fields))
UNIT_VERSIONS = "SELECT district, max(version) FROM units WHERE district IN %(districts)s GROUP BY district"
DISTRICTS = """
SELECT DISTINCT district FROM (SELECT district FROM events UNION ALL SELECT district FROM retired) ORDER BY district
"""
RETIRED = "SELECT district, conversation FROM retired FINAL WHERE district IN %(districts)s"
RETIRED_OF = """
SELECT conversation FROM retired WHERE district = %(district)s AND conversation IN %(conversations)s
"""
