"""Survey coverage: ratings ÷ conversations offered a survey, offered ÷ resolved. Definitions: "survey coverage".

Of the conversations first resolved in a window, by the unit that has them: an offer carries no time in the facts, so
one for a conversation that is never resolved counts in no window.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from streams.core.intervals import Share, share
from streams.measures.facts import Fact
from streams.measures.windows import Window


class CoverageResult(NamedTuple):
    """`offered` of the resolved; `ratings` of the offered ones, whose quotient passes 1 where several people rate."""

    offered: Share
    ratings: int
    ratings_per_offer: float | None


def credited(facts: Iterable[Fact]) -> Iterator[tuple[str, Fact]]:
    """Every linked conversation, for the unit that has it."""
    return ((fact.unit, fact) for fact in facts if fact.linked)


class Coverage:
    """The conversations of a window."""

    __slots__ = ("_window", "offered", "ratings", "resolved")

    def __init__(self, window: Window) -> None:
        self._window = window
        self.resolved = self.offered = self.ratings = 0

    def add(self, fact: Fact) -> None:
        """Count a conversation, if it was first resolved in the window; late ratings do not count."""
        if self._window.holds(fact.first_resolved_ms):
            self.resolved += 1
            if fact.surveys_offered:
                self.offered += 1
                self.ratings += sum(not given.late for given in fact.ratings)

    def merge(self, other: "Coverage") -> None:
        """Count everything that the other counted."""
        self.resolved += other.resolved
        self.offered += other.offered
        self.ratings += other.ratings

    def result(self) -> CoverageResult:
        """Both quotients; None where there is nothing to divide by."""
        offered = share(self.offered, self.resolved)
        return CoverageResult(offered, self.ratings, self.ratings / self.offered if self.offered else None)
