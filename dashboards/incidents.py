"""What is told of incidents: the panel of those that last or ended within a day, and the messages that went out.

An incident shows what was told of its newest revision by then; one that a correction took back is left out.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from dashboards.shown import Panel, Shown
from dashboards.windows import LABELS
from schemas import alerts, incidents
from schemas.alerts import ALERT
from schemas.facts import Column
from schemas.incidents import INCIDENT
from schemas.transitions import Transition
from streams.couriers.messages import fields

RECENT_MS = 86_400_000
MOST = 10
MOST_MESSAGES = 5
_TOLD = "at <= fromUnixTimestamp64Milli(toInt64(%(now_ms)s))"

INCIDENTS = Panel(
    name="incidents",
    title="Incidents",
    meaning="Surges, silent feeds and watched values that last, or that ended within a day: those that last first.",
    sql=f"""
WITH told AS (
    SELECT * FROM incidents FINAL WHERE district = %(district)s AND {_TOLD}
),
newest AS (
    SELECT
        key, any(kind) AS kind, any(metric) AS metric, any(about) AS about, any(unit) AS unit,
        min(toUnixTimestamp64Milli(began_at)) AS began_at,
        maxIf(toUnixTimestamp64Milli(at), transition = 'closed') AS ended,
        max(observed) AS observed, max(expected) AS expected
    FROM told
    WHERE (key, revision) IN (SELECT key, max(revision) FROM told GROUP BY key)
    GROUP BY key
    HAVING countIf(transition = 'corrected') = 0 AND (ended = 0 OR ended > %(now_ms)s - {RECENT_MS})
    ORDER BY ended > 0, began_at DESC, key
    LIMIT {MOST}
)
SELECT
    if(i.ended > 0, 'closed', 'open') AS state,
    multiIf(
        i.metric = 'inquiries', concat('inquiries: ', if(i.about = '', 'no topic', i.about)),
        i.metric = 'people', concat('people under ', i.about),
        i.kind = 'silence', concat('silent: ', i.about),
        concat(i.about, ': ', replaceAll(i.metric, '_', ' '))
    ) AS what,
    if(u.label = '', i.unit, u.label) AS unit,
    i.began_at AS began_at,
    if(i.ended > 0, i.ended, %(now_ms)s) - i.began_at AS lasts_ms,
    if(i.kind = 'surge', toNullable(toInt64(i.observed)), NULL) AS observed,
    if(i.kind = 'surge', toNullable(round(i.expected, 1)), NULL) AS expected
FROM newest AS i
LEFT JOIN {LABELS} AS u ON u.unit = i.unit
ORDER BY i.ended > 0, i.began_at DESC, i.key
""",  # noqa: S608 -- only the fragments above are put in
    columns=(
        Shown("state", "status", "State", "Open: it lasts. Closed: it is over."),
        Shown("what", "text", "What", "What there is too much of, which feed is silent, or which value is watched."),
        Shown("unit", "text", "Where", "The unit it is in; the district for a feed."),
        Shown(
            "began_at",
            "instant",
            "Since",
            "The inquiry that was too much, the feed's last sign of life, or the first minute beyond the level.",
        ),
        Shown("lasts_ms", "duration", "Lasts", "From then until its end, or until now."),
        Shown(
            "observed",
            "count",
            "Count",
            "Of a surge: how many belonged to it when it was last told: at its opening, each doubling, its end.",
        ),
        Shown(
            "expected", "count", "Usual", "Of a surge: how many are usual within its window at that hour of such a day."
        ),
    ),
)


def _of(name: str, table: str, record: tuple[Column, ...], order: str) -> Panel:
    """The newest rows of a table of transitions that receivers are told of; what they say in words is `messages`."""
    read = ", ".join(
        f"toNullable(toUnixTimestamp64Milli({column.name}))" if "DateTime64" in column.type else column.name
        for column in record
    )
    return Panel(
        name=name,
        title="What people are told",
        meaning=f"The newest {MOST_MESSAGES} messages of the last day.",
        sql=f"""
SELECT {read}
FROM {table} FINAL
WHERE district = %(district)s AND notify = 1 AND {_TOLD}
    AND at > fromUnixTimestamp64Milli(toInt64(%(now_ms)s) - {RECENT_MS})
ORDER BY at DESC, {order}
LIMIT {MOST_MESSAGES}
""",  # noqa: S608 -- our own columns
        columns=tuple(Shown(column.name, "text", column.name, column.meaning) for column in record),
    )


OF_INCIDENTS = _of("of_incidents", "incidents", INCIDENT, "key, step DESC")
OF_ALERTS = _of("of_alerts", "alerts", ALERT, "key, transition")
MESSAGES = (OF_INCIDENTS, OF_ALERTS)


def messages(panels: Mapping[str, Iterable[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """When and in which words receivers are told of the rows of `MESSAGES`, by panel; the newest first.

    The words are those of a message but for its link, which leads to this very page.
    """
    told: list[Transition] = [
        *(incidents.of_row(row[column.name] for column in INCIDENT) for row in panels[OF_INCIDENTS.name]),
        *(alerts.of_row(row[column.name] for column in ALERT) for row in panels[OF_ALERTS.name]),
    ]
    return [{"at": one.at, "text": _words(one)} for one in sorted(told, key=lambda one: -one.at)]


def _words(transition: Transition) -> str:
    found = fields(transition, "")
    return " ".join(found["text"].removesuffix(found["link"]).split())
