"""What a row of facts contributes to the rolling windows, packed into whole numbers.

A contribution is a key (kind, channel, stakeholder; topic and unit by their numbers in the district), an instant, and
two values:

    INQUIRY    when it opened           –                                       –
    WAIT       when it opened           its end; `NEVER_MS`: still open         business ms of a reply time; −1: is none
    RESPONSE   first response           calendar ms                             business ms
    RATING     when it was given        scores, 4 bits each: it, its pillars    –
    PROMISE    when it is due           last instant to meet it, or `NEVER_MS`  `PENDING`, `MET` or `MISSED`
    WITHIN     end of its school day    1: answered by then                     –
    HANDOFF    when it was handed over  1: back to where it was before          –
"""

from array import array
from collections.abc import Callable, Iterable, Iterator
from operator import itemgetter
from typing import Any, get_args

import numpy as np

from schemas.facts import NAMES, Row
from schemas.rolling import PILLARS
from schemas.vocabulary import Channel, Stakeholder
from streams.core.windows import NEVER_MS, Ints

WIDTH = 4
KINDS = 7
INQUIRY, WAIT, RESPONSE, RATING, PROMISE, WITHIN, HANDOFF = range(KINDS)
PENDING, MET, MISSED = range(3)
CHANNELS: tuple[str, ...] = ("", *get_args(Channel))
STAKEHOLDERS: tuple[str, ...] = ("", *get_args(Stakeholder))
SCORE_BITS = 4

_OUTCOMES = {"open": PENDING, "met": MET, "missed": MISSED}
_CHANNEL = {channel: number for number, channel in enumerate(CHANNELS)}
_STAKEHOLDER = {stakeholder: number for number, stakeholder in enumerate(STAKEHOLDERS)}
_CHANNEL_SHIFT, _STAKEHOLDER_SHIFT, _TOPIC_SHIFT, _UNIT_SHIFT = 3, 6, 9, 32
Contribution = tuple[int, str, int, int, int]


def kind_of(key: Ints) -> Ints:
    """Kinds of contributions."""
    return key & 7


def channel_of(key: Ints) -> Ints:
    """Places in `CHANNELS`."""
    return key >> _CHANNEL_SHIFT & 7


def stakeholder_of(key: Ints) -> Ints:
    """Places in `STAKEHOLDERS`."""
    return key >> _STAKEHOLDER_SHIFT & 7


def topic_of(key: Ints) -> Ints:
    """Numbers of topics in their district."""
    return key >> _TOPIC_SHIFT & (1 << _UNIT_SHIFT - _TOPIC_SHIFT) - 1


def unit_of(key: Ints) -> Ints:
    """Numbers of units in their district."""
    return key >> _UNIT_SHIFT


def _picked(*names: str) -> Callable[[Row], tuple[Any, ...]]:
    return itemgetter(*map(NAMES.index, names))


def _group(name: str, *columns: str) -> Callable[[Row], tuple[Any, ...]]:
    return _picked(*(f"{name}.{column}" for column in columns))


_NATURE = _picked("retracted", "linked", "channel", "stakeholder", "topic")
_OPENING = _picked(
    *("inquiries", "unit", "opened_at", "opened_by", "contact"),
    *(f"first_response_{name}" for name in ("unit", "at", "ms", "business_ms")),
)
_RATED, _HANDED_OVER = NAMES.index("ratings.unit"), NAMES.index("transfers.unit")
_WAITS = _group("waits", "unit", "opened_at", "ended_at", "outcome", "live", "business_ms", "school_day_at")
_RATINGS = _group("ratings", "unit", "rated_at", "late", "score", *PILLARS)
_VERDICTS = _group("verdicts", "unit", "due_at", "breach_at", "outcome")
_TRANSFERS = _group("transfers", "unit", "at", "bounce")


class Numbers:
    """The numbers that units and topics have in a district; a new one gets the next."""

    __slots__ = ("topics", "units")

    def __init__(self) -> None:
        self.units: dict[str, int] = {}
        self.topics: dict[str, int] = {}


def contributions(row: Row, numbers: Numbers) -> bytes:
    """What a row contributes, as 64-bit integers; nothing if it is retracted or holds nothing but ratings."""
    retracted, linked, channel, stakeholder, topic = _NATURE(row)
    if retracted or not linked:
        return b""
    units, topics = numbers.units, numbers.topics
    common = (
        topics.setdefault(topic, len(topics)) << _TOPIC_SHIFT
        | _STAKEHOLDER.get(stakeholder, 0) << _STAKEHOLDER_SHIFT
        | _CHANNEL.get(channel, 0) << _CHANNEL_SHIFT
    )
    record: list[int] = []
    for kind, unit, at_ms, first, second in _contributed(row):
        key = units.setdefault(unit, len(units)) << _UNIT_SHIFT | common | kind
        record += (key, at_ms, first, second)
    return array("q", record).tobytes()


def unpacked(records: Iterable[bytes]) -> Ints:
    """Contributions, one a row of `WIDTH` numbers."""
    return np.frombuffer(b"".join(records), dtype=np.int64).reshape(-1, WIDTH)


def _contributed(row: Row) -> list[Contribution]:
    found: list[Contribution] = []
    inquiries, owner, opened_ms, opened_by, contact, unit, answered_ms, calendar_ms, business_ms = _OPENING(row)
    if inquiries:
        found.append((INQUIRY, owner, opened_ms, 0, 0))
    if answered_ms is not None and opened_by == "customer" and contact != "answered_live":
        found.append((RESPONSE, unit, answered_ms, calendar_ms, business_ms))
    for unit, opened_ms, ended_ms, outcome, live, business_ms, until_ms in zip(*_WAITS(row), strict=True):
        is_reply = outcome == "answered" and not live
        if ended_ms is not None:
            found.append((WAIT, unit, opened_ms, ended_ms, business_ms if is_reply else -1))
        elif outcome == "open":
            found.append((WAIT, unit, opened_ms, NEVER_MS, -1))
        if until_ms is not None and not live and not (outcome == "withdrawn" and ended_ms <= until_ms):
            found.append((WITHIN, unit, until_ms, int(is_reply and ended_ms <= until_ms), 0))
    for unit, due_ms, breach_ms, outcome in zip(*_VERDICTS(row), strict=True):
        if due_ms is not None and outcome in _OUTCOMES:
            last_ms = NEVER_MS if breach_ms is None else breach_ms
            found.append((PROMISE, unit, due_ms, last_ms, _OUTCOMES[outcome]))
    if row[_RATED]:
        found.extend(_ratings(row))
    if row[_HANDED_OVER]:
        found.extend((HANDOFF, unit, at_ms, bounce, 0) for unit, at_ms, bounce in zip(*_TRANSFERS(row), strict=True))
    return found


def _ratings(row: Row) -> Iterator[Contribution]:
    for unit, rated_ms, late, *scores in zip(*_RATINGS(row), strict=True):
        if not late:
            packed = sum((score or 0) << SCORE_BITS * place for place, score in enumerate(scores))
            yield RATING, unit, rated_ms, packed, 0
