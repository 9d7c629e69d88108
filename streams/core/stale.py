"""Conversations that are to be folded again slice by slice, and in which order.

Their row is of an earlier configuration, and what the fold makes is to land; or the row has landed and only what is
kept beside it (promise clocks, windows, openings) is to be made: after a recovery.
"""

from collections.abc import Collection, Iterable
from itertools import chain, islice

Queue = dict[str, bool]


class Stale:
    """First those of which a promise clock is known: none may break by a configuration that is no longer in force.

    Then those that have one which is still to be made, and the others last. Each says whether its row is to land.
    """

    __slots__ = ("_clocks", "_others", "_unmade")

    def __init__(self) -> None:
        self._clocks: Queue = {}
        self._unmade: Queue = {}
        self._others: Queue = {}

    def __len__(self) -> int:
        return len(self._clocks) + len(self._unmade) + len(self._others)

    def __contains__(self, conversation: str) -> bool:
        return conversation in self._clocks or conversation in self._unmade or conversation in self._others

    @property
    def has_clocks(self) -> bool:
        """Whether one with a known clock is among them."""
        return bool(self._clocks)

    @property
    def has_soonest(self) -> bool:
        """Whether one with any clock is among them."""
        return bool(self._clocks or self._unmade)

    def add(self, conversation: str, runs: bool) -> None:
        """Put one behind those of its kind, to land."""
        self.discard([conversation])
        (self._clocks if runs else self._others)[conversation] = True

    def fill(self, conversations: Iterable[str], running: Iterable[str]) -> None:
        """Put all of these anew, to land; `running` are those of them with a known clock, the first to break first."""
        unmade = dict.fromkeys(self._unmade, True)
        self._others = dict.fromkeys(conversations, True)
        self._clocks = self._taken_out(running)
        self._unmade = self._taken_out(unmade)

    def refill(
        self, conversations: Iterable[str], known: Iterable[str], unmade: Iterable[str], landing: Collection[str]
    ) -> None:
        """Put all of these anew; only those of `landing` are to land.

        `known` are those of them with a known clock, `unmade` those with one that is to be made, both in their order.
        """
        self._others = dict.fromkeys(conversations, False)
        self._others |= dict.fromkeys((name for name in landing if name in self._others), True)
        self._clocks = self._taken_out(known)
        self._unmade = self._taken_out(chain(unmade, landing))

    def _taken_out(self, names: Iterable[str]) -> Queue:
        return {name: self._others.pop(name) for name in names if name in self._others}

    def discard(self, conversations: Iterable[str]) -> None:
        """Take these out."""
        for conversation in conversations:
            for queue in (self._clocks, self._unmade, self._others):
                queue.pop(conversation, None)

    def take(self, most: int | None) -> Queue:
        """Take out the first ones, at most so many (None: all), and whether each is to land."""
        taken = dict(islice(chain(self._clocks.items(), self._unmade.items(), self._others.items()), most))
        self.discard(taken)
        return taken

    def clear(self) -> None:
        """Take out all."""
        for queue in (self._clocks, self._unmade, self._others):
            queue.clear()
