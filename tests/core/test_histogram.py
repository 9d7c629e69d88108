"""The histogram: merging is concatenation, subtracting undoes adding, quantiles are within 1 %, buckets partition."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.core.histogram import BUCKETS, MIDDLES, STARTS, Histogram, bucket_of

LENGTHS = st.one_of(st.just(0), st.integers(0, 300), st.integers(0, 10**7), st.integers(0, 8 * 10**12))
MANY = st.lists(LENGTHS, max_size=60)


def of(lengths: list[int]) -> Histogram:
    made = Histogram()
    for length in lengths:
        made.add(length)
    return made


@settings(max_examples=500, deadline=None)
@given(MANY, MANY)
def test_merging_is_concatenation(left: list[int], right: list[int]) -> None:
    merged = of(left)
    merged.merge(of(right))
    assert merged == of(left + right) == of(right + left)
    assert (merged.count, merged.sum_ms) == (len(left + right), sum(left + right))


@settings(max_examples=500, deadline=None)
@given(MANY, MANY)
def test_subtracting_undoes_adding(left: list[int], right: list[int]) -> None:
    both = of(left + right)
    both.subtract(of(right))
    assert both == of(left)
    assert both.count == len(left)


def test_what_was_never_added_cannot_be_subtracted() -> None:
    histogram = of([5, 7_000])
    with pytest.raises(ValueError, match="never added"):
        histogram.subtract(of([5, 5]))
    assert histogram == of([7_000, 5])


@settings(max_examples=500, deadline=None)
@given(st.lists(LENGTHS, min_size=1, max_size=60), st.floats(0, 1))
def test_a_quantile_is_within_one_percent(lengths: list[int], level: float) -> None:
    exact = sorted(lengths)[min(int(level * len(lengths)), len(lengths) - 1)]
    found = of(lengths).quantile(level)
    assert found is not None
    assert abs(found - exact) * 100 <= exact


@settings(max_examples=500, deadline=None)
@given(MANY)
def test_stored_and_read_back_is_the_same(lengths: list[int]) -> None:
    made = of(lengths)
    assert Histogram.stored(made.buckets, made.counts, made.sum_ms) == made
    assert list(made.buckets) == sorted(made.buckets)


def test_buckets_partition_all_lengths_and_are_narrow() -> None:
    assert BUCKETS == len(MIDDLES) <= 2**16
    assert STARTS[0] == 0
    assert bucket_of(0) == 0
    for bucket, (start, end) in enumerate(pairwise(STARTS)):
        assert end == start + 1 or end * 50 <= start * 51
        assert bucket_of(start) == bucket_of(end - 1) == bucket == bucket_of(end) - 1
        assert max(MIDDLES[bucket] - start, end - 1 - MIDDLES[bucket]) * 100 <= start


def test_nothing_has_no_quantile_and_nothing_is_negative() -> None:
    assert Histogram().quantile(0.5) is None
    with pytest.raises(ValueError, match="negative"):
        bucket_of(-1)
