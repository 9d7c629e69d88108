"""Closed days of a simulated district, declared on top of whatever its document has become meanwhile.

The simulation numbers its documents as if nobody else did. A person may have declared a day too, so each simulated one
goes into the newest document that has landed, as that document's next revision.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from schemas.district import District
from schemas.events import DistrictConfigured
from schemas.settings import Settings
from schemas.vocabulary import from_ms
from sinks.connection import connect, errors_mapped
from streams.configured import closed_days, configured, with_closed_days

Newest = Callable[[], Sequence[District]]
"""The documents of a district's highest revision that have landed, the one that counts first; none: an empty list."""

Silences = Callable[[], Sequence[tuple[str, int]]]
"""Which sources were said to be unhealthy by a press, and when, ms UTC."""


@dataclass(frozen=True, slots=True)
class Landed:
    """What presses have come to, as far as it has landed."""

    documents: Newest
    silences: Silences = list


_SILENCED = """
SELECT source, toUnixTimestamp64Milli(occurred_at) FROM events FINAL
WHERE district = %(district)s AND conversation = '' AND kind = 'heartbeat' AND startsWith(event_id, 'demo-')
ORDER BY occurred_at
"""
_NEWEST = """
SELECT document FROM districts FINAL
WHERE district = %(district)s
    AND revision = (SELECT max(revision) FROM districts WHERE district = %(district)s)
ORDER BY (occurred_at, event_id) DESC
"""


class LandedDocuments:
    """`Newest` from ClickHouse, for one thread. Raises `Unavailable` or `Refused`; `close` it."""

    def __init__(self, settings: Settings, district: str) -> None:
        self._settings = settings
        self._district = district
        self._client = connect(settings)

    def __call__(self) -> list[District]:
        """See `Newest`."""
        with errors_mapped(self._settings):
            rows = self._client.execute(_NEWEST, {"district": self._district})
        return [District.model_validate_json(document) for (document,) in rows]

    def silences(self) -> list[tuple[str, int]]:
        """See `Silences`."""
        with errors_mapped(self._settings):
            return list(self._client.execute(_SILENCED, {"district": self._district}))

    def close(self) -> None:
        """Let go of the connection."""
        self._client.disconnect()


class Closings:
    """Which closed days the simulation has declared, and what is still to be said of them."""

    def __init__(self, newest: Newest) -> None:
        self._newest = newest
        self._known: frozenset[str] = frozenset()
        self._owed: frozenset[str] = frozenset()
        self._said: District | None = None
        self.closed: frozenset[str] = frozenset()
        """Closed days of the newest document that has landed, as far as it has been asked for."""

    def pass_by(self, simulated: District) -> frozenset[str]:
        """The days that a document of the simulation closes and none before it did."""
        days = closed_days(simulated) - self._known
        self._known |= days
        return days

    def owe(self, days: frozenset[str]) -> None:
        """Have these days closed by the next document."""
        self._owed |= days

    def due(self, at_ms: int) -> DistrictConfigured | None:
        """The document to be published at an instant, None if the newest says it all. Raises what `Newest` raises.

        Ask again later: another one of the same number may have landed meanwhile, and both are to hold.
        """
        newest = self._newest()
        if self._said is not None and (not newest or newest[0].revision < self._said.revision):
            newest = [self._said]
        elif newest:
            self.closed = closed_days(newest[0])
            self._owed -= self.closed
        wanted = with_closed_days(newest, self._owed) if newest else None
        if wanted is None:
            return None
        self._said = wanted
        return configured(wanted, from_ms(at_ms))
