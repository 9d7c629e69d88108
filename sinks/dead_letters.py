"""Dead letters as they landed and what was decided about them. Nothing here deletes or changes a letter.

Blocks. Raises `Unavailable` or `Refused`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from clickhouse_driver import Client

from schemas.settings import Settings
from sinks.connection import connect, errors_mapped
from sinks.tables import DEAD_LETTER_DECISIONS

OPEN, RETRIED, DROPPED = "open", "retried", "dropped"
STATES = (OPEN, RETRIED, DROPPED)


class LetterPlace(NamedTuple):
    """Where an item stands in Kafka; without `position` all items of the message."""

    topic: str
    partition: int
    offset: int
    position: int | None = None

    def __str__(self) -> str:
        """As a person types it."""
        return "/".join(str(part) for part in self if part is not None)


class DeadLetter(NamedTuple):
    """A row of the view `dead_letter_states`; `state` is open, retried or dropped, times are ms."""

    topic: str
    partition: int
    offset: int
    position: int
    reason: str
    field: str
    message: str
    digest: str
    district: str
    kind: str
    landed_at: int
    state: str
    who: str
    why: str
    decided_at: int | None

    @property
    def place(self) -> LetterPlace:
        """Where it stands."""
        return LetterPlace(*self[:4])


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which letters are asked for: each that is given has to hold; `places`: any of them, none given: all."""

    places: tuple[LetterPlace, ...] = ()
    district: str | None = None
    reason: str | None = None
    since_ms: int | None = None
    state: str | None = OPEN


class Decision(NamedTuple):
    """A row of `dead_letter_decisions`; `who` and `why` are codes, never text."""

    topic: str
    partition: int
    offset: int
    position: int
    decided_at: int
    decision: str
    who: str
    why: str


_COLUMNS = ", ".join(
    f"toUnixTimestamp64Milli({name})" if name.endswith("_at") else f"`{name}`" for name in DeadLetter._fields
)
_LETTERS = """
SELECT {columns} FROM dead_letter_states WHERE {condition} ORDER BY topic, `partition`, `offset`, position
"""
_CONDITIONS = {
    "district": "district = %(district)s",
    "reason": "reason = %(reason)s",
    "since_ms": "toUnixTimestamp64Milli(landed_at) >= %(since_ms)s",
    "state": "state = %(state)s",
}


class DeadLetters:
    """The settings' dead letters. One thread and one iteration at a time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: Client = connect(settings)

    def letters(self, wanted: Wanted) -> Iterator[DeadLetter]:
        """The letters asked for, in order of their place."""
        query, parameters = _asked(wanted)
        with errors_mapped(self._settings):
            yield from map(DeadLetter._make, self._client.execute_iter(query, parameters))

    def decide(self, decisions: Sequence[Decision]) -> None:
        """Write down what was decided; each stays beside those before."""
        if decisions:
            with errors_mapped(self._settings):
                self._client.execute(DEAD_LETTER_DECISIONS.insert, list(decisions))

    def close(self) -> None:
        """Let go of the connection."""
        self._client.disconnect()


def _asked(wanted: Wanted) -> tuple[str, dict[str, Any]]:
    parameters = {name: value for name in _CONDITIONS if (value := getattr(wanted, name)) is not None}
    conditions = [_CONDITIONS[name] for name in parameters]
    if wanted.places:
        parameters["messages"] = [place[:3] for place in wanted.places if place.position is None]
        parameters["items"] = [tuple(place) for place in wanted.places if place.position is not None]
        keys = {"messages": "(topic, `partition`, `offset`)", "items": "(topic, `partition`, `offset`, position)"}
        named = [f"{key} IN %({name})s" for name, key in keys.items() if parameters[name]]
        conditions.append(f"({' OR '.join(named)})")
    condition = " AND ".join(conditions) or "1"
    return _LETTERS.replace("{columns}", _COLUMNS).replace("{condition}", condition), parameters
