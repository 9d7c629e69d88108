"""What a replay asks of ClickHouse beside the readers: which conversations, which belong together, how far.

Blocks. Raises `Unavailable` or `Refused`.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from clickhouse_driver import Client

from schemas.facts import Row
from schemas.settings import Settings
from sinks.connection import connect, errors_mapped
from sinks.landing import ConfigurationRow
from sinks.mending import Stamps, mend_facts, newest_versions, put
from sinks.queries import raw
from sinks.tables import DISTRICTS, REPLAYS, earliest

BEGINNING_MS = -(1 << 62)
FOR_EVER_MS = 1 << 62


class Span(NamedTuple):
    """Event times, ms UTC, half-open."""

    from_ms: int = BEGINNING_MS
    to_ms: int = FOR_EVER_MS


class Place(NamedTuple):
    """How far a replay came in a part of it; `part` is empty for the replay as a whole. Times are ms."""

    replay: str
    part: str
    started_at: int
    after: str
    finished: int
    noted_at: int


_TOUCHED = """
    SELECT conversation FROM events
    WHERE district = %(district)s AND conversation > %(after)s
        AND toUnixTimestamp64Milli(occurred_at) >= %(from_ms)s AND toUnixTimestamp64Milli(occurred_at) < %(to_ms)s
    GROUP BY conversation
"""
_NAMES = f"{_TOUCHED} ORDER BY conversation LIMIT %(most)s"
_COUNT = f"SELECT count() FROM ({_TOUCHED})"  # noqa: S608 -- only the text above is put in
_MERGES = """
SELECT DISTINCT conversation, JSONExtractString(content, 'into') FROM events
WHERE district = %(district)s AND conversation != '' AND kind IN ('merge', 'unmerge')
"""
_PARTS = """
SELECT conversation FROM conversations FINAL
WHERE district = %(district)s AND retracted = 0 AND position(conversation, '~') > 0
UNION DISTINCT
SELECT conversation FROM conversation_versions FINAL
WHERE district = %(district)s AND position(conversation, '~') > 0
GROUP BY conversation HAVING argMax(retracted, version) = 0
"""
_DOCUMENTS = """
SELECT {documents}, toUnixTimestamp64Milli(landed_at), earliest FROM districts FINAL WHERE district = %(district)s
""".replace("{documents}", ", ".join(map(raw, DISTRICTS.columns[: len(ConfigurationRow._fields)])))
_CONFIGURED = """
SELECT event_id, digest, toUnixTimestamp64Milli(landed_at) FROM events FINAL
WHERE district = %(district)s AND conversation = '' AND kind = 'district_configured'
"""
_RULES = """
SELECT uniqExact(event_id, digest) FROM events
WHERE district = %(district)s AND conversation = '' AND kind IN ('district_configured', 'erased')
"""
_PLACES = f"""
SELECT {", ".join(f"toUnixTimestamp64Milli({n})" if n.endswith("_at") else f"`{n}`" for n in Place._fields)}
FROM replays FINAL WHERE replay = %(replay)s
"""  # noqa: S608 -- only names of our own are put in


class Replays:
    """The settings' database as a replay sees it. One thread at a time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: Client = connect(settings)

    def names(self, district: str, span: Span, after: str, most: int) -> list[str]:
        """Conversations with an event of the span, in order, those after a name, at most so many."""
        asked = {"district": district, "after": after, "most": most, **span._asdict()}
        return [name for (name,) in self._ask(_NAMES, asked)]

    def count(self, district: str, span: Span, after: str) -> int:
        """How many conversations after a name have an event of the span."""
        ((number,),) = self._ask(_COUNT, {"district": district, "after": after, **span._asdict()})
        return int(number)

    def merges(self, district: str) -> list[tuple[str, str]]:
        """Every two conversations that a merge, or the end of one, names together."""
        return [(one, other) for one, other in self._ask(_MERGES, {"district": district})]

    def parts(self, district: str) -> list[str]:
        """Names of rows that stand for a later part of their conversation."""
        return [name for (name,) in self._ask(_PARTS, {"district": district})]

    def newest(self, district: str, names: Iterable[str]) -> Iterator[Row]:
        """The newest version of facts that landed under each of these names, as the core makes it."""
        with errors_mapped(self._settings):
            yield from newest_versions(self._client, district, names)

    def mend(self, district: str, rows: Sequence[Row], at_ms: int) -> list[Row]:
        """Put rows of facts in the place of those of their version that landed before; the others are given back."""
        with errors_mapped(self._settings):
            return mend_facts(self._client, district, rows, at_ms)

    def mend_configurations(self, district: str, rows: Iterable[ConfigurationRow]) -> int:
        """Put rows of `districts` where they are missing, or differ from the one that stands; how many.

        Each is known since its event landed.
        """
        columns = len(ConfigurationRow._fields)
        standing = {
            row[1:4]: (ConfigurationRow(*row[:columns]), Stamps(*row[columns:]))
            for row in self._ask(_DOCUMENTS, {"district": district})
        }
        wrong = [row for row in rows if row[1:4] not in standing or standing[row[1:4]][0] != row]
        if not wrong:
            return 0
        landed = {(event, digest): at_ms for event, digest, at_ms in self._ask(_CONFIGURED, {"district": district})}
        mended = []
        for row in wrong:
            stamps = Stamps(landed[row.event_id, row.digest], earliest(row.received_at))
            mended.append((*row, *(standing[row[1:4]][1] if row[1:4] in standing else stamps)))
        with errors_mapped(self._settings):
            put(self._client, DISTRICTS, mended)
        return len(mended)

    def rules(self, district: str) -> int:
        """How many configurations and erasures of a district have landed: it only grows."""
        ((number,),) = self._ask(_RULES, {"district": district})
        return int(number)

    def places(self, replay: str) -> dict[str, Place]:
        """How far a replay came, by part."""
        places = (Place._make(row) for row in self._ask(_PLACES, {"replay": replay}))
        return {place.part: place for place in places}

    def note(self, place: Place) -> None:
        """Write down how far it came."""
        with errors_mapped(self._settings):
            self._client.execute(REPLAYS.insert, [place])

    def close(self) -> None:
        """Let go of the connection."""
        self._client.disconnect()

    def _ask(self, query: str, parameters: dict[str, Any]) -> Sequence[Any]:
        with errors_mapped(self._settings):
            rows: Sequence[Any] = self._client.execute(query, parameters)
            return rows
