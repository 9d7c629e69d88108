"""How many ask, when, about what, on which way, who: counted in a year in which nothing but questions happens."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from functools import cache
from itertools import pairwise
from math import log, sqrt
from typing import NamedTuple

from schemas.calendar import WEEKDAYS
from streams.intake.simulator_parameters import Parameters, Topic
from streams.intake.simulator_world import World
from tests.declared.measuring import Declared, Measured, mix, share
from tests.declared.stories import Event
from tests.simulated import local

OPEN, OUT, CLOSED = "open", "out", "closed"


class Day(NamedTuple):
    """What of a date decides how many ask: open or not, weekday, the seasons it lies in."""

    kind: str
    weekday: str
    seasons: tuple[tuple[str, int], ...]


def day_of(day: date, world: World, topics: Sequence[Topic]) -> Day:
    """A date as the declaration sees it."""
    kind = CLOSED
    if world.clock.is_school_day(day):
        kind = OPEN if any(clock.is_school_day(day) for clock in world.schools) else OUT
    on = f"{day:%m-%d}"
    seasons = tuple(
        (topic.topic, place)
        for topic in topics
        for place, season in enumerate(topic.seasons)
        if (season.first <= on <= season.last if season.first <= season.last else not season.last < on < season.first)
    )
    return Day(kind, WEEKDAYS[day.weekday()], seasons)


class Year:
    """A year's questions by kind of day and topic."""

    def __init__(self, asked: list[Event], days: list[date], parameters: Parameters, world: World) -> None:
        self.parameters = parameters
        self.asked = asked
        self.topics = {topic.topic: topic for topic in parameters.topics}
        kinds = {day: day_of(day, world, parameters.topics) for day in days}
        self.days = Counter(kinds.values())
        times = [local(event) for event in asked]
        self.of = [kinds[at.date()] for at in times]
        self.hours = [str(at.hour) for at in times]
        self.found = Counter(zip(self.of, (event["topic"] for event in asked), strict=True))

    def weight(self, declared: Declared, topic: str, day: Day) -> float:
        """What a topic weighs on a day, before schools close."""
        weight = declared(f"topics.{topic}.weight")
        for of, place in day.seasons:
            if of == topic:
                weight *= declared(f"topics.{topic}.seasons.{place}.factor")
        return weight

    def weights(self, declared: Declared, day: Day) -> tuple[float, float]:
        """All topics for schools, with closed schools considered, and all others."""
        schools = sum(self.weight(declared, name, day) for name in self.topics if self.is_for_schools(name))
        others = sum(self.weight(declared, name, day) for name in self.topics if not self.is_for_schools(name))
        return schools * (1.0 if day.kind == OPEN else declared("volume.schools_closed")), others

    def is_for_schools(self, topic: str) -> bool:
        """True if any school may be asked."""
        return self.topics[topic].to == "schools"

    def expected(self, declared: Declared, day: Day) -> float:
        """Questions on all days of a kind together."""
        level = {OPEN: 1.0, OUT: declared("volume.out_of_session"), CLOSED: declared("volume.closed_day")}[day.kind]
        usual = sum(declared(f"topics.{name}.weight") for name in self.topics)
        level *= declared(f"volume.weekdays.{day.weekday}") * sum(self.weights(declared, day)) / usual
        return level * self.days[day] * declared("volume.inquiries_per_school_day")

    def volume(self) -> Iterator[Measured]:
        """How many ask on days of each kind."""
        by_day = Counter(self.of)
        places = [(f"volume.{name}", kind, "") for name, kind in VOLUMES.items()]
        places += [(f"volume.weekdays.{weekday}", "", weekday) for weekday in self.parameters.volume.weekdays]
        for name, kind, weekday in places:
            days = [day for day in self.days if day.kind == kind or day.weekday == weekday]

            def expected(declared: Declared, days: list[Day] = days) -> float:
                return sum(self.expected(declared, day) for day in days)

            yield Measured(name, sum(by_day[day] for day in days), expected, sqrt)
        out = [day for day in self.days if day.kind != OPEN]
        hits = sum(self.found[day, topic] for day in out for topic in self.topics if self.is_for_schools(topic))
        totals = {day: by_day[day] for day in out}

        def to_schools(declared: Declared) -> float:
            parts = {day: self.weights(declared, day) for day in out}
            return sum(n * parts[day][0] / sum(parts[day]) for day, n in totals.items()) / sum(totals.values())

        yield share("volume.schools_closed", hits, sum(totals.values()), to_schools)

    def seasons(self) -> Iterator[Measured]:
        """Each topic among those for schools, or among the others, outside its seasons and in each."""
        for name, topic in self.topics.items():
            places = [f"topics.{name}.weight"]
            places += [f"topics.{name}.seasons.{place}.factor" for place in range(len(topic.seasons))]
            for number, place in enumerate(places, start=-1):
                inside = [
                    day
                    for day in self.days
                    if ((name, number) in day.seasons) or (number < 0 and not self._any(name, day))
                ]
                yield self._topic(place, name, inside)

    @staticmethod
    def _any(topic: str, day: Day) -> bool:
        return any(of == topic for of, _ in day.seasons)

    def _topic(self, place: str, name: str, days: list[Day]) -> Measured:
        peers = [topic for topic in self.topics if self.is_for_schools(topic) is self.is_for_schools(name)]
        # Kind of day and weekday move all topics of a sort alike.
        totals: Counter[Day] = Counter()
        for day in days:
            totals[Day("", "", day.seasons)] += sum(self.found[day, topic] for topic in peers)

        def expected(declared: Declared) -> float:
            return sum(
                total * self.weight(declared, name, day) / sum(self.weight(declared, peer, day) for peer in peers)
                for day, total in totals.items()
            )

        hits = sum(self.found[day, name] for day in days)
        whole = sum(totals.values())
        return share(place, hits, whole, lambda declared: expected(declared) / whole)

    def mixes(self) -> Iterator[Measured]:
        """Hours, channels, platforms, people."""
        for channel, hours in self.parameters.volume.hours.items():
            found = (hour for hour, e in zip(self.hours, self.asked, strict=True) if e["channel"] == channel)
            yield from mix(f"volume.hours.{channel}", found, [str(hour) for hour in range(len(hours))])
        both = list(zip(self.of, self.asked, strict=True))
        free = [(day.kind != CLOSED, e["channel"]) for day, e in both if self.topics[e["topic"]].channels is None]
        for is_open, name in ((True, "open"), (False, "closed")):
            declared = getattr(self.parameters.channels, name)
            yield from mix(f"channels.{name}", (c for state, c in free if state is is_open), list(declared))
        platforms = (e["platform"] for e in self.asked if e["channel"] == "social")
        yield from mix("channels.platforms", platforms, list(self.parameters.channels.platforms))
        people = self.parameters.people
        stated = [e["generation"] for e in self.asked if "generation" in e]
        yield share("people.generation_stated", len(stated), len(self.asked))
        yield from mix("people.generations", stated, list(people.generations))
        yield from mix("people.languages", (e["language"] for e in self.asked), list(people.languages))
        for part, item in (("stakeholders", "stakeholder"), ("kinds", "inquiry_kind"), ("channels", "channel")):
            usual = [e[item] for e in self.asked if getattr(self.topics[e["topic"]], part) is None]
            if part != "channels":
                yield from mix(f"people.{part}", usual, list(getattr(people, part)))
            for name, topic in self.topics.items():
                own = getattr(topic, part)
                if own is not None:
                    yield from mix(
                        f"topics.{name}.{part}", (e[item] for e in self.asked if e["topic"] == name), list(own)
                    )

    def people(self) -> Iterator[Measured]:
        """How many different people ask."""
        for name, is_staff in (("families", False), ("staff", True)):
            asking = [e["person"] for e in self.asked if (e["stakeholder"] == "staff") is is_staff]
            drawn = len(asking)

            def expected(declared: Declared, name: str = name, drawn: int = drawn) -> float:
                return different(int(declared(f"people.{name}")), drawn)

            yield Measured(f"people.{name}", len(set(asking)), expected, sqrt)

    def measured(self) -> list[Measured]:
        """Everything a year of questions tells."""
        return [*self.volume(), *self.seasons(), *self.mixes(), *self.people()]


VOLUMES = {"inquiries_per_school_day": OPEN, "out_of_session": OUT, "closed_day": CLOSED}


@cache
def different(people: int, drawn: int) -> float:
    """How many different ones to expect of people who ask, some far more often than others.

    Somebody's place among them is a product of two even chances.
    """
    below = [0.0] + [x * (1 - log(x)) for x in (place / people for place in range(1, people + 1))]
    return sum(1 - (1 - (b - a)) ** drawn for a, b in pairwise(below))


def days_between(first: date, last: date) -> list[date]:
    """All dates, the last excluded."""
    return [first + timedelta(days=n) for n in range((last - first).days)]
