"""What about ratings may be shown outside the owning team. Definitions: "small numbers".

Nothing for fewer than ten, and no sibling by which such a value could be computed from a total. Published totals nest,
so all that can be computed from them is the sum of each *block*: a shown unit without the shown units below it. A block
must hold nothing, or at least ten, and these not of one hidden unit alone, nor so many that each could be told apart.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Literal, NamedTuple

THRESHOLD = 10
State = Literal["shown", "small", "withheld"]
Below = Mapping[str, Collection[str]]


class _Cell(NamedTuple):
    """A hidden unit's part of a block, and what a reader knows of how much it holds; `most` None: anything."""

    n: int
    least: int
    most: int | None


def states(
    below: Below, n: Mapping[str, int], small: Collection[str] = (), known: Collection[str] = (), least: int = THRESHOLD
) -> dict[str, State]:
    """What may be shown of each unit: its value, `small` as "<10", or nothing (`withheld`).

    `below` names the units directly below each; `n` counts each with all below it; `small` are small for another reason
    than `n`; `known` are shown whatever they hold, and taken as known to the reader.
    """
    few = {unit for unit, count in n.items() if count < least}.union(small) - set(known)
    board = _Board(below, n, few, set(known), least)
    board.close()
    return {unit: "small" if unit in few else "withheld" if unit in board.hidden else "shown" for unit in n}


class _Board:
    """The units that are hidden so far; `close` hides more until no block tells anything."""

    def __init__(self, below: Below, n: Mapping[str, int], small: set[str], known: set[str], least: int) -> None:
        self._below, self._n, self._small, self._known, self._least = below, n, small, known, least
        self.hidden = set(small)

    def close(self) -> None:
        """Hide the smallest unit beside what a total would give away, else the total, until nothing is given away."""
        while (unit := self._telling()) is not None:
            beside = [other for other in self._edge(unit) if other not in self._known]
            self.hidden.add(min(beside, key=lambda other: (self._n[other], other)) if beside else unit)

    def _telling(self) -> str | None:
        shown = (unit for unit in self._n if unit not in self.hidden and unit not in self._known)
        return next((unit for unit in shown if self._tells(unit)), None)

    def _tells(self, unit: str) -> bool:
        own = self._own(unit)
        cells = [self._cell(other) for other in self._below[unit] if other in self.hidden]
        total = own + sum(cell.n for cell in cells)
        if total == 0:
            return False
        if total < self._least:
            return True
        filled = [cell for cell in cells if cell.n]
        if own:
            return False
        if len(filled) <= 1:
            return True
        lowest, highest = sum(cell.least for cell in cells), [cell.most for cell in cells]
        bounded = None not in highest and total >= sum(most for most in highest if most is not None)
        return total <= lowest or bounded

    def _own(self, unit: str) -> int:
        return self._n[unit] - sum(self._n[other] for other in self._below[unit])

    def _cell(self, unit: str) -> _Cell:
        shown = sum(self._n[other] for other in self._edge(unit))
        if unit in self._small:
            return _Cell(self._n[unit] - shown, 0, max(0, self._least - 1 - shown))
        return _Cell(self._n[unit] - shown, max(0, self._least - shown), None)

    def _edge(self, unit: str) -> Iterator[str]:
        """The nearest units below that are shown."""
        for other in self._below[unit]:
            if other in self.hidden:
                yield from self._edge(other)
            else:
                yield other
