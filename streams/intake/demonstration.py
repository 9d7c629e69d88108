"""A simulated district that lives on a clock: the past four weeks at once, then every event when its time comes.

The simulation always starts at the same instant, so that a later start knows what was sent already and sends the same
events under the same ids otherwise.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from heapq import merge
from threading import Event as Signal
from threading import Thread
from time import monotonic
from types import MappingProxyType
from typing import NamedTuple
from zoneinfo import ZoneInfo

from schemas.calendar import always_open
from schemas.district import District
from schemas.errors import CxError, Unavailable
from schemas.events import DistrictConfigured
from schemas.vocabulary import from_ms, to_ms
from streams.configured import closed_days
from streams.core.business_time import clock_of
from streams.intake.closing import Closings, Landed
from streams.intake.producer import Encoded, Publisher, encode, publish_events
from streams.intake.resting import Resting
from streams.intake.silenced import Silenced
from streams.intake.simulator import Span, hindsight, simulate
from streams.intake.simulator_parameters import default_parameters
from streams.intake.simulator_writing import DAY_MS, Arrived
from streams.intake.staged import staged

log = logging.getLogger("cx.demonstration")

HISTORY_DAYS = 28
OPENS_FROM = date(2026, 10, 6)
OPENS_AT = time(7, 35)
LONGEST_DAYS = 400
FEED_SECONDS = 0.25
LOOK_SECONDS = 1.0
DECLARES = '"kind":"district_configured"'


@dataclass(frozen=True, slots=True)
class Demonstration:
    """What is shown: the district and the instant at which the first start opens, ms UTC."""

    document: District
    opens_ms: int

    @classmethod
    def of(cls, document: District) -> "Demonstration":
        """A district from 07:35 of its first school day in October 2026 on; of an unlikely calendar, of that date."""
        calendar = document.calendars[document.calendar] if document.calendar else always_open()
        clock, zone = clock_of(calendar.key()), ZoneInfo(calendar.time_zone)
        days = [OPENS_FROM + timedelta(days=day) for day in range(LONGEST_DAYS)]
        opens = next((day for day in days if clock.is_school_day(day)), OPENS_FROM)
        return cls(document, to_ms(datetime.combine(opens, OPENS_AT, zone)))

    @property
    def span(self) -> Span:
        """From four weeks before the opening until more than a year after it."""
        return Span(self.opens_ms - HISTORY_DAYS * DAY_MS, self.opens_ms + LONGEST_DAYS * DAY_MS)

    def arrivals(self) -> Iterator[Arrived]:
        """Events in order of arrival, those of `staged` among them."""
        simulated = simulate(self.document, default_parameters(), self.span)
        return merge(simulated, staged(self.document.district, self.opens_ms))

    def hindsight(self) -> District:
        """The document that the events are drawn from, with every closed day that they will declare."""
        return hindsight(self.document, default_parameters(), self.span)

    def encoded(self, text: str) -> Encoded:
        """An event as the producer takes it."""
        return Encoded(self.document.district, text.encode())


class Fed(NamedTuple):
    """How far a feeder is: every event received before `until_ms` is acknowledged; nothing before it is sent again.

    `pressed`: days closed by a press, and the instant from which staff rest on each, ms UTC.
    """

    until_ms: int
    pressed: Mapping[str, int] = MappingProxyType({})


class Feeder(Thread):
    """Publishes each event once the clock has reached it; waits while Kafka is away. `stop` it, then `join` it."""

    def __init__(
        self,
        demonstration: Demonstration,
        publisher: Publisher,
        now_ms: Callable[[], int],
        landed: Landed,
        sent: Callable[[Fed], None],
        begin: Fed,
    ) -> None:
        """It goes on from `begin`; `sent` hears how far it is. `landed` is asked on this thread alone."""
        super().__init__(name="feeder", daemon=True)
        self._demonstration = demonstration
        self._publisher = publisher
        self._now_ms = now_ms
        self._landed = landed
        self._closings = Closings(landed.documents)
        self._silenced = Silenced(demonstration.document.district)
        document = demonstration.hindsight()
        self._drawn_closed = closed_days(document)
        self._zone = ZoneInfo(document.calendars[document.calendar].time_zone if document.calendar else "UTC")
        self._resting = Resting(document, begin.pressed)
        self._sent = sent
        self._since_ms = begin.until_ms
        self._due: list[Encoded] = []
        self._look_at = 0.0
        self._ended = Signal()
        self._error: CxError | None = None

    def run(self) -> None:
        """Feed until stopped or until the simulation ends."""
        try:
            self._feed()
        except CxError as error:
            self._error = error

    def _feed(self) -> None:
        self._look(self._since_ms)
        for received, text in self._demonstration.arrivals():
            while (held_ms := self._next_held_ms()) is not None and held_ms <= received:
                if not self._reach(held_ms):
                    return
                for at_ms, later in self._resting.due(held_ms):
                    self._take(at_ms, later)
                for at_ms, later in self._silenced.due(held_ms):
                    self._put(at_ms, later)
            if not self._reach(received):
                return
            if DECLARES not in text:
                self._take(received, self._resting.take(received, text))
            elif not self._declare(text, received):
                return

    def _next_held_ms(self) -> int | None:
        held = (self._resting.next_ms(), self._silenced.next_ms())
        return min((each for each in held if each is not None), default=None)

    def _take(self, received_ms: int, text: str | None) -> None:
        if text is not None:
            self._put(received_ms, self._silenced.take(received_ms, text))

    def _put(self, received_ms: int, text: str | None) -> None:
        if text is not None and received_ms >= self._since_ms:
            self._due.append(self._demonstration.encoded(text))

    def _reach(self, at_ms: int) -> bool:
        """Publish what is due and wait until the clock has reached an instant; false if stopped meanwhile."""
        while at_ms > max(self._now_ms(), self._since_ms - 1):
            if not self._publish(self._due):
                return False
            self._due = []
            self._sent(Fed(at_ms, self._resting.pressed))
            if self._ended.wait(FEED_SECONDS):
                return False
            self._look(at_ms)
        return True

    def _declare(self, text: str, at_ms: int) -> bool:
        """Have the days of a simulated document closed, whatever it has become; false if stopped meanwhile."""
        days = self._closings.pass_by(DistrictConfigured.model_validate_json(text).configuration)
        if at_ms < self._since_ms:
            return True
        self._closings.owe(days)
        while not self._ended.is_set():
            try:
                document = self._closings.due(at_ms)
            except Unavailable as error:
                log.warning("a simulated closed day waits: %s", error)
                self._ended.wait(error.retry_after)
            else:
                return document is None or self._publish([encode(document)])
        return False

    def _look(self, at_ms: int) -> None:
        """Now and then: has a press closed a day, or lost against a document that the feeder numbered the same?"""
        if monotonic() < self._look_at:
            return
        self._look_at = monotonic() + LOOK_SECONDS
        try:
            for source, since_ms in self._landed.silences():
                self._silenced.learn(source, since_ms)
            document = self._closings.due(self._now_ms())
        except Unavailable as error:
            log.warning("the district's document is looked at again: %s", error)
            return
        if document is not None:
            self._publish([encode(document)])
        now_ms = self._now_ms()
        today = from_ms(now_ms).astimezone(self._zone).date().isoformat()
        known = self._drawn_closed | self._resting.pressed.keys()
        if pressed := [day for day in self._closings.closed - known if day >= today]:
            for day in pressed:
                self._resting.learn(day, now_ms)
            self._sent(Fed(at_ms, self._resting.pressed))

    def _publish(self, due: list[Encoded]) -> bool:
        """Until acknowledged, or stopped (false): what is sent twice counts once."""
        while True:
            try:
                for _, written in publish_events(due, self._publisher):
                    written.result()
            except Unavailable as error:
                log.warning("the simulated events wait: %s", error)
                if self._ended.wait(error.retry_after):
                    return False
            else:
                return True

    def stop(self) -> None:
        """Publish nothing more."""
        self._ended.set()

    def check(self) -> None:
        """Raise what ended the feeding, if anything did."""
        if self._error is not None:
            raise self._error
