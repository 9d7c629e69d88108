"""Wilson intervals, moments: the golden figures, an independent derivation, bounds."""

from fractions import Fraction
from math import isclose, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.intervals import critical, share, wilson
from streams.measures.moments import Moments

VALUES = st.lists(st.integers(-(10**12), 10**12), max_size=40)


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"), [(3, 3, 43.9, 100), (8, 10, 49.0, 94.3), (24, 30, 62.7, 90.5), (80, 100, 71.1, 86.7)]
)
def test_wilson_intervals_of_the_definitions(hits: int, n: int, low: float, high: float) -> None:
    found = wilson(hits, n)
    assert (round(found.low * 100, 1), round(found.high * 100, 1)) == (low, high)


def _end_by_bisection(hits: int, n: int, inside: float, outside: float) -> float:
    """The p furthest from hits ÷ n that lies within z standard errors of itself: no formula, only its meaning."""
    for _ in range(200):
        middle = (inside + outside) / 2
        reaches = abs(hits / n - middle) <= critical() * sqrt(middle * (1 - middle) / n)
        inside, outside = (middle, outside) if reaches else (inside, middle)
    return inside


@given(st.integers(1, 5_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_is_every_share_that_chance_allows(counted: tuple[int, int]) -> None:
    hits, n = counted
    found = wilson(hits, n)
    assert 0 <= found.low <= hits / n <= found.high <= 1
    assert isclose(found.low, _end_by_bisection(hits, n, hits / n, 0.0), abs_tol=1e-9)
    assert isclose(found.high, _end_by_bisection(hits, n, hits / n, 1.0), abs_tol=1e-9)


def test_a_share_of_nothing_is_none_and_an_impossible_one_is_refused() -> None:
    assert share(0, 0) == (0, 0, None, None)
    for hits, n in ((1, 0), (3, 2), (-1, 2)):
        with pytest.raises(ValueError, match="no share"):
            wilson(hits, n)


def _moments(values: list[int]) -> Moments:
    made = Moments()
    for value in values:
        made.add(value)
    return made


@given(VALUES, VALUES)
def test_moments_merge_like_one_list_and_agree_with_fractions(left: list[int], right: list[int]) -> None:
    merged = _moments(left)
    merged.merge(_moments(right))
    both = left + right
    assert merged.result() == _moments(list(reversed(both))).result()
    if len(both) > 1:
        mean = Fraction(sum(both), len(both))
        variance = sum((value - mean) ** 2 for value in both) / (len(both) - 1)
        found = merged.result()
        assert found.mean is not None
        assert found.variance is not None
        assert isclose(found.mean, mean, rel_tol=1e-12)
        assert isclose(found.variance, variance, rel_tol=1e-12)


def test_one_value_has_a_mean_and_no_interval() -> None:
    assert _moments([7]).result() == (1, 7.0, None, None)
    assert _moments([]).result() == (0, None, None, None)
