"""Simulated events as JSON text on their way to the intake: delays, duplicates, silences, order of arrival."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from math import log
from random import Random

from streams.intake.simulator_parameters import Arrival

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
MINUTE_MS = 60_000
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_CLOCK = [f"T{minute // 60:02d}:{minute % 60:02d}:" for minute in range(1440)]
_REST = [f"{rest // 1000:02d}.{rest % 1000:03d}Z" for rest in range(MINUTE_MS)]
_dates: dict[int, str] = {}

Arrived = tuple[int, str]
"""An event: `received_at` in ms, and its JSON text."""


def stream(*parts: object) -> Random:
    """The random numbers that belong to these parts: the same ones for the same parts, whatever was drawn before."""
    return Random("/".join(map(str, parts)))  # noqa: S311 -- a simulation, no secret


def instant(at_ms: int) -> str:
    """ISO 8601 in UTC, to the millisecond."""
    day, rest = divmod(at_ms, DAY_MS)
    text = _dates.get(day)
    if text is None:
        text = _dates[day] = date.fromordinal(day + _EPOCH_ORDINAL).isoformat()
    return text + _CLOCK[rest // MINUTE_MS] + _REST[rest % MINUTE_MS]


class Feed:
    """A system that reports events: its code, how long its events are on their way, when it is silent."""

    __slots__ = ("delay_ms", "late", "late_ms", "silences", "source")

    def __init__(self, source: str, delay_ms: float, late: float, late_ms: float) -> None:
        self.source = source
        self.delay_ms = delay_ms
        self.late = late
        self.late_ms = late_ms
        self.silences: list[tuple[int, int]] = []

    def received(self, at_ms: int, random: Random) -> int:
        """When an event of this instant comes to the intake."""
        draw = random.random
        received = at_ms + int(-self.delay_ms * log(1.0 - draw()))
        if draw() < self.late:
            received += int(self.late_ms * draw())
        for start, end in self.silences:
            if start <= received < end:
                received = end + int(10 * self.delay_ms * draw())
        return received

    def silent(self, at_ms: int) -> bool:
        """True while nothing of it comes through."""
        return any(start <= at_ms < end for start, end in self.silences)


class Thread:
    """One conversation as one source reports it; numbers its events."""

    __slots__ = ("common", "conversation", "count", "feed", "prefix")

    def __init__(self, district: str, conversation: str, feed: Feed, mark: str = "") -> None:
        self.conversation = conversation
        self.feed = feed
        self.count = 0
        self.prefix = f"{conversation}.{mark}"
        self.common = f'"district":"{district}","source":"{feed.source}","conversation":"{conversation}"'


class Outbox:
    """Events on their way, kept by hour of arrival."""

    def __init__(self, arrival: Arrival) -> None:
        self._hours: defaultdict[int, list[Arrived]] = defaultdict(list)
        self._duplicated = arrival.duplicated
        self._duplicate_ms = arrival.duplicate_minutes * MINUTE_MS
        self.random = Random(0)  # noqa: S311 -- replaced by each day's own
        self.muted = False
        """While true, events are drawn and dropped: of conversations that began before the span."""

    def put(self, thread: Thread, kind: str, at_ms: int, fields: str = "", known_ms: int = 0) -> str:
        """Send an event of a conversation, not before an instant at which it is known. Returns its event id.

        `fields` is JSON after a comma.
        """
        thread.count += 1
        event_id = f"{thread.prefix}{thread.count}"
        random = self.random
        received = max(thread.feed.received(at_ms, random), known_ms)
        again = random.random() < self._duplicated
        text = f'{{"kind":"{kind}","event_id":"{event_id}",{thread.common},"occurred_at":"{instant(at_ms)}"{fields}'
        self.send(received, text)
        if again:
            self.send(received + int(self._duplicate_ms * random.random()), text)
        return event_id

    def send(self, received: int, text: str) -> None:
        """Send the text of an event that lacks only `received_at` and its closing brace."""
        if not self.muted:
            self._hours[received // HOUR_MS].append((received, f'{text},"received_at":"{instant(received)}"}}'))

    def arrived(self, until_ms: int) -> Iterator[Arrived]:
        """Everything that came in the whole hours before an instant, in order, and no longer kept."""
        for hour in sorted(hour for hour in self._hours if (hour + 1) * HOUR_MS <= until_ms):
            yield from sorted(self._hours.pop(hour))
