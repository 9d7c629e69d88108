"""Repeat contacts and reopenings within 7 school days of a resolve. Definitions: "repeat contact", "reopen rate".

A resolve counts when its seventh school day is over, came somebody back early or late; until then it is pending. Of a
conversation resolved several times in a window, one return is enough, and it counts once.
"""

from bisect import bisect_right, insort
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from streams.core.intervals import Share, share
from streams.measures.facts import Fact, Resolve
from streams.measures.windows import Window


class ReturnsResult(NamedTuple):
    """Of the conversations resolved: `reopened`, and `repeated` of those whose person and topic are known."""

    reopened: Share
    repeated: Share
    unknown: int
    pending: int


class Openings:
    """When each person of a district opened a conversation of each topic."""

    __slots__ = ("opened",)

    def __init__(self) -> None:
        self.opened: dict[tuple[str, str], list[int]] = {}

    def add(self, fact: Fact) -> None:
        """Remember a conversation that a customer opened, if person and topic are known."""
        if fact.inquiries and fact.person and fact.topic:
            insort(self.opened.setdefault((fact.person, fact.topic), []), fact.opened_ms)

    def merge(self, other: "Openings") -> None:
        """Remember everything that the other remembers."""
        for key, opened in other.opened.items():
            self.opened[key] = sorted([*self.opened.get(key, ()), *opened])

    def next_after(self, fact: Fact, at_ms: int) -> int | None:
        """When the same person next opened a conversation of the same topic; None if never, or if not known."""
        opened = self.opened.get((fact.person, fact.topic), [])
        place = bisect_right(opened, at_ms)
        return opened[place] if place < len(opened) else None


class Resolved(NamedTuple):
    """A conversation that was resolved, and for each resolve whether the same was asked again in time."""

    known: bool
    resolves: tuple[tuple[Resolve, bool], ...]


def credited(facts: Iterable[Fact], openings: Openings) -> Iterator[tuple[str, Resolved]]:
    """Every conversation with a resolve, for the unit that has it; `openings` are those of the whole district."""
    for fact in facts:
        if fact.resolves and fact.linked:
            known = bool(fact.person and fact.topic)
            asked = [known and _in_time(openings.next_after(fact, r.resolved_ms), r.watched_ms) for r in fact.resolves]
            yield fact.unit, Resolved(known, tuple(zip(fact.resolves, asked, strict=True)))


def _in_time(at_ms: int | None, until_ms: int | None) -> bool:
    return at_ms is not None and until_ms is not None and at_ms < until_ms


class Returns:
    """Conversations of which a resolve's seven school days ended in a window."""

    __slots__ = ("_window", "known", "pending", "reopened", "repeated", "resolved")

    def __init__(self, window: Window) -> None:
        self._window = window
        self.resolved = self.known = self.reopened = self.repeated = self.pending = 0

    def add(self, resolved: Resolved) -> None:
        """Count one conversation."""
        now_ms = self._window.end_ms
        over = [(resolve, again) for resolve, again in resolved.resolves if self._window.holds(resolve.watched_ms)]
        if over:
            self.resolved += 1
            self.reopened += any(_in_time(resolve.reopened_ms, resolve.watched_ms) for resolve, _ in over)
            self.known += resolved.known
            self.repeated += any(again for _, again in over)
        self.pending += any(
            resolve.resolved_ms < now_ms and (resolve.watched_ms is None or resolve.watched_ms >= now_ms)
            for resolve, _ in resolved.resolves
        )

    def merge(self, other: "Returns") -> None:
        """Count everything that the other counted."""
        self.resolved += other.resolved
        self.known += other.known
        self.reopened += other.reopened
        self.repeated += other.repeated
        self.pending += other.pending

    def result(self) -> ReturnsResult:
        """Both rates; conversations without person or topic are in the first one only."""
        return ReturnsResult(
            share(self.reopened, self.resolved),
            share(self.repeated, self.known),
            self.resolved - self.known,
            self.pending,
        )
