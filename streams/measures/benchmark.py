"""A district among its peers: percentiles of its medians over 28 days, funnel limits, no league table. See "benchmark".

Nothing of what comes out is another district's: how many there are, and where this one stands among them.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from streams.core.histogram import Histogram
from streams.core.intervals import Share, share
from streams.measures.consistency import Cell, funnel
from streams.measures.distributions import KINDS, Distribution, credited
from streams.measures.facts import Fact
from streams.measures.waits import AnsweredWithin, Limit
from streams.measures.waits import credited as credited_waits
from streams.measures.windows import HOUR_MS, Window

WINDOW_MS = 28 * 24 * HOUR_MS
LEAST_N, LEAST_PEERS = 30, 10
FEW_VALUES = f"fewer than {LEAST_N} values"
FEW_DISTRICTS = f"fewer than {LEAST_PEERS} districts"


class Standing(NamedTuple):
    """`percentile`: how many of the group, this district among them, have a smaller median (ties by half).

    None with the `reason`: too few values here, or too few districts with enough of them.
    """

    median_ms: int | None
    n: int
    group: int
    percentile: float | None
    reason: str


class Within(NamedTuple):
    """Answered within T, held against the limits of the group; `centre` is the share of all of it together.

    Both None with the `reason`.
    """

    answered: Share
    group: int
    centre: float | None
    cell: Cell | None
    reason: str


class Benchmark(NamedTuple):
    """Where one district stands: `lengths` by `distributions.KINDS`, over `window`."""

    window: Window
    lengths: dict[str, Standing]
    within: Within


class Peers:
    """The lengths of each district of a peer group."""

    __slots__ = ("districts",)

    def __init__(self) -> None:
        self.districts: dict[str, Histogram] = {}

    def add(self, district: str, lengths: Histogram) -> None:
        """Count a district's lengths of 28 days, or some of them."""
        self.districts.setdefault(district, Histogram()).merge(lengths)

    def merge(self, other: "Peers") -> None:
        """Count everything that the other counted."""
        for district, lengths in other.districts.items():
            self.add(district, lengths)

    def result(self) -> Mapping[str, Standing]:
        """Where each district stands."""
        medians = {name: found.quantile(0.5) for name, found in self.districts.items() if found.count >= LEAST_N}
        group = [median for median in medians.values() if median is not None]
        return {name: _standing(found, medians.get(name), group) for name, found in self.districts.items()}


def _standing(found: Histogram, median: int | None, group: list[int]) -> Standing:
    if median is None:
        return Standing(None, found.count, len(group), None, FEW_VALUES)
    if len(group) < LEAST_PEERS:
        return Standing(median, found.count, len(group), None, FEW_DISTRICTS)
    return Standing(median, found.count, len(group), percentile(median, group), "")


def percentile(value: float, group: Iterable[float]) -> float:
    """100 · (below + ½ ties) ÷ N. Raises `ValueError` for an empty group."""
    values = list(group)
    if not values:
        raise ValueError("a percentile needs a group")
    below, ties = sum(other < value for other in values), sum(other == value for other in values)
    return 100 * (below + ties / 2) / len(values)


def benchmark(district: str, facts: Mapping[str, Sequence[Fact]], at_ms: int, limit: Limit) -> Benchmark:
    """Where a district stands at an instant among all whose facts are given, its own too."""
    window = Window(at_ms - WINDOW_MS, at_ms)
    lengths = {kind: _peers(district, facts, kind, window).result()[district] for kind in KINDS}
    return Benchmark(window, lengths, _within(district, facts, window, limit))


def _peers(district: str, facts: Mapping[str, Sequence[Fact]], kind: str, window: Window) -> Peers:
    peers = Peers()
    peers.add(district, Histogram())
    for name, known in facts.items():
        found = Distribution(window)
        for _, ended in credited(known, kind):
            found.add(ended)
        peers.add(name, found.histogram)
    return peers


def _within(district: str, facts: Mapping[str, Sequence[Fact]], window: Window, limit: Limit) -> Within:
    shares = {district: share(0, 0)}
    for name, known in facts.items():
        measure = AnsweredWithin(window, limit)
        for _, entry in credited_waits(known):
            measure.add(entry)
        shares[name] = measure.result().answered
    group = {name: (found.hits, found.n) for name, found in shares.items() if found.n >= LEAST_N}
    own = shares[district]
    if district not in group:
        return Within(own, len(group), None, None, FEW_VALUES)
    known_limits = funnel(group) if len(group) >= LEAST_PEERS else None
    if known_limits is None:
        return Within(own, len(group), None, None, FEW_DISTRICTS)
    return Within(own, len(group), known_limits.centre, known_limits.cells[district], "")
