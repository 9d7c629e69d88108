"""A district among its peers: percentile of its median over 28 days, no league table. See "benchmark"."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from streams.core.histogram import Histogram

WINDOW = "28d"
LEAST_N, LEAST_PEERS = 30, 10


class Standing(NamedTuple):
    """`percentile`: how many of the group, this district among them, have a smaller median (ties by half).

    None with the `reason`: too few values here, or too few districts with enough of them.
    """

    median_ms: int | None
    n: int
    group: int
    percentile: float | None
    reason: str


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
        return Standing(None, found.count, len(group), None, f"fewer than {LEAST_N} values")
    if len(group) < LEAST_PEERS:
        return Standing(median, found.count, len(group), None, f"fewer than {LEAST_PEERS} districts")
    return Standing(median, found.count, len(group), percentile(median, group), "")


def percentile(value: float, group: Iterable[float]) -> float:
    """100 · (below + ½ ties) ÷ N. Raises `ValueError` for an empty group."""
    values = list(group)
    if not values:
        raise ValueError("a percentile needs a group")
    below, ties = sum(other < value for other in values), sum(other == value for other in values)
    return 100 * (below + ties / 2) / len(values)
