"""Is service the same everywhere? Share of variance between units; cells outside funnel limits. See "consistency".

The third measure, p90 ÷ median, stands with each distribution (`streams.measures.distributions`).
"""

from collections.abc import Mapping
from math import asin, sin, sqrt
from typing import NamedTuple

import numpy as np

from streams.core.intervals import Interval, critical
from streams.measures.moments import Moments

WINSORISED = 0.1


def between_units(groups: Mapping[str, Moments]) -> float | None:
    """The share of variance that lies between units, 0 to 1: one-way variance components, negative ones cut to 0.

    Not the share of the sums of squares, which is above 0 by chance alone: 30 % for ten units of three. None with fewer
    than two units, without a unit that has two values, or if nothing varies.
    """
    cells = [group for group in groups.values() if group.n]
    n, count = sum(group.n for group in cells), len(cells)
    if count < 2 or n == count:
        return None
    whole = Moments()
    for group in cells:
        whole.merge(group)
    within_ss = sum(group.spread for group in cells)
    between_ms, within_ms = max(0.0, whole.spread - within_ss) / (count - 1), within_ss / (n - count)
    size = (n - sum(group.n**2 for group in cells) / n) / (count - 1)
    between = max(0.0, (between_ms - within_ms) / size)
    return between / (between + within_ms) if between + within_ms else None


class Cell(NamedTuple):
    """A unit's share and the limits it is held against; `outside`: beyond them."""

    hits: int
    n: int
    limits: Interval
    outside: bool


class Funnel(NamedTuple):
    """All cells around their common share. `dispersion` is 1 where units differ as chance has it."""

    centre: float
    dispersion: float
    between_sd: float
    cells: dict[str, Cell]
    outside: float


def funnel(counts: Mapping[str, tuple[int, int]]) -> Funnel | None:
    """Units as (hits, n) against funnel limits of 95 %, widened for over-dispersion; None with fewer than two units.

    On the scale arcsin √share, where a share of n varies by 1 ÷ 4n whatever it is. The distances from the centre, in
    standard errors, are winsorised at 10 % at each end, so that outliers do not widen their own limits; what their mean
    square exceeds 1 by becomes a spread between units, added to each cell's variance.
    """
    cells = {unit: cell for unit, cell in counts.items() if cell[1]}
    if len(cells) < 2:
        return None
    centre = sum(hits for hits, _ in cells.values()) / sum(n for _, n in cells.values())
    middle = asin(sqrt(centre))
    distances = {unit: (asin(sqrt(hits / n)) - middle) * 2 * sqrt(n) for unit, (hits, n) in cells.items()}
    dispersion = _winsorised_square(list(distances.values()))
    between = _between_variance(dispersion, [4 * n for _, n in cells.values()])
    judged = {}
    for unit, (hits, n) in cells.items():
        error = sqrt(1 / (4 * n) + between)
        limits = Interval(_share(middle - critical() * error), _share(middle + critical() * error))
        judged[unit] = Cell(hits, n, limits, not limits.low <= hits / n <= limits.high)
    outside = sum(cell.outside for cell in judged.values()) / len(judged)
    return Funnel(centre, max(1.0, dispersion), sqrt(between), judged, outside)


def _winsorised_square(distances: list[float]) -> float:
    low, high = np.quantile(distances, [WINSORISED, 1 - WINSORISED])
    return float(np.mean(np.square(np.clip(distances, low, high))))


def _between_variance(dispersion: float, weights: list[int]) -> float:
    """The variance between units by the method of moments, 0 where chance explains all."""
    count, total = len(weights), sum(weights)
    room = total - sum(weight**2 for weight in weights) / total
    return max(0.0, (count * dispersion - (count - 1)) / room)


def _share(angle: float) -> float:
    return sin(min(max(angle, 0.0), asin(1.0))) ** 2
