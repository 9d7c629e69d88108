"""Time to owner: from an inquiry to its first owning unit or person; share within a minute. See "time to owner".

Every inquiry counts at the moment opened + 1 minute, owned by then or not; until then it is pending.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from streams.core.histogram import Histogram
from streams.core.intervals import Share, share
from streams.measures.facts import Fact
from streams.measures.windows import Window

MINUTE_MS = 60_000


class OwnersResult(NamedTuple):
    """`within_minute` of the inquiries whose minute was over in the window; lengths, in ms, of those owned."""

    within_minute: Share
    pending: int
    never: int
    median_ms: int | None
    p90_ms: int | None
    mean_ms: float | None


class Asked(NamedTuple):
    """When an inquiry came and when it was first owned."""

    opened_ms: int
    owned_ms: int | None


def credited(facts: Iterable[Fact]) -> Iterator[tuple[str, Asked]]:
    """Every conversation that a customer opened, for the unit that first had it."""
    for fact in facts:
        if fact.inquiries and fact.linked:
            yield fact.first_unit, Asked(fact.opened_ms, fact.first_owned_ms)


class Owners:
    """Inquiries whose minute was over in a window."""

    __slots__ = ("_window", "decided", "lengths", "never", "pending", "within")

    def __init__(self, window: Window) -> None:
        self._window = window
        self.lengths = Histogram()
        self.decided = self.within = self.pending = self.never = 0

    def add(self, asked: Asked) -> None:
        """Count one inquiry."""
        now_ms, until_ms = self._window.end_ms, asked.opened_ms + MINUTE_MS
        if asked.opened_ms >= now_ms:
            return
        if until_ms >= now_ms:
            self.pending += 1
        elif until_ms >= self._window.start_ms:
            self.decided += 1
            if asked.owned_ms is None or asked.owned_ms > now_ms:
                self.never += 1
            else:
                self.within += asked.owned_ms <= until_ms
                self.lengths.add(asked.owned_ms - asked.opened_ms)

    def merge(self, other: "Owners") -> None:
        """Count everything that the other counted."""
        self.lengths.merge(other.lengths)
        self.decided += other.decided
        self.within += other.within
        self.pending += other.pending
        self.never += other.never

    def result(self) -> OwnersResult:
        """The share owned within a minute, those never owned in it, and the lengths of the others."""
        found = self.lengths
        return OwnersResult(
            share(self.within, self.decided),
            self.pending,
            self.never,
            found.quantile(0.5),
            found.quantile(0.9),
            found.sum_ms / found.count if found.count else None,
        )
