"""The page's first view, as panels: who waits now, the last four weeks, the day so far, units, broken promises.

More parameters than the other panels have: `%(since_ms)s` 28 days ago, `%(day_ms)s` and `%(day_end_ms)s` the local day.
"""

from dashboards.incidents import INCIDENTS
from dashboards.shown import Panel, Shown
from dashboards.windows import LABELS, ROLLED, SMALL

# The nested columns that are needed and no others: half the time of the view that unfolds them all.
_WAITS = """(
    SELECT department, opened_by, outcome, toUnixTimestamp64Milli(opened) AS opened_ms,
        toUnixTimestamp64Milli(ended) AS ended_ms, toUnixTimestamp64Milli(school_day) AS school_day_ms
    FROM conversations FINAL
    ARRAY JOIN `waits.opened_at` AS opened, `waits.ended_at` AS ended, `waits.outcome` AS outcome,
        `waits.school_day_at` AS school_day
    WHERE district = %(district)s AND retracted = 0
)"""
ASKED = "opened_by = 'customer' AND outcome NOT IN ('spam', 'merged', 'withdrawn', 'no_reply_needed')"
_DECIDED = f"{ASKED} AND opened_ms >= %(since_ms)s AND school_day_ms <= %(now_ms)s"
_WITHIN = f"{_DECIDED} AND outcome = 'answered' AND ended_ms <= school_day_ms"

NOW = Panel(
    name="now",
    title="Now",
    meaning="Who waits at this moment, and what came and went today.",
    sql=f"""
SELECT
    w.open_waits, if(w.open_waits = 0, NULL, %(now_ms)s - w.oldest) AS oldest_ms, w.asked_today, w.answered_today,
    v.due_today
FROM (
    SELECT
        countIf(outcome = 'open') AS open_waits,
        minIf(opened_ms, outcome = 'open') AS oldest,
        countIf({ASKED} AND opened_ms >= %(day_ms)s) AS asked_today,
        countIf(outcome = 'answered' AND ended_ms >= %(day_ms)s) AS answered_today
    FROM {_WAITS}
) AS w
CROSS JOIN (
    SELECT sum(arrayCount(
        (outcome, due) -> outcome = 'open' AND ifNull(toUnixTimestamp64Milli(due) >= %(now_ms)s
            AND toUnixTimestamp64Milli(due) < %(day_end_ms)s, false),
        `verdicts.outcome`, `verdicts.due_at`
    )) AS due_today
    FROM conversations FINAL WHERE district = %(district)s AND retracted = 0
) AS v
""",  # noqa: S608 -- only the fragments above are put in
    columns=(
        Shown("open_waits", "count", "Open waits", "Families who wait for an answer at this moment."),
        Shown("oldest_ms", "duration", "Oldest wait", "How long the oldest of them has waited, nights included."),
        Shown("asked_today", "count", "Asked today", "Waits that families began since midnight."),
        Shown("answered_today", "count", "Answered today", "Waits that a person's reply ended since midnight."),
        Shown("due_today", "count", "Due today", "Promises still open that fall due before midnight."),
    ),
)

LATELY = Panel(
    name="lately",
    title="In the last four weeks",
    meaning="How families were served in the last 28 days.",
    sql=f"""
SELECT w.within, w.decided, if(r.given < {SMALL}, '<{SMALL}', toString(r.given)) AS ratings
FROM (
    SELECT countIf({_DECIDED}) AS decided, if(decided = 0, NULL, countIf({_WITHIN}) / decided) AS within FROM {_WAITS}
) AS w
CROSS JOIN (
    SELECT sum(arrayCount(
        (rated, late) -> late = 0 AND toUnixTimestamp64Milli(rated) > %(since_ms)s
            AND toUnixTimestamp64Milli(rated) <= %(now_ms)s,
        `ratings.rated_at`, `ratings.late`
    )) AS given
    FROM conversations FINAL WHERE district = %(district)s AND retracted = 0 AND linked = 1
) AS r
""",  # noqa: S608 -- only the fragments above are put in
    columns=(
        Shown(
            "within",
            "share",
            "In one school day",
            "Waits answered within eight open hours of the office that had them, of all waits of 28 days whose time is "
            "over; those never answered count as not answered.",
        ),
        Shown("decided", "count", "Waits judged", "Waits of 28 days whose time, one school day, is over."),
        Shown(
            "ratings",
            "text",
            "Ratings",
            "How many ratings 28 days have at this moment; fewer than 10 are shown as <10. The mean beside it follows "
            "in steps of ten.",
        ),
    ),
)

DAY = Panel(
    name="day",
    title="Today, hour by hour",
    meaning="Waits that began in each hour, and how many were open at its end.",
    sql=f"""
SELECT h.at AS starts_at,
    countIf(w.opened_ms >= h.at AND w.opened_ms < h.at + 3600000) AS arrivals,
    countIf(w.opened_ms < h.ends AND (w.ended_ms IS NULL OR w.ended_ms >= h.ends)) AS open_waits
FROM (
    SELECT arrayJoin(range(toInt64(%(day_ms)s), toInt64(%(now_ms)s) + 1, 3600000)) AS at,
        least(at + 3600000, toInt64(%(now_ms)s) + 1) AS ends
) AS h
CROSS JOIN (
    SELECT opened_ms, ended_ms FROM {_WAITS}
    WHERE outcome NOT IN ('spam', 'unreachable') AND (ended_ms IS NULL OR ended_ms >= %(day_ms)s)
) AS w
GROUP BY h.at
ORDER BY h.at
""",  # noqa: S608 -- only the fragment above is put in
    columns=(
        Shown("starts_at", "instant", "Hour", "The hour's beginning."),
        Shown("arrivals", "count", "Arrivals", "Waits that began in this hour."),
        Shown("open_waits", "count", "Open waits", "Waits open at the end of this hour, or now."),
    ),
)

UNITS = Panel(
    name="units",
    title="Who has families waiting",
    meaning="Schools and departments by families waiting now, the fifteen with the most first.",
    sql=f"""
SELECT
    w.department AS department,
    if(u.label = '', w.department, u.label) AS label,
    w.open_waits, if(w.open_waits = 0, NULL, %(now_ms)s - w.oldest) AS oldest_ms, w.decided,
    if(w.decided < {SMALL}, NULL, w.answered / w.decided) AS within
FROM (
    SELECT
        department,
        countIf(outcome = 'open') AS open_waits,
        minIf(opened_ms, outcome = 'open') AS oldest,
        countIf({_DECIDED}) AS decided,
        countIf({_WITHIN}) AS answered
    FROM {_WAITS}
    GROUP BY department
    ORDER BY open_waits DESC, decided DESC, department
    LIMIT 15
) AS w
LEFT JOIN {LABELS} AS u ON u.unit = w.department
ORDER BY w.open_waits DESC, w.decided DESC, w.department
""",  # noqa: S608 -- only the fragments above are put in
    columns=(
        Shown("department", "text", "Code", "The unit's code."),
        Shown("label", "text", "School or department", "Where the conversation is now."),
        Shown("open_waits", "count", "Open waits", "Families who wait there at this moment."),
        Shown("oldest_ms", "duration", "Oldest wait", "How long the oldest of them has waited, nights included."),
        Shown(
            "decided",
            "count",
            "Waits judged",
            "Waits of 28 days whose time, one school day, is over.",
        ),
        Shown(
            "within",
            "share",
            "In one school day",
            "Of the waits judged, those answered within eight open hours; from ten waits on.",
        ),
    ),
)

JUDGED = 30
EVERY_UNIT = Panel(
    name="every_unit",
    title="Schools and departments with enough waits to be judged",
    meaning="What the sentence at the top of the page is made of.",
    sql=f"""
SELECT w.department AS department, if(u.label = '', w.department, u.label) AS label, w.decided,
    w.answered / w.decided AS within
FROM (
    SELECT department, countIf({_DECIDED}) AS decided, countIf({_WITHIN}) AS answered FROM {_WAITS}
    GROUP BY department
    HAVING decided >= {JUDGED}
) AS w
LEFT JOIN {LABELS} AS u ON u.unit = w.department
ORDER BY w.department
""",  # noqa: S608 -- only the fragments above are put in
    columns=(
        Shown("department", "text", "Code", "The unit's code."),
        Shown("label", "text", "School or department", "Where the conversation is now."),
        Shown("decided", "count", "Waits judged", "Waits of 28 days whose time, one school day, is over."),
        Shown("within", "share", "In one school day", "Of the waits judged, those answered within eight open hours."),
    ),
)

_TOLD = "toUnixTimestamp64Milli(at) <= %(now_ms)s"
BREACHES = Panel(
    name="breaches",
    title="Newest broken promises",
    meaning="The ten promises broken last, as they were alerted; what a correction took back is left out.",
    sql=f"""
WITH newest AS (
    SELECT
        key, revision, clock, conversation,
        anyIf(unit, transition = 'breached') AS unit,
        anyIf(promise, transition = 'breached') AS promise,
        maxIf(toUnixTimestamp64Milli(breach_at), transition = 'breached') AS broken_at,
        maxIf(toUnixTimestamp64Milli(at), transition IN ('met_late', 'resolved') AND {_TOLD}) AS ended
    FROM alerts
    WHERE district = %(district)s AND breach_at >= fromUnixTimestamp64Milli(toInt64(%(since_ms)s))
    GROUP BY key, revision, clock, conversation
    HAVING broken_at > 0 AND broken_at < %(now_ms)s AND countIf(transition = 'corrected' AND {_TOLD}) = 0
    ORDER BY broken_at DESC, key
    LIMIT 10
)
SELECT
    b.broken_at AS broken_at,
    if(b.ended > 0, b.ended, %(now_ms)s) - b.broken_at AS late_ms,
    if(u.label = '', b.unit, u.label) AS unit,
    c.topic AS topic,
    c.channel AS channel,
    b.clock AS clock,
    b.promise AS promise,
    if(b.ended > 0, 'missed', 'past_due') AS verdict
FROM newest AS b
LEFT JOIN (
    SELECT conversation, topic, channel FROM conversations FINAL
    WHERE district = %(district)s AND conversation IN (SELECT conversation FROM newest)
) AS c ON c.conversation = b.conversation
LEFT JOIN {LABELS} AS u ON u.unit = b.unit
ORDER BY b.broken_at DESC, b.key
""",  # noqa: S608 -- only the fragments above are put in
    columns=(
        Shown("broken_at", "instant", "Broken", "The last instant that would have kept the promise."),
        Shown("late_ms", "duration", "How late", "From then until it was done, or until now if it still waits."),
        Shown("unit", "text", "Unit", "The team or unit that owned the conversation when the promise began."),
        Shown("topic", "text", "Topic", "What it is about, as the source named it."),
        Shown("channel", "text", "Channel", "How it came: phone, email, web, social or in person."),
        Shown("clock", "text", "What was promised", "A first reply, a next reply, or a resolution."),
        Shown("promise", "text", "Promise", "The promise's name in the district's document."),
        Shown("verdict", "verdict", "State", "Past due: it still waits. Missed: it was done, but late."),
    ),
)

FIRST_VIEW: tuple[Panel, ...] = (NOW, LATELY, ROLLED, INCIDENTS, DAY, UNITS, BREACHES)
