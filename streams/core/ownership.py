"""Who owned a conversation when, and time measured piecewise in each owner's service calendar."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from schemas.calendar import always_open
from schemas.vocabulary import UNROUTED
from streams.core.business_time import BusinessClock, clock_of
from streams.core.configuration import Configuration
from streams.core.packed import Inquiry, Packed, Reply, Transfer
from streams.core.story import is_staff_reply

Pauses = Sequence[tuple[int, int | None]]
Deadlines = tuple[int | None, int | None, int | None]
_ALWAYS = clock_of(always_open().key())


class Stretch(NamedTuple):
    """A part of a promise's time by one clock; `until_ms` is None in the last, unless a pause without end follows."""

    clock: BusinessClock
    begin_ms: int
    until_ms: int | None


class Segment(NamedTuple):
    """A part of an interval that one unit owned; `ended_ms` is None in an open interval's last one."""

    unit: str
    started_ms: int
    ended_ms: int | None
    business_ms: int | None

    @property
    def length_ms(self) -> int | None:
        """Calendar length, None while open."""
        return None if self.ended_ms is None else self.ended_ms - self.started_ms


def opening_owner(events: Sequence[Packed], opening: Inquiry, configuration: Configuration) -> str | None:
    """The unit that the opening goes to; None where a unit had the conversation before. `events` are in order.

    Where the opening names no unit and no route fits, it goes back to the unit that wrote first, if that is known.
    """
    unit = configuration.route(opening)
    if events[0] is opening:
        return unit
    wrote: Reply | None = None
    for event in events:
        if event.at_ms >= opening.at_ms:
            break
        if type(event) is Transfer and configuration.known_unit(event.unit) != UNROUTED:
            return None
        if wrote is None and isinstance(event, Reply) and is_staff_reply(event):
            wrote = event
    if unit == UNROUTED and opening.unit is None and wrote is not None:
        return configuration.known_unit(wrote.unit)
    return unit


class Ownership:
    """Owners in order of time; the first one owns everything before its start as well."""

    __slots__ = ("_configuration", "_starts", "units")

    def __init__(self, events: Sequence[Packed], opening: Inquiry | None, configuration: Configuration) -> None:
        self._configuration = configuration
        changes = [
            (event.at_ms, configuration.known_unit(event.unit))
            for event in events
            if type(event) is Transfer and event.unit is not None
        ]
        if opening is not None:
            unit = opening_owner(events, opening, configuration)
            if unit is not None:
                changes.insert(0, (opening.at_ms, unit))
        if len(changes) > 1:
            changes.sort(key=lambda change: change[0])
        self._starts: list[int] = []
        self.units: list[str] = []
        for start, unit in changes or [(0, configuration.known_unit(None))]:
            if not self.units or self.units[-1] != unit:
                self._starts.append(start)
                self.units.append(unit)

    def owner(self, at_ms: int) -> str:
        """The unit that owns the conversation at an instant."""
        return self.units[max(0, bisect_right(self._starts, at_ms) - 1)]

    def after_school_days(self, at_ms: int, days: int) -> int | None:
        """The end of the so-manyth school day after an instant, in the calendar of who owned it then."""
        return self._configuration.clock(self.owner(at_ms)).after_school_days(at_ms, days)

    def departments(self) -> list[tuple[int, str, str]]:
        """The owners' departments in order: start, unit that had it first, department; repetitions left out."""
        found: list[tuple[int, str, str]] = []
        for start, unit in zip(self._starts, self.units, strict=True):
            department = self._configuration.department(unit)
            if found and found[0][2] == UNROUTED:
                # Nobody's before its first assignment: that is no hand-off.
                found.pop()
            if not found or found[-1][2] != department:
                found.append((start, unit, department))
        return found

    def _pieces(self, start_ms: int) -> Iterator[tuple[str, int, int | None]]:
        index = max(0, bisect_right(self._starts, start_ms) - 1)
        begin = start_ms
        while index + 1 < len(self.units):
            yield self.units[index], begin, self._starts[index + 1]
            index += 1
            begin = self._starts[index]
        yield self.units[index], begin, None

    def segments(self, start_ms: int, end_ms: int | None) -> list[Segment]:
        """The interval cut by owner; lengths sum exactly to the interval, which is never left without a segment."""
        if end_ms == start_ms:
            return [Segment(self.owner(start_ms), start_ms, end_ms, 0)]
        if len(self.units) == 1:
            business = None if end_ms is None else self._configuration.clock(self.units[0]).elapsed(start_ms, end_ms)
            return [Segment(self.units[0], start_ms, end_ms, business)]
        cut: list[Segment] = []
        for unit, begin, until in self._pieces(start_ms):
            if end_ms is not None and begin >= end_ms:
                break
            end = until if end_ms is None else min(end_ms, until if until is not None else end_ms)
            length = None if end is None else self._configuration.clock(unit).elapsed(begin, end)
            cut.append(Segment(unit, begin, end, length))
        return cut

    def business_ms(self, start_ms: int, end_ms: int) -> int:
        """Open milliseconds of an interval, each in the calendar of the unit that owned it."""
        if len(self.units) == 1:
            return self._configuration.clock(self.units[0]).elapsed(start_ms, end_ms)
        return sum(segment.business_ms or 0 for segment in self.segments(start_ms, end_ms))

    def stretches(self, start_ms: int, pauses: Pauses, round_the_clock: bool) -> Iterator[Stretch]:
        """From an instant on, the time that counts: each owner's clock, without the pauses."""
        for unit, begin, until in self._pieces(start_ms):
            clock = _ALWAYS if round_the_clock else self._configuration.clock(unit)
            at_ms: int | None = begin
            for paused_ms, resumed_ms in pauses:
                if at_ms is None or (until is not None and paused_ms >= until):
                    break
                if resumed_ms is not None and resumed_ms <= at_ms:
                    continue
                if paused_ms > at_ms:
                    yield Stretch(clock, at_ms, paused_ms)
                at_ms = resumed_ms
            if at_ms is None:
                return
            if until is None or at_ms < until:
                yield Stretch(clock, at_ms, until)

    def deadlines(self, start_ms: int, early_ms: int, target_ms: int) -> Deadlines:
        """When the early part and the whole of a target are due, and the last instant that still meets it."""
        if len(self.units) == 1:
            return self._configuration.clock(self.units[0]).deadlines(start_ms, early_ms, target_ms)
        return deadlines(list(self.stretches(start_ms, (), False)), early_ms, target_ms)

    def due(self, start_ms: int, target_ms: int) -> int | None:
        """The first instant at which the owners' open time since the start reaches the target."""
        if len(self.units) == 1:
            return self._configuration.clock(self.units[0]).due(start_ms, target_ms)
        return _due(self.stretches(start_ms, (), False), target_ms)


def deadlines(stretches: Sequence[Stretch], early_ms: int, target_ms: int) -> Deadlines:
    """`Ownership.deadlines` over the time that counts; None for what is never reached, as in a pause without end."""
    return _due(stretches, early_ms), _due(stretches, target_ms), _breach(stretches, target_ms)


def _due(stretches: Iterable[Stretch], left_ms: int) -> int | None:
    for clock, begin, until in stretches:
        found = clock.due(begin, left_ms)
        if until is None or (found is not None and found <= until):
            return found
        left_ms -= clock.elapsed(begin, until)
    return None


def _breach(stretches: Iterable[Stretch], left_ms: int) -> int | None:
    for clock, begin, until in stretches:
        found = clock.breach(begin, left_ms)
        if until is None or (found is not None and found < until):
            return found
        left_ms -= clock.elapsed(begin, until)
    return None
