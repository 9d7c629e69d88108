"""Satisfaction, the four pillars, trust and "was it answered?": each by itself, never averaged with one another.

Definitions: "satisfaction", "pillars". Ratings in a window by when the score was given, credited to the unit of the
last qualifying reply before them; late ones and those without an inquiry are counted and not averaged.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from schemas.rolling import SCORES
from streams.core.intervals import Interval, Share, share
from streams.measures.facts import Fact, Given
from streams.measures.moments import Moments
from streams.measures.windows import Window

HIGH, LOW = 8, 3
UNLINKED_AFTER_MS = 72 * 3_600_000
PILLARS = ("courtesy", "communication", "responsiveness", "environment")
SCORED = ("satisfaction", *PILLARS, "trust")
ANSWERED = "answered"
ITEMS = (*SCORED, ANSWERED)


class ScoresResult(NamedTuple):
    """`mean` is 1 to 10, its `interval` needs two scores; `high`: share ≥ 8, `low`: ≤ 3; `scores`: 1s, 2s, … 10s."""

    n: int
    mean: float | None
    interval: Interval | None
    high: Share
    low: Share
    scores: tuple[int, ...]


class Scores:
    """A native histogram of scores from 1 to 10."""

    __slots__ = ("times",)

    def __init__(self) -> None:
        self.times = [0] * SCORES

    @property
    def n(self) -> int:
        """How many scores."""
        return sum(self.times)

    def add(self, score: int) -> None:
        """Count one score. Raises `ValueError` outside 1 to 10."""
        if not 1 <= score <= SCORES:
            raise ValueError(f"a score lies between 1 and {SCORES}: {score}")
        self.times[score - 1] += 1

    def merge(self, other: "Scores") -> None:
        """Count everything that the other counted."""
        self.times = [mine + theirs for mine, theirs in zip(self.times, other.times, strict=True)]

    def result(self) -> ScoresResult:
        """Mean, shares and how often each score was given."""
        moments = Moments()
        for score, times in enumerate(self.times, 1):
            moments.add(score, times)
        known = moments.result()
        high, low = sum(self.times[HIGH - 1 :]), sum(self.times[:LOW])
        return ScoresResult(
            known.n, known.mean, known.interval, share(high, known.n), share(low, known.n), tuple(self.times)
        )


class SatisfactionResult(NamedTuple):
    """Each item's scores by name (`SCORED`), the share of "answered? yes", and what is counted and not averaged."""

    scores: dict[str, ScoresResult]
    answered: Share
    late: int
    unlinked: int

    def n(self, item: str) -> int:
        """How many answered an item of `ITEMS`."""
        return self.answered.n if item == ANSWERED else self.scores[item].n


class Entry(NamedTuple):
    """A rating; `linked` 0: its inquiry is not known."""

    given: Given
    linked: int


def credited(facts: Iterable[Fact]) -> Iterator[tuple[str, Entry]]:
    """Every rating with the unit that it counts for."""
    for fact in facts:
        for given in fact.ratings:
            yield given.unit, Entry(given, fact.linked)


class Satisfaction:
    """The ratings of a window. One without an inquiry counts as `unlinked` from 72 hours after it on."""

    __slots__ = ("_window", "items", "late", "no", "unlinked", "yes")

    def __init__(self, window: Window) -> None:
        self._window = window
        self.items = {item: Scores() for item in SCORED}
        self.yes = self.no = self.late = self.unlinked = 0

    def add(self, entry: Entry) -> None:
        """Count one rating."""
        given = entry.given
        if not entry.linked:
            self.unlinked += self._window.holds(given.rated_ms + UNLINKED_AFTER_MS)
        elif self._window.holds(given.rated_ms):
            if given.late:
                self.late += 1
            else:
                self._count(given)

    def _count(self, given: Given) -> None:
        self.items["satisfaction"].add(given.score)
        for item in (*PILLARS, "trust"):
            score: int | None = getattr(given, item)
            if score is not None:
                self.items[item].add(score)
        self.yes += given.answered == 1
        self.no += given.answered == 0

    def merge(self, other: "Satisfaction") -> None:
        """Count everything that the other counted."""
        for item, scores in self.items.items():
            scores.merge(other.items[item])
        self.yes += other.yes
        self.no += other.no
        self.late += other.late
        self.unlinked += other.unlinked

    def result(self) -> SatisfactionResult:
        """The statistics of each item."""
        scores = {item: found.result() for item, found in self.items.items()}
        return SatisfactionResult(scores, share(self.yes, self.yes + self.no), self.late, self.unlinked)
