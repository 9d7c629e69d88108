"""Alerts and incidents as they stand, and what people did about them, as far as it has landed.

Blocks. Raises `Unavailable` or `Refused`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from clickhouse_driver import Client

from schemas.alerts import STEPS, TRANSITIONS
from schemas.facts import Column
from schemas.incidents import CLOSED, CORRECTED, GROWN, INCIDENT, OPENED, IncidentTransition, of_row
from schemas.settings import Settings
from sinks.connection import connect, errors_mapped

STANDING, OVER = "standing", "over"
FOR_GOOD = 1 << 62


class AlertState(NamedTuple):
    """One alert by its newest transition; times are ms.

    `acknowledged`: by whom now, `-` if that was not said, empty if by nobody; `acknowledged_until`: None if for good.
    """

    district: str
    key: str
    kind: str
    revision: int
    transition: str
    at: int
    unit: str
    owner: str
    conversation: str
    clock: str
    promise: str
    started_at: int
    due_at: int | None
    breach_at: int | None
    ended_at: int | None
    critical: int
    muted: str
    recipients: tuple[str, ...]
    acknowledged: str
    acknowledged_until: int | None


class Silence(NamedTuple):
    """What is muted: an alert, a unit and all below it, a clock; empty: any. Times are ms."""

    district: str
    alert: str
    unit: str
    clock: str
    since: int
    until: int
    who: str
    why: str


@dataclass(frozen=True, slots=True)
class WantedAlerts:
    """Which alerts or incidents are asked for: each that is given has to hold.

    `now_ms` decides what is acknowledged or silenced.
    `unit`: the unit itself, as owner or at the start; `since_ms`: the newest transition came since.
    """

    now_ms: int
    keys: tuple[str, ...] = ()
    district: str | None = None
    unit: str | None = None
    since_ms: int | None = None
    state: str | None = STANDING


_INSTANTS = ("at", "started_at", "due_at", "breach_at", "ended_at")
_OF_ROW = AlertState._fields[: AlertState._fields.index("acknowledged")]
_LIST = ", ".join(f"'{each}'" for each in TRANSITIONS)
_STANDS = ", ".join(f"'{each}'" for each in STEPS)
# Of one event id with two contents the smaller digest counts, as in the core.
_DONE = """(
    SELECT district, event_id, argMin(content, digest) AS said, argMin(occurred_at, digest) AS done_at
    FROM events FINAL
    WHERE kind = '{kind}' AND understood = 1
    GROUP BY district, event_id
)"""
_UNTIL = "toUnixTimestamp64Milli(parseDateTime64BestEffortOrNull(JSONExtractString(said, 'until'), 3, 'UTC'))"
_ALERTS = f"""
SELECT {", ".join(f"a.{name} AS {name}" for name in _OF_ROW)},
    if(d.key = '' OR d.until <= %(now)s, '', if(d.who = '', '-', d.who)) AS acknowledged,
    if(acknowledged = '' OR d.until = {FOR_GOOD}, NULL, d.until) AS acknowledged_until
FROM (
    SELECT {", ".join(f"toUnixTimestamp64Milli({n}) AS {n}" if n in _INSTANTS else n for n in _OF_ROW)}
    FROM alerts FINAL
    ORDER BY district, key, revision DESC, indexOf([{_LIST}], transition) DESC, alerts.at DESC
    LIMIT 1 BY district, key
) AS a
LEFT JOIN (
    SELECT district, JSONExtractString(said, 'alert') AS key,
        argMax(ifNull({_UNTIL}, {FOR_GOOD}), (done_at, event_id)) AS until,
        argMax(JSONExtractString(said, 'who'), (done_at, event_id)) AS who
    FROM {_DONE.format(kind="alert_acknowledged")} WHERE toUnixTimestamp64Milli(done_at) <= %(now)s
    GROUP BY district, key
) AS d ON d.district = a.district AND d.key = a.key
WHERE {{condition}}
ORDER BY at DESC, district, key
"""  # noqa: S608 -- only names of our own are put in
_SILENCES = f"""
SELECT district, alert, unit, clock, max(toUnixTimestamp64Milli(done_at)) AS since,
    argMax({_UNTIL}, (done_at, event_id)) AS until, argMax(who, (done_at, event_id)) AS by,
    argMax(why, (done_at, event_id)) AS reason
FROM (
    SELECT *, {", ".join(f"JSONExtractString(said, '{n}') AS {n}" for n in ("alert", "unit", "clock", "who", "why"))}
    FROM {_DONE.format(kind="alert_silenced")}
)
WHERE toUnixTimestamp64Milli(done_at) <= %(now)s AND {{condition}}
GROUP BY district, alert, unit, clock
HAVING until > %(now)s
ORDER BY district, until
"""  # noqa: S608 -- as above


def _in_ms(column: Column) -> str:
    return f"toUnixTimestamp64Milli({column.name}) AS {column.name}" if "DateTime64" in column.type else column.name


_INCIDENTS = f"""
SELECT * FROM (
    SELECT {", ".join(map(_in_ms, INCIDENT))}
    FROM incidents FINAL
    ORDER BY district, key, revision DESC,
        indexOf(['{OPENED}', '{GROWN}', '{CLOSED}', '{CORRECTED}'], transition) DESC, step DESC
    LIMIT 1 BY district, key
) AS a
WHERE {{condition}}
ORDER BY at DESC, district, key
"""  # noqa: S608 -- as above
_DISTRICTS = """
SELECT key, any(district)
FROM (SELECT key, district FROM alerts UNION ALL SELECT key, district FROM incidents)
WHERE key IN %(keys)s
GROUP BY key
"""
_CONDITIONS = {
    "keys": "a.key IN %(keys)s",
    "district": "a.district = %(district)s",
    "unit": "(a.unit = %(unit)s OR a.owner = %(unit)s)",
    "since_ms": "a.at >= %(since_ms)s",
}
_IS_STANDING = f"replaceOne(a.transition, '_released', '') IN ({_STANDS})"
_STATES = {STANDING: _IS_STANDING, OVER: f"NOT ({_IS_STANDING})"}
_LASTS = f"a.transition IN ('{OPENED}', '{GROWN}')"
_OF_INCIDENTS = _CONDITIONS | {"unit": "a.unit = %(unit)s"}
_LASTING = {STANDING: _LASTS, OVER: f"NOT ({_LASTS})"}


def _asked(wanted: WantedAlerts, query: str, of: dict[str, str], states: dict[str, str]) -> tuple[str, dict[str, Any]]:
    """A query with the conditions that hold for what is asked for, and its parameters."""
    named = {name: value for name in of if (value := getattr(wanted, name))}
    conditions = [of[name] for name in named]
    conditions.extend([states[wanted.state]] if wanted.state is not None else [])
    return query.replace("{condition}", " AND ".join(conditions) or "1"), named | {"now": wanted.now_ms}


class Alerts:
    """The settings' alerts. One thread and one iteration at a time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: Client = connect(settings)

    def states(self, wanted: WantedAlerts) -> Iterator[AlertState]:
        """The alerts asked for, those with the newest word first."""
        with errors_mapped(self._settings):
            for row in self._client.execute_iter(*_asked(wanted, _ALERTS, _CONDITIONS, _STATES)):
                found = AlertState._make(row)
                yield found._replace(recipients=tuple(found.recipients))

    def incidents(self, wanted: WantedAlerts) -> Iterator[IncidentTransition]:
        """The incidents asked for, each by its newest transition, the newest word first; those stand that last."""
        with errors_mapped(self._settings):
            yield from map(of_row, self._client.execute_iter(*_asked(wanted, _INCIDENTS, _OF_INCIDENTS, _LASTING)))

    def districts(self, keys: Iterable[str]) -> dict[str, str]:
        """The district of each of these alerts and incidents that has landed, by key."""
        with errors_mapped(self._settings):
            return dict(self._client.execute(_DISTRICTS, {"keys": list(keys)}))

    def silences(self, now_ms: int, district: str | None = None) -> list[Silence]:
        """What is silenced at an instant."""
        condition = "district = %(district)s" if district is not None else "1"
        parameters = {"now": now_ms, "district": district or ""}
        with errors_mapped(self._settings):
            rows = self._client.execute(_SILENCES.replace("{condition}", condition), parameters)
        return [Silence(*row) for row in rows]

    def close(self) -> None:
        """Let go of the connection."""
        self._client.disconnect()
