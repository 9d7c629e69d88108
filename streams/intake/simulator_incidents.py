"""Dated things of a simulation, found in its years: breakdowns, spreading posts, silences, snow days, trainings."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from schemas.calendar import always_open, never_closes
from schemas.district import District
from schemas.vocabulary import Channel, to_ms
from streams.core.business_time import BusinessClock
from streams.intake.simulator_parameters import Burst, Channels, Parameters, Silence, SnowDay, Training
from streams.intake.simulator_world import Effect, World
from streams.intake.simulator_writing import DAY_MS, MINUTE_MS

LONGEST_SEARCH_DAYS = 14


@dataclass(frozen=True, slots=True)
class Wave:
    """Inquiries about one topic that start within a time; `peak` is the part of it after which most come."""

    name: str
    start_ms: int
    length_ms: int
    inquiries: int
    peak: float
    topic: str
    channels: dict[Channel, float]
    post: str = ""


@dataclass(frozen=True, slots=True)
class Declared:
    """A closed day and the instant at which the district's document says so."""

    at_ms: int
    day: date
    inquiries: int
    topic: str


@dataclass(frozen=True, slots=True)
class Held:
    """A training at an instant."""

    at_ms: int
    training: Training


class Almanac:
    """Everything dated of one district in the years of a span."""

    def __init__(self, district: District, parameters: Parameters, years: range) -> None:
        calendar = district.calendars[district.calendar] if district.calendar is not None else always_open()
        self._zone = ZoneInfo(calendar.time_zone)
        self._clock = BusinessClock(calendar)
        self._years = years
        self._document = district
        incidents = parameters.incidents
        self.bursts = [(at, burst) for burst in incidents if isinstance(burst, Burst) for at in self._moments(burst.at)]
        self.silences = [
            (at, silence) for silence in incidents if isinstance(silence, Silence) for at in self._moments(silence.at)
        ]
        snow = [(at, day) for day in incidents if isinstance(day, SnowDay) for at in self._moments(day.at)]
        self.snow = [
            Declared(at, self._local(at) - timedelta(days=day.days_late), day.inquiries, day.topic)
            for at, day in sorted(snow, key=lambda found: found[0])
        ]
        self.trainings = [Held(at, held) for held in parameters.trainings for at in self._moments(held.at)]

    def _local(self, at_ms: int) -> date:
        return datetime.fromtimestamp(at_ms // 1000, UTC).astimezone(self._zone).date()

    def _instant(self, moment: datetime) -> int:
        return to_ms(moment.replace(tzinfo=self._zone).astimezone(UTC))

    def _moments(self, moment: str) -> Iterator[int]:
        """The instants of a moment: its own, or one a year, moved to a day the district is open."""
        if moment[4] == "-":
            yield self._instant(datetime.fromisoformat(moment))
            return
        for year in self._years:
            at = datetime.fromisoformat(f"{year}-{moment}")
            for _ in range(LONGEST_SEARCH_DAYS):
                if self._clock.is_school_day(at.date()):
                    break
                at += timedelta(days=1)
            yield self._instant(at)

    def document(self, at_ms: int) -> District:
        """The district's document as it was known at an instant."""
        return self._closed([snow.day for snow in self.snow if snow.at_ms <= at_ms])

    def hindsight(self) -> District:
        """The document with every closed day in it, as if always known."""
        return self._closed([snow.day for snow in self.snow])

    def _closed(self, days: list[date]) -> District:
        extra: dict[str, list[str]] = {day.isoformat(): [] for day in days}
        calendars = {
            name: calendar if never_closes(calendar) else calendar.model_copy(update={"days": calendar.days | extra})
            for name, calendar in self._document.calendars.items()
        }
        revision = self._document.revision + len(days)
        return self._document.model_copy(update={"calendars": calendars, "revision": revision})

    def waves(self, channels: Channels) -> list[Wave]:
        """Bursts and the questions a snow day raises, in order of time."""
        found = [
            Wave(
                f"{burst.kind}-{burst.topic}",
                at,
                int(burst.minutes * MINUTE_MS),
                burst.inquiries,
                burst.peak,
                burst.topic,
                dict(burst.channels),
                f',"thread":"post-{at // 1000}"' if burst.kind == "post" else "",
            )
            for at, burst in self.bursts
        ]
        found += [
            Wave(
                f"snow-{snow.topic}",
                snow.at_ms,
                300 * MINUTE_MS,
                snow.inquiries,
                0.2,
                snow.topic,
                dict(channels.closed),
            )
            for snow in self.snow
            if snow.inquiries
        ]
        return sorted(found, key=lambda wave: wave.start_ms)

    def act_on(self, world: World) -> None:
        """Put trainings, the rollout, slowdowns and silences into the world."""
        for held in self.trainings:
            what, end = held.training, held.at_ms + held.training.lasts_days * DAY_MS
            for desk in world.below(what.units):
                desk.effects.append(Effect(held.at_ms, end, what.speed, what.courtesy))
        after = world.parameters.rollout
        for wave in self._document.rollout:
            start = self._instant(datetime.fromisoformat(wave.starts))
            for desk in world.below(wave.units):
                desk.effects.append(Effect(start, start + 100 * 366 * DAY_MS, after.speed, after.courtesy))
        for at, burst in self.bursts:
            targets = world.subjects[burst.topic].targets
            end = at + int(2 * burst.minutes * MINUTE_MS)
            for desk in targets.values if targets is not None and burst.slowdown != 1.0 else ():
                desk.effects.append(Effect(at, end, 1.0, 0.0, burst.slowdown))
        for at, silence in self.silences:
            world.feeds[silence.feed].silences.append((at, at + int(silence.minutes * MINUTE_MS)))
