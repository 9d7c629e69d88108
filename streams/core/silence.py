"""Silent feeds of one district: sources that stopped, told from a quiet day by their heartbeats and by what is usual.

A sign of life is an event of the source, or a heartbeat that says it is healthy, when the intake received it. A source
that sends heartbeats is silent once two and a half of their usual distances have passed without a sign, or one and a
quarter while nothing at all was next to impossible by what is usual. One that sends none is silent once nothing at all
was next to impossible. Which feeds are silent is a function of the signs known and of an instant.
"""

from functools import partial
from typing import NamedTuple

import numpy as np

from schemas.incidents import SIGNS
from schemas.watches import Silences
from streams.core.baseline import Baseline
from streams.core.day_types import DayTypes, Ints, day_of
from streams.core.surge import HORIZON_S, LOOKBACK_S, Found

SLOT_S = 300
# An hour's signs of a source of which no comparable day is known: nothing that could be missed.
USUAL = 0.5
CHANCE = 1e-5
OVERDUE, SUSPICIOUS = 2.5, 1.25
SHORTEST = 2
FEWEST_BEATS = 3
REGULAR = 0.75
_SLOTS = HORIZON_S // SLOT_S


class _Signs:
    """The slots of five minutes with a sign of one source, of the last 35 days: bit n is slot `first` + n."""

    __slots__ = ("_bits", "_first")

    def __init__(self) -> None:
        self._bits = 0
        self._first = 0

    def add(self, slot: int) -> bool:
        """Note a sign; whether it was none known. One from before the horizon is left out."""
        if not self._bits:
            self._first = slot
        elif slot < self._first:
            if slot <= self._first + self._bits.bit_length() - _SLOTS:
                return False
            self._bits <<= self._first - slot
            self._first = slot
        bit = 1 << slot - self._first
        if self._bits & bit:
            return False
        self._bits |= bit
        if (old := self._bits.bit_length() - _SLOTS) > 0:
            self._bits >>= old
            self._first += old
        return True

    def slots(self) -> Ints:
        """All of them, in ascending order."""
        raw = self._bits.to_bytes(self._bits.bit_length() // 8 + 1, "little")
        bits = np.unpackbits(np.frombuffer(raw, dtype=np.uint8), bitorder="little")
        return np.flatnonzero(bits) + self._first


class Feeds:
    """The signs of life of one district's sources. Bounded: some kilobytes for each source."""

    __slots__ = ("_beats", "_newest", "_signs")

    def __init__(self) -> None:
        self._signs: dict[str, _Signs] = {}
        self._beats: dict[str, _Signs] = {}
        self._newest: dict[str, int] = {}

    def sign(self, source: str, received_ms: int, is_heartbeat: bool = False) -> None:
        """A source showed that it is alive. The same again changes nothing, and no order does."""
        slot = received_ms // 1000 // SLOT_S
        if is_heartbeat:
            self._beats.setdefault(source, _Signs()).add(slot)
        if self._newest.get(source) != slot:
            self._newest[source] = slot
            self._signs.setdefault(source, _Signs()).add(slot)

    def silent(self, types: DayTypes, rule: Silences, now_ms: int) -> list[Found]:
        """Every silence of the last three days, as it is known at an instant, by source and in order of time."""
        now = now_ms // 1000 // SLOT_S
        slots = {source: signs.slots() for source, signs in sorted(self._signs.items()) if source not in rule.without}
        begins = [int(known[0]) for known in slots.values() if len(known)]
        if not begins:
            return []
        first_day = day_of(int(types.local(np.array([min(begins) * SLOT_S]))[0]))
        made = partial(Baseline, types, usual=USUAL, first_day=first_day)
        found: list[Found] = []
        for source, known in slots.items():
            beats = self._beats[source].slots() if source in self._beats else known[:0]
            cadence = _cadence(beats[beats <= now])
            gaps = _gaps(known, now, max(_least(rule), SUSPICIOUS * (cadence or 0)))
            if gaps:
                watch = _Watch(source, types.configuration.units()[0], rule, cadence, made(known * SLOT_S))
                found.extend(one for gap in gaps if (one := watch.found(gap)) is not None)
        return found


class _Gap(NamedTuple):
    """Slots of the sign before, and of the next one or of the present."""

    last: int
    until: int
    is_over: bool


def _gaps(known: Ints, now: int, least: float) -> list[_Gap]:
    """The gaps of the last three days that last so many slots."""
    known = known[known <= now]
    if not len(known):
        return []
    ends = np.append(known[1:], now)
    places = np.flatnonzero((ends - known >= least) & (ends > now - LOOKBACK_S // SLOT_S)).tolist()
    return [_Gap(int(known[place]), int(ends[place]), place < len(known) - 1) for place in places]


def _least(rule: Silences) -> int:
    """The shortest silence in slots."""
    return max(SHORTEST, rule.least_s // SLOT_S)


def _cadence(beats: Ints) -> float | None:
    """The usual distance of heartbeats in slots; None without regular ones."""
    if len(beats) < FEWEST_BEATS:
        return None
    distances = np.diff(beats)
    usual = float(np.median(distances))
    return usual if np.mean(distances <= 2 * usual) >= REGULAR else None


class _Watch(NamedTuple):
    """What is usual of a source; `cadence`: the distance of its heartbeats in slots, if they are regular."""

    source: str
    unit: str
    rule: Silences
    cadence: float | None
    baseline: Baseline

    def found(self, gap: _Gap) -> Found | None:
        """The silence that a gap is, if it is one; it opens at the first slot at which that is known."""
        first = gap.last + _least(self.rule)
        slots = np.arange(first, min(gap.until, gap.last + _SLOTS) + 1, dtype=np.int64)
        expected = self.baseline.expected(slots * SLOT_S, (slots - gap.last - 1) * SLOT_S)
        is_silent = expected.none() <= CHANCE
        if self.cadence is not None:
            is_silent &= slots >= gap.last + SUSPICIOUS * self.cadence
            is_silent |= slots >= gap.last + OVERDUE * self.cadence
        if not is_silent.any():
            return None
        place = int(np.argmax(is_silent))
        times = gap.last * SLOT_S, int(slots[place]) * SLOT_S, gap.until * SLOT_S if gap.is_over else None
        return Found(SIGNS, self.source, self.unit, 0, *times, float(expected.mean[place]), 0, ())
