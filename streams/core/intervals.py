"""Confidence intervals: of a share (Wilson), of a mean, and the normal quantile they rest on. See "satisfaction"."""

from math import sqrt
from statistics import NormalDist
from typing import NamedTuple

CONFIDENCE = 0.95


class Interval(NamedTuple):
    """From `low` to `high`, both included."""

    low: float
    high: float


class Share(NamedTuple):
    """`hits` of `n`: the share and its Wilson interval, 0 to 1; both None without any."""

    hits: int
    n: int
    share: float | None
    interval: Interval | None


def critical(confidence: float = CONFIDENCE) -> float:
    """How many standard errors a two-sided interval reaches to each side: 1.96 for 95 %."""
    return NormalDist().inv_cdf((1 + confidence) / 2)


def wilson(hits: int, n: int, confidence: float = CONFIDENCE) -> Interval:
    """The Wilson score interval of a share: every p from which hits ÷ n is no further than chance allows.

    Raises `ValueError` unless 0 ≤ hits ≤ n and n > 0.
    """
    if not 0 <= hits <= n or n <= 0:
        raise ValueError(f"{hits} of {n} is no share")
    z2 = critical(confidence) ** 2
    centre, reach = hits + z2 / 2, sqrt(z2 * (hits * (n - hits) / n + z2 / 4))
    # The ends are exact where nothing or all hit; rounding must not leave the scale.
    low = 0.0 if hits == 0 else (centre - reach) / (n + z2)
    high = 1.0 if hits == n else (centre + reach) / (n + z2)
    return Interval(low, high)


def share(hits: int, n: int) -> Share:
    """A share with its interval; neither without any."""
    return Share(hits, n, hits / n, wilson(hits, n)) if n else Share(0, 0, None, None)


def around(value: float, standard_error: float, confidence: float = CONFIDENCE) -> Interval:
    """The interval of an estimate that is normal with this standard error."""
    reach = critical(confidence) * standard_error
    return Interval(value - reach, value + reach)
