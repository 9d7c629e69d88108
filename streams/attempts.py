"""Work for servers that may be away: tried in a thread until it succeeds, or until nobody wants it any more."""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import TypeVar

from schemas.errors import Unavailable
from streams.metrics import WorkerMetrics
from streams.stalls import CLICKHOUSE, LANDING, RECOVERY, Stalls

log = logging.getLogger("cx.attempts")

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 30.0

T = TypeVar("T")


class Attempts:
    """One flush and one recovery at a time; lives in one event loop."""

    def __init__(self, metrics: WorkerMetrics, stalls: Stalls) -> None:
        self._metrics = metrics
        self._stalls = stalls
        self._since: float | None = None

    @property
    def seconds(self) -> float:
        """For how long a server has been at its part of a flush; each attempt is bounded by its time-outs."""
        return 0.0 if self._since is None else time.monotonic() - self._since

    async def persist(self, work: Callable[[], T], server: str = CLICKHOUSE) -> T:
        """A part of a flush: try until it succeeds, with growing pauses. Raises whatever is not `Unavailable`."""
        pause = FIRST_PAUSE
        while True:
            try:
                done = await self.once(work)
            except Unavailable as error:
                pause = await self._rest(LANDING, server, error, pause)
            else:
                self._stalls.over(LANDING)
                return done

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

    async def recover(self, work: Callable[[], T], server: str, goes_on: Callable[[], bool]) -> T | None:
        """A part of a recovery: the same, but None as soon as it is not wanted any more."""
        pause = FIRST_PAUSE
        while goes_on():
            try:
                done = await asyncio.to_thread(work)
            except Unavailable as error:
                pause = await self._rest(RECOVERY, server, error, pause)
            else:
                self._stalls.over(RECOVERY)
                return done if goes_on() else None
        self._stalls.over(RECOVERY)
        return None

    async def _rest(self, step: str, server: str, error: Unavailable, pause: float) -> float:
        """Say what failed, wait; the next pause."""
        self._stalls.failed(step, server, error)
        log.warning("%s waits %.1f s: %s", step, pause, error)
        await asyncio.sleep(pause)
        return min(pause * 2, LONGEST_PAUSE, max(error.retry_after * 5, 1.0))
