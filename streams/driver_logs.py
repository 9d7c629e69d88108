"""Keeps drivers from filling a log while a server is away: what one place repeats is written now and then."""

import logging
import time
from collections.abc import Callable, Iterable

DRIVERS = ("kafka", "aiokafka")
# Every attempt of this one fails with an error that we catch and tell ourselves.
TOLD_BY_US = "clickhouse_driver"
EVERY_SECONDS = 30.0


class Repetitions(logging.Filter):
    """Lets a place's first record pass, then one each `seconds` that tells how many were left out."""

    def __init__(self, seconds: float = EVERY_SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._seconds = seconds
        self._clock = clock
        self._next: dict[tuple[str, int], float] = {}
        self._left_out: dict[tuple[str, int], int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is written."""
        place, now = (record.name, record.lineno), self._clock()
        if now < self._next.get(place, now):
            self._left_out[place] = self._left_out.get(place, 0) + 1
            return False
        self._next[place] = now + self._seconds
        if count := self._left_out.pop(place, 0):
            record.msg, record.args = f"{record.getMessage()} (and {count:,} times more before)", ()
        return True


def calm(drivers: Iterable[str] = DRIVERS) -> None:
    """Have these drivers' loggers, as far as they exist, write warnings only, and repeat themselves seldom."""
    wanted, repetitions = frozenset(drivers), Repetitions()
    for name in [*wanted, *logging.root.manager.loggerDict]:
        if name.partition(".")[0] in wanted:
            logging.getLogger(name).addFilter(repetitions)
    for name in wanted:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger(TOLD_BY_US).setLevel(logging.CRITICAL)
