"""What is known of a conversation: its events, those of everything a merge ever named with it, the district's own.

Held in the same state as a worker's, so that the rows explained are the rows that land.
"""

from collections.abc import Iterable
from typing import NamedTuple

from schemas.calendar import Calendar
from schemas.events import DistrictConfigured, Erased, Event
from schemas.facts import Row
from schemas.vocabulary import to_ms
from streams.core.configuration import Configuration, ConfigurationEvent
from streams.core.corrections import corrected
from streams.core.district import DistrictState
from streams.core.erasure import keys_in
from streams.core.merging import Links, groups, moved
from streams.core.packed import Mark, Packed, is_refused
from streams.explaining.changes import changes_of
from streams.explaining.told import Change

Receipt = tuple[str, str, int]


class Origin(NamedTuple):
    """An event as it counts, and the conversation that it came with."""

    conversation: str
    event: Packed


class Revision(NamedTuple):
    """One configuration event by itself."""

    event: DistrictConfigured
    alone: Configuration


class Known:
    """The state of one district as far as one question needs it."""

    def __init__(self, district: str, events: Iterable[tuple[Event, int | None]]) -> None:
        """`events`: of one district in any order, with the digest they landed with or None."""
        self.state = DistrictState(district)
        self.received_ms: dict[Receipt, int] = {}
        self._erased: dict[str, str] = {}
        self._keys: dict[str, set[str]] = {}
        configured: dict[tuple[str, int], DistrictConfigured] = {}
        for event, landed_digest in events:
            applied = self.state.apply(event, landed_digest)
            receipt = applied.conversation, event.event_id, applied.digest
            at_ms = to_ms(event.received_at)
            self.received_ms[receipt] = min(at_ms, self.received_ms.get(receipt, at_ms))
            if isinstance(event, DistrictConfigured):
                configured.setdefault((event.event_id, applied.digest), event)
            elif isinstance(event, Erased):
                self._erased[event.key_digest] = event.event_id
            else:
                self._keys.setdefault(applied.conversation, set()).update(keys_in(event))
        self.revisions = [
            Revision(event, _alone(event)) for event in sorted(configured.values(), key=lambda e: e.received_at)
        ]
        self.rows: dict[str, Row] = {row[1]: row for row in self.state.settle().rows}

    @property
    def configuration(self) -> Configuration:
        """All configurations of the district."""
        return self.state.configuration

    def erased_in(self, conversation: str) -> list[str]:
        """The erasures that took someone out of a conversation's own events, as far as these still say so."""
        keys = self._keys.get(conversation, set())
        return sorted({erasure for key, erasure in self._erased.items() if key in keys})

    def refused(self, conversation: str) -> list[str]:
        """Ids of a conversation's own events whose person had been erased when they came."""
        events = self.state.conversations[conversation].events
        return [event.event_id for event in events if is_refused(event)]

    def changes(self, conversation: str) -> dict[str, list[Change]]:
        """What corrections replaced in a conversation's own events."""
        return changes_of(self.state.conversations[conversation].counting)

    def events_in(self, conversation: str) -> list[Origin]:
        """The events that a conversation's rows are made of, as they count, in order; a later part's too."""
        links = Links()
        for name, held in self.state.conversations.items():
            for event in held.events:
                if type(event) is Mark and event.kind in ("merge", "unmerge"):
                    links.add(name, event.refers_to)
        together = [name for name in links.together(conversation) if name in self.state.conversations]
        right = {name: corrected(self.state.conversations[name].counting) for name in together}
        names = groups(right).get(conversation, [conversation])
        return [Origin(name, event) for name, event in moved(right, names)]

    def calendar(self, unit: str) -> tuple[str, Calendar | None]:
        """Name and content of the calendar that a unit's time is measured in; no content: always open."""
        newest = self.configuration.newest
        if newest is None:
            return "always open", None
        own = {each.unit: each.calendar for each, _ in newest.walk()} | {newest.district: newest.calendar}
        for above in self.configuration.path(unit):
            name = own.get(above)
            if name is not None:
                return name, newest.calendars[name]
        return "always open", None


def _alone(event: DistrictConfigured) -> Configuration:
    only = ConfigurationEvent(event.revision, to_ms(event.occurred_at), event.event_id, event.configuration)
    return Configuration(event.district, [only])
