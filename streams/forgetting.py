"""Erased persons once more: in no row either that a writer landed which knew nothing of the erasure yet.

A worker that stood still asks after each landing who was erased meanwhile (`streams.upkeep`). If it dies before it has
asked, or a replay does, the next replay and the nightly retention find what is left here.
"""

from collections.abc import Callable

from sinks.landing import Landing, Sink
from sinks.reading import Reader


def forget_again(reader: Reader, sink: Sink, district: str, now_ms: Callable[[], int]) -> int:
    """Erase again every key that a row of the district still holds; how many. Blocks; raises what the two raise."""
    left = {erasure for _, erasure in reader.still_named(district)}
    if left:
        sink.land(Landing(now_ms(), erasures=sorted(left)))
    return len(left)
