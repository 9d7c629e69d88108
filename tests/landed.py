"""A log that is its own worker: what is published stands in ClickHouse when it is acknowledged."""

from collections.abc import Callable
from concurrent.futures import Future

from schemas.settings import Settings
from schemas.topics import EVENTS
from sinks.clickhouse import ClickHouseSink
from sinks.landing import Landing
from streams.intake.producer import Written
from streams.partition import Delivery, Partition


class LandingLog:
    """A `Publisher` of one partition that holds every district; `now_ms` is the clock its rows and alerts go by."""

    def __init__(self, settings: Settings, now_ms: Callable[[], int]) -> None:
        self._sink = ClickHouseSink(settings)
        self._partition = Partition(0, 1, EVENTS)
        self._now_ms = now_ms
        self._offset = 0

    def take(self, payload: bytes) -> None:
        """Apply a message; it lands with the next `land`."""
        self._partition.take(Delivery(0, self._offset, payload, 0))
        self._offset += 1

    def land(self) -> None:
        """Land what changed, and what became true by now: alerts, and rolling rows of a full minute."""
        while True:
            now_ms = self._now_ms()
            cut = self._partition.cut(now_ms, live=True)
            self._sink.land(
                Landing(
                    now_ms,
                    events=cut.events,
                    conversations=cut.conversations,
                    configurations=cut.configurations,
                    units=cut.units,
                    dead_letters=cut.dead_letters,
                    rolling=cut.rolling,
                    alerts=cut.alerts,
                )
            )
            if not self._partition.stale:
                return

    def publish(self, _district: str, payload: bytes) -> "Future[Written]":
        """Take an array of events and land it."""
        self.take(payload)
        self.land()
        acknowledged: Future[Written] = Future()
        acknowledged.set_result(Written(0, self._offset))
        return acknowledged

    def flush(self, timeout: float) -> None:
        """Nothing is ever under way."""

    def close(self) -> None:
        """Let go of the connection."""
        self._sink.close()
