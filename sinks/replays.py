"""What a replay asks of ClickHouse beside the readers: which conversations, which belong together, how far.

Blocks. Raises `Unavailable` or `Refused`.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from clickhouse_driver import Client

from schemas.settings import Settings
from sinks.connection import connect, errors_mapped
from sinks.tables import REPLAYS

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
