"""A district that lives: from a seed, a document, parameters and a span to events in order of arrival.

Pure: the same arguments give the same bytes, and a day's conversations do not depend on where the span begins. Memory
holds what is on its way, some days of it, not the span. The first event configures the district; conversations that
began before the span are left out, and what would arrive at or after its end is cut off.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from heapq import merge
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from schemas.calendar import WEEKDAYS
from schemas.district import District
from schemas.document import reasons
from schemas.errors import DocumentError
from schemas.vocabulary import from_ms
from streams.configured import configured
from streams.intake.simulator_conversation import Asked, Stage
from streams.intake.simulator_incidents import Almanac, Held, Wave
from streams.intake.simulator_parameters import Manner, Parameters
from streams.intake.simulator_world import AVERAGE, Draw, World, drawn
from streams.intake.simulator_writing import MINUTE_MS, Arrived, Outbox, instant, stream
from streams.written.document import read_document

SAMPLE = Path(__file__).with_name("data") / "sample_district.yaml"
SOURCE = "simulator"
CERTAIN = 30.0


@dataclass(frozen=True, slots=True)
class Span:
    """What is simulated: `[start, end)` in ms UTC, and the seed of all chance."""

    start_ms: int
    end_ms: int
    seed: int = 1

    @property
    def years(self) -> range:
        """The years in which something dated may reach into it."""
        return range(from_ms(self.start_ms).year - 1, from_ms(self.end_ms).year + 1)


def sample_district() -> District:
    """The sample district of 58,000 students; all its names are invented."""
    return read_document(SAMPLE.read_text(encoding="utf-8"), SAMPLE.name)


def numbered(document: District, number: int) -> District:
    """The same district under a code of its own, `-0001` and so on. Raises `DocumentError` if that gets too long."""
    code = f"{document.district}-{number:04d}"
    label = None if document.label is None else f"{document.label} {number}"
    content: dict[str, Any] = _renamed(document.model_dump(mode="json"), document.district, code)
    try:
        return District.model_validate(content | {"label": label})
    except ValidationError as error:
        raise DocumentError([f"district number {number}: {place[0]}: {why}" for place, why in reasons(error)]) from None


def _renamed(content: Any, old: str, new: str) -> Any:
    if isinstance(content, dict):
        return {key: _renamed(value, old, new) for key, value in content.items()}
    if isinstance(content, list):
        return [_renamed(value, old, new) for value in content]
    return new if content == old else content


def simulate(document: District, parameters: Parameters, span: Span, standing: Manner = AVERAGE) -> Iterator[Arrived]:
    """Events of one district as (`received_at` in ms, JSON text), in order of arrival.

    `standing` is how the district as a whole differs from what is declared.
    """
    return _Simulation(document, parameters, span, standing).arrivals()


def hindsight(document: District, parameters: Parameters, span: Span) -> District:
    """The document with every closed day that the span's incidents will have declared."""
    return Almanac(document, parameters, span.years).hindsight()


def standing(document: District, parameters: Parameters, seed: int) -> Manner:
    """How one of several districts differs as a whole: drawn once, from its code."""
    return drawn(stream(seed, document.district, "district"), parameters.between_districts)


def simulate_all(documents: list[District], parameters: Parameters, span: Span) -> Iterator[Arrived]:
    """Events of several districts, each of its own standing, in one order of arrival."""
    found = [(document, standing(document, parameters, span.seed)) for document in documents]
    return merge(*(simulate(document, parameters, span, its) for document, its in found))


class _Simulation:
    """One district over a span, day by day of its own time zone."""

    def __init__(self, document: District, parameters: Parameters, span: Span, its: Manner) -> None:
        self._span = span
        self._parameters = parameters
        self._almanac = Almanac(document, parameters, span.years)
        self._world = World(self._almanac.hindsight(), parameters, span.seed, its)
        self._almanac.act_on(self._world)
        self._waves = self._almanac.waves(parameters.channels)
        self._outbox = Outbox(parameters.arrival)
        self._stage = Stage(self._world, self._outbox)
        self._zone = ZoneInfo(self._world.time_zone)
        self._open = Draw(dict(parameters.channels.open))
        self._closed = Draw(dict(parameters.channels.closed))
        self._hours = {name: Draw(dict(enumerate(hours))) for name, hours in parameters.volume.hours.items()}

    def arrivals(self) -> Iterator[Arrived]:
        """All events of the span."""
        start, end = self._span.start_ms, self._span.end_ms
        if start >= end:
            return
        yield start, configured(self._almanac.document(start), from_ms(start)).model_dump_json(exclude_none=True)
        day = datetime.fromtimestamp(start // 1000, UTC).astimezone(self._zone).date()
        begun = self._local_hours(day)[0]
        for wave in self._waves:
            if wave.start_ms < begun <= wave.start_ms + wave.length_ms:
                self._burst(wave)
        while True:
            hours = self._local_hours(day)
            if hours[0] >= end:
                break
            self._live(day, hours)
            for received, text in self._outbox.arrived(hours[-1]):
                if received >= end:
                    return
                yield received, text
            day += timedelta(days=1)
        for received, text in self._outbox.arrived(end + 60 * MINUTE_MS):
            if received >= end:
                return
            yield received, text

    def _local_hours(self, day: date) -> list[int]:
        """The instants at which the local hours of a day begin, and its end."""
        midnight = datetime(day.year, day.month, day.day, tzinfo=self._zone)
        after = day + timedelta(days=1)
        hours = [midnight.replace(hour=hour) for hour in range(24)]
        hours.append(datetime(after.year, after.month, after.day, tzinfo=self._zone))
        return [int(hour.astimezone(UTC).timestamp()) * 1000 for hour in hours]

    def _live(self, day: date, hours: list[int]) -> None:
        """Everything that begins on one day."""
        random = stream(self._span.seed, self._world.code, day.isoformat())
        self._stage.random = self._outbox.random = random
        self._ordinary(day, hours)
        self._outbox.muted = False
        self._announce(hours[0], hours[-1])
        self._beat(hours[0], hours[-1])
        for wave in self._waves:
            if hours[0] <= wave.start_ms < hours[-1]:
                self._burst(wave)

    def _ordinary(self, day: date, hours: list[int]) -> None:
        """The day's usual conversations."""
        draw = self._stage.random.random
        volume, world = self._parameters.volume, self._world
        is_open = world.clock.is_school_day(day)
        in_session = not world.schools or any(clock.is_school_day(day) for clock in world.schools)
        level = volume.closed_day if not is_open else 1.0 if in_session else volume.out_of_session
        weights = {
            subject: subject.weight(day.isoformat()[5:])
            * (volume.schools_closed if subject.to_schools and not in_session else 1.0)
            for subject in world.subjects.values()
        }
        usual = sum(topic.weight for topic in self._parameters.topics)
        level *= volume.weekdays.get(WEEKDAYS[day.weekday()], 1.0) * sum(weights.values()) / usual
        if level <= 0:
            return
        subjects, channels = Draw(weights), self._open if is_open else self._closed
        lengths = [after - before for before, after in pairwise(hours)]
        for number in range(self._count(volume.inquiries_per_school_day * level)):
            subject = subjects.pick(draw())
            channel = (subject.channels or channels).pick(draw())
            hour = self._hours[channel].pick(draw())
            at_ms = hours[hour] + int(lengths[hour] * draw())
            self._tell(Asked(f"{day:%Y%m%d}-{number:05d}", at_ms, subject, channel))

    def _count(self, expected: float) -> int:
        """How many, by chance, where so many are expected (Poisson; normal from 30 on)."""
        random = self._stage.random
        if expected >= CERTAIN:
            return max(0, round(random.gauss(expected, expected**0.5)))
        count, passed = 0, random.expovariate(1.0)
        while passed < expected:
            count, passed = count + 1, passed + random.expovariate(1.0)
        return count

    def _burst(self, wave: Wave) -> None:
        random = stream(self._span.seed, self._world.code, wave.name, wave.start_ms)
        self._stage.random = self._outbox.random = random
        subject, channels = self._world.subjects[wave.topic], Draw(wave.channels)
        for number in range(wave.inquiries):
            at_ms = wave.start_ms + int(wave.length_ms * random.triangular(0.0, 1.0, wave.peak))
            name = f"{wave.name}-{wave.start_ms // 1000}-{number:05d}"
            self._tell(Asked(name, at_ms, subject, channels.pick(random.random()), wave.post))

    def _tell(self, asked: Asked) -> None:
        self._outbox.muted = asked.at_ms < self._span.start_ms
        self._stage.tell(asked)

    def _announce(self, first_ms: int, last_ms: int) -> None:
        """Trainings and closed days that become known within an interval of the span."""
        begins = max(first_ms, self._span.start_ms + 1)
        for held in self._almanac.trainings:
            if begins <= held.at_ms < last_ms:
                self._train(held)
        for snow in self._almanac.snow:
            if begins <= snow.at_ms < last_ms:
                event = configured(self._almanac.document(snow.at_ms), from_ms(snow.at_ms))
                text = event.model_dump_json(exclude={"received_at"}, exclude_none=True)
                self._outbox.send(snow.at_ms, text[:-1])

    def _train(self, held: Held) -> None:
        known = [code for code in held.training.units if code in self._world.desks]
        if known:
            units = ",".join(f'"{code}"' for code in known)
            what = held.training
            fields = f'"training":"{what.training}","theme":"{what.theme}","units":[{units}]'
            text = self._frame("training_held", f"training-{what.training}", SOURCE, held.at_ms)
            self._outbox.send(held.at_ms + MINUTE_MS, f'{text},{fields},"participants":{what.participants}')

    def _frame(self, kind: str, event_id: str, source: str, at_ms: int) -> str:
        frame = f'"district":"{self._world.code}","source":"{source}","occurred_at":"{instant(at_ms)}"'
        return f'{{"kind":"{kind}","event_id":"{event_id}-{at_ms // 1000}",{frame}'

    def _beat(self, first_ms: int, last_ms: int) -> None:
        """Each source says that it is alive, unless it is silent."""
        step = self._parameters.arrival.heartbeat_minutes * MINUTE_MS
        for feed in self._world.feeds.values():
            for at_ms in range(max(first_ms, self._span.start_ms), last_ms, step):
                if not feed.silent(at_ms):
                    text = self._frame("heartbeat", f"heartbeat-{feed.source}", feed.source, at_ms)
                    self._outbox.send(at_ms + int(2000 * self._outbox.random.random()), text)
