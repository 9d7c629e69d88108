"""Silent feeds of one district: sources that stopped, told from a quiet day by their heartbeats and by what is usual.

A sign of life is an event of the source, or a heartbeat that says it is healthy, when the intake received it. A source
that sends heartbeats is silent once two and a half of their usual distances have passed without a sign, or one and a
quarter while nothing at all was next to impossible by what is usual. One that sends none is silent once nothing at all
was next to impossible. One that says it is not healthy is silent after a minute of nothing else. Which feeds are silent
is a function of the signs known and of an instant.
"""

from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from schemas.incidents import SIGNS
from schemas.watches import Silences
from streams.core.baseline import Baseline
from streams.core.day_types import DayTypes, Ints, day_of
from streams.core.openings import HORIZON_S
from streams.core.surge import LOOKBACK_S, Found

MINUTE_S = 60
# An hour's minutes with a sign where no comparable day is known: nothing that could be missed.
USUAL = 0.5
CHANCE = 1e-5
OVERDUE, SUSPICIOUS = 2.5, 1.25
FEWEST_BEATS = 3
REGULAR = 0.75
UNHEALTHY_MINUTES = 2
_MINUTES = HORIZON_S // MINUTE_S


class _Minutes:
    """A set of minutes of the last 35 days: bit n is minute `first` + n."""

    __slots__ = ("_bits", "_first")

    def __init__(self) -> None:
        self._bits = 0
        self._first = 0

    def add(self, minute: int) -> None:
        """Note one; one from before the horizon is left out."""
        if not self._bits:
            self._first = minute
        elif minute < self._first:
            if minute <= self._first + self._bits.bit_length() - _MINUTES:
                return
            self._bits <<= self._first - minute
            self._first = minute
        self._bits |= 1 << minute - self._first
        if (old := self._bits.bit_length() - _MINUTES) > 0:
            self._bits >>= old
            self._first += old

    def all(self) -> Ints:
        """All of them, in ascending order."""
        raw = self._bits.to_bytes(self._bits.bit_length() // 8 + 1, "little")
        bits = np.unpackbits(np.frombuffer(raw, dtype=np.uint8), bitorder="little")
        return np.flatnonzero(bits) + self._first


class _Source:
    """What is known of one source: minutes with a sign, with a heartbeat, and with one that was not healthy."""

    __slots__ = ("beats", "newest", "signs", "unhealthy", "unhealthy_newest")

    def __init__(self) -> None:
        self.signs = _Minutes()
        self.beats = _Minutes()
        self.unhealthy = _Minutes()
        self.newest = -1
        self.unhealthy_newest = -1


class Feeds:
    """The signs of life of one district's sources. Bounded: some kilobytes for each source."""

    __slots__ = ("_sources",)

    def __init__(self) -> None:
        self._sources: dict[str, _Source] = {}

    def sign(self, source: str, received_ms: int, is_heartbeat: bool = False, is_healthy: bool = True) -> None:
        """A source was heard of. The same again changes nothing, and no order does."""
        found = self._sources.get(source)
        if found is None:
            found = self._sources[source] = _Source()
        minute = received_ms // 60_000
        if is_heartbeat:
            found.beats.add(minute)
        if not is_healthy:
            found.unhealthy.add(minute)
            found.unhealthy_newest = max(found.unhealthy_newest, minute)
        elif found.newest != minute:
            found.signs.add(minute)
            found.newest = max(found.newest, minute)

    @property
    def newest_ms(self) -> int:
        """The end of the minute of the latest sign or heartbeat ever heard; 0 without any."""
        minutes = (max(source.newest, source.unhealthy_newest) for source in self._sources.values())
        return (max(minutes, default=-1) + 1) * 60_000

    @property
    def is_uneasy(self) -> bool:
        """Whether a source said last that it is not healthy."""
        return any(source.unhealthy_newest >= source.newest for source in self._sources.values() if source.newest >= 0)

    def silent(self, types: DayTypes, rule: Silences, now_ms: int) -> list[Found]:
        """Every silence of the last three days, as it is known at an instant, by source and in order of time."""
        now = now_ms // 60_000
        left = {name: source for name, source in sorted(self._sources.items()) if name not in rule.without}
        signs = {name: minutes for name, source in left.items() if len(minutes := source.signs.all())}
        if not signs:
            return []
        first = min(int(minutes[0]) for minutes in signs.values())
        first_day = day_of(int(types.local(np.array([first * MINUTE_S]))[0]))
        made = partial(Baseline, types, usual=USUAL, first_day=first_day)
        found: list[Found] = []
        for name, minutes in signs.items():
            beats, unhealthy = (each.all() for each in (left[name].beats, left[name].unhealthy))
            watch = _Watch(name, rule, _cadence(beats[beats <= now]), unhealthy[unhealthy <= now])
            gaps = watch.gaps(minutes[minutes <= now], now)
            if gaps:
                baseline = made(minutes * MINUTE_S)
                found.extend(one for gap in gaps if (one := watch.found(gap, types, baseline)) is not None)
        return found


class _Gap(NamedTuple):
    """Minutes of the sign before, and of the next one or of the present; of the first word of being unhealthy."""

    last: int
    until: int
    is_over: bool
    unhealthy: int | None


def _cadence(beats: Ints) -> float | None:
    """The usual distance of heartbeats in minutes; None without regular ones."""
    if len(beats) < FEWEST_BEATS:
        return None
    distances = np.diff(beats)
    usual = float(np.median(distances))
    return usual if np.mean(distances <= 2 * usual) >= REGULAR else None


class _Watch(NamedTuple):
    """One source at an instant; `cadence`: the distance of its heartbeats in minutes, if they are regular."""

    source: str
    rule: Silences
    cadence: float | None
    unhealthy: Ints

    def gaps(self, known: Ints, now: int) -> list[_Gap]:
        """The gaps of the last three days that may be silences."""
        if not len(known):
            return []
        ends = np.append(known[1:], now)
        first = np.searchsorted(self.unhealthy, known)
        words = np.append(self.unhealthy, now)[first]
        is_unhealthy = (words < ends) & (ends - words >= UNHEALTHY_MINUTES)
        least = max(self._least, SUSPICIOUS * (self.cadence or 0))
        is_long = (ends - known >= least) | is_unhealthy
        places = np.flatnonzero(is_long & (ends > now - LOOKBACK_S // MINUTE_S)).tolist()
        return [
            _Gap(
                int(known[place]),
                int(ends[place]),
                place < len(known) - 1,
                int(words[place]) if is_unhealthy[place] else None,
            )
            for place in places
        ]

    @property
    def _least(self) -> int:
        return max(UNHEALTHY_MINUTES, self.rule.least_s // MINUTE_S)

    def found(self, gap: _Gap, types: DayTypes, baseline: Baseline) -> Found | None:
        """The silence that a gap is, if it is one; it opens at the first minute at which that is known."""
        minutes = np.arange(gap.last + UNHEALTHY_MINUTES, min(gap.until, gap.last + _MINUTES) + 1, dtype=np.int64)
        expected = baseline.expected(minutes * MINUTE_S, (minutes - gap.last - 1) * MINUTE_S)
        is_silent = self._overdue(minutes, gap, expected.none() <= CHANCE)
        if gap.unhealthy is not None:
            is_silent |= minutes >= gap.unhealthy + UNHEALTHY_MINUTES
        if not is_silent.any():
            return None
        place = int(np.argmax(is_silent))
        ended_s = gap.until * MINUTE_S if gap.is_over else None
        times = gap.last * MINUTE_S, int(minutes[place]) * MINUTE_S, ended_s
        unit = types.configuration.units()[0]
        return Found(SIGNS, self.source, unit, 0, *times, float(expected.mean[place]), 0, ())

    def _overdue(self, minutes: Ints, gap: _Gap, is_impossible: NDArray[np.bool]) -> NDArray[np.bool]:
        """At which minutes a sign is overdue, or missed by what is usual."""
        is_overdue = is_impossible
        if self.cadence is not None:
            is_overdue = is_impossible & (minutes >= gap.last + SUSPICIOUS * self.cadence)
            is_overdue |= minutes >= gap.last + OVERDUE * self.cadence
        return np.asarray(is_overdue & (minutes >= gap.last + self._least))
