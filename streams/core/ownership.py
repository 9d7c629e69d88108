"""Who owned a conversation when, and time measured piecewise in each owner's service calendar."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from streams.core.configuration import Configuration
from streams.core.packed import Inquiry, Packed, Transfer


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


class Ownership:
    """Owners in order of time; the first one owns everything before its start as well."""

    __slots__ = ("_configuration", "_starts", "units")

    def __init__(self, events: Sequence[Packed], opening: Inquiry | None, configuration: Configuration) -> None:
        self._configuration = configuration
        changes: list[tuple[int, str]] = []
        if opening is not None:
            changes.append((opening.at_ms, configuration.route(opening)))
        changes.extend(
            (event.at_ms, configuration.known_unit(event.unit))
            for event in events
            if type(event) is Transfer and event.unit is not None
        )
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

    def departments(self) -> list[str]:
        """The owners' departments in order, repetitions in a row left out."""
        found: list[str] = []
        for unit in self.units:
            department = self._configuration.department(unit)
            if not found or found[-1] != department:
                found.append(department)
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

    def deadlines(self, start_ms: int, early_ms: int, target_ms: int) -> tuple[int | None, int | None, int | None]:
        """When the early part and the whole of a target are due, and the last instant that still meets it."""
        if len(self.units) == 1:
            return self._configuration.clock(self.units[0]).deadlines(start_ms, early_ms, target_ms)
        return self.due(start_ms, early_ms), self.due(start_ms, target_ms), self.breach(start_ms, target_ms)

    def due(self, start_ms: int, target_ms: int) -> int | None:
        """The first instant at which the owners' open time since the start reaches the target."""
        left = target_ms
        for unit, begin, until in self._pieces(start_ms):
            clock = self._configuration.clock(unit)
            found = clock.due(begin, left)
            if until is None or (found is not None and found <= until):
                return found
            left -= clock.elapsed(begin, until)
        return None

    def breach(self, start_ms: int, target_ms: int) -> int | None:
        """The last instant at which the owners' open time since the start does not exceed the target."""
        left = target_ms
        for unit, begin, until in self._pieces(start_ms):
            clock = self._configuration.clock(unit)
            found = clock.breach(begin, left)
            if until is None or (found is not None and found < until):
                return found
            left -= clock.elapsed(begin, until)
        return None
