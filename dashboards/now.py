"""The page's first view, as panels: the numbers of the last four weeks, the day so far, who waits, what was broken.

More parameters than the other panels have: `%(since_ms)s` 28 days ago, `%(decided_ms)s` the instant one school day ago
(eight open hours of the district), `%(day_ms)s` and `%(day_end_ms)s` the local day.
"""

from dashboards.shown import Panel, Shown

SMALL = 10
SCHOOL_DAY_MS = 8 * 3_600_000
_ASKED = "opened_by = 'customer' AND outcome NOT IN ('spam', 'merged', 'withdrawn', 'no_reply_needed')"
_DECIDED = f"{_ASKED} AND w.opened_at >= fromUnixTimestamp64Milli(toInt64(%(since_ms)s)) " + (
    "AND w.opened_at <= fromUnixTimestamp64Milli(toInt64(%(decided_ms)s))"
)
_WITHIN = f"{_DECIDED} AND outcome = 'answered' AND business_ms <= {SCHOOL_DAY_MS}"
_RESPONDED = (
    "c.opened_by = 'customer' AND c.contact != 'answered_live' "
    "AND c.first_response_at >= fromUnixTimestamp64Milli(toInt64(%(since_ms)s))"
)

NOW = Panel(
    name="now",
    title="Now and in the last four weeks",
    meaning="Who waits at this moment, and how families were served in the last 28 days.",
    sql=f"""
SELECT
    w.open_waits, w.oldest_ms, f.median_ms, f.p90_ms, f.mean_ms, w.within, w.decided,
    if(r.n < {SMALL}, NULL, r.mean) AS satisfaction,
    if(r.n < {SMALL}, '<{SMALL}', toString(r.n)) AS ratings,
    v.kept, v.due_today, w.asked_today, w.answered_today
FROM (
    SELECT
        countIf(outcome = 'open') AS open_waits,
        minIf(toUnixTimestamp64Milli(w.opened_at), outcome = 'open') AS oldest,
        if(open_waits = 0, NULL, %(now_ms)s - oldest) AS oldest_ms,
        countIf({_ASKED} AND toUnixTimestamp64Milli(w.opened_at) >= %(day_ms)s) AS asked_today,
        countIf(outcome = 'answered' AND toUnixTimestamp64Milli(w.ended_at) >= %(day_ms)s) AS answered_today,
        countIf({_DECIDED}) AS decided,
        if(decided = 0, NULL, countIf({_WITHIN}) / decided) AS within
    FROM waits AS w WHERE district = %(district)s
) AS w
CROSS JOIN (
    SELECT
        quantileExactIf(0.5)(c.first_response_ms, {_RESPONDED}) AS median_ms,
        quantileExactIf(0.9)(c.first_response_ms, {_RESPONDED}) AS p90_ms,
        toInt64OrNull(toString(round(avgIf(c.first_response_ms, {_RESPONDED})))) AS mean_ms
    FROM current_conversations AS c WHERE c.district = %(district)s AND c.linked = 1
) AS f
CROSS JOIN (
    SELECT count() AS n, avg(score) AS mean FROM ratings AS r
    WHERE district = %(district)s AND late = 0
        AND r.rated_at >= fromUnixTimestamp64Milli(toInt64(%(since_ms)s))
) AS r
CROSS JOIN (
    SELECT
        countIf(outcome = 'met' AND due_at >= fromUnixTimestamp64Milli(toInt64(%(since_ms)s))) AS met,
        countIf((outcome = 'missed' OR (outcome = 'open' AND toUnixTimestamp64Milli(breach_at) < %(now_ms)s))
            AND due_at >= fromUnixTimestamp64Milli(toInt64(%(since_ms)s))) AS broken,
        if(met + broken = 0, NULL, met / (met + broken)) AS kept,
        countIf(outcome = 'open' AND toUnixTimestamp64Milli(due_at) >= %(now_ms)s
            AND toUnixTimestamp64Milli(due_at) < %(day_end_ms)s) AS due_today
    FROM verdicts WHERE district = %(district)s
) AS v
""",  # noqa: S608 -- only the fragments above are put in
    columns=(
        Shown("open_waits", "count", "Open waits", "Families who wait for an answer at this moment."),
        Shown("oldest_ms", "duration", "Oldest wait", "How long the oldest of them has waited, nights included."),
        Shown("median_ms", "duration", "First response, median", "Half of the first answers of 28 days came faster."),
        Shown(
            "p90_ms", "duration", "First response, p90", "Nine of ten first answers of 28 days came within this time."
        ),
        Shown(
            "mean_ms",
            "duration",
            "First response, mean",
            "The public yardstick is a mean below one day. Elapsed time, without calls answered at once.",
        ),
        Shown(
            "within",
            "share",
            "In one school day",
            "Waits answered within eight open hours of the office that had them, of all waits of 28 days whose time is "
            "over; those never answered count as not answered.",
        ),
        Shown("decided", "count", "Waits judged", "Waits of 28 days that are older than one school day."),
        Shown(
            "satisfaction",
            "score",
            "Satisfaction",
            "Mean of the ratings of 28 days, 1 (worst) to 10 (best). With fewer than 10 ratings it is not shown, so "
            "that nobody can be recognised.",
        ),
        Shown(
            "ratings", "text", "Ratings", "How many ratings of 28 days that mean has; fewer than 10 are shown as <10."
        ),
        Shown(
            "kept",
            "share",
            "Promises kept",
            "Of the promises due in 28 days, those kept by their due time. Broken and still waiting counts as broken.",
        ),
        Shown("due_today", "count", "Due today", "Promises still open that fall due before midnight."),
        Shown("asked_today", "count", "Asked today", "Waits that families began since midnight."),
        Shown("answered_today", "count", "Answered today", "Waits that a person's reply ended since midnight."),
    ),
)

DAY = Panel(
    name="day",
    title="Today, hour by hour",
    meaning="Waits that began in each hour, and how many were open at its end.",
    sql="""
SELECT h.at AS starts_at,
    countIf(w.opened_ms >= h.at AND w.opened_ms < h.at + 3600000) AS arrivals,
    countIf(w.opened_ms < h.ends AND (w.ended_ms IS NULL OR w.ended_ms >= h.ends)) AS open_waits
FROM (
    SELECT arrayJoin(range(toInt64(%(day_ms)s), toInt64(%(now_ms)s) + 1, 3600000)) AS at,
        least(at + 3600000, toInt64(%(now_ms)s) + 1) AS ends
) AS h
CROSS JOIN (
    SELECT toUnixTimestamp64Milli(opened_at) AS opened_ms, toUnixTimestamp64Milli(ended_at) AS ended_ms
    FROM waits
    WHERE district = %(district)s AND outcome NOT IN ('spam', 'unreachable')
        AND (ended_at IS NULL OR toUnixTimestamp64Milli(ended_at) >= %(day_ms)s)
) AS w
GROUP BY h.at
ORDER BY h.at
""",
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
    if(any(u.label) = '', w.department, any(u.label)) AS label,
    countIf(outcome = 'open') AS open_waits,
    if(open_waits = 0, NULL, %(now_ms)s - minIf(toUnixTimestamp64Milli(w.opened_at), outcome = 'open')) AS oldest_ms,
    countIf({_DECIDED}) AS decided,
    if(decided < 10, NULL, countIf({_WITHIN}) / decided) AS within
FROM waits AS w
LEFT JOIN (SELECT unit, label FROM current_units WHERE district = %(district)s) AS u ON u.unit = w.department
WHERE w.district = %(district)s
GROUP BY w.department
ORDER BY open_waits DESC, decided DESC, department
LIMIT 15
""",  # noqa: S608 -- only the fragments above are put in
    columns=(
        Shown("department", "text", "Code", "The unit's code."),
        Shown("label", "text", "School or department", "Where the conversation is now."),
        Shown("open_waits", "count", "Open waits", "Families who wait there at this moment."),
        Shown("oldest_ms", "duration", "Oldest wait", "How long the oldest of them has waited, nights included."),
        Shown("decided", "count", "Waits judged", "Waits of 28 days that are older than one school day."),
        Shown(
            "within",
            "share",
            "In one school day",
            "Of the waits judged, those answered within eight open hours; from ten waits on.",
        ),
    ),
)

BREACHES = Panel(
    name="breaches",
    title="Newest broken promises",
    meaning="The ten promises broken last, still waiting or answered late.",
    sql="""
SELECT
    toUnixTimestamp64Milli(v.breach_at) AS broken_at,
    if(d.label = '', v.department, d.label) AS department,
    if(u.label = '', v.unit, u.label) AS unit,
    v.topic AS topic,
    v.channel AS channel,
    v.promise AS promise,
    if(v.outcome = 'open', 'past_due', 'missed') AS verdict
FROM (
    SELECT * FROM verdicts
    WHERE district = %(district)s AND outcome IN ('open', 'missed') AND toUnixTimestamp64Milli(breach_at) < %(now_ms)s
    ORDER BY breach_at DESC, conversation DESC
    LIMIT 10
) AS v
LEFT JOIN (SELECT unit, label FROM current_units WHERE district = %(district)s) AS d ON d.unit = v.department
LEFT JOIN (SELECT unit, label FROM current_units WHERE district = %(district)s) AS u ON u.unit = v.unit
ORDER BY v.breach_at DESC, v.conversation DESC
""",
    columns=(
        Shown("broken_at", "instant", "Broken", "The instant at which the promised time was exceeded."),
        Shown("department", "text", "Department", "The school or department that owns the conversation now."),
        Shown("unit", "text", "Unit", "The team or unit that the promise was of."),
        Shown("topic", "text", "Topic", "What it is about, as the source named it."),
        Shown("channel", "text", "Channel", "How it came: phone, email, web, social or in person."),
        Shown("promise", "text", "Promise", "The promise's name in the district's document."),
        Shown("verdict", "verdict", "State", "Past due: it still waits. Missed: it was done, but late."),
    ),
)

FIRST_VIEW: tuple[Panel, ...] = (NOW, DAY, UNITS, BREACHES)
