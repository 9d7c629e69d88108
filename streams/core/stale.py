"""Conversations whose row is of an earlier configuration, in the order in which they are to be folded again."""

from collections.abc import Iterable
from itertools import chain, islice


class Stale:
    """Those with a running promise clock first: none may break by a configuration that is no longer in force."""

    __slots__ = ("_clocks", "_others")

    def __init__(self) -> None:
        self._clocks: dict[str, None] = {}
        self._others: dict[str, None] = {}

    def __len__(self) -> int:
        return len(self._clocks) + len(self._others)

    def __contains__(self, conversation: str) -> bool:
        return conversation in self._clocks or conversation in self._others

    @property
    def has_clocks(self) -> bool:
        """Whether one with a running clock is among them."""
        return bool(self._clocks)

    def add(self, conversation: str, runs: bool) -> None:
        """Put one behind those of its kind."""
        (self._clocks if runs else self._others)[conversation] = None

    def fill(self, conversations: Iterable[str], running: Iterable[str]) -> None:
        """Put all of these anew; `running` are those of them with a running clock, the first to break first."""
        self._others = dict.fromkeys(conversations)
        self._clocks = dict.fromkeys(name for name in running if name in self._others)
        for name in self._clocks:
            del self._others[name]

    def discard(self, conversations: Iterable[str]) -> None:
        """Take these out."""
        for conversation in conversations:
            self._clocks.pop(conversation, None)
            self._others.pop(conversation, None)

    def take(self, most: int | None) -> list[str]:
        """Take out the first ones, at most so many; None: all."""
        taken = list(islice(chain(self._clocks, self._others), most))
        self.discard(taken)
        return taken

    def clear(self) -> None:
        """Take out all."""
        self._clocks.clear()
        self._others.clear()
