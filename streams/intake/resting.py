"""Simulated staff on a day that a press closed: what they would do that day they do on their next one.

The simulation is drawn ahead and knows nothing of a press. So each event passes here when its time has come: where
staff of an office that closes would act, the conversation waits, and all that follows in it comes as much later. Calls
and visits that would be taken at once do not happen. Families go on asking. What is decided follows from the events and
from when each press became known alone, so that a later start decides the same.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from heapq import heappop, heappush
from itertools import count
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from schemas.district import District
from schemas.vocabulary import from_ms, to_ms
from streams.configured import closed_on
from streams.core.configuration import Configuration, ConfigurationEvent
from streams.intake.simulator_writing import Arrived, instant

LONGEST_REST_DAYS = 60
BY_STAFF = {"reply", "transfer", "status_changed", "merge", "spam", "correction"}


class _Held(NamedTuple):
    """An event on its way, `shift_ms` later than it was drawn; `drawn_ms` is when it would have happened."""

    received_ms: int
    number: int
    drawn_ms: int
    shift_ms: int
    event: dict[str, Any]

    @property
    def text(self) -> str:
        """The event as JSON with its times."""
        times = {"occurred_at": instant(self.drawn_ms + self.shift_ms), "received_at": instant(self.received_ms)}
        return json.dumps({**self.event, **times}, separators=(",", ":"))


class _Wait(NamedTuple):
    """What happens in a conversation from an instant of the drawing on, comes so much later."""

    from_ms: int
    shift_ms: int


def _configuration(document: District) -> Configuration:
    return Configuration(document.district, [ConfigurationEvent(document.revision, 0, "", document)])


def acts(event: Mapping[str, Any]) -> bool:
    """Whether staff do this, not a customer and not a machine."""
    if event["kind"] == "inquiry":
        return event.get("contact") == "answered_live" or event.get("opened_by") == "staff"
    by_machine = "author" in event or event.get("from_bot", False)
    return event["kind"] in BY_STAFF and not by_machine and event.get("by") != "customer"


class Resting:
    """Holds events back; `document` is the one the simulation is drawn from, with everything known in hindsight."""

    def __init__(self, document: District, pressed: Mapping[str, int]) -> None:
        """`pressed`: closed dates, and the instant from which each is known, ms UTC."""
        self._document = document
        self._usual = _configuration(document)
        self._zone = ZoneInfo(document.calendars[document.calendar].time_zone if document.calendar else "UTC")
        self._pressed: dict[str, tuple[int, Configuration]] = {}
        self._waits: dict[str, _Wait] = {}
        self._sent_ms: dict[str, int] = {}
        self._dropped: set[str] = set()
        self._held: list[_Held] = []
        self._numbers = count()
        for day, known_ms in pressed.items():
            self.learn(day, known_ms)

    @property
    def pressed(self) -> dict[str, int]:
        """Closed dates, and from when on each is known."""
        return {day: known_ms for day, (known_ms, _) in self._pressed.items()}

    def learn(self, day: str, known_ms: int) -> None:
        """A date is closed; nothing that happens from `known_ms` on has been sent yet."""
        self._pressed[day] = known_ms, _configuration(closed_on(self._document, [day]))

    def take(self, received_ms: int, text: str) -> str | None:
        """An event whose time has come, to be sent; None if it comes later or never."""
        if not self._pressed or received_ms < min(known_ms for known_ms, _ in self._pressed.values()):
            return text
        event = json.loads(text)
        if "conversation" not in event:
            return text
        drawn_ms = to_ms(datetime.fromisoformat(event["occurred_at"]))
        return text if self._goes(_Held(received_ms, next(self._numbers), drawn_ms, 0, event)) else None

    def next_ms(self) -> int | None:
        """When the next held event comes."""
        return self._held[0].received_ms if self._held else None

    def due(self, until_ms: int) -> Iterator[Arrived]:
        """Held events whose time has come by an instant."""
        while self._held and self._held[0].received_ms <= until_ms:
            held = heappop(self._held)
            if self._goes(held):
                yield held.received_ms, held.text

    def _goes(self, held: _Held) -> bool:
        """Whether it goes out as it is; else it is held until later, or dropped."""
        name = held.event["conversation"]
        wait = self._waits.get(name)
        is_behind = wait is not None and held.drawn_ms >= wait.from_ms
        shift_ms = wait.shift_ms if wait is not None and is_behind else held.shift_ms
        if shift_ms == held.shift_ms:
            shift_ms += self._rest_ms(held)
            if shift_ms > held.shift_ms and (wait is None or is_behind):
                # What was sent stays as it was, when it comes again too: an act may have been long on its way.
                from_ms = max(held.drawn_ms, self._sent_ms.get(name, 0) + 1) if wait is None else wait.from_ms
                self._waits[name] = _Wait(from_ms, shift_ms)
        if name in self._dropped:
            return False
        if shift_ms > held.shift_ms:
            received_ms = held.received_ms + shift_ms - held.shift_ms
            heappush(self._held, held._replace(received_ms=received_ms, shift_ms=shift_ms))
            return False
        if wait is None:
            self._sent_ms[name] = max(held.drawn_ms, self._sent_ms.get(name, 0))
        return True

    def _rest_ms(self, held: _Held) -> int:
        """How much later staff do what they would do now; 0: they do it now, or it never happens."""
        at_ms = held.drawn_ms + held.shift_ms
        local = from_ms(at_ms).astimezone(self._zone)
        pressed = self._pressed.get(local.date().isoformat())
        if pressed is None or not acts(held.event):
            return 0
        known_ms, closed = pressed
        unit = held.event.get("unit", self._document.district)
        if at_ms < known_ms or closed.clock(unit).is_school_day(local.date()):
            return 0
        if held.event.get("contact") == "answered_live":
            self._dropped.add(held.event["conversation"])
            return 0
        return to_ms(datetime.combine(self._next_day(unit, local.date(), at_ms), local.time(), self._zone)) - at_ms

    def _next_day(self, unit: str, rested: date, at_ms: int) -> date:
        """The unit's next day, as far as is known at an instant."""
        clock = self._usual.clock(unit)
        for ahead in range(1, LONGEST_REST_DAYS):
            day = rested + timedelta(days=ahead)
            known_ms, _ = self._pressed.get(day.isoformat(), (at_ms + 1, None))
            if clock.is_school_day(day) and known_ms > at_ms:
                return day
        return rested + timedelta(days=LONGEST_REST_DAYS)
