"""What a district's configuration means to the core: the unit tree, each unit's clock, promises and routes in force.

Units and calendars act retroactively: the newest revision counts for all time. Promises and routing act from their
event time on.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from schemas.calendar import always_open
from schemas.district import District, Promise, Route
from schemas.vocabulary import UNROUTED
from streams.core.business_time import BusinessClock, clock_of
from streams.core.packed import Inquiry


class ConfigurationEvent(NamedTuple):
    """One `district_configured` event; the order of the tuples is the order of precedence."""

    revision: int
    at_ms: int
    event_id: str
    district: District


class Policy(NamedTuple):
    """A promise as a revision of the configuration has it from an instant on; None: nothing is promised."""

    from_ms: int
    revision: int
    promise: Promise | None


class _Place(NamedTuple):
    """Where a unit stands: its clock, its school or department, and all units from itself up to the district."""

    clock: BusinessClock
    department: str
    path: tuple[str, ...]


class Configuration:
    """All configuration events of one district known so far; immutable, made anew when one is added.

    `lost`: how many other contents of these events' ids there were; they count as known and say nothing.
    """

    __slots__ = ("_history", "_instants", "_places", "_unrouted", "count", "newest", "promised")

    def __init__(self, district: str, events: Iterable[ConfigurationEvent] = (), lost: int = 0) -> None:
        known = sorted(events, key=lambda event: event[:3])
        self.count = len(known) + lost
        self._history = self._in_force(known)
        self._instants = [event.at_ms for event in self._history]
        self.newest = known[-1].district if known else None
        self.promised = frozenset(promise.clock for event in self._history for promise in event.district.promises)
        newest = self.newest or District(district=district)
        calendar = newest.calendars[newest.calendar] if newest.calendar else always_open()
        root = _Place(clock_of(calendar.key()), district, (district,))
        self._places: dict[str, _Place] = {district: root}
        self._unrouted = _Place(root.clock, UNROUTED, (UNROUTED, district))
        for unit, parent in newest.walk():
            above = self._places[parent]
            clock = clock_of(newest.calendars[unit.calendar].key()) if unit.calendar else above.clock
            department = above.department if unit.level == "team" and above is not root else unit.unit
            self._places[unit.unit] = _Place(clock, department, (unit.unit, *above.path))

    @staticmethod
    def _in_force(known: list[ConfigurationEvent]) -> list[ConfigurationEvent]:
        """Those that ever set promises and routing, by event time: a lower revision never replaces a higher one."""
        kept: list[ConfigurationEvent] = []
        for event in sorted(known, key=lambda event: (event.at_ms, event.revision, event.event_id)):
            if not kept or event[:3] > kept[-1][:3]:
                if kept and kept[-1].at_ms == event.at_ms:
                    kept.pop()
                kept.append(event)
        return kept

    def _at(self, at_ms: int) -> District | None:
        index = bisect_right(self._instants, at_ms) - 1
        if index >= 0:
            return self._history[index].district
        # Before the first configuration the first one holds: history may be imported before it is configured.
        return self._history[0].district if self._history else None

    def units(self) -> tuple[str, ...]:
        """Every unit, each after the unit above it: the district's own code first, `unrouted` last."""
        return (*self._places, UNROUTED)

    def known_unit(self, code: str | None) -> str:
        """The unit's code, or `unrouted` if the configuration does not name it."""
        return code if code is not None and code in self._places else UNROUTED

    def clock(self, unit: str) -> BusinessClock:
        """Service clock of a unit; of an unknown one, the district's."""
        return self._places.get(unit, self._unrouted).clock

    def department(self, unit: str) -> str:
        """School or department of a unit: itself, or the nearest above a team."""
        return self._places.get(unit, self._unrouted).department

    def path(self, unit: str) -> tuple[str, ...]:
        """The unit and all units above it, the district last."""
        return self._places.get(unit, self._unrouted).path

    def route(self, inquiry: Inquiry) -> str:
        """The unit an inquiry goes to: the one it names, else the first route that fits, else `unrouted`."""
        if inquiry.unit is not None:
            return self.known_unit(inquiry.unit)
        district = self._at(inquiry.at_ms)
        for route in district.routing if district else ():
            if _fits(route, inquiry):
                return self.known_unit(route.unit)
        return UNROUTED

    def policies(self, clock: str, unit: str, inquiry: Inquiry, since_ms: int) -> Iterator[Policy]:
        """What was promised of a clock that started at an instant: the promise in force then, and each later edit.

        A promise is the first of its document whose conditions all hold. Before the first configuration that one holds.
        """
        first = max(0, bisect_right(self._instants, since_ms) - 1)
        for event in self._history[first:]:
            yield Policy(event.at_ms, event.revision, self._promise(event.district, clock, unit, inquiry))

    def _promise(self, district: District, clock: str, unit: str, inquiry: Inquiry) -> Promise | None:
        for promise in district.promises:
            if promise.clock == clock and self._covers(promise, unit, inquiry):
                return promise
        return None

    def _covers(self, promise: Promise, unit: str, inquiry: Inquiry) -> bool:
        return (
            (not promise.units or not set(promise.units).isdisjoint(self.path(unit)))
            and (not promise.topics or inquiry.topic in promise.topics)
            and (not promise.channels or inquiry.channel in promise.channels)
            and (not promise.priorities or inquiry.priority in promise.priorities)
        )


def _fits(route: Route, inquiry: Inquiry) -> bool:
    return (
        (not route.topics or inquiry.topic in route.topics)
        and (not route.channels or inquiry.channel in route.channels)
        and (not route.touch_points or inquiry.touch_point in route.touch_points)
        and (not route.stakeholders or inquiry.stakeholder in route.stakeholders)
    )
