"""Histogram of lengths in integer ms that can be merged and subtracted; quantiles within 1 %.

A bucket is a range of whole milliseconds, found by integer comparison only, so that every machine agrees. Up to 50 ms
each bucket is one value; above, a bucket's end is at most 1.02 times its start.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from itertools import pairwise

# Beyond any length between two instants that admission accepts (1970 to 2199).
_LONGEST_MS = 8_000_000_000_000


def _starts() -> tuple[int, ...]:
    starts = [0]
    while starts[-1] <= _LONGEST_MS:
        starts.append(max(starts[-1] + 1, starts[-1] * 51 // 50))
    return tuple(starts)


# First value of each bucket; the last bucket has no end.
STARTS: tuple[int, ...] = _starts()
BUCKETS = len(STARTS)
# The value that stands for a bucket: at most 1 % from any value in it.
MIDDLES: tuple[int, ...] = (
    *((start + end - 1) // 2 for start, end in pairwise(STARTS)),
    STARTS[-1],
)


def bucket_of(length_ms: int) -> int:
    """The bucket of a length. Raises `ValueError` below 0."""
    if length_ms < 0:
        raise ValueError(f"a length cannot be negative: {length_ms}")
    return bisect_right(STARTS, length_ms) - 1


class Histogram:
    """Counts by bucket, with the exact count and sum beside them."""

    __slots__ = ("_counts", "count", "sum_ms")

    def __init__(self, counts: Mapping[int, int] | None = None, sum_ms: int = 0) -> None:
        self._counts = {bucket: times for bucket, times in (counts or {}).items() if times}
        self.count = sum(self._counts.values())
        self.sum_ms = sum_ms

    @classmethod
    def stored(cls, buckets: Iterable[int], counts: Iterable[int], sum_ms: int) -> "Histogram":
        """The histogram whose `buckets`, `counts` and `sum_ms` were stored."""
        return cls(dict(zip(buckets, counts, strict=True)), sum_ms)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Histogram):
            return NotImplemented
        return (self.sum_ms, self.buckets, self.counts) == (other.sum_ms, other.buckets, other.counts)

    __hash__ = None  # type: ignore[assignment]

    @property
    def buckets(self) -> tuple[int, ...]:
        """Buckets that are not empty, ascending."""
        return tuple(sorted(self._counts))

    @property
    def counts(self) -> tuple[int, ...]:
        """How often each of `buckets` was hit."""
        return tuple(self._counts[bucket] for bucket in self.buckets)

    def add(self, length_ms: int) -> None:
        """Count one length. Raises `ValueError` below 0."""
        bucket = bucket_of(length_ms)
        self._counts[bucket] = self._counts.get(bucket, 0) + 1
        self.count += 1
        self.sum_ms += length_ms

    def merge(self, other: "Histogram") -> None:
        """Count everything the other counted: the same as adding its lengths here."""
        for bucket, times in zip(other.buckets, other.counts, strict=True):
            self._counts[bucket] = self._counts.get(bucket, 0) + times
        self.count += other.count
        self.sum_ms += other.sum_ms

    def subtract(self, other: "Histogram") -> None:
        """Undo a merge. Raises `ValueError`, and changes nothing, if the other was not part of this one."""
        parts = zip(other.buckets, other.counts, strict=True)
        left = {bucket: self._counts.get(bucket, 0) - times for bucket, times in parts}
        if any(times < 0 for times in left.values()):
            raise ValueError("what is subtracted was never added")
        self._counts = {bucket: times for bucket, times in (self._counts | left).items() if times}
        self.count -= other.count
        self.sum_ms -= other.sum_ms

    def quantile(self, level: float) -> int | None:
        """The length below which a share `level` (0 to 1) lies, within 1 %; None without any.

        Of n lengths in order it is number ⌊level·n⌋ from 0, at most the last: the rule of ClickHouse's `quantileExact`.
        """
        rank = min(int(level * self.count), self.count - 1)
        for bucket in self.buckets:
            rank -= self._counts[bucket]
            if rank < 0:
                return MIDDLES[bucket]
        return None
