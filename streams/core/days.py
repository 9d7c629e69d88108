"""The cells of local days (`schemas.daily`) as the facts have them, made with numpy beside those that were stored.

A bucket of a histogram and a score are measures of their own here. What is added is summed up under one whole number,
which says unit, channel, day and measure in this order, so that no more is held than the cells are going to be.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

import numpy as np

from schemas.daily import CELL
from schemas.facts import Row
from schemas.rolling import PILLARS, SCORES
from streams.core.configuration import Configuration
from streams.core.contributions import (
    CHANNELS,
    HANDOFF,
    INQUIRY,
    KINDS,
    MET,
    MISSED,
    PENDING,
    PROMISE,
    RATING,
    RESPONSE,
    SCORE_BITS,
    WAIT,
    WITHIN,
    Numbers,
    channel_of,
    contributions,
    kind_of,
    unit_of,
    unpacked,
)
from streams.core.day_types import local_seconds
from streams.core.histogram import BUCKETS, STARTS
from streams.core.windows import NEVER_MS, Ints

ROWS_AT_ONCE = 1 << 14

_PROMISES = {PENDING: "promises_open", MET: "promises_met", MISSED: "promises_missed"}
_HISTOGRAMS = ("first_response", "first_response_business", "reply", "reply_business")
_SCORED = ("ratings", *PILLARS)
_WIDTHS = {
    **dict.fromkeys(("inquiries", "waits_opened", "waits_ended", "decided", "within", "handoffs", "bounces"), 1),
    **dict.fromkeys(_PROMISES.values(), 1),
    **dict.fromkeys((f"{name}_sum_ms" for name in _HISTOGRAMS), 1),
    **dict.fromkeys(_SCORED, SCORES),
    **dict.fromkeys(_HISTOGRAMS, BUCKETS),
}
_PLACE = dict(zip(_WIDTHS, accumulate(_WIDTHS.values(), initial=0), strict=False))
_FEW = _PLACE[_HISTOGRAMS[0]]
_MEASURES = sum(_WIDTHS.values())
_PROMISED: Ints = np.array([_PLACE[_PROMISES[outcome]] for outcome in sorted(_PROMISES)], dtype=np.int64)
_EDGES: Ints = np.array(STARTS[1:], dtype=np.int64)
_SECOND_MS, _DAY_S = 1000, 86_400
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_DAYS = date.max.toordinal() + 1


class _Told(NamedTuple):
    """Some contributions: their keys, instants, and what each says: measures (one each, or one for all) and amounts."""

    key: Ints
    at_ms: Ints
    said: list[tuple[Ints | int, Ints | int]]


class _Sums(NamedTuple):
    """Amounts that are not zero by the numbers they stand under, which ascend."""

    number: Ints
    amount: Ints


class DayCells:
    """The cells of a district by the configuration given, the newest; made of all its facts."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._numbers = Numbers()
        self._records: list[bytes] = []
        self._sums = _Sums(*np.zeros((2, 0), dtype=np.int64))

    def add(self, rows: Iterable[Row]) -> None:
        """Count what rows of `schemas.facts.CONVERSATION` contribute, in any order; each conversation only once."""
        for row in rows:
            self._records.append(contributions(row, self._numbers))
            if len(self._records) >= ROWS_AT_ONCE:
                self._sum_up()

    def copy(self) -> "DayCells":
        """The same, to count more without changing this one."""
        self._sum_up()
        other = DayCells(self._configuration)
        other._sums = _Sums(*(column.copy() for column in self._sums))
        other._numbers.units.update(self._numbers.units)
        return other

    def cells(self) -> Iterator[Row]:
        """Rows in the order of `CELL`, by unit, channel and day; only cells in which something is not zero."""
        self._sum_up()
        sums = self._sums
        for unit, number in sorted(self._numbers.units.items()):
            for channel in sorted(CHANNELS):
                place = number * len(CHANNELS) + CHANNELS.index(channel)
                edges = np.array([place, place + 1], dtype=np.int64) * (_DAYS * _MEASURES)
                first, last = np.searchsorted(sums.number, edges).tolist()
                if first < last:
                    columns = _columns(_Sums(sums.number[first:last] - edges[0], sums.amount[first:last]))
                    same = {"district": self._configuration.units()[0], "unit": unit, "channel": channel}
                    columns |= {name: [value] * len(columns["day"]) for name, value in same.items()}
                    yield from zip(*(columns[column.name] for column in CELL), strict=True)

    def _sum_up(self) -> None:
        """Put what waits into the sums."""
        records = unpacked(self._records)
        self._records.clear()
        parts = []
        for key, at_ms, said in _told(records):
            cell = self._cells(key, at_ms) * _MEASURES
            for measure, amount in said:
                amounts = np.broadcast_to(np.asarray(amount, dtype=np.int64), cell.shape)
                some = np.flatnonzero(amounts)
                parts.append(_Sums((cell + measure)[some], amounts[some]))
        self._sums = _merged(self._sums, _summed(parts))

    def _cells(self, key: Ints, at_ms: Ints) -> Ints:
        """The numbers of the cells that instants lie in, each by the calendar of its own unit."""
        unit = unit_of(key)
        zones = [self._configuration.clock(each).time_zone for each in self._numbers.units]
        known = {str(zone): zone for zone in zones}
        number = {name: place for place, name in enumerate(known)}
        zone_of_unit = np.array([number[str(zone)] for zone in zones], dtype=np.int64)
        day = np.zeros_like(at_ms)
        for name, zone in known.items():
            own = np.flatnonzero(zone_of_unit[unit] == number[name])
            day[own] = local_seconds(zone, at_ms[own] // _SECOND_MS) // _DAY_S + _EPOCH_ORDINAL
        return (unit * len(CHANNELS) + channel_of(key)) * _DAYS + day


def _told(records: Ints) -> Iterator[_Told]:
    """What contributions say, kind by kind."""
    kind = kind_of(records[:, 0])
    key, at_ms, first, second = zip(
        *(np.ascontiguousarray(records[kind == each].T) for each in range(KINDS)), strict=True
    )
    yield _Told(key[INQUIRY], at_ms[INQUIRY], [(_PLACE["inquiries"], 1)])
    lengths = _length("first_response", first[RESPONSE]) + _length("first_response_business", second[RESPONSE])
    yield _Told(key[RESPONSE], at_ms[RESPONSE], lengths)
    yield _Told(key[WAIT], at_ms[WAIT], [(_PLACE["waits_opened"], 1)])
    ended = np.flatnonzero(first[WAIT] < NEVER_MS)
    yield _Told(key[WAIT][ended], first[WAIT][ended], [(_PLACE["waits_ended"], 1)])
    replied = np.flatnonzero(second[WAIT] >= 0)
    lengths = _length("reply", (first[WAIT] - at_ms[WAIT])[replied]) + _length("reply_business", second[WAIT][replied])
    yield _Told(key[WAIT][replied], first[WAIT][replied], lengths)
    yield _Told(key[WITHIN], at_ms[WITHIN], [(_PLACE["decided"], 1), (_PLACE["within"], first[WITHIN])])
    yield _Told(key[RATING], at_ms[RATING], list(_scores(first[RATING])))
    yield _Told(key[PROMISE], at_ms[PROMISE], [(_PROMISED[second[PROMISE]], 1)])
    yield _Told(key[HANDOFF], at_ms[HANDOFF], [(_PLACE["handoffs"], 1), (_PLACE["bounces"], first[HANDOFF])])


def _length(name: str, length_ms: Ints) -> list[tuple[Ints | int, Ints | int]]:
    bucket = np.searchsorted(_EDGES, length_ms, side="right")
    return [(_PLACE[f"{name}_sum_ms"], length_ms), (_PLACE[name] + bucket, 1)]


def _scores(packed: Ints) -> Iterator[tuple[Ints, Ints]]:
    for place, name in enumerate(_SCORED):
        score = packed >> SCORE_BITS * place & (1 << SCORE_BITS) - 1
        # 0: not scored. The measure it then names gets nothing.
        yield _PLACE[name] + score - 1, (score > 0).astype(np.int64)


def _summed(parts: Sequence[_Sums]) -> _Sums:
    """The sum of parts in any order."""
    number = np.concatenate([part.number for part in parts])
    order = np.argsort(number)
    number = number[order]
    first = np.flatnonzero(np.diff(number, prepend=-1))
    amount = np.concatenate([part.amount for part in parts])[order]
    return _Sums(number[first], np.add.reduceat(amount, first))


def _merged(held: _Sums, more: _Sums) -> _Sums:
    """The sum of both; little but its own room is needed for it, as what is held is large."""
    place = np.searchsorted(held.number, more.number)
    is_new = np.searchsorted(held.number, more.number, side="right") == place
    new, old = np.flatnonzero(is_new), np.flatnonzero(~is_new)
    held.amount[place[old]] += more.amount[old]
    number = np.insert(held.number, place[new], more.number[new])
    return _Sums(number, np.insert(held.amount, place[new], more.amount[new]))


def _columns(sums: _Sums) -> dict[str, list[Any]]:
    """The columns of all days of one unit and channel; the numbers say day and measure."""
    ordinal, measure = np.divmod(sums.number, _MEASURES)
    days, row = np.unique(ordinal, return_inverse=True)
    columns: dict[str, list[Any]] = {"day": list(map(date.fromordinal, days.tolist()))}
    few = np.flatnonzero(measure < _FEW)
    values = np.zeros((len(days), _FEW), dtype=np.int64)
    values[row[few], measure[few]] = sums.amount[few]
    for name, first in _PLACE.items():
        last = first + _WIDTHS[name]
        if name in _HISTOGRAMS:
            own = np.flatnonzero((measure >= first) & (measure < last))
            spans = list(pairwise(np.searchsorted(row[own], np.arange(len(days) + 1)).tolist()))
            for part, numbers in (("buckets", measure[own] - first), ("counts", sums.amount[own])):
                whole = tuple(numbers.tolist())
                columns[f"{name}_{part}"] = [whole[start:end] for start, end in spans]
            columns[f"{name}_count"] = list(map(sum, columns[f"{name}_counts"]))
        elif name in _SCORED:
            columns[name] = list(map(tuple, values[:, first:last].tolist()))
        else:
            columns[name] = values[:, first].tolist()
    return columns
