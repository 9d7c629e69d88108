"""What a worker waits for: since when, for whom, and what was said; as metrics and for `./cx status`."""

import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from schemas.errors import DiskFull, Unavailable
from streams.metrics import WorkerMetrics

LANDING, RECOVERY, GROUP = "landing", "recovery", "group"
STEPS = (LANDING, RECOVERY, GROUP)
"""What cannot go on: rows and messages of a flush, the reading back of partitions, the membership of the group."""
CLICKHOUSE, KAFKA, DISK_FULL = "clickhouse", "kafka", "disk_full"
WHYS = (CLICKHOUSE, KAFKA, DISK_FULL)


class Stall(NamedTuple):
    """A step that has been waiting since an instant of the monotonic clock; `reason` is what was said last."""

    step: str
    since: float
    why: str
    reason: str


class Stalls:
    """At most one stall a step; any thread may look."""

    def __init__(self, metrics: WorkerMetrics, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._held: dict[str, Stall] = {}
        for step in STEPS:
            for why in WHYS:
                metrics.stalled.labels(step, why).set_function(partial(self._seconds, step, why))

    def failed(self, step: str, server: str, error: Unavailable) -> None:
        """A server did not do its part of a step."""
        why = DISK_FULL if isinstance(error, DiskFull) else server
        known = self._held.get(step)
        self._held[step] = Stall(step, self._clock() if known is None else known.since, why, str(error))

    def over(self, step: str) -> None:
        """The step goes on."""
        self._held.pop(step, None)

    def all(self) -> list[tuple[Stall, float]]:
        """Every stall with its age in seconds, the oldest first."""
        now = self._clock()
        return [(stall, now - stall.since) for stall in sorted(self._held.values(), key=lambda each: each.since)]

    def _seconds(self, step: str, why: str) -> float:
        stall = self._held.get(step)
        return self._clock() - stall.since if stall is not None and stall.why == why else 0.0
