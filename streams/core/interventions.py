"""What people did about alerts, acknowledged and silenced ones, as spans of time: a function of the events' set.

Of the events about one thing the last one by event time counts, from then on; of two contents of one id the smaller
digest. Source: docs/alerts.md.
"""

from bisect import bisect_right, insort
from collections.abc import Collection
from typing import Generic, NamedTuple, TypeVar

from schemas.events import AlertAcknowledged, AlertSilenced
from schemas.vocabulary import to_ms

NEVER_MS = 1 << 62
Thing = TypeVar("Thing")


class _Span(NamedTuple):
    from_ms: int
    event_id: str
    until_ms: int


class _Spans(Generic[Thing]):
    """Spans of time by what they are about."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[int, Thing, _Span]] = {}
        self.by_thing: dict[Thing, list[_Span]] = {}

    def add(self, thing: Thing, span: _Span, digest: int) -> None:
        known = self._known.get(span.event_id)
        if known is not None:
            if known[0] <= digest:
                return
            self.by_thing[known[1]].remove(known[2])
        self._known[span.event_id] = (digest, thing, span)
        insort(self.by_thing.setdefault(thing, []), span)

    def until(self, thing: Thing, at_ms: int) -> int:
        """Until when an instant is covered as things are then: not after it if it is not."""
        spans = self.by_thing.get(thing, [])
        index = bisect_right(spans, at_ms, key=lambda span: span.from_ms) - 1
        return at_ms if index < 0 else max(at_ms, spans[index].until_ms)

    def free_from(self, thing: Thing, at_ms: int) -> int:
        """The first instant from one on that is not covered; `NEVER_MS` if none is."""
        spans = self.by_thing.get(thing, [])
        while (until_ms := self.until(thing, at_ms)) > at_ms:
            index = bisect_right(spans, at_ms, key=lambda span: span.from_ms)
            later_ms = spans[index].from_ms if index < len(spans) else NEVER_MS
            at_ms = min(until_ms, later_ms)
            if at_ms == NEVER_MS:
                break
        return at_ms


_Scope = tuple[str | None, str | None, str | None]


class Interventions:
    """Of one district: which alert was acknowledged when, and what was silenced."""

    def __init__(self) -> None:
        self._acknowledged = _Spans[str]()
        self._silenced = _Spans[_Scope]()

    def add(self, event: AlertAcknowledged | AlertSilenced, digest: int) -> None:
        """Know one event, in any order and as often as it comes."""
        until_ms = NEVER_MS if event.until is None else to_ms(event.until)
        span = _Span(to_ms(event.occurred_at), event.event_id, until_ms)
        if isinstance(event, AlertAcknowledged):
            self._acknowledged.add(event.alert, span, digest)
        else:
            self._silenced.add((event.alert, event.unit, event.clock), span, digest)

    @property
    def any_acknowledged(self) -> bool:
        """Whether anything ever was."""
        return bool(self._acknowledged.by_thing)

    def is_acknowledged(self, key: str) -> bool:
        """Whether an alert ever was."""
        return key in self._acknowledged.by_thing

    def escalates_from(self, key: str, at_ms: int) -> int:
        """From an instant on, the first at which nobody has acknowledged an alert; `NEVER_MS`: there is none."""
        return self._acknowledged.free_from(key, at_ms)

    def is_silenced(self, key: str, units: Collection[str], clock: str, at_ms: int) -> bool:
        """Whether an alert of a clock is muted at an instant; `units`: the one that has it and all above."""
        return any(
            (alert is None or alert == key)
            and (unit is None or unit in units)
            and (of is None or of == clock)
            and self._silenced.until((alert, unit, of), at_ms) > at_ms
            for alert, unit, of in self._silenced.by_thing
        )
