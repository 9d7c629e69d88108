"""What landed beside the facts, read back by an audit: all versions, days, alerts, incidents and windows.

Rows come as the core makes them: plain tuples, instants in ms. Blocks; raises `Unavailable` or `Refused`, an iterator
while iterated.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, NamedTuple

from clickhouse_driver import Client

from schemas import incidents
from schemas.alerts import ALERT, AlertTransition, of_row
from schemas.daily import CELL
from schemas.facts import CONVERSATION, DEFINITION_VERSION, Column, Row
from schemas.incidents import IncidentTransition
from schemas.rolling import ROLLING, ROLLING_SLICES, Published
from schemas.settings import Settings
from sinks import queries
from sinks.connection import connect, errors_mapped
from sinks.erasing import READABLE
from sinks.landing import ConfigurationRow
from sinks.queries import raw
from sinks.reading import LandedEvent
from sinks.tables import DISTRICTS

# Lengths of a promise and of a school day may end so long after the last activity of a conversation.
TAIL = timedelta(days=62)


class Start(NamedTuple):
    """A district when an audit begins, ms UTC; 0: nothing has landed.

    `newest_ms`: its newest landing of facts; `mark_ms`: what landed by then is in its daily cells; `clock_ms`: what
    became true by then is told if its worker keeps up: its newest receipt, or the newest minute of its windows.
    """

    newest_ms: int
    mark_ms: int
    clock_ms: int


class Minute(NamedTuple):
    """A minute of rolling rows: the end of the windows, and when it landed first; ms UTC.

    `is_clear` is 0 before something landed of another definition, or again from Kafka as it had been lost: what was
    known before that cannot be told any more.
    """

    at_ms: int
    landed_ms: int
    is_clear: int


class Known(NamedTuple):
    """What had landed by `upto_ms`, ms UTC: of conversations of which something landed after `from_ms`, or was received
    since `signs_ms`.
    """

    signs_ms: int
    from_ms: int
    upto_ms: int


class KnownEvent(NamedTuple):
    """An event with when it landed (ms UTC) and where it was read from."""

    event: LandedEvent
    landed_ms: int
    partition: int
    offset: int


def _columns(columns: Iterable[Column]) -> str:
    return ", ".join(map(raw, columns))


_FRAGMENTS = {
    "alerts": _columns(ALERT),
    "cells": _columns(CELL),
    "definition": str(DEFINITION_VERSION),
    "documents": _columns(DISTRICTS.columns[: len(ConfigurationRow._fields)]),
    "facts": _columns(CONVERSATION),
    "in_ms": "toUnixTimestamp64Milli",
    "readable": READABLE,
    "slices": _columns(ROLLING_SLICES),
    "whole": "splitByChar('~', conversation)[1]",
    "windows": _columns(ROLLING),
}


def _filled(query: str) -> str:
    """With fragments of our own in place of their names."""
    for name, fragment in _FRAGMENTS.items():
        query = query.replace(f"{{{name}}}", fragment)
    return query


_DISTRICTS = " UNION DISTINCT ".join(
    f"SELECT DISTINCT district FROM {table}"  # noqa: S608 -- only names of our own are put in
    for table in (
        *("events", "retired", "districts", "units", "conversations", "conversation_versions"),
        *("alerts", "incidents", "daily_cells", "rolling", "rolling_slices"),
    )
)
_START = _filled("""
SELECT
    (SELECT max({in_ms}(landed_at)) FROM conversation_versions WHERE district = %(district)s),
    (SELECT max({in_ms}(upto)) FROM daily_marks WHERE district = %(district)s),
    greatest(
        (SELECT max({in_ms}(received_at)) FROM events WHERE district = %(district)s AND kind != 'district_configured'),
        (SELECT max({in_ms}(at)) FROM rolling WHERE district = %(district)s AND unit = district)
    )
""")
_NAMES = _filled("""
SELECT DISTINCT conversation FROM (
    SELECT conversation FROM conversations WHERE district = %(district)s
    UNION ALL SELECT conversation FROM conversation_versions WHERE district = %(district)s
    UNION ALL SELECT conversation FROM alerts WHERE district = %(district)s
)
WHERE conversation > %(after)s AND {whole} NOT IN (SELECT conversation FROM retired WHERE district = %(district)s)
ORDER BY conversation LIMIT %(most)s
""")
_VERSIONS = _filled("""
SELECT {facts}, {in_ms}(landed_at) + (count() OVER (PARTITION BY conversation, landed_at) > 1)
FROM conversation_versions FINAL
WHERE district = %(district)s AND conversation IN asked
ORDER BY conversation, version DESC LIMIT 1 BY conversation
""")
_DOCUMENTS = _filled("""
SELECT {documents}
FROM districts FINAL WHERE district = %(district)s ORDER BY revision, event_id, digest
""")
_CONFIGURED = """
SELECT revision, event_id, digest FROM districts FINAL
WHERE district = %(district)s AND landed_at <= fromUnixTimestamp64Milli(toInt64(%(at_ms)s))
"""
_CELLS = _filled("SELECT {cells}, {in_ms}(rebuilt_at) FROM daily_cells FINAL WHERE district = %(district)s")
_TIED = """
SELECT DISTINCT arrayJoin([conversation, JSONExtractString(content, 'into')]) FROM events
WHERE district = %(district)s AND kind IN ('merge', 'unmerge')
"""
_PARTNERS = """
SELECT DISTINCT arrayJoin([conversation, JSONExtractString(content, 'into') AS other]) FROM events
WHERE district = %(district)s AND kind IN ('merge', 'unmerge') AND (conversation IN asked OR other IN asked)
"""
_MOVED = """
SELECT DISTINCT conversation FROM conversation_versions
WHERE district = %(district)s AND landed_at > fromUnixTimestamp64Milli(toInt64(%(after_ms)s))
"""
_LANDINGS = _filled("""
SELECT DISTINCT {in_ms}(landed_at) AS landed_ms FROM conversation_versions
WHERE district = %(district)s AND landed_at > fromUnixTimestamp64Milli(toInt64(%(after_ms)s))
ORDER BY landed_ms
""")
_ALL_VERSIONS = _filled("""
SELECT {facts} FROM conversation_versions FINAL WHERE district = %(district)s AND conversation IN asked
""")
_AS_KNOWN = _filled("""
SELECT {facts} FROM conversation_versions FINAL
WHERE district = %(district)s AND conversation IN asked
    AND landed_at <= fromUnixTimestamp64Milli(toInt64(%(at_ms)s))
ORDER BY conversation, version DESC LIMIT 1 BY conversation
""")
_RETIRED = _filled("""
SELECT {facts} FROM conversations FINAL
WHERE district = %(district)s AND {whole} IN (SELECT conversation FROM retired WHERE district = %(district)s)
""")
_GONE = _filled("""
SELECT max(toDate32(last_at)) FROM retired
WHERE district = %(district)s AND conversation NOT IN (
    SELECT {whole} FROM conversations WHERE district = %(district)s
)
HAVING count() > 0
""")
_SAID = _filled("""
SELECT {alerts}, {in_ms}(landed_at)
FROM alerts FINAL
WHERE district = %(district)s AND {whole} IN asked
""")
_MINUTES = _filled("""
SELECT {in_ms}(at), {in_ms}(min(landed_at) AS landed), landed > (
    SELECT max(landed_at) FROM conversation_versions
    WHERE district = %(district)s AND definition_version != {definition}
) AND landed > (SELECT max(noted_at) FROM replays WHERE position(replay, 'source kafka') > 0)
FROM rolling
WHERE district = %(district)s AND at = toStartOfMinute(at)
    AND at >= (SELECT max(at) FROM rolling WHERE district = %(district)s) - toIntervalDay(1)
GROUP BY at
ORDER BY at
""")
_KNOWN = _filled("""
SELECT
    district, conversation, event_id, digest, kind, {readable}, {in_ms}(received_at), content,
    {in_ms}(landed_at), `partition`, `offset`
FROM events FINAL
WHERE district = %(district)s AND landed_at <= fromUnixTimestamp64Milli(toInt64(%(upto_ms)s)) AND (
    conversation = '' OR conversation IN asked OR conversation IN (
        SELECT conversation FROM events
        WHERE district = %(district)s AND (
            landed_at > fromUnixTimestamp64Milli(toInt64(%(from_ms)s))
            OR received_at >= fromUnixTimestamp64Milli(toInt64(%(signs_ms)s))
        )
    )
)
ORDER BY landed_at, conversation, event_id, digest
""")
_AT_MINUTES = """
SELECT {columns}, {in_ms}(landed_at)
FROM {table} FINAL
WHERE district = %(district)s AND {in_ms}(at) IN %(minutes)s
ORDER BY at
"""
_WINDOWS = _filled(_AT_MINUTES.replace("{columns}", "{windows}").replace("{table}", "rolling"))
_SLICES = _filled(_AT_MINUTES.replace("{columns}", "{slices}").replace("{table}", "rolling_slices"))
_PUBLISHED = """
SELECT district, unit, ratings, toUnixTimestamp64Milli(published_at), published_ratings, changes
FROM rolling FINAL
WHERE district = %(district)s AND channel = 'all' AND window = '28d' AND at = (
    SELECT max(at) FROM rolling
    WHERE district = %(district)s AND unit = district AND channel = 'all' AND window = '28d'
        AND at < fromUnixTimestamp64Milli(toInt64(%(before_ms)s))
)
"""


class Landed:
    """Of the settings' database. One thread and one iteration at a time; `close` it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: Client = connect(settings)

    def districts(self) -> list[str]:
        """Every district of which any table has a row, sorted."""
        with errors_mapped(self._settings):
            return sorted(district for (district,) in self._client.execute(_DISTRICTS))

    def start(self, district: str) -> Start:
        """How far a district is."""
        (instants,) = self._ask(_START, district)
        return Start(*(max(0, at_ms) for at_ms in instants))

    def names(self, district: str, after: str, most: int) -> list[str]:
        """Names that rows of facts, their versions or alerts have, in order, those after a name, at most so many.

        Not those of retired conversations: nothing can make them anew.
        """
        return [name for (name,) in self._ask(_NAMES, district, after=after, most=most)]

    def versions(self, district: str, names: Iterable[str]) -> dict[str, tuple[Row, int]]:
        """By name the newest version, and from when on, ms UTC, what landed is of no older one."""
        rows = self._asked(_VERSIONS, names, {"district": district})
        return {row[1]: (row[:-1], row[-1]) for row in rows}

    def documents(self, district: str) -> list[ConfigurationRow]:
        """The rows of `districts`."""
        return [ConfigurationRow._make(row) for row in self._ask(_DOCUMENTS, district)]

    def configured(self, district: str, at_ms: int) -> set[tuple[int, str, int]]:
        """Revision, id and digest of each configuration that had landed by an instant, ms UTC."""
        return {(revision, event, digest) for revision, event, digest in self._ask(_CONFIGURED, district, at_ms=at_ms)}

    def cells(self, district: str) -> Iterator[tuple[Row, int]]:
        """The rows of `daily_cells` without `rebuilt_at`, which is beside them."""
        return ((row[:-1], row[-1]) for row in self._each(_CELLS, {"district": district}))

    def tied(self, district: str) -> set[str]:
        """Conversations that a merge, or the end of one, ever named."""
        return {name for (name,) in self._ask(_TIED, district)}

    def together(self, district: str, conversations: Iterable[str]) -> set[str]:
        """These conversations and all that merges, or their ends, ever named with them, directly or not."""
        found, known = set(conversations), set[str]()
        while found != known:
            known = found
            named = self._asked(_PARTNERS, known, {"district": district})
            found = known | {name for (name,) in named}
        return known

    def moved(self, district: str, after_ms: int) -> set[str]:
        """Names under which facts landed after an instant, ms UTC."""
        return {name for (name,) in self._ask(_MOVED, district, after_ms=after_ms)}

    def landings(self, district: str, after_ms: int) -> list[int]:
        """The instants after one at which facts landed, ms UTC, ascending."""
        return [landed_ms for (landed_ms,) in self._ask(_LANDINGS, district, after_ms=after_ms)]

    def all_versions(self, district: str, names: Iterable[str]) -> Iterator[Row]:
        """Every version of facts that landed under these names."""
        return self._asked(_ALL_VERSIONS, names, {"district": district})

    def as_known(self, district: str, names: Iterable[str], at_ms: int) -> Iterator[Row]:
        """The newest version of facts under each of these names that had landed by an instant, ms UTC."""
        return self._asked(_AS_KNOWN, names, {"district": district, "at_ms": at_ms})

    def retired(self, district: str) -> Iterator[Row]:
        """The facts of conversations whose events left by retention."""
        return self._each(_RETIRED, {"district": district})

    def whole_from(self, district: str) -> date | None:
        """The day before which facts have left by retention; None: none has."""
        gone = self._ask(_GONE, district)
        return gone[0][0] + TAIL if gone else None

    def said(self, district: str, conversations: Iterable[str]) -> list[tuple[AlertTransition, int]]:
        """Every alert transition that has landed of these conversations and their parts, and when."""
        return [(of_row(row[:-1]), row[-1]) for row in self._asked(_SAID, conversations, {"district": district})]

    def incidents(self, district: str) -> list[IncidentTransition]:
        """Every transition of an incident that has landed."""
        with errors_mapped(self._settings):
            rows = self._client.execute(queries.INCIDENTS, {"districts": (district,)})
        return [incidents.of_row(row) for row in rows]

    def minutes(self, district: str) -> list[Minute]:
        """The minutes of rolling rows of the last day, ascending."""
        return [Minute._make(row) for row in self._ask(_MINUTES, district)]

    def known(self, district: str, conversations: Iterable[str], span: Known) -> Iterator[KnownEvent]:
        """Events in order of landing: of the district itself, of these conversations, and of those of the span."""
        asked = {"district": district, **span._asdict()}
        # Content goes to a parser that takes bytes.
        for row in self._asked(_KNOWN, conversations, asked, strings_as_bytes=True):
            where, conversation, event_id, digest, kind, *rest = row
            texts = where.decode(), conversation.decode(), event_id.decode(), digest, kind.decode()
            yield KnownEvent(LandedEvent(*texts, *rest[:-3]), *rest[-3:])

    def windows(self, district: str, minutes: Sequence[int]) -> Iterator[tuple[Row, int]]:
        """The rows of `rolling` of some minutes, which are not none, in order of time; and when each landed."""
        return ((row[:-1], row[-1]) for row in self._each(_WINDOWS, {"district": district, "minutes": tuple(minutes)}))

    def slices(self, district: str, minutes: Sequence[int]) -> Iterator[tuple[Row, int]]:
        """The same of `rolling_slices`."""
        return ((row[:-1], row[-1]) for row in self._each(_SLICES, {"district": district, "minutes": tuple(minutes)}))

    def published_before(self, district: str, at_ms: int) -> list[Published]:
        """What the rows of the minute before one say of each unit's ratings."""
        rows = map(Published._make, map(_row, self._ask(_PUBLISHED, district, before_ms=at_ms)))
        return list(rows)

    def close(self) -> None:
        """Let go of the connection."""
        self._client.disconnect()

    def _ask(self, query: str, district: str, **parameters: Any) -> list[tuple[Any, ...]]:
        with errors_mapped(self._settings):
            rows: list[tuple[Any, ...]] = self._client.execute(query, {"district": district, **parameters})
            return rows

    def _asked(self, query: str, names: Iterable[str], parameters: Mapping[str, Any], **settings: Any) -> Iterator[Row]:
        """The rows of a query about any number of names: they go beside it as a table."""
        data = [(name,) for name in sorted(set(names))]
        asked = {"name": "asked", "structure": [("conversation", "String")], "data": data}
        with errors_mapped(self._settings):
            rows = self._client.execute(query, parameters, external_tables=[asked], settings=settings)
        return map(_row, rows)

    def _each(self, query: str, parameters: Mapping[str, Any]) -> Iterator[Row]:
        """The rows of a query as they come; nothing else may be asked before they end."""
        with errors_mapped(self._settings):
            yield from map(_row, self._client.execute_iter(query, parameters))


def _row(values: Iterable[Any]) -> Row:
    """As the core makes it: arrays are tuples."""
    return tuple([tuple(value) if isinstance(value, list) else value for value in values])
