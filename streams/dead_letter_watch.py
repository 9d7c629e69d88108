"""Stops a worker that refuses too much: a bad release must not drain a topic into the dead letters. Pure.

The share is taken over the latest `items` items; of a flush that holds more than are left of these, the same share of
its refusals counts, as they have no order. An item is an event, a repeated one too, or a refusal. What comes of a
person who was erased, or for a conversation whose events left by retention, is refused for good reason and does not
count.
"""

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass

from sinks.landing import DeadLetterRow

RIGHTFUL = frozenset({"erased", "retired"})
REASONS_NAMED = 3


@dataclass(frozen=True, slots=True)
class DeadLetterLimit:
    """More than this share of the latest `items` items refused, and at least `least` of them, is too much."""

    share: float
    items: int = 1_000
    least: int = 100


USUAL_LIMIT = DeadLetterLimit(0.5)


class DeadLetterWatch:
    """What a worker took and refused lately; one for all of its partitions."""

    def __init__(self, limit: DeadLetterLimit, is_wary: bool = False) -> None:
        """`is_wary`: a worker before this one was stopped here. Then fewer than `least` are too many as well.

        That is until `least` items went well: each start would let as many pass otherwise, all of a thin stream.
        """
        self._limit = limit
        self.is_wary = is_wary and limit.share < 1
        self._taken = 0
        self._flushes: deque[tuple[int, int]] = deque()

    def take(self, items: int) -> None:
        """Count items that were read since the last flush."""
        self._taken += items

    def too_much(self, rows: Sequence[DeadLetterRow]) -> str | None:
        """Close a flush with its dead letters; a sentence if they are too many of what was read lately, else None."""
        refused = [row for row in rows if row.reason not in RIGHTFUL]
        taken, self._taken = max(self._taken, len(refused)), 0
        if not taken:
            return None
        self._flushes.append((taken, len(refused)))
        while sum(items for items, _ in self._flushes) - self._flushes[0][0] >= self._limit.items:
            self._flushes.popleft()
        taken, wrong = self._latest()
        if wrong <= self._limit.share * taken or (wrong < self._limit.least and not self.is_wary):
            self.is_wary = self.is_wary and taken < self._limit.least
            return None
        named = Counter(f"{row.reason} {row.field}".strip() for row in refused).most_common(REASONS_NAMED)
        reasons = ", ".join(f"{count} {reason}" for reason, count in named) or "none in this flush"
        place = f"; the first at partition {refused[0].partition}, offset {refused[0].offset}" if refused else ""
        share = f"CX_DEAD_LETTER_LIMIT={self._limit.share:g}"
        return (
            f"{wrong:,.0f} of the latest {taken:,} items were refused, more than {share} allows: {reasons}{place}. "
            "Nothing of this flush was acknowledged: correct the release or the source, or raise "
            "the limit (1: off) to have them go to the dead letters"
        )

    def _latest(self) -> tuple[int, float]:
        """The latest items, at most as many as are looked at, and how many of them were refused."""
        taken, wrong = 0, 0.0
        for items, refused in reversed(self._flushes):
            part = min(items, self._limit.items - taken)
            taken += part
            wrong += refused * part / items
        return taken, wrong
