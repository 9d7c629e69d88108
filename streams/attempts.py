"""Work for servers that may be away: tried in a thread until it succeeds."""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import TypeVar

from schemas.errors import Unavailable
from streams.metrics import WorkerMetrics

log = logging.getLogger("cx.attempts")

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 30.0

T = TypeVar("T")


class Attempts:
    """One piece of work at a time; lives in one event loop."""

    def __init__(self, metrics: WorkerMetrics) -> None:
        self._metrics = metrics
        self._since: float | None = None

    @property
    def seconds(self) -> float:
        """For how long a server has been at what it was last asked; each attempt is bounded by its time-outs."""
        return 0.0 if self._since is None else time.monotonic() - self._since

    async def persist(self, work: Callable[[], T]) -> T:
        """Try until it succeeds, with growing pauses. Raises whatever is not `Unavailable`."""
        pause = FIRST_PAUSE
        while True:
            try:
                return await self.once(work)
            except Unavailable as error:
                log.warning("flush waits %.1f s: %s", pause, error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE, max(error.retry_after * 5, 1.0))

    async def once(self, work: Callable[[], T]) -> T:
        """Try once. Raises whatever the work does."""
        self._since = time.monotonic()
        try:
            return await asyncio.to_thread(work)
        except Unavailable:
            self._metrics.flush_retries.inc()
            raise
        finally:
            self._since = None
