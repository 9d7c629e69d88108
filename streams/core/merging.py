"""Which conversations are one concern: merges as a graph, decided by the set of events and not by their order.

Two conversations that a merge ever named together stay known to each other, also after an unmerge: their row versions
count the events of all of them, so that a version only grows whatever is merged and taken back.
"""

from collections.abc import Mapping, Sequence

from streams.core.corrections import is_spam
from streams.core.packed import Mark, Packed
from streams.core.story import opening_of


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
    opening = opening_of(events)
    return events[0].at_ms if opening is None else opening.at_ms


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

    `members`: corrected events by conversation, each sorted and not empty. What is spam takes part in no merge.
    """
    starts = {name: (_start_ms(events), name) for name, events in members.items() if not is_spam(events)}
    links = Links()
    for one, other in _merged_pairs(members):
        if one in starts and other in starts:
            links.add(one, other)
    found: dict[str, list[str]] = {}
    for name in sorted(members):
        together = sorted(starts[each] for each in links.together(name)) if name in starts else [(0, name)]
        found.setdefault(together[0][1], [each for _, each in together])
    return found
