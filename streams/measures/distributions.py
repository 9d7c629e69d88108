"""Distributions of lengths: median, p75, p90, p95 within 1 %, the exact mean beside them. Definitions: "distribution".

Made of mergeable histograms, never averages of averages. By when the answer or the resolve came; "average response
under one day", the public yardstick, is the mean of `first_response`.
"""

from collections.abc import Iterable, Iterator
from math import floor, sqrt
from typing import NamedTuple

from streams.core.histogram import Histogram
from streams.core.intervals import Interval, critical
from streams.measures.facts import Fact
from streams.measures.windows import Window

KINDS = ("first_response", "first_response_business", "reply", "first_resolution", "full_resolution")


class DistributionResult(NamedTuple):
    """Lengths in ms, None without any. `interval`: of the median, by order statistics, from six on.

    `consistency` is p90 ÷ median; None if the median is 0.
    """

    n: int
    median_ms: int | None
    p75_ms: int | None
    p90_ms: int | None
    p95_ms: int | None
    mean_ms: float | None
    interval: Interval | None
    consistency: float | None


class Ended(NamedTuple):
    """When a length was complete, and how long it was."""

    at_ms: int
    length_ms: int


def credited(facts: Iterable[Fact], kind: str) -> Iterator[tuple[str, Ended]]:
    """The lengths of one of `KINDS`, each for its unit: who sent the first reply, owned the wait, has the conversation.

    What was answered live is a class of its own and in none of them.
    """
    for fact in facts:
        if not fact.linked:
            continue
        if kind == "reply":
            for wait in fact.waits:
                if wait.outcome == "answered" and not wait.live and wait.ended_ms is not None:
                    yield wait.unit, Ended(wait.ended_ms, wait.ended_ms - wait.opened_ms)
            continue
        unit, at_ms, length_ms = _single(fact, kind)
        if at_ms is not None and length_ms is not None:
            yield unit, Ended(at_ms, length_ms)


def _single(fact: Fact, kind: str) -> tuple[str, int | None, int | None]:
    if kind == "first_resolution":
        return fact.unit, fact.first_resolved_ms, fact.first_resolution_ms
    if kind == "full_resolution":
        return fact.unit, fact.full_resolved_ms, fact.full_resolution_ms
    if fact.opened_by != "customer" or fact.contact == "answered_live":
        return "", None, None
    business = kind == "first_response_business"
    length_ms = fact.first_response_business_ms if business else fact.first_response_length_ms
    return fact.first_response_unit, fact.first_response_ms, length_ms


class Distribution:
    """The lengths that were complete in a window."""

    __slots__ = ("_window", "histogram")

    def __init__(self, window: Window) -> None:
        self._window = window
        self.histogram = Histogram()

    def add(self, ended: Ended) -> None:
        """Count a length. Raises `ValueError` below 0."""
        if self._window.holds(ended.at_ms):
            self.histogram.add(ended.length_ms)

    def merge(self, other: "Distribution") -> None:
        """Count everything that the other counted."""
        self.histogram.merge(other.histogram)

    def result(self) -> DistributionResult:
        """Quantiles, mean, and how far the slow answers are from the usual ones."""
        found = self.histogram
        median, p75, p90, p95 = (found.quantile(level) for level in (0.5, 0.75, 0.9, 0.95))
        mean = found.sum_ms / found.count if found.count else None
        steady = p90 / median if p90 is not None and median else None
        return DistributionResult(found.count, median, p75, p90, p95, mean, median_interval(found), steady)


def median_interval(histogram: Histogram) -> Interval | None:
    """The 95 % interval of a median: two lengths so far apart in order that it lies between them.

    Of n in order from 0 those at (n − 1)/2 ∓ z·√n/2, rounded outwards, so that at least 95 % of a binomial of ½ lie
    between; fewer than six lengths do not bound it.
    """
    n = histogram.count
    first = floor((n - 1) / 2 - critical() * sqrt(n) / 2)
    if first < 0:
        return None
    low, high = (histogram.quantile((rank + 0.5) / n) for rank in (first, n - 1 - first))
    return None if low is None or high is None else Interval(low, high)
