"""A district document and parameters made ready to draw from: desks, subjects, routes, clocks, effects over time."""

from bisect import bisect_right
from collections.abc import Mapping
from hashlib import sha256
from itertools import accumulate
from math import exp
from random import Random
from typing import Generic, NamedTuple, TypeVar

from schemas.calendar import Calendar, always_open
from schemas.district import District, Route
from schemas.vocabulary import UNROUTED
from streams.core.business_time import BusinessClock, clock_of
from streams.intake.simulator_parameters import Manner, Parameters, Spread, Topic
from streams.intake.simulator_writing import HOUR_MS, Feed, stream

T = TypeVar("T")
SCHOOLS, ANYONE = "schools", "anyone"
TOUCH_POINTS = {"phone": "line", "email": "mailbox", "web": "form", "social": "page", "in_person": "desk"}
AVERAGE = Manner()


class Draw(Generic[T]):
    """Values with weights, made ready to pick one."""

    __slots__ = ("_bounds", "values")

    def __init__(self, weights: Mapping[T, float]) -> None:
        kept = {value: weight for value, weight in weights.items() if weight > 0}
        total = sum(kept.values())
        self.values = list(kept)
        self._bounds = [bound / total for bound in accumulate(kept.values())][:-1]

    def pick(self, chance: float) -> T:
        """The value for a number in [0, 1)."""
        return self.values[bisect_right(self._bounds, chance)]


class Effect(NamedTuple):
    """What holds for a unit in `[start, end)`: factor of its speed, points of courtesy, factor of its load."""

    start_ms: int
    end_ms: int
    speed: float
    courtesy: float
    load: float = 1.0


class Desk:
    """A unit that answers."""

    __slots__ = ("clock", "code", "courtesy", "effects", "path", "sender", "speed", "staff", "unit")

    def __init__(self, code: str, path: tuple[str, ...], clock: BusinessClock, manner: Manner) -> None:
        self.code = code
        self.path = path
        self.clock = clock
        self.speed = manner.speed
        self.courtesy = manner.courtesy
        self.unit = "" if code == UNROUTED else f',"unit":"{code}"'
        self.staff: list[str] = []
        self.effects: list[Effect] = []

    def manner(self, at_ms: int) -> tuple[float, float, float]:
        """Speed factor, points of courtesy and load at an instant."""
        speed, courtesy, load = self.speed, self.courtesy, 1.0
        for effect in self.effects:
            if effect.start_ms <= at_ms < effect.end_ms:
                speed *= effect.speed
                courtesy += effect.courtesy
                load *= effect.load
        return speed, courtesy, load

    def is_open(self, at_ms: int) -> bool:
        """True if it serves in this minute."""
        return self.clock.elapsed(at_ms, at_ms + 60_000) > 0

    def after(self, at_ms: int, length_ms: float) -> int:
        """The instant at which so much of its open time has passed; calendar time if it never opens again."""
        due = self.clock.due(at_ms, int(length_ms))
        return at_ms + int(length_ms) if due is None else due


class Subject:
    """A topic, with whom it should reach and who asks about it."""

    __slots__ = ("channels", "code", "field", "kinds", "stakeholders", "targets", "to_schools", "topic", "visit")

    def __init__(self, topic: Topic, targets: Draw[Desk] | None, parameters: Parameters) -> None:
        people = parameters.people
        self.topic = topic
        self.code = topic.topic
        self.field = f',"topic":"{topic.topic}"'
        self.targets = targets
        self.to_schools = topic.to == SCHOOLS
        self.visit = topic.visit
        self.channels = None if topic.channels is None else Draw(dict(topic.channels))
        self.stakeholders = Draw(dict(topic.stakeholders or people.stakeholders))
        self.kinds = Draw(dict(topic.kinds or people.kinds))

    def weight(self, month_day: str) -> float:
        """Its weight on a day, `MM-DD`."""
        weight = self.topic.weight
        for season in self.topic.seasons:
            first, last = season.first, season.last
            inside = first <= month_day <= last if first <= last else not last < month_day < first
            weight *= season.factor if inside else 1.0
        return weight


class World:
    """One district, ready to be simulated.

    `district` is the document with everything known in hindsight, `standing` how it differs as a whole.
    """

    def __init__(self, district: District, parameters: Parameters, seed: int, standing: Manner = AVERAGE) -> None:
        self.code = district.district
        self.parameters = parameters
        self.seed = seed
        self._salt = int.from_bytes(sha256(f"{seed}/{self.code}".encode()).digest()[:8], "big")
        self._calendars = {name: clock_of(calendar.key()) for name, calendar in district.calendars.items()}
        self.clock = self._clock(district.calendar) or clock_of(always_open().key())
        self.time_zone = _calendar(district).time_zone
        self.desks: dict[str, Desk] = {}
        self.schools: list[BusinessClock] = []
        self.front = Desk(UNROUTED, (), self.clock, AVERAGE)
        self._build(district, standing)
        self._everyone = Draw(dict.fromkeys(self.desks.values(), 1.0)) if self.desks else None
        self._school_desks = self._schools(district)
        self.subjects = {topic.topic: self._subject(topic) for topic in parameters.topics}
        self.feeds = {
            name: Feed(s.source, s.delay_seconds * 1000, s.late, s.late_hours * HOUR_MS)
            for name, s in parameters.arrival.sources.items()
        }
        self._routing: list[Route] = list(district.routing)
        self._routes: dict[tuple[str, str, str], Desk] = {}

    def _clock(self, name: str | None) -> BusinessClock | None:
        return None if name is None else self._calendars[name]

    def _build(self, district: District, standing: Manner) -> None:
        spread = self.parameters.between_units
        clocks = {district.district: self.clock}
        paths: dict[str, tuple[str, ...]] = {district.district: ()}
        manners: dict[str, Manner] = {}
        for unit, parent in district.walk():
            code = unit.unit
            clock = clocks[code] = self._clock(unit.calendar) or clocks[parent]
            path = paths[code] = (code, *paths[parent])
            manner = self.parameters.units.get(code) or manners.get(parent)
            if manner is None:
                manner = drawn(stream(self.seed, self.code, "unit", code), spread)
            manners[code] = manner
            met = Manner(speed=manner.speed * standing.speed, courtesy=manner.courtesy + standing.courtesy)
            desk = self.desks[code] = Desk(code, path, clock, met)
            desk.staff = [self._staff(code, number) for number in range(self.parameters.people.staff_per_unit)]
            if unit.level == "school":
                self.schools.append(clock)

    def _staff(self, code: str, number: int) -> str:
        return sha256(f"{self._salt}/{code}/{number}".encode()).hexdigest()[:16]

    def _schools(self, district: District) -> Draw[Desk] | None:
        """Schools' first teams, or the schools themselves, of different size."""
        random = stream(self.seed, self.code, "sizes")
        found = {
            self.desks[unit.units[0].unit if unit.units else unit.unit]: exp(random.gauss(0.0, 0.4))
            for unit, _ in district.walk()
            if unit.level == "school"
        }
        return Draw(found) if found else None

    def _subject(self, topic: Topic) -> Subject:
        targets: Draw[Desk] | None = None
        if topic.to == SCHOOLS:
            targets = self._school_desks
        elif topic.to == ANYONE:
            targets = self._everyone
        elif topic.to in self.desks:
            targets = Draw({self.desks[topic.to]: 1.0})
        return Subject(topic, targets, self.parameters)

    def pseudonym(self, number: int) -> str:
        """The pseudonym of the person with a number; different for different numbers."""
        return f"{(number * 0x9E3779B97F4A7C15 + self._salt) & 0xFFFFFFFFFFFFFFFF:016x}"

    def another(self, desk: Desk, random: Random) -> Desk:
        """Any unit but this one, where there is another."""
        if self._everyone is None or self._everyone.values == [desk]:
            return desk
        while (found := self._everyone.pick(random.random())) is desk:
            pass
        return found

    def below(self, codes: list[str]) -> list[Desk]:
        """These units and all under them."""
        wanted = set(codes)
        return [desk for desk in self.desks.values() if not wanted.isdisjoint(desk.path)]

    def route(self, topic: str, channel: str, stakeholder: str) -> Desk:
        """Where the document's routing sends an inquiry without a unit."""
        key = (topic, channel, stakeholder)
        desk = self._routes.get(key)
        if desk is None:
            desk = self._routes[key] = self._routed(*key)
        return desk

    def _routed(self, topic: str, channel: str, stakeholder: str) -> Desk:
        touch_point = f"district-{TOUCH_POINTS[channel]}"
        for route in self._routing:
            if (
                (not route.topics or topic in route.topics)
                and (not route.channels or channel in route.channels)
                and (not route.touch_points or touch_point in route.touch_points)
                and (not route.stakeholders or stakeholder in route.stakeholders)
            ):
                return self.desks.get(route.unit, self.front)
        return self.front


def drawn(random: Random, spread: Spread) -> Manner:
    """A manner by chance."""
    courtesy = max(-4.0, min(4.0, random.gauss(0.0, spread.courtesy)))
    return Manner(speed=exp(random.gauss(0.0, spread.speed)), courtesy=courtesy)


def _calendar(district: District) -> Calendar:
    return district.calendars[district.calendar] if district.calendar is not None else always_open()
