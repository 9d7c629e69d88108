"""The set of one conversation's events, and what an event is to it. Pure: order and repetition change nothing."""

from bisect import insort
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any, NamedTuple

from schemas.events import Event
from streams.core.packed import Packed, is_refused


class Arrival(Enum):
    """What an event was to the set: new, known already, the same id with other content, or of an erased person.

    `EARLIER` is known too, and was received before what is known of it: only its receipt is to be kept.
    """

    NEW = "new"
    DUPLICATE = "duplicate"
    EARLIER = "earlier"
    CONFLICT = "conflict"
    ERASED = "erased"


class Applied(NamedTuple):
    """An event that belongs into the log of its district, with its canonical content."""

    arrival: Arrival
    conversation: str
    digest: int
    content: bytes


class Undecoded(NamedTuple):
    """A conversation's whole set as it was read back: canonical contents, and what makes events with digests of them.

    No two of them have the same id, and none is a refused one, a merge or the end of one.
    """

    contents: tuple[bytes, ...]
    read: Callable[[], Iterable[tuple[Event, int]]]


class Conversation:
    """The set of one conversation's events, in order; `losers` are contents that lost against a smaller digest.

    `parts`: how many rows of it ever landed. `undecoded`: its whole set, until somebody needs it.
    """

    __slots__ = ("events", "losers", "parts", "undecoded")

    def __init__(self, undecoded: Undecoded | None = None) -> None:
        self.events: tuple[Packed, ...] = ()
        self.losers: tuple[tuple[str, int], ...] = ()
        self.parts = 1
        self.undecoded = undecoded

    def add(self, event: Packed) -> Arrival:
        """Put an event into the set; of two contents of one id the smaller digest stays."""
        for known in self.events:
            if known.event_id == event.event_id:
                return self._again(known, event)
        if not self.events or self.events[-1][:3] < event[:3]:
            self.events = (*self.events, event)
        else:
            ordered = list(self.events)
            insort(ordered, event, key=lambda e: e[:3])
            self.events = tuple(ordered)
        return Arrival.NEW

    def _again(self, known: Packed, event: Packed) -> Arrival:
        if event.digest == known.digest and 0 < getattr(event, "received_ms", 0) < getattr(known, "received_ms", 0):
            return self._received_earlier(known, event)
        loser = (event.event_id, max(event.digest, known.digest))
        if event.digest == known.digest or (event.digest > known.digest and loser in self.losers):
            return Arrival.DUPLICATE
        self.losers = (*self.losers, loser)
        if event.digest < known.digest:
            kept = [e for e in self.events if e is not known]
            insort(kept, event, key=lambda e: e[:3])
            self.events = tuple(kept)
        return Arrival.CONFLICT

    def _received_earlier(self, known: Any, event: Any) -> Arrival:
        earlier = known._replace(received_ms=event.received_ms)
        self.events = tuple(earlier if each is known else each for each in self.events)
        return Arrival.EARLIER

    @property
    def refused(self) -> int:
        """Events of persons erased before they came."""
        return sum(map(is_refused, self.events))

    @property
    def counting(self) -> tuple[Packed, ...]:
        """The events without the refused ones; only these if there are no others."""
        refused = self.refused
        if not refused or refused == len(self.events):
            return self.events
        return tuple(event for event in self.events if not is_refused(event))

    @property
    def count(self) -> int:
        """Events known, lost contents included: the part of the row version that only grows."""
        undecoded = 0 if self.undecoded is None else len(self.undecoded.contents)
        return len(self.events) + len(self.losers) + undecoded
