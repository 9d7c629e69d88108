"""Rows of facts as the measures read them: what counts, by name. Instants and lengths in ms, as in `schemas.facts`."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from operator import itemgetter
from typing import Any, NamedTuple

from schemas.facts import CONVERSATION, NAMES, Row
from schemas.vocabulary import to_ms


class Held(NamedTuple):
    """Who owned a wait from an instant to another; no end in an open wait's last part."""

    unit: str
    started_ms: int
    ended_ms: int | None


class Wait(NamedTuple):
    """A wait; `unit` owned it at its end."""

    opened_ms: int
    ended_ms: int | None
    outcome: str
    unit: str
    school_day_ms: int | None
    live: int
    opened_by_event: str
    held: tuple[Held, ...]

    def owner(self, at_ms: int) -> str:
        """The unit that had it at an instant."""
        return next((held.unit for held in reversed(self.held) if held.started_ms <= at_ms), self.unit)


class Given(NamedTuple):
    """The score that counts of one rater and survey, with the items answered beside it; `items`: the district's own."""

    rated_ms: int
    score: int
    unit: str
    late: int
    courtesy: int | None
    communication: int | None
    responsiveness: int | None
    environment: int | None
    trust: int | None
    answered: int | None
    items: tuple[tuple[str, int], ...]

    def item(self, code: str) -> int | None:
        """The score of an item of the district's own; None if it was not answered."""
        return next((score for item, score in self.items if item == code), None)


class Verdict(NamedTuple):
    """A promise's clock: `unit` owned the conversation when it started."""

    clock: str
    unit: str
    due_ms: int | None
    breach_ms: int | None
    ended_ms: int | None
    outcome: str
    opened_by_event: str


class Resolve(NamedTuple):
    """A resolve, the end of the seventh school day after it, and when it was opened again."""

    resolved_ms: int
    watched_ms: int | None
    reopened_ms: int | None


class Fact(NamedTuple):
    """One conversation that counts."""

    linked: int
    inquiries: int
    opened_by: str
    opened_ms: int
    contact: str
    unit: str
    first_unit: str
    topic: str
    person: str
    first_response_ms: int | None
    first_response_length_ms: int | None
    first_response_business_ms: int | None
    first_response_unit: str
    first_owned_ms: int | None
    first_resolved_ms: int | None
    first_resolution_ms: int | None
    full_resolved_ms: int | None
    full_resolution_ms: int | None
    surveys_offered: int
    waits: tuple[Wait, ...]
    ratings: tuple[Given, ...]
    verdicts: tuple[Verdict, ...]
    resolves: tuple[Resolve, ...]


def _picked(*names: str) -> Callable[[Row], tuple[Any, ...]]:
    return itemgetter(*map(NAMES.index, names))


_OWN = _picked(
    *("linked", "inquiries", "opened_by", "opened_at", "contact", "unit", "first_unit", "topic", "person"),
    *("first_response_at", "first_response_ms", "first_response_business_ms", "first_response_unit"),
    *("first_owned_at", "first_resolved_at", "first_resolution_ms", "full_resolved_at", "full_resolution_ms"),
    "surveys_offered",
)
_RETRACTED = NAMES.index("retracted")
_WAITS = _picked(
    *("waits.opened_at", "waits.ended_at", "waits.outcome", "waits.unit", "waits.school_day_at", "waits.live"),
    "waits.opened_by_event",
)
_SEGMENTS = _picked("segments.wait", "segments.unit", "segments.started_at", "segments.ended_at")
_RATINGS = _picked(
    *("ratings.rated_at", "ratings.score", "ratings.unit", "ratings.late"),
    *("ratings.courtesy", "ratings.communication", "ratings.responsiveness", "ratings.environment"),
    *("ratings.trust", "ratings.answered"),
)
_ITEMS = _picked("items.rating", "items.item", "items.score")
_VERDICTS = _picked(
    *("verdicts.clock", "verdicts.unit", "verdicts.due_at", "verdicts.breach_at", "verdicts.ended_at"),
    *("verdicts.outcome", "verdicts.opened_by_event"),
)
_RESOLUTIONS = _picked("resolutions.resolved_at", "resolutions.watched_until", "resolutions.reopened_at")


def read_facts(rows: Iterable[Row]) -> Iterator[Fact]:
    """The rows that count: those not retracted. One that holds nothing but ratings has `linked` 0."""
    for row in rows:
        if not row[_RETRACTED]:
            yield _fact(row)


def _fact(row: Row) -> Fact:
    pieces = list(zip(*_SEGMENTS(row), strict=True))
    waits = tuple(
        Wait(*(*wait, tuple(Held(*piece[1:]) for piece in pieces if piece[0] == number)))
        for number, wait in enumerate(zip(*_WAITS(row), strict=True))
    )
    items = list(zip(*_ITEMS(row), strict=True))
    ratings = tuple(
        Given(*(*given, tuple(item[1:] for item in items if item[0] == number)))
        for number, given in enumerate(zip(*_RATINGS(row), strict=True))
    )
    groups = (
        waits,
        ratings,
        tuple(Verdict(*verdict) for verdict in zip(*_VERDICTS(row), strict=True)),
        tuple(Resolve(*resolve) for resolve in zip(*_RESOLUTIONS(row), strict=True)),
    )
    return Fact(*(*_OWN(row), *groups))


def row_of(shown: Mapping[str, Any]) -> Row:
    """The row that `schemas.facts.as_json` showed, as `./cx fold` prints it. Raises `KeyError` for a missing column."""
    row: list[Any] = []
    for column in CONVERSATION:
        group, _, name = column.name.partition(".")
        read = _instant if "DateTime64" in column.type else _as_it_is
        row.append(tuple(read(entry[name]) for entry in shown[group]) if name else read(shown[group]))
    return tuple(row)


def _as_it_is(value: Any) -> Any:
    return value


def _instant(value: str | None) -> int | None:
    return None if value is None else to_ms(datetime.fromisoformat(value))
