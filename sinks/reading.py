"""Reading back what has landed: for recovery, for repair, and for a conversation that left memory.

Rows come as plain tuples with times in ms; `content` as bytes. A conversation is always read whole, never by time.
Retention marks a conversation in `retired` before its events go: whoever reads events leaves out what was marked by
then, and asks once more afterwards, as some of them may have gone meanwhile.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple, Protocol

import numpy as np
from clickhouse_driver import Client

from schemas import incidents
from schemas.alerts import AlertTransition, of_row
from schemas.facts import CONVERSATION, Row
from schemas.incidents import IncidentTransition
from schemas.naming import Hashes
from schemas.rolling import Published, RollingRow
from schemas.settings import Settings
from sinks import queries
from sinks.connection import connect, errors_mapped
from sinks.erasing import still_named
from sinks.landing import Erasure, UnitRow

Key = tuple[str, str]
KEYS_PER_QUERY = 1_000


class LandedEvent(NamedTuple):
    """A row of `events`, as much of it as the core needs; `content` is JSON, canonical where it was understood.

    `understood`: 1 if whoever landed it understood it and its schema is none that is newer than this release's.
    """

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


class LandedNames(NamedTuple):
    """What a district's rows are named: hashes of conversations, names of parts that count, the lowest version."""

    hashes: Hashes
    parts: Sequence[str]
    lowest: int


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
        """Conversations, sorted, with an event that names a person: received since an instant, or named in a merge."""

    def erased(self, districts: Collection[str]) -> dict[str, dict[str, int]]:
        """The keys that these districts erased, by district: digests with the first receipt of their erasure, ms."""

    def still_named(self, district: str) -> list[tuple[str, Erasure]]:
        """What should be empty: erasures of which rows still hold the key, by table, replaced rows included."""

    def versions_of(self, wanted: Mapping[str, Iterable[str]]) -> dict[str, dict[str, LandedVersion]]:
        """The landed versions of conversations, given by district, and of all their parts: by district and name."""

    def landed_names(self, districts: Sequence[str]) -> dict[str, LandedNames]:
        """What the rows of these districts are named, of those that have any."""

    def running(self, districts: Sequence[str], since_ms: int) -> list[Key]:
        """Rows of these districts with a running promise clock, by (district, conversation).

        First those of which something becomes true from an instant on, by when.
        """

    def alerts(self, districts: Sequence[str]) -> list[AlertTransition]:
        """Every alert transition that has landed of these districts, once."""

    def alerts_of(self, district: str, conversations: Sequence[str]) -> list[AlertTransition]:
        """The same of these conversations of a district, with all their parts."""

    def alerted(self, districts: Sequence[str], since_ms: int) -> list[tuple[str, str, int]]:
        """Every conversation that an alert has landed of: (district, conversation, whether it may still matter).

        It does if something was told of it since an instant, or if quiet hours muted more than was released.
        """

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

    def unit_versions(self, districts: Sequence[str]) -> dict[str, int]:
        """The version of the unit tree that counts, of those of these districts that have one."""

    def districts(self) -> list[str]:
        """Every district that has an event or had one, sorted."""

    def retired(self, districts: Sequence[str]) -> list[Key]:
        """Every conversation of these districts whose events left by retention, by (district, conversation)."""

    def retired_of(self, district: str, conversations: Iterable[str]) -> set[str]:
        """Those of these conversations whose events left by retention, or are about to."""

    def close(self) -> None:
        """Let go of what is held; the next call makes it anew."""


class ClickHouseReader:
    """Reads from the settings' database. One thread and one iteration at a time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: Client = connect(settings)

    def district_events(self, districts: Sequence[str]) -> Iterator[LandedEvent]:
        """Every event of these districts, once: ordered by district, conversation, event_id, digest."""
        for some in _slices(sorted(set(districts))):
            yield from self._events(queries.OF_DISTRICTS, {"districts": some})

    def standing_events(self, districts: Sequence[str], since_ms: int) -> Iterator[LandedEvent]:
        """Every event of the districts themselves and of the conversations that stand, in the same order."""
        for some in _slices(sorted(set(districts))):
            yield from self._events(queries.STANDING, {"districts": some, "since_ms": since_ms})

    def configurations(self, districts: Sequence[str]) -> Iterator[LandedEvent]:
        """The configuration events of these districts, in the same order."""
        for some in _slices(sorted(set(districts))):
            yield from self._events(queries.CONFIGURATIONS, {"districts": some})

    def events_of(self, district: str, conversations: Sequence[str]) -> Iterator[LandedEvent]:
        """Every event of these conversations of a district, once; '' stands for the district's own events."""
        for some in _slices(sorted(set(conversations))):
            yield from self._events(queries.OF_CONVERSATIONS, {"district": district, "conversations": some})

    def outdated(self, district: str, below: int, after: str, most: int) -> list[str]:
        """Names of rows of a lower version than `below`, in order, those after a name, at most so many."""
        parameters = {"district": district, "below": below, "after": after, "most": most}
        with errors_mapped(self._settings):
            return [name for (name,) in self._client.execute(queries.OUTDATED, parameters)]

    def naming(self, district: str, key_digest: str, since_ms: int) -> list[str]:
        """Conversations, sorted, with an event that names a person: received since an instant, or named in a merge."""
        parameters = {"district": district, "key_digest": key_digest, "since_ms": since_ms}
        with errors_mapped(self._settings):
            return [name for (name,) in self._client.execute(queries.NAMING, parameters)]

    def erased(self, districts: Collection[str]) -> dict[str, dict[str, int]]:
        """The keys that these districts erased, by district, with the first receipt of their erasure, ms."""
        found: dict[str, dict[str, int]] = {}
        with errors_mapped(self._settings):
            for some in _slices(sorted(set(districts))):
                for district, key, since_ms in self._client.execute(queries.ERASED, {"districts": some}):
                    found.setdefault(district, {})[key] = since_ms
        return found

    def still_named(self, district: str) -> list[tuple[str, Erasure]]:
        """Erasures of which rows still hold the key, by table, replaced rows included."""
        erased = self.erased([district]).get(district, {})
        with errors_mapped(self._settings):
            named = still_named(self._client, district, erased)
        return [(table, Erasure(district, key, erased[key])) for table, key in named]

    def versions_of(self, wanted: Mapping[str, Iterable[str]]) -> dict[str, dict[str, LandedVersion]]:
        """The landed versions of conversations, given by district, and of all their parts: by district and name."""
        found: defaultdict[str, dict[str, LandedVersion]] = defaultdict(dict)
        for district, name, *landed in self._asked(queries.VERSIONS_OF, wanted):
            found[district][name] = LandedVersion(*landed)
        return dict(found)

    def landed_names(self, districts: Sequence[str]) -> dict[str, LandedNames]:
        """What the rows of these districts are named, of those that have any."""
        lowest: dict[str, int] = {}
        hashes: dict[str, Hashes] = {}
        parts: dict[str, list[str]] = {}
        with errors_mapped(self._settings):
            for some in _slices(sorted(set(districts))):
                asked = {"districts": some}
                lowest.update(self._client.execute(queries.LOWEST, asked))
                hashes |= _by_owner(self._client.execute(queries.HASHES, asked, columnar=True))
                for district, name in self._client.execute(queries.PARTS, asked):
                    parts.setdefault(district, []).append(name)
        none = np.empty((0, 2), np.uint64)
        return {
            district: LandedNames(hashes.get(district, none), parts.get(district, ()), version)
            for district, version in lowest.items()
        }

    def running(self, districts: Sequence[str], since_ms: int) -> list[Key]:
        """Rows of these districts with a running promise clock, what happens next first."""
        found: list[Key] = []
        with errors_mapped(self._settings):
            for some in _slices(sorted(set(districts))):
                found.extend(self._client.execute(queries.RUNNING, {"districts": some, "since_ms": since_ms}))
        return found

    def alerts(self, districts: Sequence[str]) -> list[AlertTransition]:
        """Every alert transition that has landed of these districts, once."""
        found: list[AlertTransition] = []
        with errors_mapped(self._settings):
            for some in _slices(sorted(set(districts))):
                found.extend(map(of_row, self._client.execute(queries.ALERTS, {"districts": some})))
        return found

    def alerts_of(self, district: str, conversations: Sequence[str]) -> list[AlertTransition]:
        """The same of these conversations of a district, with all their parts."""
        return [of_row(row) for row in self._asked(queries.ALERTS_OF, {district: conversations})]

    def alerted(self, districts: Sequence[str], since_ms: int) -> list[tuple[str, str, int]]:
        """Every conversation that an alert has landed of, and whether it may still matter."""
        found: list[tuple[str, str, int]] = []
        with errors_mapped(self._settings):
            for some in _slices(sorted(set(districts))):
                found.extend(self._client.execute(queries.ALERTED, {"districts": some, "since_ms": since_ms}))
        return found

    def incidents(self, districts: Sequence[str]) -> list[IncidentTransition]:
        """Every transition of an incident that has landed of these districts, once."""
        found: list[IncidentTransition] = []
        with errors_mapped(self._settings):
            for some in _slices(sorted(set(districts))):
                found.extend(map(incidents.of_row, self._client.execute(queries.INCIDENTS, {"districts": some})))
        return found

    def rolling_since(self, district: str, units: Sequence[str], since_ms: int) -> list[RollingRow]:
        """The rolling rows of these units since an instant, in order of time."""
        parameters = {"district": district, "units": tuple(units), "since_ms": since_ms}
        with errors_mapped(self._settings):
            rows = self._client.execute(queries.ROLLING_SINCE, parameters)
        return [RollingRow._make(tuple(v) if isinstance(v, list) else v for v in row) for row in rows]

    def published(self, districts: Sequence[str]) -> list[Published]:
        """What the newest rolling rows say of each unit's ratings, sorted by district and unit."""
        found: list[Published] = []
        with errors_mapped(self._settings):
            for some in _slices(sorted(set(districts))):
                for row in map(Published._make, self._client.execute(queries.PUBLISHED, {"districts": some})):
                    scores, shown = tuple(row.ratings), tuple(row.published_ratings)
                    found.append(row._replace(ratings=scores, published_ratings=shown))
        return found

    def facts(self, district: str, names: Sequence[str]) -> Iterator[Row]:
        """The rows of a district that count under these names, retracted ones too: as the core makes them."""
        with errors_mapped(self._settings):
            for some in _slices(sorted(set(names))):
                columns = self._client.execute(queries.FACTS, {"district": district, "names": some}, columnar=True)
                pairs = zip(CONVERSATION, columns, strict=True) if columns else ()
                yield from zip(*(map(tuple, c) if "Array" in kind.type else c for kind, c in pairs), strict=True)

    def units(self, district: str) -> list[UnitRow]:
        """The unit tree that counts: the rows of the highest version, sorted by unit."""
        with errors_mapped(self._settings):
            rows = map(UnitRow._make, self._client.execute(queries.UNITS, {"district": district}))
            return [row._replace(path=tuple(row.path)) for row in rows]

    def unit_versions(self, districts: Sequence[str]) -> dict[str, int]:
        """The version of the unit tree that counts, of those of these districts that have one."""
        found: dict[str, int] = {}
        with errors_mapped(self._settings):
            for some in _slices(sorted(set(districts))):
                found.update(self._client.execute(queries.UNIT_VERSIONS, {"districts": some}))
        return found

    def districts(self) -> list[str]:
        """Every district that has an event or had one, sorted."""
        with errors_mapped(self._settings):
            return [district for (district,) in self._client.execute(queries.DISTRICTS)]

    def retired(self, districts: Sequence[str]) -> list[Key]:
        """Every conversation of these districts whose events left by retention, by (district, conversation)."""
        found: list[Key] = []
        with errors_mapped(self._settings):
            for some in _slices(sorted(set(districts))):
                found.extend(self._client.execute(queries.RETIRED, {"districts": some}))
        return found

    def retired_of(self, district: str, conversations: Iterable[str]) -> set[str]:
        """Those of these conversations whose events left by retention, or are about to."""
        found: set[str] = set()
        with errors_mapped(self._settings):
            for some in _slices(sorted(set(conversations))):
                asked = {"district": district, "conversations": some}
                found.update(name for (name,) in self._client.execute(queries.RETIRED_OF, asked))
        return found

    def close(self) -> None:
        """Let go of the connection; the next call makes a new one."""
        self._client.disconnect()

    def _asked(self, query: str, wanted: Mapping[str, Iterable[str]]) -> Iterator[tuple[Any, ...]]:
        """The rows of a query about any number of conversations by district: their names go beside it as a table."""
        structure = [("district", "String"), ("conversation", "String")]
        for some in _slices(sorted(wanted)):
            names = [(district, name) for district in some for name in sorted(set(wanted[district]))]
            if names:
                asked = {"name": "asked", "structure": structure, "data": names}
                with errors_mapped(self._settings):
                    rows = self._client.execute(query, {"districts": some}, external_tables=[asked], columnar=True)
                yield from zip(*rows, strict=True)

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


def _by_owner(columns: Sequence[Sequence[Any]]) -> dict[str, Hashes]:
    """Hashes by district, of columns of districts and of both halves."""
    if not columns:
        return {}
    owners, *halves = columns
    place = {owner: number for number, owner in enumerate(set(owners))}
    places = np.fromiter(map(place.__getitem__, owners), np.int64, len(owners))
    hashes = np.array(halves, np.uint64).T
    return {owner: hashes[places == number] for owner, number in place.items()}


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
