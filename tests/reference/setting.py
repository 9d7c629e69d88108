"""What the district's configurations say: units and calendars of the newest, promises and routes of their time."""

from collections.abc import Sequence

from schemas.calendar import Calendar, always_open
from schemas.district import District, Promise, Unit
from schemas.events import DistrictConfigured, Inquiry
from schemas.vocabulary import UNROUTED, PromiseClock, to_ms
from tests.reference.hours import Hours


class Setting:
    """A district's configurations, asked one question at a time."""

    def __init__(self, district: str, configured: list[DistrictConfigured]) -> None:
        self.district = district
        self.configured = sorted(configured, key=lambda event: (to_ms(event.occurred_at), event.revision))
        newest = max(configured, key=lambda event: event.revision, default=None)
        self.newest = newest.configuration if newest else District(district=district)
        self._units: dict[str, Unit] = {}
        self._above: dict[str, str] = {}
        for unit, parent in self.newest.walk():
            self._units[unit.unit] = unit
            self._above[unit.unit] = parent
        self._hours: dict[str, Hours] = {}

    def known(self, unit: str) -> bool:
        """True for the units of the newest configuration and the district itself."""
        return unit in self._units or unit == self.district

    def unit(self, code: str | None) -> str:
        """The unit of this code; `unrouted` for one that does not exist."""
        return code if code is not None and self.known(code) else UNROUTED

    def ancestry(self, unit: str) -> list[str]:
        """The unit and all above it."""
        line = [unit]
        while line[-1] in self._above:
            line.append(self._above[line[-1]])
        return line

    def department(self, unit: str) -> str:
        """The nearest school or department from the unit upwards, else the unit itself."""
        for code in self.ancestry(unit):
            if code in self._units and self._units[code].level != "team":
                return code
        return unit

    def calendar(self, unit: str) -> Calendar:
        """The unit's calendar, inherited from above, in the end the district's."""
        for code in self.ancestry(unit):
            named = self._units[code].calendar if code in self._units else None
            if named is not None:
                return self.newest.calendars[named]
        return self.newest.calendars[self.newest.calendar] if self.newest.calendar else always_open()

    def hours(self, unit: str) -> Hours:
        """The unit's service hours."""
        if unit not in self._hours:
            self._hours[unit] = Hours(self.calendar(unit))
        return self._hours[unit]

    def in_force(self, at: int) -> DistrictConfigured | None:
        """The configuration whose promises and routes hold at an instant."""
        past = [event for event in self.configured if to_ms(event.occurred_at) <= at]
        if past:
            return max(past, key=lambda event: event.revision)
        # Before the first instant, what came into force then holds already.
        return self.in_force(to_ms(self.configured[0].occurred_at)) if self.configured else None

    def edits(self, start: int) -> list[int]:
        """Instants after `start` at which another configuration came into force."""
        changes: list[int] = []
        for event in self.configured:
            at = to_ms(event.occurred_at)
            if at > start and self.in_force(at) is not self.in_force(at - 1) and at not in changes:
                changes.append(at)
        return changes

    def route(self, inquiry: Inquiry, at: int) -> str:
        """The unit of an inquiry: the one it names, else of the first route that fits."""
        if inquiry.unit is not None:
            return self.unit(inquiry.unit)
        event = self.in_force(at)
        for route in event.configuration.routing if event else []:
            if (
                _fits(inquiry.topic, route.topics)
                and _fits(inquiry.channel, route.channels)
                and _fits(inquiry.touch_point, route.touch_points)
                and _fits(inquiry.stakeholder, route.stakeholders)
            ):
                return self.unit(route.unit)
        return UNROUTED

    def promise(self, clock: PromiseClock, unit: str, about: Inquiry | None, at: int) -> tuple[Promise, int] | None:
        """The first promise in force at an instant that fits, with the revision it stands in."""
        event = self.in_force(at)
        for promise in event.configuration.promises if event else []:
            if (
                promise.clock == clock
                and (not promise.units or any(code in promise.units for code in self.ancestry(unit)))
                and _fits(about.topic if about else None, promise.topics)
                and _fits(about.channel if about else None, promise.channels)
                and _fits(about.priority if about else "normal", promise.priorities)
            ):
                return promise, event.revision if event else 0
        return None


def _fits(value: str | None, wanted: Sequence[str]) -> bool:
    return not wanted or value in wanted
