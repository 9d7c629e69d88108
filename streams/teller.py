"""What a worker tells Kafka in a flush, or of alerts ahead of the next one, and how far of it has landed."""

import asyncio
import logging
from collections.abc import Mapping, Sequence

from schemas.errors import Unavailable
from schemas.transitions import Transition
from sinks.landing import DeadLetterRow
from streams.cuts import News
from streams.fault_points import Reached
from streams.partition import Partition
from streams.stand import Membership
from streams.surroundings import Outlet

log = logging.getLogger("cx.worker")


class Teller:
    """The worker's word to the outlet; `told_to` is the offset behind what was told, by partition."""

    def __init__(self, outlet: Outlet, reached: Reached) -> None:
        self._outlet = outlet
        self._reached = reached
        self._told_to: dict[int, int] = {}

    def begin(self, landed: Mapping[int, int]) -> None:
        """A new assignment, of which so much has landed."""
        self._outlet.begin(landed)
        self._told_to = {}

    def publish(self, dead_letters: Sequence[DeadLetterRow], news: News) -> None:
        """Steps (0) and (1) of a flush; blocks. Raises `Unavailable`, or `Fenced` for an earlier assignment."""
        self._reached("before:0")
        if dead_letters:
            self._outlet.dead_letters(dead_letters)
        if news.forwards:
            self._outlet.forward(news.forwards)
        self._reached("after:0")
        self._reached("before:1")
        if news.alerts:
            self._tell(news.alerts, news.membership)
        self._reached("after:1")

    def _tell(self, alerts: Sequence[Transition], membership: Membership) -> None:
        self._told_to |= self._outlet.alerts(alerts, membership)

    def told(self) -> dict[int, int]:
        """What will have landed with a flush that is told, for `landed`."""
        return dict(self._told_to)

    def landed(self, told: Mapping[int, int]) -> None:
        """What was told by then has landed."""
        self._outlet.landed(told)

    async def tell_ahead(self, live: Sequence[Partition], now_ms: int, membership: Membership) -> None:
        """What became true in these partitions while a flush is landing; what cannot be told now is told later.

        Raises `Fenced` for an earlier assignment.
        """
        alerts = [alert for partition in live for alert in partition.look_ahead(now_ms)]
        if not alerts:
            return
        try:
            await asyncio.to_thread(self._tell, alerts, membership)
        except Unavailable as error:
            log.warning("alerts wait: %s", error)
        else:
            for partition in live:
                partition.told_ahead()
