"""The contributions of one district to its rolling windows, by conversation.

They are kept together and replaced as a whole, so late events, corrections and retractions need no undoing. Windows,
parents and histograms are made of all of them when rows are asked for (`streams.core.minute`).
"""

from collections.abc import Iterable

import numpy as np

from schemas.facts import Row
from schemas.rolling import RollingRow
from schemas.vocabulary import UNROUTED
from streams.core.configuration import Configuration
from streams.core.contributions import WAIT, WIDTH, Numbers, contributions, kind_of, unit_of, unpacked
from streams.core.minute import Minute
from streams.core.publishing import Publishing
from streams.core.windows import DAY_MS, NEVER_MS, Tree

PRUNE_EVERY_MS = DAY_MS // 24


class Rolling:
    """The contributions of one district, by conversation. The same rows whatever order they came in."""

    def __init__(self, district: str) -> None:
        self.district = district
        self.publishing = Publishing()
        self._held: dict[str, bytes] = {}
        self._numbers = Numbers()
        self._tree: Tree | None = None
        self._pruned_ms = -NEVER_MS

    def __len__(self) -> int:
        """Conversations that contribute."""
        return len(self._held)

    def __contains__(self, conversation: str) -> bool:
        """Whether a conversation contributes."""
        return conversation in self._held

    def replace(self, conversation: str, row: Row) -> None:
        """Let a conversation contribute what this row says, and nothing that it contributed before."""
        record = contributions(row, self._numbers)
        if record:
            self._held[conversation] = record
        else:
            self.remove(conversation)

    def remove(self, conversation: str) -> None:
        """Let a conversation contribute nothing."""
        self._held.pop(conversation, None)

    def prune(self, now_ms: int, configuration: Configuration) -> None:
        """Forget conversations of which nothing counts any more in a window that ends now or later."""
        self._pruned_ms = now_ms
        self._tree_of(configuration)
        self.forget(list(self._held), configuration)

    def reaching(self, now_ms: int, configuration: Configuration) -> list[str]:
        """Conversations of which something counts in a window that ends at an instant, or later; the others go."""
        self.prune(now_ms, configuration)
        return list(self._held)

    def forget(self, names: Iterable[str], configuration: Configuration) -> None:
        """Forget those of these of which nothing counts in a window that ends when it was last pruned, or later."""
        held = [name for name in names if name in self._held]
        if not held or self._pruned_ms < 0:
            return
        tree = self._tree_of(configuration)
        records = unpacked(self._held[name] for name in held)
        last = np.where(kind_of(records[:, 0]) == WAIT, records[:, 2], records[:, 1])
        begin = tree.horizon(self._pruned_ms)[tree.places(list(self._numbers.units))][unit_of(records[:, 0])]
        lengths = np.fromiter((len(self._held[name]) for name in held), dtype=np.int64) // (WIDTH * 8)
        counts = np.logical_or.reduceat(last >= begin, np.cumsum(lengths) - lengths)
        for place in np.flatnonzero(~counts).tolist():
            del self._held[held[place]]

    def reaches_back(self, configuration: Configuration) -> bool:
        """Whether by a new configuration something counts that was forgotten by the one before."""
        if self._tree is None or self._pruned_ms < 0:
            return False
        trees = self._tree, Tree(configuration)
        old, new = (dict(zip(tree.units, tree.horizon(self._pruned_ms).tolist(), strict=True)) for tree in trees)
        gone = [held_ms for unit, held_ms in old.items() if unit not in new]
        latest = max(old.values())
        return any(at_ms < old.get(unit, latest) for unit, at_ms in new.items()) or new[UNROUTED] < max(gone, default=0)

    def minute(self, now_ms: int, configuration: Configuration) -> Minute:
        """What the rows of an instant are made of, now and then without what counts nowhere any more."""
        if abs(now_ms - self._pruned_ms) >= PRUNE_EVERY_MS:
            self.prune(now_ms, configuration)
        units, topics = (tuple(numbers) for numbers in (self._numbers.units, self._numbers.topics))
        return Minute(self.district, now_ms, self._tree_of(configuration), [*self._held.values()], units, topics)

    def rows(self, now_ms: int, configuration: Configuration) -> list[RollingRow]:
        """The rows of an instant, as `Minute.rows`."""
        return self.minute(now_ms, configuration).rows()

    def _tree_of(self, configuration: Configuration) -> Tree:
        if self._tree is None or self._tree.configuration is not configuration:
            self._tree = Tree(configuration)
        return self._tree
