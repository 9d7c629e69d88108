"""The questions that the live page asks of ClickHouse, each once: its SQL, its columns, and what every number means.

Parameters of the SQL, in the driver's own form: `%(district)s` a code, `%(now_ms)s` the present in ms UTC. No fact
depends on a clock, so whatever does (what is past due) is decided here by comparing with that present.
"""

from dashboards.now import FIRST_VIEW
from dashboards.shown import Panel, Shown
from dashboards.windows import ROLLING

# A message that the district sent by itself and that nobody answered waits for nobody.
_MEASURES = """
    count() AS conversations,
    countIf(c.status NOT IN ('resolved', 'withdrawn') AND NOT (c.outbound = 1 AND empty(c.`waits.outcome`))) AS open,
    sum(countEqual(c.`verdicts.outcome`, 'met')) AS met,
    sum(countEqual(c.`verdicts.outcome`, 'missed')) AS missed,
    sum(arrayCount(
        (outcome, breach) -> outcome = 'open' AND ifNull(toUnixTimestamp64Milli(breach) < %(now_ms)s, false),
        c.`verdicts.outcome`, c.`verdicts.breach_at`
    )) AS past_due,
    quantileExactIf(0.5)(c.first_response_ms, c.opened_by = 'customer' AND c.contact != 'answered_live')
        AS first_response_median_ms,
    quantileExactIf(0.9)(c.first_response_ms, c.opened_by = 'customer' AND c.contact != 'answered_live')
        AS first_response_p90_ms,
    quantileExact(0.5)(c.first_resolution_ms) AS resolution_median_ms,
    quantileExact(0.9)(c.first_resolution_ms) AS resolution_p90_ms
"""
_MEASURED = (
    Shown("conversations", "count", "Conversations", "All conversations known, whoever opened them."),
    Shown("open", "count", "Open", "Conversations not resolved and not withdrawn yet."),
    Shown("met", "count", "Met", "Promises kept: what was promised was done by its due time."),
    Shown("missed", "count", "Missed", "Promises broken: it was done, but after its due time."),
    Shown(
        "past_due",
        "count",
        "Open past due",
        "Promises broken and still waiting: the due time has passed and it is not done yet.",
    ),
    Shown(
        "first_response_median_ms",
        "duration",
        "First response, median",
        "Half of the first answers by a person came within this time. Elapsed time, nights and weekends included; "
        "without calls answered at once.",
    ),
    Shown(
        "first_response_p90_ms",
        "duration",
        "First response, p90",
        "Nine of ten first answers by a person came within this time. Elapsed time, nights and weekends included; "
        "without calls answered at once.",
    ),
    Shown(
        "resolution_median_ms",
        "duration",
        "Resolution, median",
        "Half of the resolved conversations were first resolved within this time. Elapsed time, nights and weekends "
        "included.",
    ),
    Shown(
        "resolution_p90_ms",
        "duration",
        "Resolution, p90",
        "Nine of ten resolved conversations were first resolved within this time. Elapsed time, nights and weekends "
        "included.",
    ),
)

DISTRICTS = Panel(
    name="districts",
    title="Districts",
    meaning="Every district that has conversations or a configuration, the one with the most conversations first.",
    sql="""
SELECT
    known.district AS district,
    if(labels.label = '', known.district, labels.label) AS label,
    if(zones.time_zone = '', 'UTC', zones.time_zone) AS time_zone,
    known.conversations AS conversations
FROM (
    SELECT district, max(conversations) AS conversations
    FROM (
        SELECT district, count() AS conversations FROM current_conversations GROUP BY district
        UNION ALL
        SELECT DISTINCT district, toUInt64(0) AS conversations FROM districts
    )
    GROUP BY district
) AS known
LEFT JOIN (SELECT district, label FROM current_units WHERE unit = district) AS labels USING (district)
LEFT JOIN (
    SELECT
        district,
        argMax(
            JSONExtractString(document, 'calendars', JSONExtractString(document, 'calendar'), 'time_zone'),
            (revision, occurred_at, event_id)
        ) AS time_zone
    FROM districts
    GROUP BY district
) AS zones USING (district)
ORDER BY known.conversations DESC, label, district
""",
    columns=(
        Shown("district", "text", "Code", "The district's code."),
        Shown("label", "text", "District", "The district's name."),
        Shown("time_zone", "text", "Time zone", "Zone of the district's own calendar; UTC if it has none."),
        Shown("conversations", "count", "Conversations", "All conversations known."),
    ),
)

TOTALS = Panel(
    name="totals",
    title="The whole district",
    meaning="All conversations of the district.",
    sql=f"""
SELECT {_MEASURES},
    if(count() = 0, NULL, toUnixTimestamp64Milli(max(c.opened_at))) AS newest_opened_at,
    if(count() = 0, NULL, toUnixTimestamp64Milli(max(c.landed_at))) AS newest_landed_at
FROM current_conversations AS c
WHERE c.district = %(district)s AND c.linked = 1
""",  # noqa: S608 -- only the fragment above is put in
    columns=(
        *_MEASURED,
        Shown("newest_opened_at", "instant", "Newest arrival", "When the newest conversation was opened."),
        Shown("newest_landed_at", "instant", "Last change", "When a conversation was last written here."),
    ),
)

DEPARTMENTS = Panel(
    name="departments",
    title="By department",
    meaning="Each conversation counts once, for the school or department that owns it now.",
    sql=f"""
SELECT
    c.department AS department,
    if(any(u.label) = '', c.department, any(u.label)) AS label,
    {_MEASURES}
FROM current_conversations AS c
LEFT JOIN (SELECT unit, label FROM current_units WHERE district = %(district)s) AS u ON u.unit = c.department
WHERE c.district = %(district)s AND c.linked = 1
GROUP BY c.department
ORDER BY past_due DESC, open DESC, conversations DESC, department
""",  # noqa: S608 -- only the fragment above is put in
    columns=(
        Shown("department", "text", "Code", "The department's code."),
        Shown("label", "text", "Department", "The school or department that owns the conversation now."),
        *_MEASURED,
    ),
)

NEWEST = Panel(
    name="newest",
    title="Newest arrivals",
    meaning="The fifteen conversations opened last.",
    sql="""
SELECT
    toUnixTimestamp64Milli(c.opened_at) AS opened_at,
    if(d.label = '', c.department, d.label) AS department,
    if(u.label = '', c.unit, u.label) AS unit,
    c.topic AS topic,
    c.channel AS channel,
    c.status AS status,
    multiIf(
        has(c.`verdicts.outcome`, 'missed'), 'missed',
        arrayExists(
            (outcome, breach) -> outcome = 'open' AND ifNull(toUnixTimestamp64Milli(breach) < %(now_ms)s, false),
            c.`verdicts.outcome`, c.`verdicts.breach_at`
        ), 'past_due',
        has(c.`verdicts.outcome`, 'open'), 'running',
        has(c.`verdicts.outcome`, 'met'), 'met',
        ''
    ) AS verdict
FROM (
    SELECT * FROM current_conversations
    WHERE district = %(district)s AND linked = 1
    ORDER BY opened_at DESC, conversation DESC
    LIMIT 15
) AS c
LEFT JOIN (SELECT unit, label FROM current_units WHERE district = %(district)s) AS d ON d.unit = c.department
LEFT JOIN (SELECT unit, label FROM current_units WHERE district = %(district)s) AS u ON u.unit = c.unit
ORDER BY c.opened_at DESC, c.conversation DESC
""",
    columns=(
        Shown("opened_at", "instant", "Opened", "When the customer's first message came, or staff opened it."),
        Shown("department", "text", "Department", "The school or department that owns it now."),
        Shown("unit", "text", "Unit", "The team or unit that owns it now."),
        Shown("topic", "text", "Topic", "What it is about, as the source named it."),
        Shown("channel", "text", "Channel", "How it came: phone, email, web, social or in person."),
        Shown("status", "status", "Status", "Open, pending, on hold, resolved or withdrawn."),
        Shown(
            "verdict",
            "verdict",
            "Promise",
            "Missed: a promise was broken. Past due: one is broken and still waiting. Running: one is not due yet. "
            "Met: all were kept. Empty: nothing was promised.",
        ),
    ),
)

BELOW: tuple[Panel, ...] = (ROLLING, TOTALS, DEPARTMENTS, NEWEST)
OF_A_DISTRICT: tuple[Panel, ...] = (*FIRST_VIEW, *BELOW)
PANELS: tuple[Panel, ...] = (DISTRICTS, *OF_A_DISTRICT)
