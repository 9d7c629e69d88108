"""Which conversations are one concern: merges as a graph, decided by the set of events and not by their order.

Two conversations that a merge ever named together stay known to each other, also after an unmerge: their row versions
count the events of all of them, so that a version only grows whatever is merged and taken back.
"""

from collections.abc import Mapping, Sequence, Set

from streams.core.corrections import counts_nowhere
from streams.core.packed import Mark, Packed, Rating, StatusChanged
from streams.core.skew import reconciled
from streams.core.story import is_staff_reply, opening_of

APART = "~"


class Links:
    """Conversations of one district that a merge ever named together."""

    def __init__(self) -> None:
        self._near: dict[str, set[str]] = {}

    def __contains__(self, conversation: str) -> bool:
        return conversation in self._near

    def add(self, conversation: str, other: str) -> None:
        """A merge, or the end of one, names the two; never forgotten."""
        if conversation != other:
            self._near.setdefault(conversation, set()).add(other)
            self._near.setdefault(other, set()).add(conversation)

    def together(self, conversation: str) -> list[str]:
        """The conversation and all that are connected with it, sorted."""
        found, waiting = {conversation}, [conversation]
        while waiting:
            near = self._near.get(waiting.pop(), set()) - found
            found |= near
            waiting.extend(near)
        return sorted(found)


def _start_ms(events: Sequence[Packed]) -> int:
    """The opening, or what the district wrote before it; else the first event."""
    opening = opening_of(events)
    ordered, _ = reconciled(events, opening)
    return next((event.at_ms for event in ordered if event is opening or is_staff_reply(event)), events[0].at_ms)


def _merged_pairs(members: Mapping[str, Sequence[Packed]]) -> list[tuple[str, str]]:
    """Pairs whose last word is a merge, by event time."""
    words = []
    for name, events in members.items():
        for event in events:
            if type(event) is Mark and event.kind in ("merge", "unmerge"):
                one, other = sorted((name, event.refers_to))
                words.append((event[:3], one, other, event.kind == "merge"))
    last = {(one, other): merged for _, one, other, merged in sorted(words)}
    return [pair for pair, merged in last.items() if merged]


def groups(members: Mapping[str, Sequence[Packed]]) -> dict[str, list[str]]:
    """Members by their primary, the primary itself first: the earliest start, then the smallest id.

    `members`: corrected events by conversation, each sorted and not empty. What counts nowhere takes part in no merge.
    """
    starts = {name: (_start_ms(events), name) for name, events in members.items() if not counts_nowhere(events)}
    links = Links()
    for one, other in _merged_pairs(members):
        if one in starts and other in starts:
            links.add(one, other)
    found: dict[str, list[str]] = {}
    for name in sorted(members):
        together = sorted(starts[each] for each in links.together(name)) if name in starts else [(0, name)]
        found.setdefault(together[0][1], [each for _, each in together])
    return found


def as_one(members: Mapping[str, Sequence[Packed]], names: Sequence[str]) -> list[Packed]:
    """The events of merged conversations as those of the first of `names`, in order."""
    return [event for _, event in moved(members, names)]


def moved(members: Mapping[str, Sequence[Packed]], names: Sequence[str]) -> list[tuple[str, Packed]]:
    """The same, each with the conversation it came in.

    A desk closes or deletes what it merged away: from the merge on that says nothing of the concern. Anonymous raters
    of two conversations are two, and an event id is unique only within its conversation.
    """
    found: list[tuple[str, Packed]] = []
    for name in names:
        seen = {event.event_id for _, event in found}
        own = _without_closing(members[name], set(names) - {name})
        found.extend((name, event if name == names[0] else _apart(event, name, seen)) for event in own)
    return sorted(found, key=lambda pair: pair[1][:3])


def _without_closing(events: Sequence[Packed], others: Set[str]) -> list[Packed]:
    merges = [e.at_ms for e in events if type(e) is Mark and e.kind == "merge" and e.refers_to in others]
    if not merges:
        return list(events)
    return [event for event in events if event.at_ms < merges[0] or not _closes(event)]


def _closes(event: Packed) -> bool:
    return type(event) is StatusChanged or (type(event) is Mark and event.kind == "deleted")


def _apart(event: Packed, name: str, seen: set[str]) -> Packed:
    if type(event) is Rating and event.rater is None:
        event = event._replace(rater=f"{APART}{name}")
    return event._replace(event_id=f"{name}/{event.event_id}") if event.event_id in seen else event


def is_apart(rater: str | None) -> bool:
    """Whether a rater is anonymous and only told apart from those of other conversations merged into one."""
    return rater is not None and rater.startswith(APART)
