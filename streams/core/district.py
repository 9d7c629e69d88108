"""One district's state: its configuration, its conversations, and what changed since facts were last made.

`apply` only adds to sets; `settle` folds each changed conversation once. So a burst on one conversation costs one fold,
and any order of arrival gives the same rows. What only a changed configuration touches is folded in slices, those with
a running promise clock first, so that a district's whole history does not hold up what is new.
"""

from bisect import insort
from collections.abc import Iterable
from enum import Enum
from itertools import islice
from typing import NamedTuple

from schemas.events import DistrictConfigured, Event, canonical
from schemas.facts import Row, row_version
from schemas.vocabulary import to_ms
from streams.core.alerting import AlertBook
from streams.core.configuration import Configuration, ConfigurationEvent
from streams.core.conversation import fold
from streams.core.packed import Packed, digest_of, pack
from streams.core.rolling import Rolling


class Arrival(Enum):
    """What an event was to the set: new, known already, or the same id with other content."""

    NEW = "new"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"


class Applied(NamedTuple):
    """An event that belongs into the log of its district, with its canonical content."""

    arrival: Arrival
    conversation: str
    digest: int
    content: bytes


class Culprit(NamedTuple):
    """An event that made the fold raise and left the set."""

    conversation: str
    event_id: str
    digest: int
    error: str


class Settled(NamedTuple):
    """Rows of all conversations that changed, in order of conversation, and the events that had to leave."""

    rows: list[Row]
    culprits: list[Culprit]


class Conversation:
    """The set of one conversation's events, in order; `losers` are contents that lost against a smaller digest."""

    __slots__ = ("events", "losers")

    def __init__(self) -> None:
        self.events: tuple[Packed, ...] = ()
        self.losers: tuple[tuple[str, int], ...] = ()

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
        loser = (event.event_id, max(event.digest, known.digest))
        if event.digest == known.digest or (event.digest > known.digest and loser in self.losers):
            return Arrival.DUPLICATE
        self.losers = (*self.losers, loser)
        if event.digest < known.digest:
            kept = [e for e in self.events if e is not known]
            insort(kept, event, key=lambda e: e[:3])
            self.events = tuple(kept)
        return Arrival.CONFLICT

    @property
    def count(self) -> int:
        """Events known, lost contents included: the part of the row version that only grows."""
        return len(self.events) + len(self.losers)


class DistrictState:
    """Everything known of one district. Not safe for threads: its partition's worker is the only writer."""

    def __init__(self, district: str) -> None:
        self.district = district
        self.conversations: dict[str, Conversation] = {}
        self._configurations: list[ConfigurationEvent] = []
        self.configuration = Configuration(district)
        self.alerts = AlertBook(district)
        self.rolling = Rolling(district)
        self._others: dict[str, set[int]] = {}
        self._dirty: dict[str, list[Packed]] = {}
        self._stale_clocks: dict[str, None] = {}
        self._stale: dict[str, None] = {}

    def apply(self, event: Event) -> Applied:
        """Add one event of this district to its set. Cost does not depend on the history of other conversations."""
        content = canonical(event)
        digest = digest_of(content)
        conversation: str = getattr(event, "conversation", "")
        if conversation:
            return Applied(self._add(conversation, pack(event, digest)), conversation, digest, content)
        known = self._others.setdefault(event.event_id, set())
        arrival = Arrival.DUPLICATE if digest in known else Arrival.CONFLICT if known else Arrival.NEW
        known.add(digest)
        if arrival is not Arrival.DUPLICATE and isinstance(event, DistrictConfigured):
            self._configure(event)
        return Applied(arrival, "", digest, content)

    def _add(self, conversation: str, packed: Packed) -> Arrival:
        held = self.conversations.get(conversation)
        if held is None:
            held = self.conversations[conversation] = Conversation()
        arrival = held.add(packed)
        if arrival is not Arrival.DUPLICATE:
            self._dirty.setdefault(conversation, []).append(packed)
        return arrival

    def _configure(self, event: DistrictConfigured) -> None:
        added = ConfigurationEvent(event.revision, to_ms(event.occurred_at), event.event_id, event.configuration)
        self._configurations.append(added)
        self.configuration = Configuration(self.district, self._configurations)
        self.touch(self.conversations)

    def touch(self, conversations: Iterable[str]) -> None:
        """Have these conversations folded again, slice by slice."""
        for conversation in conversations:
            stale = self._stale_clocks if self.alerts.is_running(conversation) else self._stale
            stale[conversation] = None

    def clean(self) -> None:
        """Forget what changed: after a recovery everything held has landed before."""
        for changed in (self._dirty, self._stale_clocks, self._stale):
            changed.clear()

    @property
    def changed(self) -> int:
        """Conversations that are to be folded."""
        return len(self._dirty) + self.stale

    @property
    def stale(self) -> int:
        """Of these, those that wait for a slice: no event of theirs came, but their row is not of this configuration."""
        return len(self._stale_clocks) + len(self._stale)

    @property
    def has_stale_clocks(self) -> bool:
        """Whether a promise clock still runs by an earlier configuration; none may break meanwhile."""
        return bool(self._stale_clocks)

    def version(self, conversation: str) -> int:
        """The row version the conversation's set has now, without folding it."""
        return row_version(self.configuration.count, self.conversations[conversation].count)

    def settle(self, most_stale: int | None = None) -> Settled:
        """Fold every conversation with new events, and of the stale ones at most so many (None: all).

        An event that makes the fold raise leaves the set and is named.
        """
        rows: list[Row] = []
        culprits: list[Culprit] = []
        self._take_stale(most_stale)
        for conversation in sorted(self._dirty):
            held = self.conversations.get(conversation)
            if held is None or not held.events:
                continue
            row: Row | None
            try:
                row = self._fold(conversation, held.events)
            except Exception:  # noqa: BLE001 -- whatever it is, it must cost no other event
                row = self._without_culprits(conversation, held, self._dirty[conversation], culprits)
            if row is None:
                self.alerts.remove(conversation)
                self.rolling.remove(conversation)
            else:
                self.alerts.replace(conversation, row)
                self.rolling.replace(conversation, row)
                rows.append(row)
        self._dirty.clear()
        return Settled(rows, culprits)

    def _take_stale(self, most: int | None) -> None:
        for stale in (self._stale_clocks, self._stale):
            for conversation in self._dirty.keys() & stale.keys():
                del stale[conversation]
            chosen = list(islice(stale, most))
            for conversation in chosen:
                del stale[conversation]
                self._dirty[conversation] = []
            most = None if most is None else most - len(chosen)

    def refill(self) -> None:
        """Fold every conversation for what is kept beside the rows: after a recovery, whose rows have landed.

        One whose fold raises is left to the next `settle`, which names the culprit.
        """
        for conversation, held in self.conversations.items():
            try:
                row = self._fold(conversation, held.events)
                self.alerts.replace(conversation, row)
                self.rolling.replace(conversation, row)
            except Exception:  # noqa: BLE001 -- whatever it is, it must cost no other conversation
                self.touch((conversation,))

    def _fold(self, conversation: str, events: tuple[Packed, ...]) -> Row:
        losers = self.conversations[conversation].losers
        return fold((self.district, conversation), events, len(losers), self.configuration)

    def _without_culprits(
        self, conversation: str, held: Conversation, recent: list[Packed], culprits: list[Culprit]
    ) -> Row | None:
        """Add events one by one, those known longest first, and leave out each that makes the fold raise."""
        fresh = {event.event_id for event in recent}
        order = sorted(held.events, key=lambda event: event.event_id in fresh)
        kept: tuple[Packed, ...] = ()
        row: Row | None = None
        for event in order:
            tried = tuple(sorted((*kept, event), key=lambda e: e[:3]))
            try:
                row = self._fold(conversation, tried)
            except Exception as error:  # noqa: BLE001 -- named and sent to the dead letters by the caller
                culprits.append(Culprit(conversation, event.event_id, event.digest, type(error).__name__))
            else:
                kept = tried
        held.events = kept
        if not kept:
            del self.conversations[conversation]
        return row
