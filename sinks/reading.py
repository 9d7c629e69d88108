"""Reading back what has landed: for recovery, for repair, and for a conversation that left memory.

Rows come as plain tuples with times in ms; `content` as bytes. A conversation is always read whole, never by time.
Retention marks a conversation in `retired` before its events go: whoever reads events leaves out what was marked by
then, and asks once more afterwards, as some of them may have gone meanwhile.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple, Protocol

from clickhouse_driver import Client

from schemas import incidents
from schemas.alerts import ALERT, AlertTransition, of_row
from schemas.facts import CONVERSATION, Column, Row
from schemas.incidents import INCIDENT, IncidentTransition
from schemas.rolling import ROLLING, Published, RollingRow
from schemas.settings import Settings
from schemas.vocabulary import SCHEMA_VERSION
from sinks.connection import connect, errors_mapped
from sinks.erasing import HOLDS
from sinks.landing import UnitRow

Key = tuple[str, str]
KEYS_PER_QUERY = 1_000


class LandedEvent(NamedTuple):
    """A row of `events`, as much of it as the core needs. `understood` is 0 or 1, `content` canonical JSON."""

    district: str
    conversation: str
    event_id: str
    digest: int
    kind: str
    understood: int
    received_at_ms: int
    content: bytes


class LandedVersion(NamedTuple):
    """The highest version of a conversation that has landed, and whether it was a retraction."""

    version: int
    retracted: int


class Reader(Protocol):
    """What can be read back. Every call blocks and raises `Unavailable` or `Refused`, an iterator while iterated."""

    def district_events(self, districts: Sequence[str]) -> Iterator[LandedEvent]:
        """Every event of these districts, once: ordered by district, conversation, event_id, digest."""

    def standing_events(self, districts: Sequence[str], since_ms: int) -> Iterator[LandedEvent]:
        """Every event of the districts themselves and of the conversations that stand, in the same order.

        These are touched since an instant, have something due since then, wait, have a promise running, name another
        in a merge, or have a row that does not count all their events.
        """

    def configurations(self, districts: Sequence[str]) -> Iterator[LandedEvent]:
        """The configuration events of these districts, in the same order."""

    def events_of(self, district: str, conversations: Sequence[str]) -> Iterator[LandedEvent]:
        """Every event of these conversations of a district, once; '' stands for the district's own events."""

    def outdated(self, district: str, below: int, after: str, most: int) -> list[str]:
        """Names of rows of a lower version than `below`, in order, those after a name, at most so many.

        Not those of retired conversations: nothing can make them anew.
        """

    def naming(self, district: str, key_digest: str, since_ms: int) -> list[str]:
        """Conversations with an event that names a person and was received since an instant, sorted."""

    def versions(self, districts: Sequence[str]) -> dict[Key, LandedVersion]:
        """The landed version of every conversation of these districts, by (district, conversation)."""

    def alerts(self, districts: Sequence[str]) -> list[AlertTransition]:
        """Every alert transition that has landed of these districts, once."""

    def incidents(self, districts: Sequence[str]) -> list[IncidentTransition]:
        """Every transition of an incident that has landed of these districts, once."""

    def rolling_since(self, district: str, units: Sequence[str], since_ms: int) -> list[RollingRow]:
        """The rolling rows of these units since an instant, in order of time."""

    def published(self, districts: Sequence[str]) -> list[Published]:
        """What the newest rolling rows say of each unit's ratings, sorted by district and unit."""

    def facts(self, district: str, names: Sequence[str]) -> Iterator[Row]:
        """The rows of a district that count under these names, retracted ones too: as the core makes them."""

    def units(self, district: str) -> list[UnitRow]:
        """The unit tree that counts: the rows of the highest version, sorted by unit."""

    def districts(self) -> list[str]:
        """Every district that has an event or had one, sorted."""

    def retired(self, districts: Sequence[str]) -> list[Key]:
        """Every conversation of these districts whose events left by retention, by (district, conversation)."""

    def retired_of(self, district: str, conversations: Iterable[str]) -> set[str]:
        """Those of these conversations whose events left by retention, or are about to."""

    def close(self) -> None:
        """Let go of what is held; the next call makes it anew."""


# An event of a newer schema counts in no row, until a release that knows the schema has read it.
COUNTED = f"(understood = 1 OR schema_version <= {SCHEMA_VERSION})"
OPEN = "(retracted = 0 AND (has(`waits.outcome`, 'open') OR has(`verdicts.outcome`, 'open')))"
_EVENTS = """
SELECT district, conversation, event_id, digest, kind, understood, toUnixTimestamp64Milli(received_at), content
FROM events FINAL
WHERE {condition}
ORDER BY district, conversation, event_id, digest
"""
_STAYS = "(district, conversation) NOT IN (SELECT district, conversation FROM retired WHERE district IN %(districts)s)"
_OF_DISTRICTS = _EVENTS.format(condition=f"district IN %(districts)s AND {_STAYS}")
_OF_CONVERSATIONS = _EVENTS.format(
    condition="""district = %(district)s AND conversation IN %(conversations)s AND conversation NOT IN (
    SELECT conversation FROM retired WHERE district = %(district)s AND conversation IN %(conversations)s
)"""
)
_CONFIGURATIONS = _EVENTS.format(
    condition="district IN %(districts)s AND conversation = '' AND kind = 'district_configured'"
)
# A part's name has the mark and a number behind the conversation's own: what is open in a part is open.
_STANDING = _EVENTS.format(
    condition="""district IN %(districts)s AND (conversation = '' OR (district, conversation) IN (
    SELECT log.district, log.conversation
    FROM (
        SELECT
            district, conversation, count() AS known, max(toUnixTimestamp64Milli(occurred_at)) AS touched_ms,
            countIf(kind IN ('merge', 'unmerge')) AS merges
        FROM events FINAL
        WHERE district IN %(districts)s AND conversation != '' AND {stays}
        GROUP BY district, conversation
    ) AS log
    LEFT JOIN (
        SELECT
            district,
            splitByChar('~', conversation)[1] AS whole,
            min(events) AS known,
            max({open}) AS is_open,
            max(toUnixTimestamp64Milli(arrayMax(at -> ifNull(at, toDateTime64(0, 3)), arrayConcat(
                `waits.school_day_at`, `verdicts.due_at`, [NULL]
            )))) AS due_ms
        FROM conversations FINAL
        WHERE district IN %(districts)s
        GROUP BY district, whole
    ) AS told ON told.district = log.district AND told.whole = log.conversation
    WHERE log.touched_ms >= %(since_ms)s OR told.due_ms >= %(since_ms)s OR log.known != told.known OR told.is_open
        OR log.merges > 0
))""".replace("{stays}", _STAYS).replace("{open}", OPEN)
)
_OUTDATED = """
SELECT conversation FROM conversations FINAL
WHERE district = %(district)s AND version < %(below)s AND conversation > %(after)s
    AND splitByChar('~', conversation)[1] NOT IN (SELECT conversation FROM retired WHERE district = %(district)s)
ORDER BY conversation LIMIT %(most)s
"""
_NAMING = f"""
SELECT DISTINCT conversation FROM events FINAL
WHERE district = %(district)s AND conversation != ''
    AND received_at >= fromUnixTimestamp64Milli(%(since_ms)s, 'UTC') AND ({HOLDS})
ORDER BY conversation
"""  # noqa: S608 -- only a fragment of our own is put in
_VERSIONS = """
SELECT district, conversation, version, retracted
FROM conversations FINAL
WHERE district IN %(districts)s
"""
_ALERTS = """
SELECT {columns}
FROM alerts FINAL
WHERE district IN %(districts)s
ORDER BY district, key, revision, transition
""".replace(
    "{columns}",
    ", ".join(f"toUnixTimestamp64Milli({c.name})" if "DateTime64" in c.type else c.name for c in ALERT),
)

_PUBLISHED = """
SELECT district, unit, ratings, toUnixTimestamp64Milli(published_at), published_ratings, changes
FROM rolling FINAL
WHERE channel = 'all' AND window = '28d' AND (district, at) IN (
    SELECT district, max(at) FROM rolling
    WHERE district IN %(districts)s AND unit = district AND channel = 'all' AND window = '28d'
    GROUP BY district
)
ORDER BY district, unit
"""


def _raw(column: Column) -> str:
    """An expression for a column whose instants come as ms."""
    if "DateTime64" not in column.type:
        return f"`{column.name}`"
    in_ms = "toUnixTimestamp64Milli"
    return f"arrayMap(x -> {in_ms}(x), `{column.name}`)" if "Array" in column.type else f"{in_ms}(`{column.name}`)"


_INCIDENTS = """
SELECT {columns}
FROM incidents FINAL
WHERE district IN %(districts)s
ORDER BY district, key, revision, transition, step
""".replace("{columns}", ", ".join(map(_raw, INCIDENT)))
_ROLLING_SINCE = """
SELECT {columns}
FROM rolling FINAL
WHERE district = %(district)s AND unit IN %(units)s AND at >= fromUnixTimestamp64Milli(toInt64(%(since_ms)s))
ORDER BY at, unit, channel, window
""".replace("{columns}", ", ".join(map(_raw, ROLLING)))
_FACTS = """
SELECT {columns}
FROM conversations FINAL
WHERE district = %(district)s AND conversation IN %(names)s
ORDER BY conversation
""".replace("{columns}", ", ".join(map(_raw, CONVERSATION)))
_UNITS = """
SELECT {columns}
FROM current_units
WHERE district = %(district)s
ORDER BY unit
""".replace("{columns}", ", ".join(UnitRow._fields))
_DISTRICTS = """
SELECT DISTINCT district FROM (SELECT district FROM events UNION ALL SELECT district FROM retired) ORDER BY district
"""
_RETIRED = "SELECT district, conversation FROM retired FINAL WHERE district IN %(districts)s"
_RETIRED_OF = """
SELECT conversation FROM retired WHERE district = %(district)s AND conversation IN %(conversations)s
"""


class ClickHouseReader:
    """Reads from the settings' database. One thread and one iteration at a time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: Client = connect(settings)

    def district_events(self, districts: Sequence[str]) -> Iterator[LandedEvent]:
        """Every event of these districts, once: ordered by district, conversation, event_id, digest."""
        for some in _slices(sorted(set(districts))):
            yield from self._events(_OF_DISTRICTS, {"districts": some})

    def standing_events(self, districts: Sequence[str], since_ms: int) -> Iterator[LandedEvent]:
        """Every event of the districts themselves and of the conversations that stand, in the same order."""
        for some in _slices(sorted(set(districts))):
            yield from self._events(_STANDING, {"districts": some, "since_ms": since_ms})

    def configurations(self, districts: Sequence[str]) -> Iterator[LandedEvent]:
        """The configuration events of these districts, in the same order."""
        for some in _slices(sorted(set(districts))):
            yield from self._events(_CONFIGURATIONS, {"districts": some})

    def events_of(self, district: str, conversations: Sequence[str]) -> Iterator[LandedEvent]:
        """Every event of these conversations of a district, once; '' stands for the district's own events."""
        for some in _slices(sorted(set(conversations))):
            yield from self._events(_OF_CONVERSATIONS, {"district": district, "conversations": some})

    def outdated(self, district: str, below: int, after: str, most: int) -> list[str]:
        """Names of rows of a lower version than `below`, in order, those after a name, at most so many."""
        parameters = {"district": district, "below": below, "after": after, "most": most}
        with errors_mapped(self._settings):
            return [name for (name,) in self._client.execute(_OUTDATED, parameters)]

    def naming(self, district: str, key_digest: str, since_ms: int) -> list[str]:
        """Conversations with an event that names a person and was received since an instant, sorted."""
        parameters = {"district": district, "key_digest": key_digest, "since_ms": since_ms}
        with errors_mapped(self._settings):
            return [name for (name,) in self._client.execute(_NAMING, parameters)]

    def versions(self, districts: Sequence[str]) -> dict[Key, LandedVersion]:
        """The landed version of every conversation of these districts, by (district, conversation)."""
        found: dict[Key, LandedVersion] = {}
        with errors_mapped(self._settings):
            for some in _slices(sorted(set(districts))):
                columns = self._client.execute(_VERSIONS, {"districts": some}, columnar=True)
                if columns:
                    names, conversations, *landed = columns
                    found.update(zip(zip(names, conversations, strict=True), map(LandedVersion, *landed), strict=True))
        return found

    def alerts(self, districts: Sequence[str]) -> list[AlertTransition]:
        """Every alert transition that has landed of these districts, once."""
        found: list[AlertTransition] = []
        with errors_mapped(self._settings):
            for some in _slices(sorted(set(districts))):
                found.extend(map(of_row, self._client.execute(_ALERTS, {"districts": some})))
        return found

    def incidents(self, districts: Sequence[str]) -> list[IncidentTransition]:
        """Every transition of an incident that has landed of these districts, once."""
        found: list[IncidentTransition] = []
        with errors_mapped(self._settings):
            for some in _slices(sorted(set(districts))):
                found.extend(map(incidents.of_row, self._client.execute(_INCIDENTS, {"districts": some})))
        return found

    def rolling_since(self, district: str, units: Sequence[str], since_ms: int) -> list[RollingRow]:
        """The rolling rows of these units since an instant, in order of time."""
        parameters = {"district": district, "units": tuple(units), "since_ms": since_ms}
        with errors_mapped(self._settings):
            rows = self._client.execute(_ROLLING_SINCE, parameters)
        return [RollingRow._make(tuple(v) if isinstance(v, list) else v for v in row) for row in rows]

    def published(self, districts: Sequence[str]) -> list[Published]:
        """What the newest rolling rows say of each unit's ratings, sorted by district and unit."""
        found: list[Published] = []
        with errors_mapped(self._settings):
            for some in _slices(sorted(set(districts))):
                for row in map(Published._make, self._client.execute(_PUBLISHED, {"districts": some})):
                    scores, shown = tuple(row.ratings), tuple(row.published_ratings)
                    found.append(row._replace(ratings=scores, published_ratings=shown))
        return found

    def facts(self, district: str, names: Sequence[str]) -> Iterator[Row]:
        """The rows of a district that count under these names, retracted ones too: as the core makes them."""
        with errors_mapped(self._settings):
            for some in _slices(sorted(set(names))):
                columns = self._client.execute(_FACTS, {"district": district, "names": some}, columnar=True)
                pairs = zip(CONVERSATION, columns, strict=True) if columns else ()
                yield from zip(*(map(tuple, c) if "Array" in kind.type else c for kind, c in pairs), strict=True)

    def units(self, district: str) -> list[UnitRow]:
        """The unit tree that counts: the rows of the highest version, sorted by unit."""
        with errors_mapped(self._settings):
            rows = map(UnitRow._make, self._client.execute(_UNITS, {"district": district}))
            return [row._replace(path=tuple(row.path)) for row in rows]

    def districts(self) -> list[str]:
        """Every district that has an event or had one, sorted."""
        with errors_mapped(self._settings):
            return [district for (district,) in self._client.execute(_DISTRICTS)]

    def retired(self, districts: Sequence[str]) -> list[Key]:
        """Every conversation of these districts whose events left by retention, by (district, conversation)."""
        found: list[Key] = []
        with errors_mapped(self._settings):
            for some in _slices(sorted(set(districts))):
                found.extend(self._client.execute(_RETIRED, {"districts": some}))
        return found

    def retired_of(self, district: str, conversations: Iterable[str]) -> set[str]:
        """Those of these conversations whose events left by retention, or are about to."""
        found: set[str] = set()
        with errors_mapped(self._settings):
            for some in _slices(sorted(set(conversations))):
                asked = {"district": district, "conversations": some}
                found.update(name for (name,) in self._client.execute(_RETIRED_OF, asked))
        return found

    def close(self) -> None:
        """Let go of the connection; the next call makes a new one."""
        self._client.disconnect()

    def _events(self, query: str, parameters: Mapping[str, Any]) -> Iterator[LandedEvent]:
        # Content is the bulk of it and goes to a parser that takes bytes: only the short columns are decoded.
        texts = _Texts()
        with errors_mapped(self._settings):
            rows = self._client.execute_iter(query, parameters, settings={"strings_as_bytes": True})
            done = False
            try:
                for district, conversation, event_id, digest, kind, understood, at_ms, content in rows:
                    ids = texts[district], conversation.decode(), event_id.decode()
                    yield LandedEvent._make((*ids, digest, texts[kind], understood, at_ms, content))
                done = True
            finally:
                if not done:
                    # What was not read is still under way on this connection.
                    self._client.disconnect()


class _Texts(dict[bytes, str]):
    """Strings of columns with few distinct values, each decoded once."""

    def __missing__(self, raw: bytes) -> str:
        text = self[raw] = raw.decode()
        return text


def _slices(keys: Iterable[str]) -> Iterator[tuple[str, ...]]:
    """Keys in tuples small enough for one query's text."""
    source = iter(keys)
    while some := tuple(islice(source, KEYS_PER_QUERY)):
        yield some
