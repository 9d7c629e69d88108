"""A log that is its own worker: what is published stands in ClickHouse when it is acknowledged."""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from functools import partial

from schemas.settings import Settings
from schemas.topics import EVENTS
from sinks.clickhouse import ClickHouseSink
from sinks.daily import DailyCells
from sinks.reading import ClickHouseReader
from streams.cuts import Delivery, landing_of, windows_of
from streams.intake.producer import Written
from streams.partition import Partition
from streams.recovery import Log


class LandingLog:
    """A `Publisher` of one partition that holds every district; `now_ms` is the clock its rows and alerts go by."""

    def __init__(self, settings: Settings, now_ms: Callable[[], int]) -> None:
        self._sink = ClickHouseSink(settings)
        self._cells = DailyCells(settings)
        self._log = Log(partial(ClickHouseReader, settings))
        self._partition = Partition(0, 1, EVENTS)
        self._now_ms = now_ms
        self._offset = 0

    def take(self, payload: bytes) -> None:
        """Apply a message; it lands with the next `land`."""
        self._partition.take(Delivery(0, self._offset, payload, 0))
        self._offset += 1

    def land(self, with_erasures: bool = False) -> None:
        """Land what changed, and what became true by now: alerts, and rolling rows of a full minute.

        `with_erasures`: also rewrite what has landed of erased persons.
        """
        while True:
            self._seek_erased()
            self._bring_back()
            self._partition.refold(lambda: False)
            now_ms = self._now_ms()
            cut = self._partition.cut(now_ms, live=True)
            landing, windows = landing_of([cut], now_ms), windows_of([cut], now_ms)
            erasures = landing.erasures if with_erasures else ()
            self._sink.land(replace(landing, rolling=windows.rolling, slices=windows.slices, erasures=erasures))
            self._partition.judge(windows.rolling, now_ms)
            if not self._swept():
                return

    def _seek_erased(self) -> None:
        for state in self._partition.states.values():
            while state.erasures.unsought:
                key, since_ms = state.erasures.unsought.popitem()
                state.recall(self._log.naming(state.district, key, since_ms))

    def _bring_back(self) -> None:
        while wanted := self._partition.returning():
            for district, names in wanted:
                histories = self._log.histories(district, names)
                self._partition.restore(district, names, histories, self._log.retired_of(district, names))

    def _swept(self) -> bool:
        """Have rows that left memory and are of an earlier configuration folded again; False: there are none."""
        for state in self._partition.states.values():
            after = state.departed.swept_to
            if after is not None:
                names = self._log.outdated(state.district, state.oldest_version, after, 100)
                state.recall(names)
                state.departed.swept_to = names[-1] if names else None
                return bool(names)
        return False

    def publish(self, _district: str, payload: bytes) -> "Future[Written]":
        """Take an array of events and land it."""
        self.take(payload)
        self.land()
        acknowledged: Future[Written] = Future()
        acknowledged.set_result(Written(0, self._offset))
        return acknowledged

    def flush(self, timeout: float) -> None:
        """Nothing is ever under way."""

    def catch_up_days(self) -> None:
        """Make the daily cells of what has landed."""
        now_ms = self._now_ms()
        for district, state in self._partition.states.items():
            while not self._cells.catch_up(district, state.configuration, now_ms):
                pass

    def close(self) -> None:
        """Let go of the connections."""
        self._sink.close()
        self._cells.close()
