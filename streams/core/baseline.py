"""How many inquiries are usual in an hour of the week on this type of day, and how many are too many by chance.

Compared is with days of the same type (`streams.core.day_types`) in the 28 days before: those of the same weekday, and
the others together, worth two of them. Of every four days of the weekday, and every ten others, the busiest is left out
for each hour, so that one bad morning does not make the next one usual. What is expected is a gamma distribution: a
stated prior, worth one inquiry, and what was seen. So the first day has a wide expectation and every comparable day
narrows it. Counts are surprising from the smallest one that this expectation (a negative binomial of counts) gives with
a probability of at most one in a million.
"""

from functools import lru_cache
from math import exp, log
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streams.core.day_types import HOURS_A_DAY, DayTypes, Ints, weekday

Floats = NDArray[np.float64]
COMPARED_DAYS = 28
WORTH_OF_OTHERS = 2
LEFT_OUT, LEFT_OUT_OF_WEEKDAY = 10, 4
PRIOR_SHAPE = 1.0
WORTH_OF_USUAL = 2.0
# A rate that is known for certain still differs from day to day, upwards more than downwards.
LARGEST_SHAPE, LARGEST_SHAPE_OF_NONE = 6.0, 30.0
CHANCE = 1e-6
_HOUR_S = 3_600
_STEPS = 50


class Expected(NamedTuple):
    """What is expected in some windows: the mean of each and the shape of its gamma distribution."""

    mean: Floats
    shape: Floats

    def none(self) -> Floats:
        """For each window the probability that nothing comes."""
        shape = np.minimum(self.shape, LARGEST_SHAPE_OF_NONE)
        return np.asarray((shape / (shape + self.mean)) ** shape)

    def on_a_day_of(self, seen: Ints, usual: Floats) -> "Expected":
        """The same where `seen` came in the day before each window and `usual` was expected of it.

        A season that begins raises every hour of a day. A day is taken to be as usual until it shows otherwise, with
        the weight of `WORTH_OF_USUAL` inquiries; a quiet one lowers nothing.
        """
        level = (WORTH_OF_USUAL + seen) / (WORTH_OF_USUAL + usual)
        return Expected(self.mean * np.maximum(1.0, level), self.shape)

    def surprising(self) -> Ints:
        """For each window the smallest count that is too many to be chance."""
        means = np.ceil(np.log(np.maximum(self.mean, 1e-3)) * _STEPS).astype(np.int64)
        shapes = np.floor(np.log(np.minimum(self.shape, LARGEST_SHAPE)) * _STEPS).astype(np.int64)
        pairs = zip(means.tolist(), shapes.tolist(), strict=True)
        return np.fromiter((_surprising(mean, shape) for mean, shape in pairs), dtype=np.int64, count=len(means))


@lru_cache(maxsize=65_536)
def _surprising(mean_step: int, shape_step: int) -> int:
    """The same for a mean and a shape on a logarithmic grid, so that few of them are ever worked out."""
    mean, shape = exp(mean_step / _STEPS), exp(shape_step / _STEPS)
    share = mean / (mean + shape)
    probability = exp(shape * log(1 - share))
    left, count = 1.0, 0
    while left > CHANCE:
        left -= probability
        probability *= share * (count + shape) / (count + 1)
        count += 1
    return count


class Baseline:
    """What is usual of one series. `seconds`: its instants UTC in ascending order; `usual`: an hour's, if unknown.

    Days up to `first_day`, the district's first one, were not observed as a whole and are compared with nothing.
    """

    __slots__ = ("_counts", "_first", "_first_day", "_types", "_usual")

    def __init__(self, types: DayTypes, seconds: Ints, usual: float, first_day: int) -> None:
        self._types = types
        self._usual = usual
        self._first_day = first_day
        hours = types.local(seconds) // _HOUR_S
        self._first = int(hours[0]) // HOURS_A_DAY if len(hours) else 0
        length = int(hours[-1]) // HOURS_A_DAY + 1 - self._first if len(hours) else 0
        counts = np.bincount(hours - self._first * HOURS_A_DAY, minlength=length * HOURS_A_DAY)
        self._counts: Ints = counts.reshape(length, HOURS_A_DAY)

    def expected(self, ends: Ints, window_s: int | Ints) -> Expected:
        """What is expected in `[end − window, end)` for each of these ends, seconds UTC in ascending order."""
        local = self._types.local(ends)
        hours = np.asarray(window_s) / _HOUR_S
        first_day = int((local / _HOUR_S - hours).min()) // HOURS_A_DAY
        days = [self._day(day) for day in range(first_day, int(local[-1]) // _HOUR_S // HOURS_A_DAY + 1)]
        means, shapes = (np.concatenate(column) for column in zip(*days, strict=True))
        end = local / _HOUR_S - first_day * HOURS_A_DAY
        grid = np.arange(len(means) + 1)
        mean, weighted = (
            np.interp(end, grid, sums) - np.interp(end - hours, grid, sums)
            for sums in (np.concatenate(([0.0], np.cumsum(each))) for each in (means, means * shapes))
        )
        # Hours in which next to nothing is expected say next to nothing of how sure the rest is.
        return Expected(mean, weighted / mean)

    def _day(self, day: int) -> tuple[Floats, Floats]:
        """By hour of a day: the expected number, and the shape of its distribution."""
        compared = range(max(self._first_day + 1, day - COMPARED_DAYS), day)
        alike = [each for each in compared if self._types.of(each) == self._types.of(day)]
        others, days_of_others = self._seen([each for each in alike if weekday(each) != weekday(day)], LEFT_OUT)
        own, own_days = self._seen([each for each in alike if weekday(each) == weekday(day)], LEFT_OUT_OF_WEEKDAY)
        days = PRIOR_SHAPE / self._usual + days_of_others
        worth = min(WORTH_OF_OTHERS, days)
        shape = worth / days * (PRIOR_SHAPE + others) + own
        return shape / (worth + own_days), shape

    def _seen(self, days: list[int], left_out: int) -> tuple[Floats, int]:
        """By hour: what came on these days without the busiest of each so many, and how many days are left."""
        counts = np.zeros((len(days), HOURS_A_DAY))
        for place, each in enumerate(days):
            if 0 <= each - self._first < len(self._counts):
                counts[place] = self._counts[each - self._first]
        kept = len(days) - (len(days) + left_out // 4) // left_out
        counts.sort(axis=0)
        return counts[:kept].sum(axis=0), kept
