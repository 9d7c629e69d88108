"""Mean and variance of whole numbers, kept exactly, so that any order of merging gives the same. In: ms or scores."""

from math import sqrt
from typing import NamedTuple

from streams.core.intervals import Interval, around


class MomentsResult(NamedTuple):
    """`mean` without any, `variance` (of a sample) and `interval` below two are None."""

    n: int
    mean: float | None
    variance: float | None
    interval: Interval | None


class Moments:
    """Count, sum and sum of squares."""

    __slots__ = ("n", "squares", "sum")

    def __init__(self) -> None:
        self.n = self.sum = self.squares = 0

    def add(self, value: int, times: int = 1) -> None:
        """Count a value, so many times."""
        self.n += times
        self.sum += value * times
        self.squares += value * value * times

    def merge(self, other: "Moments") -> None:
        """Count everything that the other counted."""
        self.n += other.n
        self.sum += other.sum
        self.squares += other.squares

    @property
    def spread(self) -> float:
        """Sum of squared distances from the mean; 0 without any."""
        return (self.squares * self.n - self.sum * self.sum) / self.n if self.n else 0.0

    def result(self) -> MomentsResult:
        """Mean, sample variance and the mean's interval."""
        if not self.n:
            return MomentsResult(0, None, None, None)
        mean = self.sum / self.n
        if self.n == 1:
            return MomentsResult(1, mean, None, None)
        variance = self.spread / (self.n - 1)
        return MomentsResult(self.n, mean, variance, around(mean, sqrt(variance / self.n)))
