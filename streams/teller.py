"""What a worker tells Kafka in a flush, or of alerts ahead of the next one, and how far of it has landed."""

import asyncio
import logging
from collections import Counter
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

# Alerts of one transaction: it is over long before the broker gives it up.
AT_ONCE = 1_000


class Teller:
    """The worker's word to the outlet; `told_to` is the offset behind what was told, by partition."""

    def __init__(self, outlet: Outlet, reached: Reached) -> None:
        self._outlet = outlet
        self._reached = reached
        self._told_to: dict[int, int] = {}
        self._news: News | None = None
        self._standing = 0

    def begin(self, landed: Mapping[int, int]) -> None:
        """A new assignment, of which so much has landed."""
        self._outlet.begin(landed)
        self._told_to = {}

    def publish(self, dead_letters: Sequence[DeadLetterRow], news: News) -> None:
        """Steps (0) and (1) of a flush; blocks. Raises `Unavailable`, or `Fenced` for an earlier assignment.

        Another attempt at the same news goes on after the alerts that stand by then.
        """
        self._reached("before:0")
        if dead_letters:
            self._outlet.dead_letters(dead_letters)
        if news.forwards:
            self._outlet.forward(news.forwards)
        self._reached("after:0")
        self._reached("before:1")
        if self._news is not news:
            self._news, self._standing = news, 0
        while self._standing < len(news.alerts):
            some = news.alerts[self._standing : self._standing + AT_ONCE]
            self._tell(some, news.membership)
            self._standing += len(some)
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
        alerts = [(number, alert) for number, one in enumerate(live) for alert in one.look_ahead(now_ms)]
        try:
            for start in range(0, len(alerts), AT_ONCE):
                some = alerts[start : start + AT_ONCE]
                await asyncio.to_thread(self._tell, [alert for _, alert in some], membership)
                for number, count in Counter(number for number, _ in some).items():
                    live[number].told_ahead(count)
        except Unavailable as error:
            log.warning("alerts wait: %s", error)
