"""Cells of local days (`schemas.daily`), rebuilt by ClickHouse itself from the facts for the days that changed.

A cell is never added to: what touches a day has all its cells made anew of the facts that count, and one in which
nothing counts any more is written empty. Which days are touched follows from the versions of facts that landed since
the district's mark, those before them included; so nothing is lost by a crash, whoever landed them. A mark of a clock
that was ahead says nothing: it is taken back, and all days are made anew.
"""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import Any, NamedTuple

from clickhouse_driver import Client

from schemas.daily import DAILY_CELLS
from schemas.rolling import PILLARS, SCORES
from schemas.settings import Settings
from sinks.connection import connect, errors_mapped
from sinks.tables import DAILY_MARKS
from streams.core.configuration import Configuration
from streams.core.histogram import STARTS

DAYS_AT_ONCE = 31
# Another writer, such as a replay, stamps rows some seconds before they can be seen, and its clock may be another.
OVERLAP_MS = 900_000
NO_DAY = date(1900, 1, 1)
_BEFORE_ALL_MS = -(10**15)

_IN_MS = "toUnixTimestamp64Milli"
_INSTANTS = f"""arrayMap(at -> {_IN_MS}(assumeNotNull(at)), arrayFilter(at -> at IS NOT NULL, arrayConcat(
    [toNullable(opened_at), first_response_at], `waits.opened_at`, `waits.ended_at`, `waits.school_day_at`,
    `ratings.rated_at`, `verdicts.due_at`, `transfers.at`
)))"""
_TOUCHED = f"""
SELECT DISTINCT toDate32(fromUnixTimestamp64Milli(arrayJoin({_INSTANTS}), 'UTC')) AS day
FROM conversation_versions
WHERE district = %(district)s AND conversation IN (
    SELECT conversation FROM conversation_versions
    WHERE district = %(district)s AND landed_at >= fromUnixTimestamp64Milli(%(since_ms)s)
    UNION ALL
    SELECT conversation FROM conversations
    WHERE district = %(district)s AND landed_at >= fromUnixTimestamp64Milli(%(since_ms)s)
)
ORDER BY day DESC
"""  # noqa: S608 -- only a fragment of our own is put in
_MARK = "SELECT max(toUnixTimestamp64Milli(upto)) FROM daily_marks WHERE district = %(district)s"
_NEWEST = "SELECT max(toUnixTimestamp64Milli(rebuilt_at)) FROM daily_cells WHERE district = %(district)s"
_WITHDRAW = """
ALTER TABLE daily_marks DELETE
WHERE district = %(district)s AND upto > fromUnixTimestamp64Milli(%(upto_ms)s)
SETTINGS mutations_sync = 2
"""


def _entries(group: str, columns: str, kind: str, at: str, value: str = "0") -> str:
    """Contributions of a nested group; an empty `kind` drops one. `columns`: what `kind`, `at` and `value` name."""
    names = [name.strip() for name in columns.split(",")]
    contribution = f"({kind}, toString(unit), {_IN_MS}(assumeNotNull({at})), toInt64(ifNull({value}, 0)))"
    return f"arrayMap((unit, {columns}) -> {contribution}, {', '.join(f'`{group}.{n}`' for n in ['unit', *names])})"


# What a row contributes, as `streams.core.contributions` has it: what it is, unit, instant in ms, value.
_WAIT = "opened_at, ended_at, outcome, live, wait_ms, business_ms, school_day_at"
_IS_REPLY = "outcome = 'answered' AND live = 0 AND ended_at IS NOT NULL"
_GONE = "outcome = 'withdrawn' AND ended_at <= school_day_at"
_VERDICT = "transform(outcome, ['met', 'missed', 'open'], ['promises_met', 'promises_missed', 'promises_open'], '')"
_CONTRIBUTIONS = (
    f"[(if(inquiries = 1, 'inquiries', ''), toString(unit), {_IN_MS}(opened_at), toInt64(0))]",
    *(
        f"[(if(first_response_at IS NOT NULL AND opened_by = 'customer' AND contact != 'answered_live', '{name}', ''), "
        f"toString(first_response_unit), {_IN_MS}(assumeNotNull(first_response_at)), toInt64(ifNull({name}_ms, 0)))]"
        for name in ("first_response", "first_response_business")
    ),
    _entries("waits", _WAIT, "if(ended_at IS NOT NULL OR outcome = 'open', 'waits_opened', '')", "opened_at"),
    _entries("waits", _WAIT, "if(ended_at IS NOT NULL, 'waits_ended', '')", "ended_at"),
    _entries("waits", _WAIT, f"if({_IS_REPLY}, 'reply', '')", "ended_at", "wait_ms"),
    _entries("waits", _WAIT, f"if({_IS_REPLY}, 'reply_business', '')", "ended_at", "business_ms"),
    _entries(
        "waits",
        _WAIT,
        f"if(school_day_at IS NULL OR live = 1 OR ifNull({_GONE}, 0), '', 'decided')",
        "school_day_at",
        "outcome = 'answered' AND ended_at <= school_day_at",
    ),
    *(
        _entries("ratings", f"rated_at, late, {item}", f"if(late = 0 AND {item} > 0, '{name}', '')", "rated_at", item)
        for name, item in (("ratings", "score"), *((pillar, pillar) for pillar in PILLARS))
    ),
    _entries("verdicts", "due_at, outcome", f"if(due_at IS NULL, '', {_VERDICT})", "due_at"),
    _entries("transfers", "at, bounce", "'handoffs'", "at", "bounce"),
)

_HISTOGRAMS = ("first_response", "first_response_business", "reply", "reply_business")
_SCORES = (
    f"arrayResize(sumForEachIf(arrayMap(score -> toUInt32(score = value), range(1, {SCORES + 1})), {{}}), {SCORES})"
)
_MEASURES = {
    **{
        name: f"countIf(kind = '{name}')"
        for name in ("inquiries", "waits_opened", "waits_ended", "decided", "handoffs")
    },
    **{name: f"countIf(kind = '{name}')" for name in ("promises_met", "promises_missed", "promises_open")},
    **{f"{name}_count": f"countIf(kind = '{name}')" for name in _HISTOGRAMS},
    **{f"{name}_sum_ms": f"sumIf(value, kind = '{name}')" for name in _HISTOGRAMS},
    **{f"{name}_buckets": f"sumMapIf([bucket], [1], kind = '{name}').1" for name in _HISTOGRAMS},
    **{f"{name}_counts": f"sumMapIf([bucket], [1], kind = '{name}').2" for name in _HISTOGRAMS},
    **{name: _SCORES.format(f"kind = '{name}'") for name in ("ratings", *PILLARS)},
    "within": "sumIf(value, kind = 'decided')",
    "bounces": "sumIf(value, kind = 'handoffs')",
    "district": "%(district)s",
    "rebuilt_at": "fromUnixTimestamp64Milli(%(upto_ms)s, 'UTC')",
}
_REBUILD = f"""
INSERT INTO daily_cells ({", ".join(f"`{column.name}`" for column in DAILY_CELLS)})
SELECT {", ".join(_MEASURES.get(column.name, column.name) for column in DAILY_CELLS)}
FROM (
    SELECT
        told.1 AS kind, told.2 AS unit, channel, {{day}} AS day, told.4 AS value,
        transform(
            roundDown(value, CAST(%(starts)s, 'Array(Int64)')), CAST(%(starts)s, 'Array(Int64)'),
            CAST(range(length(%(starts)s)), 'Array(UInt16)'), toUInt16(0)
        ) AS bucket
    FROM (
        SELECT
            toString(channel) AS channel,
            arrayJoin(arrayFilter(
                told -> told.1 != '' AND told.3 >= %(first_ms)s AND told.3 < %(last_ms)s,
                arrayConcat({", ".join(_CONTRIBUTIONS)})
            )) AS told
        FROM conversations FINAL
        WHERE district = %(district)s AND retracted = 0 AND linked = 1
            AND arrayExists(at -> at >= %(first_ms)s AND at < %(last_ms)s, {_INSTANTS})
    )
    UNION ALL
    SELECT '', toString(unit), toString(channel), day, 0, 0 FROM daily_cells WHERE district = %(district)s
)
WHERE day IN %(days)s
GROUP BY unit, channel, day
"""  # noqa: S608 -- only fragments of our own are put in


class _Zone(NamedTuple):
    """The days wanted in one time zone: instants at which a local date begins, and which; `NO_DAY`: none of them."""

    units: list[str]
    starts: list[int]
    days: list[date]


def _zones(configuration: Configuration, days: Iterable[date]) -> list[_Zone]:
    """By time zone of units, that of the district (and of units unknown to it) last."""
    root = configuration.path(configuration.units()[-1])[-1]
    units: dict[str, list[str]] = {}
    for unit in configuration.units():
        units.setdefault(str(configuration.clock(unit).time_zone), []).append(unit)
    own = str(configuration.clock(root).time_zone)
    found = []
    for zone in sorted(units, key=lambda zone: zone == own):
        clock = configuration.clock(units[zone][0])
        edges = {_BEFORE_ALL_MS: NO_DAY}
        for day in sorted(days):
            edges[clock.start_of(day)] = day
            edges.setdefault(clock.start_of(day + timedelta(days=1)), NO_DAY)
        found.append(_Zone(units[zone], list(edges), list(edges.values())))
    return found


class DailyCells:
    """The cells of the settings' database. One thread at a time; `close` it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: Client = connect(settings)
        self._left: dict[str, tuple[int, list[date]]] = {}

    def catch_up(self, district: str, configuration: Configuration, upto_ms: int) -> bool:
        """Rebuild days of a district touched by what landed until an instant, the newest first; False: some are left.

        Everything stamped until then by the caller has landed. May be repeated; raises `Unavailable` or `Refused`.
        """
        with errors_mapped(self._settings):
            if district not in self._left:
                self._left[district] = upto_ms, self._touched(district, upto_ms)
            mark_ms, days = self._left[district]
            if days:
                self._rebuild(district, configuration, days[:DAYS_AT_ONCE], upto_ms)
                del days[:DAYS_AT_ONCE]
            if days:
                return False
            self._client.execute(DAILY_MARKS.insert, [(district, mark_ms)])
            del self._left[district]
            return True

    def close(self) -> None:
        """Let go of the connection."""
        self._client.disconnect()

    def _touched(self, district: str, upto_ms: int) -> list[date]:
        """Local dates, whatever the zone, that something changed in since the mark; the newest first."""
        ((mark,),) = self._client.execute(_MARK, {"district": district})
        if mark > upto_ms + OVERLAP_MS:
            self._client.execute(_WITHDRAW, {"district": district, "upto_ms": upto_ms})
            ((mark,),) = self._client.execute(_MARK, {"district": district})
        since = {"district": district, "since_ms": mark - OVERLAP_MS}
        utc = [day for (day,) in self._client.execute(_TOUCHED, since)]
        return sorted({day + timedelta(days=shift) for day in utc for shift in (-1, 0, 1)}, reverse=True)

    def _rebuild(self, district: str, configuration: Configuration, days: Sequence[date], upto_ms: int) -> None:
        zones = _zones(configuration, days)
        # A cell that a clock made that was ahead has to be replaced as well.
        ((newest_ms,),) = self._client.execute(_NEWEST, {"district": district})
        parameters: dict[str, Any] = {
            "district": district,
            "days": tuple(days),
            "starts": [*STARTS],
            "upto_ms": max(upto_ms, newest_ms),
        }
        parameters["first_ms"] = min(zone.starts[1] for zone in zones)
        parameters["last_ms"] = max(zone.starts[-1] for zone in zones)
        choices = []
        for number, zone in enumerate(zones):
            parameters |= {
                f"units_{number}": tuple(zone.units),
                f"starts_{number}": zone.starts,
                f"days_{number}": zone.days,
            }
            starts = f"CAST(%(starts_{number})s, 'Array(Int64)')"
            day = f"transform(roundDown(told.3, {starts}), {starts}, CAST(%(days_{number})s, 'Array(Date32)'), NULL)"
            choices += [f"told.2 IN %(units_{number})s", day] if number + 1 < len(zones) else [day]
        day = f"multiIf({', '.join(choices)})" if len(zones) > 1 else choices[0]
        self._client.execute(_REBUILD.format(day=f"assumeNotNull({day})"), parameters)
