"""A simulated district that lives on a clock: the past four weeks at once, then every event when its time comes.

The simulation always starts at the same instant, so that a later start knows what was sent already and sends the same
events under the same ids otherwise.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from threading import Event as Signal
from threading import Thread
from time import monotonic
from zoneinfo import ZoneInfo

from schemas.calendar import always_open
from schemas.district import District
from schemas.errors import CxError, Unavailable
from schemas.events import DistrictConfigured
from schemas.vocabulary import to_ms
from streams.core.business_time import clock_of
from streams.intake.closing import Closings, Newest
from streams.intake.producer import Encoded, Publisher, encode, publish_events
from streams.intake.simulator import Span, simulate
from streams.intake.simulator_parameters import default_parameters
from streams.intake.simulator_writing import DAY_MS, Arrived

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

    def arrivals(self) -> Iterator[Arrived]:
        """Events in order of arrival; they end more than a year after the opening."""
        start = self.opens_ms - HISTORY_DAYS * DAY_MS
        span = Span(start, self.opens_ms + LONGEST_DAYS * DAY_MS)
        return simulate(self.document, default_parameters(), span)

    def encoded(self, text: str) -> Encoded:
        """An event as the producer takes it."""
        return Encoded(self.document.district, text.encode())


class Feeder(Thread):
    """Publishes each event once the clock has reached it; waits while Kafka is away. `stop` it, then `join` it."""

    def __init__(
        self,
        demonstration: Demonstration,
        publisher: Publisher,
        now_ms: Callable[[], int],
        newest: Newest,
        sent: Callable[[int], None],
        since_ms: int,
    ) -> None:
        """`sent` hears up to which `received_at` all is acknowledged; nothing before `since_ms` is sent.

        `newest` is asked on this thread alone.
        """
        super().__init__(name="feeder", daemon=True)
        self._demonstration = demonstration
        self._publisher = publisher
        self._now_ms = now_ms
        self._closings = Closings(newest)
        self._sent = sent
        self._since_ms = since_ms
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
        due: list[Encoded] = []
        for received, text in self._demonstration.arrivals():
            declared = self._declared(text) if DECLARES in text else None
            if received < self._since_ms:
                continue
            while received > self._now_ms():
                if due and not self._publish(due):
                    return
                due = []
                self._sent(received)
                if self._ended.wait(FEED_SECONDS):
                    return
                self._look()
            if declared is None:
                due.append(self._demonstration.encoded(text))
            elif not self._declare(declared, received):
                return

    def _declared(self, text: str) -> frozenset[str]:
        return self._closings.pass_by(DistrictConfigured.model_validate_json(text).configuration)

    def _declare(self, days: frozenset[str], at_ms: int) -> bool:
        """Have days closed, whatever the document has become; false if stopped meanwhile."""
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

    def _look(self) -> None:
        """Now and then: whether somebody numbered a document like the feeder's own, so that one of them was lost."""
        if monotonic() < self._look_at:
            return
        self._look_at = monotonic() + LOOK_SECONDS
        try:
            document = self._closings.due(self._now_ms())
        except Unavailable as error:
            log.warning("the district's document is looked at again: %s", error)
        else:
            if document is not None:
                self._publish([encode(document)])

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
