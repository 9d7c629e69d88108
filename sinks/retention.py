"""What leaves ClickHouse by age: whole conversations, and rows of an age of their own.

A conversation is marked in `retired` before anything of it goes, and the mark stays: by it whoever reads events knows
that a set is not whole any more. Only a mark that is not final yet may be taken back. Everything here may be done
again. Blocks; raises `Unavailable` or `Refused`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from clickhouse_driver import Client

from schemas.settings import Settings
from sinks.connection import connect, errors_mapped
from sinks.landing import RetiredRow
from sinks.mutating import mutate
from sinks.queries import COUNTED, OPEN
from sinks.tables import RETIRED

NEVER_MS = 0


class Cutoffs(NamedTuple):
    """What happened before these instants leaves, ms UTC.

    `landed`: a conversation of which something landed since stays, whatever its age. `versions` is by the landing of
    the version that replaced them, `dead_letters` by their own. Of `minutes` the first of each hour stays.
    """

    events: int
    facts: int
    versions: int
    alerts: int
    rolling: int
    landed: int
    dead_letters: int = NEVER_MS
    minutes: int = NEVER_MS


class Aged(NamedTuple):
    """A conversation as retention weighs it, instants in ms.

    `events`: its rows of `events`; `known`: those that its row of facts has to count; `counted`: how many it counts.
    """

    conversation: str
    events: int
    known: int
    counted: int
    is_open: int
    last_ms: int
    landed_ms: int


# One that a merge names leaves with the others or not at all: all of them are to be weighed.
_AGED = """
SELECT log.conversation, log.events, log.known, told.known, told.is_open, log.last_ms, log.landed_ms
FROM (
    SELECT
        conversation, count() AS events, countIf({counted}) AS known,
        max(toUnixTimestamp64Milli(occurred_at)) AS last_ms, max(toUnixTimestamp64Milli(landed_at)) AS landed_ms
    FROM events FINAL
    WHERE district = %(district)s AND conversation != ''
        AND conversation NOT IN (SELECT conversation FROM retired WHERE district = %(district)s AND final = 1)
    GROUP BY conversation
) AS log
LEFT JOIN (
    SELECT splitByChar('~', conversation)[1] AS whole, min(events) AS known, max({open}) AS is_open
    FROM conversations FINAL
    WHERE district = %(district)s
    GROUP BY whole
) AS told ON told.whole = log.conversation
WHERE log.last_ms < %(before_ms)s OR log.conversation IN (
    SELECT arrayJoin([conversation, JSONExtractString(content, 'into')]) FROM events
    WHERE district = %(district)s AND kind IN ('merge', 'unmerge')
)
ORDER BY log.conversation
""".replace("{counted}", COUNTED).replace("{open}", OPEN)
_MERGES = """
SELECT DISTINCT conversation, JSONExtractString(content, 'into') FROM events
WHERE district = %(district)s AND conversation != '' AND kind IN ('merge', 'unmerge')
"""
_FINAL = "(SELECT district, conversation, last_at FROM retired WHERE final = 1)"
_FINAL_AND_LEAVING = """(
    SELECT district, conversation, last_at FROM retired WHERE final = 1
    UNION ALL SELECT district, conversation, last_at FROM leaving
)"""
_WITHDRAW = "ALTER TABLE retired DELETE WHERE final = 0"
_LEAVING = """
CREATE TEMPORARY TABLE IF NOT EXISTS leaving (district String, conversation String, last_at DateTime64(3, 'UTC'))
"""
_GONE = """
    (district, splitByChar('~', conversation)[1]) IN (
        SELECT district, conversation FROM {retired} WHERE toUnixTimestamp64Milli(last_at) < %(facts)s
    )
"""
# The alerts of what can still be told of stay known, or they would be told anew.
_STANDING = """
    SELECT district, arrayJoin(
        if(kind IN ('merge', 'unmerge'), [conversation, JSONExtractString(content, 'into')], [conversation])
    ) FROM events
    WHERE conversation != ''
        AND (toUnixTimestamp64Milli(occurred_at) >= %(alerts)s OR kind IN ('merge', 'unmerge'))
    UNION ALL
    SELECT district, splitByChar('~', conversation)[1] FROM conversations FINAL WHERE {open}
""".replace("{open}", OPEN)
_EVENTS = """
    conversation != '' AND (district, conversation) IN (SELECT district, conversation FROM {retired})
    OR conversation = '' AND kind NOT IN ('district_configured', 'erased') AND toUnixTimestamp64Milli(occurred_at)
        < if(kind IN ('heartbeat', 'alert_acknowledged', 'alert_silenced'), %(events)s, %(facts)s)
"""
_VERSIONS = """
    {gone} OR (district, conversation, version) IN (
        SELECT district, conversation, version FROM (
            SELECT district, conversation, version, max(version) OVER (PARTITION BY district, conversation) AS newest
            FROM conversation_versions WHERE toUnixTimestamp64Milli(landed_at) < %(versions)s
        ) WHERE version < newest
    )
""".replace("{gone}", _GONE)
_ALERTS = """
    {gone} OR toUnixTimestamp64Milli(at) < %(alerts)s
        AND (district, splitByChar('~', conversation)[1]) NOT IN ({standing})
        AND (district, key) NOT IN (SELECT district, key FROM alerts WHERE toUnixTimestamp64Milli(at) >= %(alerts)s)
""".replace("{gone}", _GONE).replace("{standing}", _STANDING)
_INCIDENTS = """
    toUnixTimestamp64Milli(at) < %(alerts)s
        AND (district, key) NOT IN (SELECT district, key FROM incidents WHERE toUnixTimestamp64Milli(at) >= %(alerts)s)
"""
# The newest minute of a district says what is published of its ratings; a recovery goes on from it.
# All rows of a minute stay or go together: a district's own row is in each, so it says which minutes there are.
_ROLLING = """
    (toUnixTimestamp64Milli(at) < %(rolling)s OR toUnixTimestamp64Milli(at) < %(minutes)s AND (district, at) NOT IN (
        SELECT district, min(at) FROM rolling WHERE unit = district AND channel = 'all'
        GROUP BY district, toStartOfHour(at)
    ))
        AND (district, at) NOT IN (SELECT district, max(at) FROM rolling WHERE unit = district GROUP BY district)
"""
_DAYS = "day < toDate32(fromUnixTimestamp64Milli(toInt64(%(facts)s), 'UTC'))"
_LETTERS = "toUnixTimestamp64Milli(landed_at) < %(dead_letters)s"
_DECISIONS = """
    (topic, `partition`, `offset`, position) IN (
        SELECT topic, `partition`, `offset`, position FROM dead_letters WHERE {letters}
    )
""".replace("{letters}", _LETTERS)
CONDITIONS: Mapping[str, str] = {
    "alerts": _ALERTS,
    "incidents": _INCIDENTS,
    "events": _EVENTS,
    "conversations": _GONE,
    "conversation_versions": _VERSIONS,
    "rolling_slices": _ROLLING,
    "rolling": _ROLLING,
    "daily_cells": _DAYS,
    "dead_letter_decisions": _DECISIONS,
    "dead_letters": _LETTERS,
}
"""What leaves each table, in this order: no fact goes before its events. What a district says of itself stays, but for
what it said of a moment: configurations and erasures for ever, trainings as long as facts.
"""


class Retention:
    """The settings' database as retention sees it. One thread at a time; `close` it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: Client = connect(settings)

    def aged(self, district: str, before_ms: int) -> list[Aged]:
        """Conversations that stand, untouched since an instant, and all that a merge ever named, sorted by name."""
        return [Aged._make(row) for row in self._ask(_AGED, {"district": district, "before_ms": before_ms})]

    def merges(self, district: str) -> list[tuple[str, str]]:
        """Every two conversations that a merge, or the end of one, names together."""
        return [(one, other) for one, other in self._ask(_MERGES, {"district": district})]

    def mark(self, rows: Sequence[RetiredRow]) -> None:
        """Mark conversations; a final mark is never taken back."""
        if rows:
            with self._mapped():
                self._client.execute(RETIRED.insert, list(rows))

    def withdraw(self) -> None:
        """Take back every mark that is not final."""
        ((left,),) = self._ask("SELECT count() FROM retired FINAL WHERE final = 0", {})
        if left:
            self._change("retired", _WITHDRAW, {})

    def counts(self, cutoffs: Cutoffs, leaving: Iterable[RetiredRow] = ()) -> dict[str, int]:
        """Rows that leave each table, with these conversations besides those whose mark is final."""
        chosen = [(row.district, row.conversation, row.last_at) for row in leaving]
        marked = _FINAL
        with self._mapped():
            if chosen:
                self._client.execute(_LEAVING)
                self._client.execute("INSERT INTO leaving (district, conversation, last_at) VALUES", chosen)
                marked = _FINAL_AND_LEAVING
        return {
            table: self._count(table, condition.format(retired=marked), cutoffs)
            for table, condition in CONDITIONS.items()
        }

    def remove(self, cutoffs: Cutoffs) -> None:
        """Let everything go that leaves; returns when it is in no row of a table any more."""
        for table, condition in CONDITIONS.items():
            leaves = condition.format(retired=_FINAL)
            if self._count(table, leaves, cutoffs):
                self._change(table, f"ALTER TABLE {table} DELETE WHERE {leaves}", cutoffs._asdict())

    def close(self) -> None:
        """Let go of the connection."""
        self._client.disconnect()

    def _count(self, table: str, condition: str, cutoffs: Cutoffs) -> int:
        query = f"SELECT count() FROM {table} WHERE {condition}"  # noqa: S608 -- only texts of our own are put in
        ((number,),) = self._ask(query, cutoffs._asdict())
        return int(number)

    def _change(self, table: str, statement: str, parameters: Mapping[str, Any]) -> None:
        """Have the server rewrite a table, and wait for it however long that takes."""
        with self._mapped():
            mutate(self._client, table, statement, parameters)

    def _ask(self, query: str, parameters: Mapping[str, Any]) -> Sequence[Any]:
        with self._mapped():
            rows: Sequence[Any] = self._client.execute(query, parameters)
            return rows

    @contextmanager
    def _mapped(self) -> Iterator[None]:
        with errors_mapped(self._settings):
            yield
