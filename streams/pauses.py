"""Whether the process stood still for so long that others may have its partitions without its knowing.

A watch on the event loop's own clock finds out: it is to be looked at every moment, and was not. What the process still
holds is then doubtful until its client has heard from the group, which takes it less than half a session: the first
thing that it does is to ask.
"""

import asyncio
import logging
import math
from collections.abc import Callable

log = logging.getLogger("cx.worker")

LOOK_SECONDS = 0.1


class Pauses:
    """Looked at by one event loop. `seconds`: how long a pause leaves no doubt yet, half a session."""

    def __init__(self, monotonic: Callable[[], float], seconds: float) -> None:
        self._monotonic = monotonic
        self._seconds = seconds
        self._looked_at: float | None = None
        self._doubtful_until = -math.inf

    async def watch(self) -> None:
        """Look at it for ever."""
        while True:
            self.look()
            await asyncio.sleep(LOOK_SECONDS)

    def look(self) -> None:
        """Note that the process goes on."""
        now = self._monotonic()
        if self._looked_at is not None and now - self._looked_at >= self._seconds:
            self._doubtful_until = now + self._seconds
            log.warning("stood still for %.1f s: nothing lands before the group was heard", now - self._looked_at)
        self._looked_at = now

    def in_doubt(self) -> bool:
        """Whether it stood still a moment ago, and has not heard of its group yet; never if nobody watches."""
        if self._looked_at is not None:
            self.look()
        return self._monotonic() < self._doubtful_until

    def over(self) -> None:
        """There is an assignment: what it holds from now on is its own."""
        self._doubtful_until = -math.inf
